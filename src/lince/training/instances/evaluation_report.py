"""Builds the report of an evaluation of a model that gives each object a mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lince.datasets import Dataset
from lince.evaluation.instances.metrics import InstanceMetrics
from lince.evaluation.instances.predictions import InstancePredictions
from lince.evaluation.report import DetectionReport
from lince.training.detection.evaluation_report import build_objects_report
from lince.training.instances.kind import MASKS


def build_evaluation_report(
    dataset: Dataset, predictions: InstancePredictions, metrics: InstanceMetrics, fields: Mapping[str, Any]
) -> DetectionReport:
    """Return the report of ``predictions``, as that of detection does."""
    return build_objects_report(dataset, predictions, metrics, fields, MASKS)
