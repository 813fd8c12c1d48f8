"""Taking a dataset out of lince and into somebody's own torch code, in torchvision's conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from lince import geometry, rle
from lince.annotations import CROWD, ObjectTable
from lince.datasets import Dataset
from lince.errors import UsageError
from lince.i18n import _
from lince.preprocess import PreprocessSpec, compute_input_matrix, resize_to_input
from lince.splits import SPLITS
from lince.validation import require_choice

TorchTarget = int | dict[str, Any]


class TorchExportDataset(TorchDataset[tuple[torch.Tensor, TorchTarget]]):
    """Images with their targets, read when asked for; ``rows`` (N,) are those of ``dataset`` that are in it."""

    def __init__(self, dataset: Dataset, rows: NDArray[np.int64], spec: PreprocessSpec | None) -> None:
        self.dataset = dataset
        self.rows = rows
        self._spec = spec
        self._has_masks = dataset.objects is not None and bool(
            (dataset.objects.has_polygons | dataset.objects.has_mask).any()
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, TorchTarget]:
        row = int(self.rows[index])
        whole = self.dataset.images.read_image(row)
        image = whole if self._spec is None else resize_to_input(whole, self._spec)
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        if self.dataset.objects is None:
            return pixels, int(self.dataset.class_ids[row])
        return pixels, self._make_target(self.dataset.objects, row, whole.shape[:2], image.shape[:2])

    def _make_target(
        self, objects: ObjectTable, row: int, whole: tuple[int, ...], shown: tuple[int, ...]
    ) -> dict[str, Any]:
        (height, width), span = whole, objects.slice_of_image(row)
        move = np.eye(3) if self._spec is None else compute_input_matrix(height, width, self._spec)
        boxes = geometry.clip_boxes(geometry.transform_boxes(objects.boxes[span], move), shown[0], shown[1])
        areas = geometry.compute_box_areas(boxes)
        kept = np.flatnonzero(areas > 0)
        target = {
            "boxes": torch.from_numpy(boxes[kept].astype(np.float32)),
            "labels": torch.from_numpy(objects.class_ids[span][kept].astype(np.int64) + 1),
            "image_id": row,
            "area": torch.from_numpy(areas[kept].astype(np.float32)),
            "iscrowd": torch.from_numpy((objects.flags[span][kept] & CROWD > 0).astype(np.int64)),
        }
        if self._has_masks:
            found = [_object_mask(objects, span.start + i, height, width) for i in kept.tolist()]
            stacked = np.array(found, np.uint8).reshape(-1, height, width)
            target["masks"] = torch.from_numpy(_resize_masks(stacked, shown[0], shown[1]))
        return target


def to_torch(
    dataset: Dataset, split: str | None = None, size: int | tuple[int, int] | None = None
) -> TorchExportDataset:
    """Return the images of ``split`` (all when ``None``) as a torch dataset of (uint8 RGB tensor (3, H, W), target).

    The target of data that tells whole images apart is the class id; images without a class are left out. For data
    that marks objects it is a dictionary as torchvision's detection models take it: ``boxes`` float32 (N, 4) left, top,
    right, bottom in pixels, ``labels`` int64 (N,) which are class ids + 1 because 0 is the background there,
    ``image_id`` the row of the dataset, ``area`` float32 (N,), ``iscrowd`` int64 (N,), and ``masks`` uint8 (N, H, W)
    where any object of the dataset has an outline or a mask (a box without either fills its box).

    ``size``, one number or (height, width), brings every image to the same size, whatever its shape was, and boxes
    and masks with it. Raise ``UsageError`` for an unknown split or one without images.
    """
    if split is not None:
        require_choice("split", split, SPLITS)
    inside = dataset.labelled if split is None else dataset.labelled & (dataset.splits == SPLITS[split])
    rows = np.flatnonzero(inside).astype(np.int64)
    if not len(rows):
        raise UsageError(
            _("{root} has no labelled images in '{split}'.").format(root=dataset.root, split=split or _("all")),
            _("Expected one of its splits, or data with labels."),
        )
    height, width = (size, size) if isinstance(size, int) else size or (0, 0)
    return TorchExportDataset(dataset, rows, None if size is None else PreprocessSpec(height, width))


def _object_mask(objects: ObjectTable, index: int, height: int, width: int) -> NDArray[np.bool_]:
    if objects.masks[index]:
        return rle.decode(objects.masks[index], height, width)
    rings = objects.get_polygons(index)
    if not rings:
        left, top, right, bottom = objects.boxes[index].tolist()
        rings = [np.array([[left, top], [right, top], [right, bottom], [left, bottom]])]
    return rle.counts_to_mask(rle.polygons_to_counts(rings, height, width), height, width)


def _resize_masks(stacked: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return masks (N, H, W) at another size: each pixel is the one under its middle."""
    rows = ((np.arange(height) + 0.5) * stacked.shape[1] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * stacked.shape[2] / width).astype(np.int64)
    return np.ascontiguousarray(stacked[:, rows[:, None], columns])
