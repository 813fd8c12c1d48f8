"""Detections as a labelled dataset, in any format: pseudo-labels that a person can correct."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lince.annotations import ObjectTable
from lince.datasets import Dataset
from lince.datasets.conversion import ConvertResult
from lince.inference.detection.result import DetectionResult
from lince.inference.predicted_images import build_object_dataset, write_predicted_dataset
from lince.progress import SILENT, Progress


def build_dataset(results: Sequence[DetectionResult]) -> Dataset:
    """Return the dataset of the images of ``results``, with the detections as objects.

    The results are of one model, at least one, and each image is in a file.
    """
    objects = ObjectTable.from_detections([result.detections for result in results])
    return build_object_dataset(results, [result.size for result in results], results[0].classes, objects)


def write_dataset(
    results: Sequence[DetectionResult], folder: Path, to: str, progress: Progress = SILENT
) -> ConvertResult:
    """Write copies of the images to the new ``folder``, with the detections as labels in the format ``to``.

    Scores are not written. What the format cannot hold is left out and listed in the result. Raises ``UsageError`` when
    nothing would be left.
    """
    return write_predicted_dataset(build_dataset(results), folder, to, progress)
