"""Builds the report of an evaluation of a multilabel model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lince.datasets import Dataset
from lince.evaluation.multilabel.metrics import MultilabelMetrics
from lince.evaluation.multilabel.predictions import MultilabelPredictions
from lince.evaluation.report import MultilabelReport
from lince.training.multilabel.report_images import select_example_images


def build_evaluation_report(
    dataset: Dataset,
    predictions: MultilabelPredictions,
    metrics: MultilabelMetrics,
    fields: Mapping[str, Any],
) -> MultilabelReport:
    """Return the report of ``predictions`` for all images of ``dataset``, in order.

    ``fields`` are those of ``Report`` that every task has (``collect_evaluation_fields``).
    """
    images = select_example_images(dataset, np.arange(len(dataset)), predictions)
    return MultilabelReport(**fields, metrics=metrics, images=images)
