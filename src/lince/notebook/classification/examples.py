"""Pictures and tables of a classifier for notebooks: the part ``notebook`` of its task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from lince.annotations import UNLABELLED
from lince.datasets import Dataset
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.report.texts import TextTable
from lince.i18n import _
from lince.notebook.class_table import make_class_table
from lince.notebook.picture import Picture, draw_photo, make_picture
from lince.number_format import format_percent

_ERRORS, _CORRECT = 8, 4
Example = tuple[int, Callable[[Dataset, int], Picture]]


def build_class_table(test: Mapping[str, Any]) -> TextTable:
    """Return one row per class with its images, precision, recall and F1, the lowest F1 first."""
    figures = {"precision": _("precision"), "recall": _("recall"), "f1": _("F1")}
    return make_class_table(test, figures, "f1")


def list_examples(predictions: ClassificationPredictions, test: Mapping[str, Any]) -> list[tuple[str, list[Example]]]:
    """Return the most confident errors and some correct predictions: titles, and for each image how it is drawn."""
    del test
    predicted, scores = predictions.predicted_class_ids, predictions.probabilities.max(axis=1)
    labelled = predictions.truth != UNLABELLED
    is_wrong = labelled & (predicted != predictions.truth)
    by_score = np.argsort(-scores, kind="stable")
    wrong = by_score[is_wrong[by_score]][:_ERRORS]
    correct = np.flatnonzero(labelled & ~is_wrong)
    correct = correct[np.linspace(0, len(correct) - 1, min(_CORRECT, len(correct))).astype(int)]
    groups = ((_("Most confident errors"), wrong), (_("Correct predictions"), correct))
    return [
        (title, [(index, partial(_draw_example, predictions, index)) for index in indices.tolist()])
        for title, indices in groups
    ]


def _draw_example(predictions: ClassificationPredictions, index: int, dataset: Dataset, row: int) -> Picture:
    """Return the image with its predicted class, and the true one where it is another."""
    names, truth = predictions.classes.names, int(predictions.truth[index])
    predicted = int(predictions.predicted_class_ids[index])
    caption = f"{names[predicted]} {format_percent(float(predictions.probabilities[index].max()))}"
    if truth != predicted:
        caption += " · " + _("actual: {truth}").format(truth=names[truth])
    return make_picture(
        draw_photo(dataset, row), caption, predictions.names[index], "right" if truth == predicted else "wrong"
    )
