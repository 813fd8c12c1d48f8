"""Computes the metrics of a classifier on a test set, with confidence intervals; undefined figures are ``None``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.errors import DataError
from lince.evaluation.calibration import CalibrationResult, compute_calibration
from lince.evaluation.class_scores import ClassScore, MacroAverages, compute_class_score
from lince.evaluation.confidence import ConfidenceInterval, compute_grouped_interval
from lince.evaluation.threshold_curve import THRESHOLDS, ThresholdCurve, compute_threshold_curve
from lince.i18n import _

TOP_K = (2, 3, 5)
_MIN_PROBABILITY = float(np.finfo(np.float64).eps)  # bounds the log loss of a true class with probability 0


@dataclass(frozen=True, eq=False)
class ClassificationMetrics:
    """Metrics of a classifier on ``count`` images.

    ``confusion`` int64 (C, C) counts images by true class (rows) and predicted class (columns). ``top_k_accuracy`` maps
    k to the fraction of images whose class is among the k most probable; ``log_loss`` is the mean cross-entropy in
    nats; ``confidence_curve`` counts the images whose most probable class reaches each confidence.
    """

    classes: Classes
    count: int
    accuracy: ConfidenceInterval
    scores: tuple[ClassScore, ...]
    macro: MacroAverages
    top_k_accuracy: dict[int, float]
    log_loss: float
    calibration: CalibrationResult
    confusion: NDArray[np.int64]
    confidence_curve: ThresholdCurve | None = None

    @property
    def confusion_rates(self) -> NDArray[np.float64]:
        """The confusion matrix float64 (C, C) as fractions of each true class; a class without images has zeros."""
        support = self.confusion.sum(axis=1, keepdims=True)
        return np.asarray(self.confusion / np.maximum(support, 1), np.float64)

    @property
    def majority_class(self) -> tuple[str, float]:
        """The class with most test images and its fraction of them: the accuracy of always predicting it."""
        support = self.confusion.sum(axis=1)
        top = int(np.argmax(support))
        return self.classes.names[top], float(support[top] / self.count)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON, without NaN."""
        return {
            "count": self.count,
            "accuracy": self.accuracy.to_dict(),
            "top": {str(k): accuracy for k, accuracy in self.top_k_accuracy.items()},
            "log_loss": self.log_loss,
            "macro": self.macro.to_dict(),
            "calibration": self.calibration.to_dict(),
            "classes": [score.to_dict() for score in self.scores],
            "confusion": {"classes": list(self.classes.names), "counts": self.confusion.tolist()},
            "confidence": None
            if self.confidence_curve is None
            else {"threshold": THRESHOLDS.tolist(), **self.confidence_curve.to_dict()},
        }


def compute_classification_metrics(
    truth: NDArray[Any],
    probabilities: NDArray[Any],
    classes: Classes,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> ClassificationMetrics:
    """Return the metrics of ``probabilities`` (N, C), rows summing to 1, against the class ids ``truth`` (N,).

    The prediction for an image is its most probable class, the first one among equals. Intervals are percentile
    bootstraps over images (2,000 resamples, with ``seed``); images with the same number in ``groups`` (N,), such as
    altered copies of one photo, are drawn together. Raises ``DataError`` when there are no images,
    ``ValueError`` for inconsistent arguments.
    """
    truth, probabilities = _validate_inputs(truth, probabilities, classes)
    rng = np.random.default_rng(seed)
    predicted = probabilities.argmax(axis=1)
    scores = tuple(
        compute_class_score(name, truth == i, predicted == i, groups, rng) for i, name in enumerate(classes.names)
    )
    return ClassificationMetrics(
        classes=classes,
        count=len(truth),
        accuracy=compute_grouped_interval(truth == predicted, np.ones(len(truth)), groups, np.random.default_rng(seed)),
        scores=scores,
        macro=MacroAverages.from_scores(scores),
        top_k_accuracy=_compute_top_k_accuracy(truth, probabilities),
        log_loss=_compute_log_loss(truth, probabilities),
        calibration=compute_calibration(truth, probabilities),
        confusion=compute_confusion_matrix(truth, predicted, len(classes)),
        confidence_curve=compute_threshold_curve(
            probabilities.max(axis=1), truth == predicted, np.ones(len(truth), np.bool_), len(truth)
        ),
    )


def compute_confusion_matrix(truth: NDArray[Any], predicted: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the number of images by true class (rows) and predicted class (columns), int64 (count, count)."""
    cells = np.bincount(truth * count + predicted, minlength=count * count)
    return cells.reshape(count, count).astype(np.int64)


def _validate_inputs(
    truth: NDArray[Any], probabilities: NDArray[Any], classes: Classes
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ``truth`` as int64 (N,) and ``probabilities`` as float64 (N, C), checked.

    Raises ``DataError`` when there are no images, ``ValueError`` when shapes, class ids or sums are wrong.
    """
    class_ids, rows = np.asarray(truth, np.int64), np.asarray(probabilities, np.float64)
    if class_ids.ndim != 1 or rows.shape != (len(class_ids), len(classes)):
        raise ValueError(f"truth {class_ids.shape} and probabilities {rows.shape} do not fit {len(classes)} classes")
    if not len(class_ids):
        raise DataError(
            _("There is no image to evaluate."),
            _("Expected a test set with at least one labelled image."),
            _("Use a larger test fraction (--test), or give a labelled test set."),
        )
    if class_ids.min() < 0 or class_ids.max() >= len(classes):
        raise ValueError(f"class ids must be from 0 to {len(classes) - 1}")
    if not np.isfinite(rows).all() or (np.abs(rows.sum(axis=1) - 1) > 1e-3).any():
        raise ValueError("probabilities must be finite and each row must sum to 1")
    return class_ids, rows


def _compute_top_k_accuracy(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[int, float]:
    """Return the accuracy for each k of ``TOP_K`` below the number of classes; ties are broken by class id."""
    true_probabilities = probabilities[np.arange(len(truth)), truth][:, None]
    has_lower_id = np.arange(probabilities.shape[1]) < truth[:, None]
    rank = ((probabilities > true_probabilities) | ((probabilities == true_probabilities) & has_lower_id)).sum(axis=1)
    return {k: float((rank < k).mean()) for k in TOP_K if k < probabilities.shape[1]}


def _compute_log_loss(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Return the mean cross-entropy in nats, with probabilities clipped to [``_MIN_PROBABILITY``, 1]."""
    true_probabilities = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(true_probabilities, _MIN_PROBABILITY, 1.0)).mean())
