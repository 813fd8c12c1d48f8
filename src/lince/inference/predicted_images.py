"""Predicted images as a dataset, to be written with the predictions as labels that a person can correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import UNLABELLED, Classes, ObjectTable, StringColumn
from lince.datasets import Dataset
from lince.datasets.conversion import ConvertOptions, ConvertResult, convert_dataset
from lince.fileio import compute_digest
from lince.inference.result import PredictionResult
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED


@dataclass(frozen=True)
class PredictedImages:
    """The images of ``results`` as an ``ImageSource``; each is in its own file, and is named as in its result.

    ``sizes`` are (height, width) of all at the time of the prediction, where that is known.
    """

    results: tuple[PredictionResult, ...]
    sizes: tuple[tuple[int, int], ...] = ()
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
        """Return (height, width) at the time of the prediction, else as the file has it now."""
        return self.sizes[index] if self.sizes else images.read_size(self.read_bytes(index))

    def select(self, indices: NDArray[Any]) -> PredictedImages:
        """Return the images at ``indices``, in that order."""
        rows = indices.tolist()
        sizes = tuple(self.sizes[row] for row in rows) if self.sizes else ()
        return PredictedImages(tuple(self.results[row] for row in rows), sizes, self.grey)


def build_object_dataset(
    results: Sequence[PredictionResult],
    sizes: Sequence[tuple[int, int]],
    classes: Classes,
    objects: ObjectTable,
    void_masks: StringColumn | None = None,
) -> Dataset:
    """Return the dataset of the images of ``results`` with the predicted ``objects`` as labels.

    The results are of one model, at least one, and each image is in a file; ``sizes`` are their (height, width).
    ``void_masks`` are given where the predictions say something of every pixel.
    """
    count = len(results)
    return Dataset(
        PredictedImages(tuple(results), tuple(sizes)),
        classes,
        np.full(count, UNLABELLED, np.int32),
        np.full(count, UNASSIGNED, np.int8),
        (),
        Path(results[0].path or ""),
        "predictions",
        objects,
        np.array(sizes, np.int32).reshape(-1, 2),
        void_masks=void_masks,
    )


def write_predicted_dataset(dataset: Dataset, folder: Path, to: str, progress: Progress = SILENT) -> ConvertResult:
    """Write ``dataset`` to the new ``folder`` in the format ``to``, with copies of its images.

    What the format cannot hold is left out and listed in the result. Raises ``UsageError`` when nothing would be left.
    """
    return convert_dataset(dataset, folder, to, ConvertOptions(lossy=True, allow_unusable=True), progress)
