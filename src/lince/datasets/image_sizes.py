"""The true sizes of images from their headers, and what the labels say that does not fit them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince.annotations import RejectedItem
from lince.datasets.dataset import Dataset
from lince.formats.builders.object_table import EDGE_TOLERANCE
from lince.i18n import _
from lince.progress import SILENT, Progress

_BATCH_SIZE = 1024


def measure_image_sizes(dataset: Dataset, progress: Progress = SILENT) -> tuple[Dataset, int]:
    """Return ``dataset`` with the sizes that its images really have, and how many are stated otherwise.

    What cannot be used then is rejected: an image without a readable header, and a box that leaves its image by more
    than rounding brings about.
    """
    sizes, said = _read_sizes(dataset, progress), dataset.sizes
    known = (sizes > 0).all(axis=1)
    unreadable = {row: _unreadable_image(dataset.images.get_name(row)) for row in np.flatnonzero(~known).tolist()}
    misstated = 0 if said is None else int((known & (said > 0).all(axis=1) & (said != sizes).any(axis=1)).sum())
    return _reject_outside_boxes(replace(dataset, sizes=sizes).reject_rows(unreadable)), misstated


def _read_sizes(dataset: Dataset, progress: Progress) -> NDArray[np.int32]:
    found: list[tuple[int, int]] = []
    name = _("Reading the sizes of the photos")
    with progress.open_stage(name, len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(dataset)))
            found += pool.map(dataset.images.read_size, batch)
            stage.advance(len(batch))
    return np.array(found, np.int32).reshape(-1, 2)


def _reject_outside_boxes(dataset: Dataset) -> Dataset:
    objects, sizes = dataset.objects, dataset.sizes
    if objects is None or sizes is None:
        return dataset
    frame = sizes[objects.image_ids][:, ::-1]
    excess = np.maximum(-objects.boxes[:, :2], objects.boxes[:, 2:] - frame).max(axis=1, initial=-np.inf)
    keep = excess <= EDGE_TOLERANCE
    if keep.all():
        return dataset
    refused = [_outside_box(dataset.images.get_name(int(row)), *marks) for row, *marks in zip(
        objects.image_ids[~keep], objects.boxes[~keep], frame[~keep], excess[~keep], strict=True)]  # fmt: skip
    return replace(dataset, objects=objects.filter(keep), rejected=(*dataset.rejected, *refused))


def _unreadable_image(name: str) -> RejectedItem:
    return RejectedItem(name, _("an image that cannot be read"), _("copy it again, or remove it"))


def _outside_box(name: str, box: NDArray[np.float64], frame: NDArray[np.int32], excess: float) -> RejectedItem:
    shown = "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
    reason = _("box {box} outside the image ({width} x {height}) by {excess:.3g} px").format(
        box=shown, width=frame[0], height=frame[1], excess=excess
    )
    return RejectedItem(name, reason, _("correct or remove it"), kind="outside")
