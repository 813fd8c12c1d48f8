"""What differs between the tasks that are learnt from objects: boxes alone, or boxes with masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lince.annotations import ObjectTable
from lince.datasets import Dataset
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.evaluation.report import DetectionReport
from lince.models.detection.registry import DetectorEntry, get_detector_entry
from lince.training.detection.samples import DetectionSamples


def _find_nothing(_dataset: Dataset) -> tuple[str, ...]:
    return ()


def _add_nothing(_samples: DetectionSamples, _rows: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class DetectorKind:
    """A task that is learnt from objects.

    Attributes:
        task: its name.
        get_entry: returns the network of a name; raises ``UsageError``.
        predictions: the class of predictions, and their file.
        report: the class of reports.
        with_masks: whether the objects are read with their masks.
        select_learnable: returns the objects that the task is about; some are needed for training and test.
        describe_data: returns lines on a dataset, for the terminal and the report.
        collect_fields: returns further fields of ``predictions`` for the images at some rows.
    """

    task: str = "detect"
    get_entry: Callable[[str], DetectorEntry] = get_detector_entry
    predictions: type[DetectionPredictions] = DetectionPredictions
    report: type[DetectionReport] = DetectionReport
    with_masks: bool = False
    select_learnable: Callable[[ObjectTable], ObjectTable] = lambda objects: objects
    describe_data: Callable[[Dataset], tuple[str, ...]] = _find_nothing
    collect_fields: Callable[[DetectionSamples, Any], dict[str, Any]] = _add_nothing


BOXES = DetectorKind()
