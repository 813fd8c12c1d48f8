"""Exports a dataset as a torch ``Dataset``, with targets in torchvision's conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from lince import geometry, rle
from lince.annotations import CROWD, UNLABELLED, ObjectTable
from lince.datasets import Dataset
from lince.errors import UsageError
from lince.i18n import _
from lince.preprocess import PreprocessSpec, compute_input_matrix, resize_to_input
from lince.splits import SPLITS
from lince.tasks import find_usable_rows
from lince.validation import require_choice

TorchTarget = int | dict[str, Any]


class TorchExportDataset(TorchDataset[tuple[torch.Tensor, TorchTarget]]):
    """Images with their targets, decoded when indexed.

    ``rows`` (N,) are the rows of ``dataset`` that it contains, in order. With ``spec`` ``None`` images keep their size.
    Items are as ``to_torch`` describes them.
    """

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
        original = self.dataset.images.read_image(row)
        image = original if self._spec is None else resize_to_input(original, self._spec)
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        if self.dataset.objects is None:
            return pixels, int(self.dataset.class_ids[row])
        return pixels, self._make_target(self.dataset.objects, row, original.shape[:2], image.shape[:2])

    def _make_target(
        self, objects: ObjectTable, row: int, original_size: tuple[int, ...], input_size: tuple[int, ...]
    ) -> dict[str, Any]:
        """Return the detection target of ``row``, in pixels of the resized image.

        Sizes are (height, width), before and after the resize. Boxes that are empty after clipping to the image are
        left out of the boxes and of the fields that go with them.
        """
        (height, width), object_rows = original_size, objects.slice_of_image(row)
        input_matrix = np.eye(3) if self._spec is None else compute_input_matrix(height, width, self._spec)
        boxes = geometry.clip_boxes(geometry.transform_boxes(objects.boxes[object_rows], input_matrix), *input_size[:2])
        areas = geometry.compute_box_areas(boxes)
        kept_rows = np.flatnonzero(areas > 0)
        target = {
            "boxes": torch.from_numpy(boxes[kept_rows].astype(np.float32)),
            "labels": torch.from_numpy(objects.class_ids[object_rows][kept_rows].astype(np.int64) + 1),
            "image_id": row,
            "area": torch.from_numpy(areas[kept_rows].astype(np.float32)),
            "iscrowd": torch.from_numpy((objects.flags[object_rows][kept_rows] & CROWD > 0).astype(np.int64)),
        }
        if self._has_masks:
            masks = [_object_mask(objects, object_rows.start + i, height, width) for i in kept_rows.tolist()]
            stacked_masks = np.array(masks, np.uint8).reshape(-1, height, width)
            target["masks"] = torch.from_numpy(_resize_masks(stacked_masks, input_size[0], input_size[1]))
        return target


def to_torch(
    dataset: Dataset, split: str | None = None, size: int | tuple[int, int] | None = None
) -> TorchExportDataset:
    """Return the images of ``split`` (all when ``None``) as a torch dataset of (uint8 RGB tensor (3, H, W), target).

    For a classification dataset the target is the class id, an int; images without a class are left out. For a
    detection dataset it is a dictionary as torchvision's detection models take it:

    - ``boxes`` float32 (N, 4): left, top, right, bottom in pixels.
    - ``labels`` int64 (N,): class ids + 1, because torchvision reserves 0 for the background.
    - ``image_id``: the row in the dataset. ``area`` float32 (N,): square pixels. ``iscrowd`` int64 (N,).
    - ``masks`` uint8 (N, H, W): only where some object of the dataset has a polygon or a mask; an object without either
      fills its box.

    ``size``, one number or (height, width) in pixels, resizes every image to that size without keeping its aspect
    ratio, and boxes and masks with it. Raises ``UsageError`` for an unknown split or one without labelled images.
    """
    if split is not None:
        require_choice("split", split, SPLITS)
    usable = find_usable_rows(dataset)
    if dataset.objects is not None and len(dataset.objects):  # an image with a class alone is no negative example
        usable &= (np.diff(dataset.objects.starts) > 0) | (dataset.class_ids == UNLABELLED)
    selected = usable if split is None else usable & (dataset.splits == SPLITS[split])
    rows = np.flatnonzero(selected).astype(np.int64)
    if not len(rows):
        raise UsageError(
            _("{root} has no labelled images in '{split}'.").format(root=dataset.root, split=split or _("all")),
            _("Expected one of its splits, or data with labels."),
        )
    height, width = (size, size) if isinstance(size, int) else size or (0, 0)
    return TorchExportDataset(dataset, rows, None if size is None else PreprocessSpec(height, width))


def _object_mask(objects: ObjectTable, index: int, height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask (height, width) of one object: its own, or drawn from its polygons, or else from its box."""
    if objects.masks[index]:
        return rle.decode(objects.masks[index], height, width)
    rings = objects.get_polygons(index)
    if not rings:
        left, top, right, bottom = objects.boxes[index].tolist()
        rings = [np.array([[left, top], [right, top], [right, bottom], [left, bottom]])]
    return rle.counts_to_mask(rle.polygons_to_counts(rings, height, width), height, width)


def _resize_masks(masks: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return masks (N, H, W) resized by nearest neighbour, sampled at pixel centres."""
    rows = ((np.arange(height) + 0.5) * masks.shape[1] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * masks.shape[2] / width).astype(np.int64)
    return np.ascontiguousarray(masks[:, rows[:, None], columns])
