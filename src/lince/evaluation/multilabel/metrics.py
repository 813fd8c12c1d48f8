"""Computes the metrics of a multilabel model on a test set, with intervals; undefined figures are ``None``.

Every figure equals that of scikit-learn on the same arrays; macro F1 leaves out the classes that no image has or was
predicted to have (``zero_division=numpy.nan``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.errors import DataError
from lince.evaluation.bootstrap import Bootstrap, FloatArray, average_over_present
from lince.evaluation.class_scores import ClassScore, MacroAverages, compute_class_score
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.multilabel.average_precision import compute_average_precisions, weigh_average_precisions
from lince.evaluation.threshold_curve import THRESHOLDS, ThresholdCurve, compute_threshold_curve
from lince.i18n import _
from lince.postprocess import decide_classes

Booleans = NDArray[np.bool_]
_MIN_PROBABILITY = float(np.finfo(np.float64).eps)  # bounds the log loss of a probability of 0 or 1 that is wrong


@dataclass(frozen=True)
class MultilabelScore(ClassScore):
    """Metrics of one class: those of ``ClassScore`` at its ``threshold``, and its average precision ``ap``.

    ``curve`` counts the images that reach each probability.
    """

    ap: ConfidenceInterval | None
    threshold: float
    curve: ThresholdCurve

    def explain_undefined(self) -> dict[str, str]:
        """Return, for each figure that is ``None``, the translated reason."""
        missing = {"ap": _("no test image is of this class")} if self.ap is None else {}
        return {**super().explain_undefined(), **missing}

    def list_figures(self) -> dict[str, ConfidenceInterval | None]:
        """Return the figures with their intervals, by their keys in ``report.json``."""
        return {"ap": self.ap, **super().list_figures()}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON, with the threshold."""
        return {**super().to_dict(), "threshold": self.threshold}


@dataclass(frozen=True)
class MultilabelFigures:
    """The figures of a whole test set, each 0..1 with its interval.

    Attributes:
        map: mean of the average precisions of the classes that an image has.
        f1_macro: mean of the F1 of the classes; ``None`` where it is defined for none.
        f1_micro: F1 of all answers of all classes together; so are ``precision_micro`` (``None`` where nothing was
            predicted) and ``recall_micro``.
        subset_accuracy: fraction of the images of which all classes are right.
        hamming_loss: fraction of the answers, one for each image and class, that are wrong; lower is better.
    """

    map: ConfidenceInterval
    f1_macro: ConfidenceInterval | None
    f1_micro: ConfidenceInterval | None
    precision_micro: ConfidenceInterval | None
    recall_micro: ConfidenceInterval | None
    subset_accuracy: ConfidenceInterval
    hamming_loss: ConfidenceInterval

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON, null where undefined."""
        return {name: None if item is None else item.to_dict() for name, item in vars(self).items()}


@dataclass(frozen=True, eq=False)
class MultilabelMetrics:
    """Metrics of a multilabel model on ``count`` images.

    ``log_loss`` is the mean cross-entropy of an answer (an image and a class) in nats. ``together`` int64 (C, C) counts
    the images that have both of two classes, ``predicted_together`` those that were predicted to have both;
    their diagonals count those that have, or were predicted to have, the class. ``empty_counts`` are the numbers of
    images without any class, and of those for which none was predicted. ``curve`` is that of all classes together.
    """

    classes: Classes
    count: int
    figures: MultilabelFigures
    scores: tuple[MultilabelScore, ...]
    macro: MacroAverages
    log_loss: float
    together: NDArray[np.int64]
    predicted_together: NDArray[np.int64]
    empty_counts: tuple[int, int]
    curve: ThresholdCurve

    @property
    def map(self) -> ConfidenceInterval:
        """The mean average precision."""
        return self.figures.map

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON, without NaN."""
        return {
            "count": self.count,
            **self.figures.to_dict(),
            "macro": self.macro.to_dict(),
            "log_loss": self.log_loss,
            "classes": [score.to_dict() for score in self.scores],
            "together": {
                "classes": list(self.classes.names),
                "truth": self.together.tolist(),
                "predicted": self.predicted_together.tolist(),
            },
            "without_class": {"truth": self.empty_counts[0], "predicted": self.empty_counts[1]},
            "curves": {
                "threshold": THRESHOLDS.tolist(),
                "all": self.curve.to_dict(),
                "classes": {score.name: score.curve.to_dict() for score in self.scores},
            },
        }


def compute_multilabel_metrics(
    truth: Booleans,
    probabilities: NDArray[Any],
    classes: Classes,
    thresholds: NDArray[Any],
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> MultilabelMetrics:
    """Return the metrics of ``probabilities`` (N, C) in 0..1 against ``truth`` bool (N, C).

    An image is predicted to have the classes whose probability reaches their threshold of ``thresholds`` (C,).
    Intervals are percentile bootstraps over images (with ``seed``); images with the same number in ``groups`` (N,),
    such as altered copies of one photo, are drawn together. Raises ``DataError`` where there is no image, or none has
    a class, ``ValueError`` for inconsistent arguments.
    """
    truth, probabilities = _validate_inputs(truth, probabilities, classes, thresholds)
    predicted = decide_classes(probabilities, thresholds)
    bootstrap = Bootstrap.draw(truth.shape, groups, seed)
    precisions = (
        compute_average_precisions(truth, probabilities),
        weigh_average_precisions(truth, probabilities, bootstrap.weights),
    )
    scores = _compute_scores(_Answers(truth, predicted, probabilities), classes, thresholds, precisions, bootstrap)
    figures = _compute_figures(truth, predicted, precisions, bootstrap)
    together, predicted_together = (item.T.astype(np.int64) @ item.astype(np.int64) for item in (truth, predicted))
    empty_counts = (int((~truth.any(axis=1)).sum()), int((~predicted.any(axis=1)).sum()))
    return MultilabelMetrics(
        classes,
        len(truth),
        figures,
        scores,
        MacroAverages.from_scores(scores),
        compute_log_loss(truth, probabilities),
        together,
        predicted_together,
        empty_counts,
        _compute_curve(truth.ravel(), probabilities.ravel()),
    )


def compute_log_loss(truth: Booleans, probabilities: NDArray[Any]) -> float:
    """Return the mean cross-entropy of an answer, in nats, of ``probabilities`` against ``truth``, both (N, C)."""
    right = np.where(truth, probabilities, 1.0 - np.asarray(probabilities, np.float64))
    return float(-np.log(np.clip(right, _MIN_PROBABILITY, 1.0)).mean())


def compute_mean_average_precision(truth: Booleans, probabilities: NDArray[Any]) -> float:
    """Return the mean average precision, 0..1, over the classes that an image has; NaN where there is none."""
    return float(average_over_present(compute_average_precisions(truth, np.asarray(probabilities, np.float64))))


@dataclass(frozen=True, eq=False)
class _Answers:
    """The classes of N images, those predicted, and the probabilities; (N, C) each."""

    truth: Booleans
    predicted: Booleans
    probabilities: FloatArray


def _compute_scores(
    answers: _Answers,
    classes: Classes,
    thresholds: NDArray[Any],
    precisions: tuple[FloatArray, FloatArray],
    bootstrap: Bootstrap,
) -> tuple[MultilabelScore, ...]:
    """Return the score of each class.

    ``precisions`` are the average precisions (C,), NaN where undefined, and those of the resampled test sets (R, C).
    """
    rng = np.random.default_rng(bootstrap.seed)
    scores = []
    for i, name in enumerate(classes.names):
        score = compute_class_score(name, answers.truth[:, i], answers.predicted[:, i], bootstrap.groups, rng)
        value = float(precisions[0][i])
        ap = None if np.isnan(value) else bootstrap.compute_interval(value, precisions[1][:, i])
        curve = _compute_curve(answers.truth[:, i], answers.probabilities[:, i])
        scores.append(MultilabelScore(**vars(score), ap=ap, threshold=float(thresholds[i]), curve=curve))
    return tuple(scores)


def _compute_figures(
    truth: Booleans, predicted: Booleans, precisions: tuple[FloatArray, FloatArray], bootstrap: Bootstrap
) -> MultilabelFigures:
    """Return the figures over all classes."""
    right = truth & predicted
    right_counts, true_counts, predicted_counts = (item.sum(axis=1) for item in (right, truth, predicted))
    ones = np.ones(len(truth))
    mean = float(average_over_present(precisions[0]))
    hamming_loss = bootstrap.compute_ratio((truth ^ predicted).mean(axis=1), ones)
    subset_accuracy = bootstrap.compute_ratio((truth == predicted).all(axis=1), ones)
    if hamming_loss is None or subset_accuracy is None:
        raise ValueError("there is no image")
    return MultilabelFigures(
        map=bootstrap.compute_interval(mean, average_over_present(precisions[1])),
        f1_macro=_compute_macro_f1(truth, predicted, bootstrap),
        f1_micro=bootstrap.compute_ratio(2 * right_counts, true_counts + predicted_counts),
        precision_micro=bootstrap.compute_ratio(right_counts, predicted_counts),
        recall_micro=bootstrap.compute_ratio(right_counts, true_counts),
        subset_accuracy=subset_accuracy,
        hamming_loss=hamming_loss,
    )


def _compute_macro_f1(truth: Booleans, predicted: Booleans, bootstrap: Bootstrap) -> ConfidenceInterval | None:
    """Return the mean F1 of the classes that an image has or was predicted to have."""
    weights = np.concatenate([np.ones((1, len(truth))), bootstrap.weights])
    right, total = weights @ (truth & predicted), weights @ (truth.astype(np.float64) + predicted)
    means = average_over_present(np.where(total > 0, 2 * right / np.maximum(total, 1e-12), np.nan))
    return None if np.isnan(means[0]) else bootstrap.compute_interval(float(means[0]), means[1:])


def _compute_curve(truth: Booleans, probabilities: NDArray[Any]) -> ThresholdCurve:
    """Return how many of the answers with ``probabilities`` (K,) reach each threshold, and are right, by ``truth``."""
    return compute_threshold_curve(probabilities, truth, np.ones(len(truth), np.bool_), int(truth.sum()))


def _validate_inputs(
    truth: NDArray[Any], probabilities: NDArray[Any], classes: Classes, thresholds: NDArray[Any]
) -> tuple[Booleans, FloatArray]:
    """Return ``truth`` as bool and ``probabilities`` as float64, both (N, C), checked.

    Raises ``DataError`` where there is no image or none has a class, ``ValueError`` when shapes or values are wrong.
    """
    table, rows = np.asarray(truth, np.bool_), np.asarray(probabilities, np.float64)
    if table.ndim != 2 or rows.shape != (len(table), len(classes)) or table.shape != rows.shape:
        raise ValueError(f"truth {table.shape} and probabilities {rows.shape} do not fit {len(classes)} classes")
    if np.shape(thresholds) != (len(classes),):
        raise ValueError(f"thresholds {np.shape(thresholds)} do not fit {len(classes)} classes")
    if not table.any():
        raise DataError(
            _("There is no image with a class to evaluate.") if len(table) else _("There is no image to evaluate."),
            _("Expected a test set in which at least one image has a class."),
            _("Use a larger test fraction (--test), or give a labelled test set."),
        )
    if not np.isfinite(rows).all() or rows.min() < 0 or rows.max() > 1:
        raise ValueError("probabilities must be in 0..1")
    return table, rows
