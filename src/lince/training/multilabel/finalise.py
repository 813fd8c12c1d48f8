"""Closes the run of a multilabel model: its thresholds, its predictions, its card, its report."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.multilabel.predictions import MultilabelPredictions
from lince.evaluation.multilabel.thresholds import ChosenThresholds, choose_thresholds
from lince.evaluation.report import MultilabelReport
from lince.export.parity import ParityReport, RunFunction, require_parity
from lince.i18n import _
from lince.postprocess.sigmoid import sigmoid_in_float64
from lince.training.multilabel.labels import SetLabels
from lince.training.multilabel.report_images import select_report_images
from lince.training.recipe import RecipeContext, TrainedClassifier
from lince.training.run_completion import ImageClosing


class MultilabelClosing(ImageClosing[MultilabelPredictions]):
    """How thresholds, predictions, card and report are made of a trained multilabel model."""

    labels = SetLabels()

    def make_predictions(self, context: RecipeContext, outcome: TrainedClassifier) -> MultilabelPredictions:
        """Return the probabilities of the test images, with the thresholds that suit the validation images best."""
        rows = context.test_rows.tolist()
        thresholds = _choose_thresholds(context, outcome).values
        return MultilabelPredictions(
            keys=tuple(context.keys[row] for row in rows),
            names=tuple(context.dataset.images.get_name(row) for row in rows),
            truth=context.read_truth(context.test_rows),
            is_known=np.ones(len(rows), np.bool_),
            probabilities=postprocess.sigmoid(outcome.test_logits),
            classes=context.dataset.classes,
            thresholds=np.array(thresholds, np.float64),
            groups=context.test_groups,
        )

    def require_parity(
        self, predictions: MultilabelPredictions, run: RunFunction, reference: NDArray[Any], images: NDArray[Any]
    ) -> ParityReport:
        """Return how far the model file is from the trained network, by the probability of each class by itself."""
        decide = partial(postprocess.decide_classes, thresholds=predictions.thresholds)
        return require_parity(run, reference, images, sigmoid_in_float64, decide)

    def describe_headline(self) -> str:
        """Return the name of the mean average precision on the test images."""
        return _("Mean average precision on the test images")

    def measure_headline(
        self, predictions: MultilabelPredictions, rows: NDArray[np.int64], seed: int
    ) -> ConfidenceInterval:
        """Return the mean average precision on the test images at ``rows``."""
        return predictions.select(rows).compute_metrics(seed).map

    def list_card_fields(self, context: RecipeContext, predictions: MultilabelPredictions) -> dict[str, Any]:
        """Return the thresholds of the classes."""
        return {"thresholds": tuple(predictions.thresholds.tolist())}

    def build_report(
        self,
        context: RecipeContext,
        outcome: TrainedClassifier,
        predictions: MultilabelPredictions,
        metrics: Any,
        fields: dict[str, Any],
    ) -> MultilabelReport:
        """Return the report, with a note on how the thresholds were chosen."""
        chosen = _choose_thresholds(context, outcome)
        held_out_count = 0 if outcome.held_out is None else len(outcome.held_out)
        note = chosen.describe(context.dataset.classes.names, len(context.val_rows), held_out_count)
        context.progress.show_message(note)
        report = MultilabelReport(
            **fields,
            train_map=None if np.isnan(outcome.train_figure) else outcome.train_figure,
            val_map=None if np.isnan(outcome.val_figure) else outcome.val_figure,
            images=select_report_images(context, outcome, predictions),
            head=outcome.head,
        )
        return replace(report, notes=(*report.notes, note))


def _choose_thresholds(context: RecipeContext, outcome: TrainedClassifier) -> ChosenThresholds:
    """Return the thresholds of the classes by F1 on the validation images.

    The training images count too where the recipe has probabilities by networks that were not fitted on them.
    """
    rows, probabilities = context.val_rows, postprocess.sigmoid(outcome.val_logits)
    if outcome.held_out is not None:
        rows = np.concatenate([rows, context.train_rows])
        probabilities = np.concatenate([probabilities, outcome.held_out])
    return choose_thresholds(context.read_truth(rows), probabilities)
