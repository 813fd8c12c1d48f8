"""What a detector found as a dataset: to be written in any format, and corrected by a person from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import UNLABELLED, ObjectTable, StringColumn
from lince.datasets import Dataset
from lince.datasets.conversion import ConvertOptions, ConvertResult, convert_dataset
from lince.fileio import compute_digest
from lince.inference.detection.predictor import DetectionResult
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED


@dataclass(frozen=True)
class PredictedImages:
    """The photos of ``found``, each in a file of its own, called as when they were predicted."""

    results: tuple[DetectionResult, ...]
    grey: bool = False

    def __len__(self) -> int:
        return len(self.results)

    def get_name(self, index: int) -> str:
        """Return the name that the photo had when it was predicted."""
        return self.results[index].name

    def get_path(self, index: int) -> Path:
        """Return the file."""
        return Path(self.results[index].path or "")

    def read_image(self, index: int, at_least: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Return uint8 RGB (H, W, 3)."""
        return images.read_image(self.get_path(index), at_least)

    def read_bytes(self, index: int) -> bytes:
        """Return the bytes of the file."""
        return images.read_bytes(self.get_path(index))

    def compute_key(self, index: int) -> str:
        """Return the digest of the file's bytes."""
        return compute_digest(self.read_bytes(index))

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) as when it was predicted."""
        return self.results[index].size

    def select(self, indices: NDArray[Any]) -> PredictedImages:
        """Return the images at ``indices``."""
        return PredictedImages(tuple(self.results[index] for index in indices.tolist()), self.grey)


def build_dataset(results: Sequence[DetectionResult]) -> Dataset:
    """Return the photos of ``found``, all of one model and from files, with the boxes found as what is marked on them.

    How sure the model was is no part of it.
    """
    count = len(results)
    starts = np.concatenate([[0], np.cumsum([len(one.detections) for one in results])]).astype(np.int64)
    total = int(starts[-1])
    zeros = np.zeros(total + 1, np.int64)
    objects = ObjectTable(
        starts,
        np.concatenate([np.empty(0, np.int32), *(one.detections.class_ids for one in results)]),
        np.concatenate([np.empty((0, 4)), *(one.detections.boxes for one in results)]),
        np.zeros(total, np.uint8),
        zeros,
        np.zeros(1, np.int64),
        np.empty((0, 2)),
        StringColumn.from_strings([""] * total),
    )
    return Dataset(
        PredictedImages(tuple(results)),
        results[0].classes,
        np.full(count, UNLABELLED, np.int32),
        np.full(count, UNASSIGNED, np.int8),
        (),
        Path(results[0].path or ""),
        "predictions",
        objects,
        np.array([one.size for one in results], np.int32).reshape(-1, 2),
    )


def write_dataset(
    results: Sequence[DetectionResult], folder: Path, to: str, progress: Progress = SILENT
) -> ConvertResult:
    """Write copies of the photos of ``found`` to the new ``folder``, labelled with what was found in the format ``to``.

    What the format cannot hold is left out and stands in the result. Raises ``UsageError`` when nothing would be left.
    """
    return convert_dataset(
        build_dataset(results), folder, to, ConvertOptions(lossy=True, allow_unusable=True), progress
    )
