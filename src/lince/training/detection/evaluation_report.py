"""Builds the report of an evaluation of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lince.datasets import Dataset
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.evaluation.report import DetectionReport
from lince.preprocess import PreprocessSpec
from lince.training.detection.evaluate import make_test_loader
from lince.training.detection.kind import BOXES, DetectorKind
from lince.training.detection.report_images import IMAGE_SIDE, select_example_images


def build_evaluation_report(
    dataset: Dataset, predictions: DetectionPredictions, metrics: DetectionMetrics, fields: Mapping[str, Any]
) -> DetectionReport:
    """Return the report of ``predictions`` for all images of ``dataset``, in order.

    ``fields`` are those of ``Report`` that every task has (``collect_evaluation_fields``).
    """
    return build_objects_report(dataset, predictions, metrics, fields, BOXES)


def build_objects_report(
    dataset: Dataset,
    predictions: DetectionPredictions,
    metrics: DetectionMetrics,
    fields: Mapping[str, Any],
    kind: DetectorKind,
) -> DetectionReport:
    """Return the report of ``build_evaluation_report`` for a model of ``kind``."""
    spec = PreprocessSpec(IMAGE_SIDE, IMAGE_SIDE)
    loader = make_test_loader(dataset, predictions.classes, spec, kind.with_masks)
    images = select_example_images(loader, predictions.detections, metrics)
    return kind.report(**fields, metrics=metrics, images=images, train_boxes={})
