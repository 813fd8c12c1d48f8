"""The true sizes of images from their headers, and what the labels say that does not fit them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Rejected
from lince.data.dataset import Dataset
from lince.labels.marks import TOLERANCE
from lince.messages import _
from lince.progress import SILENT, Progress

_BATCH = 1024


def measured(dataset: Dataset, progress: Progress = SILENT) -> tuple[Dataset, int]:
    """Return ``dataset`` with the sizes that its images really have, and how many are stated otherwise.

    What cannot be used then is rejected: an image without a readable header, and a box that leaves its image by more
    than rounding brings about.
    """
    sizes, said = _sizes(dataset, progress), dataset.sizes
    known = (sizes > 0).all(axis=1)
    unreadable = {row: _unreadable(dataset.images.name(row)) for row in np.flatnonzero(~known).tolist()}
    misstated = 0 if said is None else int((known & (said > 0).all(axis=1) & (said != sizes).any(axis=1)).sum())
    return _inside(replace(dataset, sizes=sizes).without(unreadable)), misstated


def _sizes(dataset: Dataset, progress: Progress) -> NDArray[np.int32]:
    found: list[tuple[int, int]] = []
    name = _("Reading the sizes of the photos")
    with progress.stage(name, len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH):
            batch = range(start, min(start + _BATCH, len(dataset)))
            found += pool.map(dataset.images.size, batch)
            stage.advance(len(batch))
    return np.array(found, np.int32).reshape(-1, 2)


def _inside(dataset: Dataset) -> Dataset:
    objects, sizes = dataset.objects, dataset.sizes
    if objects is None or sizes is None:
        return dataset
    frame = sizes[objects.image_ids][:, ::-1]
    excess = np.maximum(-objects.boxes[:, :2], objects.boxes[:, 2:] - frame).max(axis=1, initial=-np.inf)
    keep = excess <= TOLERANCE
    if keep.all():
        return dataset
    refused = [_outside(dataset.images.name(int(row)), *marks) for row, *marks in zip(
        objects.image_ids[~keep], objects.boxes[~keep], frame[~keep], excess[~keep], strict=True)]  # fmt: skip
    return replace(dataset, objects=objects.where(keep), rejected=(*dataset.rejected, *refused))


def _unreadable(name: str) -> Rejected:
    return Rejected(name, _("an image that cannot be read"), _("copy it again, or remove it"))


def _outside(name: str, box: NDArray[np.float64], frame: NDArray[np.int32], excess: float) -> Rejected:
    shown = "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
    reason = _("box {box} outside the image ({width} x {height}) by {excess:.3g} px").format(
        box=shown, width=frame[0], height=frame[1], excess=excess
    )
    return Rejected(name, reason, _("correct or remove it"), fault="outside")
