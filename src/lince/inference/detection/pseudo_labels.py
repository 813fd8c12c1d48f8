"""Detections as a labelled dataset, in any format: pseudo-labels that a person can correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import UNLABELLED, ObjectTable
from lince.datasets import Dataset
from lince.datasets.conversion import ConvertOptions, ConvertResult, convert_dataset
from lince.fileio import compute_digest
from lince.inference.detection.result import DetectionResult
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED


@dataclass(frozen=True)
class PredictedImages:
    """The images of ``results`` as an ``ImageSource``; each is in its own file, and is named as in its result."""

    results: tuple[DetectionResult, ...]
    grey: bool = False

    def __len__(self) -> int:
        return len(self.results)

    def get_name(self, index: int) -> str:
        """Return the name of the image in its result."""
        return self.results[index].name

    def get_path(self, index: int) -> Path:
        """Return the file of the image."""
        return Path(self.results[index].path or "")

    def read_image(self, index: int, min_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Return the image, uint8 RGB (H, W, 3).

        With ``min_size`` (height, width), a large JPEG may be decoded at a fraction of its size that is not below it.
        """
        return images.read_image(self.get_path(index), min_size)

    def read_bytes(self, index: int) -> bytes:
        """Return the content of the file."""
        return images.read_bytes(self.get_path(index))

    def compute_key(self, index: int) -> str:
        """Return the digest of the content of the file."""
        return compute_digest(self.read_bytes(index))

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) at the time of the prediction."""
        return self.results[index].size

    def select(self, indices: NDArray[Any]) -> PredictedImages:
        """Return the images at ``indices``, in that order."""
        return PredictedImages(tuple(self.results[index] for index in indices.tolist()), self.grey)


def build_dataset(results: Sequence[DetectionResult]) -> Dataset:
    """Return the dataset of the images of ``results``, with the detections as objects.

    The results are of one model, at least one, and each image is in a file.
    """
    count = len(results)
    return Dataset(
        PredictedImages(tuple(results)),
        results[0].classes,
        np.full(count, UNLABELLED, np.int32),
        np.full(count, UNASSIGNED, np.int8),
        (),
        Path(results[0].path or ""),
        "predictions",
        ObjectTable.from_detections([result.detections for result in results]),
        np.array([result.size for result in results], np.int32).reshape(-1, 2),
    )


def write_dataset(
    results: Sequence[DetectionResult], folder: Path, to: str, progress: Progress = SILENT
) -> ConvertResult:
    """Write copies of the images to the new ``folder``, with the detections as labels in the format ``to``.

    Scores are not written. What the format cannot hold is left out and listed in the result. Raises ``UsageError`` when
    nothing would be left.
    """
    return convert_dataset(
        build_dataset(results), folder, to, ConvertOptions(lossy=True, allow_unusable=True), progress
    )
