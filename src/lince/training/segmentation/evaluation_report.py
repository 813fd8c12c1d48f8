"""Builds the report of an evaluation of a segmentation model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lince.datasets import Dataset
from lince.evaluation.report import SegmentationReport
from lince.evaluation.segmentation.metrics import SegmentationMetrics
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.training.segmentation.report_images import select_example_images


def build_evaluation_report(
    dataset: Dataset,
    predictions: SegmentationPredictions,
    metrics: SegmentationMetrics,
    fields: Mapping[str, Any],
) -> SegmentationReport:
    """Return the report of ``predictions`` for all images of ``dataset``, in order.

    ``fields`` are those of ``Report`` that every task has (``collect_evaluation_fields``).
    """
    images = select_example_images(dataset, np.arange(len(dataset)), predictions)
    return SegmentationReport(**fields, metrics=metrics, images=images)
