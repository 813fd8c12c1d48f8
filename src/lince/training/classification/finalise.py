"""Closes the run of a classifier: its predictions, its card, its report."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report import ClassificationReport
from lince.i18n import _
from lince.training.classification.drawing_style import measure_drawings
from lince.training.classification.labels import ClassLabels
from lince.training.classification.report_images import select_report_images
from lince.training.recipe import RecipeContext, TrainedClassifier
from lince.training.run_completion import ImageClosing


class ClassificationClosing(ImageClosing[ClassificationPredictions]):
    """How predictions, card and report are made of a trained classifier."""

    labels = ClassLabels()

    def make_predictions(self, context: RecipeContext, outcome: TrainedClassifier) -> ClassificationPredictions:
        """Return the probabilities of the test images with their names, content digests and true classes."""
        rows = context.test_rows.tolist()
        return ClassificationPredictions(
            keys=tuple(context.keys[row] for row in rows),
            names=tuple(context.dataset.images.get_name(row) for row in rows),
            truth=context.dataset.class_ids[context.test_rows],
            probabilities=postprocess.softmax(outcome.test_logits),
            classes=context.dataset.classes,
            groups=context.test_groups,
        )

    def describe_headline(self) -> str:
        """Return the name of the test accuracy."""
        return _("Test accuracy")

    def measure_headline(
        self, predictions: ClassificationPredictions, rows: NDArray[np.int64], seed: int
    ) -> ConfidenceInterval:
        """Return the accuracy on the test images at ``rows``."""
        return predictions.select(rows).compute_metrics(seed).accuracy

    def list_card_fields(self, context: RecipeContext, predictions: ClassificationPredictions) -> dict[str, Any]:
        """Return how pen strokes are prepared, where the images are small drawings."""
        return {"drawing": measure_drawings(context.dataset, context.train_rows, context.spec)}

    def build_report(
        self,
        context: RecipeContext,
        outcome: TrainedClassifier,
        predictions: ClassificationPredictions,
        metrics: Any,
        fields: dict[str, Any],
    ) -> ClassificationReport:
        """Return the report."""
        return ClassificationReport(
            **fields,
            train_accuracy=outcome.train_figure,
            val_accuracy=None if np.isnan(outcome.val_figure) else outcome.val_figure,
            images=select_report_images(context, outcome, predictions),
            head=outcome.head,
        )
