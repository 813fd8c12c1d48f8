"""Builds the report of an evaluation of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lince.datasets import Dataset
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.report import ClassificationReport
from lince.training.classification.report_images import select_example_images


def build_evaluation_report(
    dataset: Dataset,
    predictions: ClassificationPredictions,
    metrics: ClassificationMetrics,
    fields: Mapping[str, Any],
) -> ClassificationReport:
    """Return the report of ``predictions`` for all images of ``dataset``, in order.

    ``fields`` are those of ``Report`` that every task has (``collect_evaluation_fields``).
    """
    images = select_example_images(dataset, np.arange(len(dataset)), predictions)
    return ClassificationReport(**fields, metrics=metrics, images=images)
