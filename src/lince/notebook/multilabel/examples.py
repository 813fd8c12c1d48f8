"""Pictures and tables of a multilabel model for notebooks: the part ``notebook`` of its task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.datasets import Dataset
from lince.evaluation.multilabel.predictions import MultilabelPredictions
from lince.evaluation.report.texts import TextTable
from lince.i18n import _
from lince.inference.multilabel.result import describe_names
from lince.notebook.class_table import make_class_table
from lince.notebook.picture import Picture, draw_photo, make_picture
from lince.sampling import sample_evenly

_ERRORS, _CORRECT = 8, 4
Example = tuple[int, Callable[[Dataset, int], Picture]]


def build_class_table(test: Mapping[str, Any]) -> TextTable:
    """Return one row per class with its images, average precision, precision, recall and F1, the lowest AP first."""
    figures = {"ap": _("AP"), "precision": _("precision"), "recall": _("recall"), "f1": _("F1")}
    return make_class_table(test, figures, "ap")


def list_examples(predictions: MultilabelPredictions, test: Mapping[str, Any]) -> list[tuple[str, list[Example]]]:
    """Return the most confident errors and some correct predictions: titles, and for each image how it is drawn.

    An error is as confident as its wrong answer that is furthest from the threshold of its class.
    """
    del test
    is_wrong = (predictions.predicted != predictions.truth) & predictions.is_known[:, None]
    distances = np.where(is_wrong, np.abs(predictions.probabilities - predictions.thresholds), -1.0).max(axis=1)
    by_distance = np.argsort(-distances, kind="stable")
    wrong = by_distance[is_wrong.any(axis=1)[by_distance]][:_ERRORS]
    correct = np.flatnonzero(predictions.is_known & ~is_wrong.any(axis=1))
    correct = correct[sample_evenly(len(correct), _CORRECT)]
    groups = ((_("Most confident errors"), wrong), (_("Correct predictions"), correct))
    return [
        (title, [(index, partial(_draw_example, predictions, index)) for index in indices.tolist()])
        for title, indices in groups
    ]


def _draw_example(predictions: MultilabelPredictions, index: int, dataset: Dataset, row: int) -> Picture:
    """Return the image with its predicted classes, and the true ones where they are others."""
    predicted, truth = predictions.predicted[index], predictions.truth[index]
    is_right = bool((predicted == truth).all())
    caption = _describe_members(predictions, predicted)
    if not is_right:
        caption += " · " + _("actual: {name}").format(name=_describe_members(predictions, truth))
    mark = "right" if is_right else "wrong"
    return make_picture(draw_photo(dataset, row), caption, predictions.names[index], mark)


def _describe_members(predictions: MultilabelPredictions, members: NDArray[np.bool_]) -> str:
    """Return the names of the classes that are ``members`` (C,)."""
    return describe_names(predictions.classes.names[class_id] for class_id in np.flatnonzero(members).tolist())
