"""What a detector found as a dataset: to be written in any format, and corrected by a person from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import UNLABELLED, Objects, Strings
from lince.data import Dataset
from lince.data.convert import Converted, How, convert
from lince.files import digest
from lince.labels import UNASSIGNED
from lince.progress import SILENT, Progress
from lince.runtime.detection import Found


@dataclass(frozen=True)
class FoundImages:
    """The photos of ``found``, each in a file of its own, called as when they were predicted."""

    found: tuple[Found, ...]
    grey: bool = False

    def __len__(self) -> int:
        return len(self.found)

    def name(self, index: int) -> str:
        """Return the name that the photo had when it was predicted."""
        return self.found[index].name

    def path(self, index: int) -> Path:
        """Return the file."""
        return Path(self.found[index].path or "")

    def read(self, index: int, at_least: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Return uint8 RGB (H, W, 3)."""
        return images.read(self.path(index), at_least)

    def data(self, index: int) -> bytes:
        """Return the bytes of the file."""
        return images.read_bytes(self.path(index))

    def key(self, index: int) -> str:
        """Return the digest of the file's bytes."""
        return digest(self.data(index))

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) as when it was predicted."""
        return self.found[index].size

    def select(self, indices: NDArray[Any]) -> FoundImages:
        """Return the images at ``indices``."""
        return FoundImages(tuple(self.found[index] for index in indices.tolist()), self.grey)


def dataset(found: Sequence[Found]) -> Dataset:
    """Return the photos of ``found``, all of one model and from files, with the boxes found as what is marked on them.

    How sure the model was is no part of it.
    """
    count = len(found)
    starts = np.concatenate([[0], np.cumsum([len(one.detections) for one in found])]).astype(np.int64)
    total = int(starts[-1])
    zeros = np.zeros(total + 1, np.int64)
    objects = Objects(
        starts,
        np.concatenate([np.empty(0, np.int32), *(one.detections.class_ids for one in found)]),
        np.concatenate([np.empty((0, 4)), *(one.detections.boxes for one in found)]),
        np.zeros(total, np.uint8),
        zeros,
        np.zeros(1, np.int64),
        np.empty((0, 2)),
        Strings.of([""] * total),
    )
    return Dataset(
        FoundImages(tuple(found)),
        found[0].classes,
        np.full(count, UNLABELLED, np.int32),
        np.full(count, UNASSIGNED, np.int8),
        (),
        Path(found[0].path or ""),
        "predictions",
        objects,
        np.array([one.size for one in found], np.int32).reshape(-1, 2),
    )


def write(found: Sequence[Found], folder: Path, to: str, progress: Progress = SILENT) -> Converted:
    """Write copies of the photos of ``found`` to the new ``folder``, labelled with what was found in the format ``to``.

    What the format cannot hold is left out and stands in the result. Raises ``UsageError`` when nothing would be left.
    """
    return convert(dataset(found), folder, to, How(lossy=True, allow_unusable=True), progress)
