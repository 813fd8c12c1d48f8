"""Reads the sizes of all images from their headers, and rejects the boxes that do not fit them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince.annotations import RejectedItem
from lince.datasets.dataset import Dataset
from lince.formats.builders.object_table import EDGE_TOLERANCE, reject_lost_image
from lince.i18n import _
from lince.progress import SILENT, Progress

_BATCH_SIZE = 1024


def measure_image_sizes(dataset: Dataset, progress: Progress = SILENT) -> tuple[Dataset, int]:
    """Return ``dataset`` with the real sizes of its images, and the number of images whose labels state another size.

    Images without a readable header are rejected, and so are boxes that stick out of their image by more than
    ``EDGE_TOLERANCE`` pixels.
    """
    sizes, labelled_sizes = _read_sizes(dataset, progress), dataset.sizes
    is_readable = (sizes > 0).all(axis=1)
    unreadable = {row: _unreadable_image(dataset.images.get_name(row)) for row in np.flatnonzero(~is_readable).tolist()}
    misstated_count = 0
    if labelled_sizes is not None:
        differs = (labelled_sizes > 0).all(axis=1) & (labelled_sizes != sizes).any(axis=1)
        misstated_count = int((is_readable & differs).sum())
    return _reject_outside_boxes(replace(dataset, sizes=sizes).reject_rows(unreadable)), misstated_count


def _read_sizes(dataset: Dataset, progress: Progress) -> NDArray[np.int32]:
    """Return (height, width) of each image, int32 (N, 2), read in parallel; 0 where the header cannot be read."""
    sizes: list[tuple[int, int]] = []
    name = _("Reading the image sizes")
    with progress.open_stage(name, len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(dataset)))
            sizes += pool.map(dataset.images.read_size, batch)
            stage.advance(len(batch))
    return np.array(sizes, np.int32).reshape(-1, 2)


def _reject_outside_boxes(dataset: Dataset) -> Dataset:
    """Return ``dataset`` with the objects that stick out of their image moved to ``rejected``.

    So are the images that lose all their objects by it.
    """
    objects, sizes = dataset.objects, dataset.sizes
    if objects is None or sizes is None:
        return dataset
    frame = sizes[objects.image_ids][:, ::-1]  # (width, height) of each object's image
    excess = np.maximum(-objects.boxes[:, :2], objects.boxes[:, 2:] - frame).max(axis=1, initial=-np.inf)
    keep = excess <= EDGE_TOLERANCE
    if keep.all():
        return dataset
    rejected = [_outside_box(dataset.images.get_name(int(row)), *values) for row, *values in zip(
        objects.image_ids[~keep], objects.boxes[~keep], frame[~keep], excess[~keep], strict=True)]  # fmt: skip
    left = objects.filter(keep)
    lost = np.flatnonzero((np.diff(left.starts) == 0) & (np.diff(objects.starts) > 0) & ~dataset.has_image_labels)
    counts = np.diff(objects.starts)
    return replace(dataset, objects=left, rejected=(*dataset.rejected, *rejected)).reject_rows(
        {row: reject_lost_image(dataset.images.get_name(row), int(counts[row])) for row in lost.tolist()}
    )


def _unreadable_image(name: str) -> RejectedItem:
    """Return the rejection of an image without a readable header."""
    return RejectedItem(name, _("an image that cannot be read"), _("copy it again, or remove it"))


def _outside_box(name: str, box: NDArray[np.float64], frame: NDArray[np.int32], excess: float) -> RejectedItem:
    """Return the rejection of ``box``, which sticks out of its ``frame`` (width, height) by ``excess`` pixels."""
    coordinates = "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
    reason = _("box {box} outside the image ({width} x {height}) by {excess:.3g} px").format(
        box=coordinates, width=frame[0], height=frame[1], excess=excess
    )
    return RejectedItem(name, reason, _("correct or remove it"), kind="outside")
