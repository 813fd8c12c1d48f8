"""Detections as a labelled dataset, in any format: pseudo-labels that a person can correct."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lince.annotations import UNLABELLED, ObjectTable
from lince.datasets import Dataset
from lince.datasets.conversion import ConvertResult
from lince.inference.detection.result import DetectionResult
from lince.inference.predicted_images import PredictedImages, write_predicted_dataset
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED


def build_dataset(results: Sequence[DetectionResult]) -> Dataset:
    """Return the dataset of the images of ``results``, with the detections as objects.

    The results are of one model, at least one, and each image is in a file.
    """
    count = len(results)
    return Dataset(
        PredictedImages(tuple(results), tuple(result.size for result in results)),
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
    return write_predicted_dataset(build_dataset(results), folder, to, progress)
