"""The figures of a classifier on a test set, each with its interval where that is cheap, none of them a NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.errors import DataError
from lince.evaluation.calibration import CalibrationResult, compute_calibration
from lince.evaluation.confidence import ConfidenceInterval, compute_proportion_interval
from lince.i18n import _

TOP_K = (2, 3, 5)
_MIN_PROBABILITY = float(np.finfo(np.float64).eps)  # a class given probability 0 costs -log of this, not infinity


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognised; ``None`` where the figure would be a division by zero.

    ``support`` images are of this class, ``predicted`` were taken for it, ``correct`` are both.
    """

    name: str
    support: int
    predicted: int
    correct: int
    precision: ConfidenceInterval | None
    recall: ConfidenceInterval | None
    f1: ConfidenceInterval | None

    def explain_undefined(self) -> dict[str, str]:
        """Return why each missing figure is missing, by the figure's name."""
        reasons = {
            "precision": _("no image was taken for this class"),
            "recall": _("no test image is of this class"),
            "f1": _("no test image is of this class or was taken for it"),
        }
        return {figure: reason for figure, reason in reasons.items() if getattr(self, figure) is None}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON: numbers or null, with the reasons and the intervals beside them."""
        figures = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {
            "name": self.name,
            "support": self.support,
            "predicted": self.predicted,
            **{key: None if item is None else item.value for key, item in figures.items()},
            "intervals": {key: [item.low, item.high] for key, item in figures.items() if item is not None},
            "undefined": self.explain_undefined(),
        }


@dataclass(frozen=True)
class MacroAverages:
    """Unweighted means over the classes where the figure exists; ``None`` where it exists for none."""

    precision: float | None
    recall: float | None
    f1: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return the three means as JSON."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True, eq=False)
class ClassificationMetrics:
    """A classifier on ``count`` images; ``confusion`` (C, C) int64 counts truth in rows, prediction in columns.

    ``top`` maps k to the share of images whose class is among the k most probable; ``log_loss`` is in nats.
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

    @property
    def confusion_rates(self) -> NDArray[np.float64]:
        """The confusion (C, C) as shares of each true class; a class without images has a row of zeros."""
        support = self.confusion.sum(axis=1, keepdims=True)
        return np.asarray(self.confusion / np.maximum(support, 1), np.float64)

    @property
    def majority_class(self) -> tuple[str, float]:
        """The class with most test images, and its share: what always answering it would score."""
        support = self.confusion.sum(axis=1)
        top = int(np.argmax(support))
        return self.classes.names[top], float(support[top] / self.count)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON without a NaN."""
        return {
            "count": self.count,
            "accuracy": self.accuracy.to_dict(),
            "top": {str(k): share for k, share in self.top_k_accuracy.items()},
            "log_loss": self.log_loss,
            "macro": self.macro.to_dict(),
            "calibration": self.calibration.to_dict(),
            "classes": [score.to_dict() for score in self.scores],
            "confusion": {"classes": list(self.classes.names), "counts": self.confusion.tolist()},
        }


def compute_classification_metrics(
    truth: NDArray[Any], probabilities: NDArray[Any], classes: Classes, seed: int = 0
) -> ClassificationMetrics:
    """Return the figures of ``probabilities`` (N, C), rows summing to 1, against ``truth`` (N,) class ids.

    The answer to an image is its most probable class, the first one among equals. Intervals are percentile
    bootstraps over images (2,000 resamples, seeded). Raises ``DataError`` when there is no image.
    """
    truth, probabilities = _validate_inputs(truth, probabilities, classes)
    rng = np.random.default_rng(seed)
    confusion = compute_confusion_matrix(truth, probabilities.argmax(axis=1), len(classes))
    scores = tuple(_compute_class_score(name, confusion, i, rng) for i, name in enumerate(classes.names))
    return ClassificationMetrics(
        classes=classes,
        count=len(truth),
        accuracy=compute_proportion_interval(int(confusion.trace()), len(truth), np.random.default_rng(seed)),
        scores=scores,
        macro=_compute_averages(scores),
        top_k_accuracy=_compute_top_k_accuracy(truth, probabilities),
        log_loss=_compute_log_loss(truth, probabilities),
        calibration=compute_calibration(truth, probabilities),
        confusion=confusion,
    )


def compute_confusion_matrix(truth: NDArray[Any], predicted: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the (count, count) table of images by true class (rows) and predicted class (columns)."""
    cells = np.bincount(truth * count + predicted, minlength=count * count)
    return cells.reshape(count, count).astype(np.int64)


def _validate_inputs(
    truth: NDArray[Any], probabilities: NDArray[Any], classes: Classes
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    ids, shares = np.asarray(truth, np.int64), np.asarray(probabilities, np.float64)
    if ids.ndim != 1 or shares.shape != (len(ids), len(classes)):
        raise ValueError(f"truth {ids.shape} and probabilities {shares.shape} do not fit {len(classes)} classes")
    if not len(ids):
        raise DataError(
            _("There is no image to evaluate."),
            _("Expected a test set with at least one labelled image."),
            _("Set aside a larger share of the images for the test, or give a labelled test set."),
        )
    if ids.min() < 0 or ids.max() >= len(classes):
        raise ValueError(f"class ids must be from 0 to {len(classes) - 1}")
    if not np.isfinite(shares).all() or (np.abs(shares.sum(axis=1) - 1) > 1e-3).any():
        raise ValueError("probabilities must be finite and each row must sum to 1")
    return ids, shares


def _compute_class_score(name: str, confusion: NDArray[np.int64], index: int, rng: np.random.Generator) -> ClassScore:
    correct = int(confusion[index, index])
    support, predicted = int(confusion[index].sum()), int(confusion[:, index].sum())
    union = support + predicted - correct
    return ClassScore(
        name,
        support,
        predicted,
        correct,
        precision=compute_proportion_interval(correct, predicted, rng) if predicted else None,
        recall=compute_proportion_interval(correct, support, rng) if support else None,
        f1=_compute_f1(correct, union, rng) if union else None,
    )


def _compute_f1(correct: int, union: int, rng: np.random.Generator) -> ConfidenceInterval:
    """F1 is 2j / (1 + j) of j = correct / union, the overlap of truth and prediction, itself a proportion."""
    overlap = compute_proportion_interval(correct, union, rng)
    value, low, high = (2 * j / (1 + j) for j in (overlap.value, overlap.low, overlap.high))
    return ConfidenceInterval(value, low, high)


def _compute_averages(scores: tuple[ClassScore, ...]) -> MacroAverages:
    def mean(items: list[ConfidenceInterval | None]) -> float | None:
        values = [item.value for item in items if item is not None]
        return float(np.mean(values)) if values else None

    return MacroAverages(
        *(mean([getattr(score, figure) for score in scores]) for figure in ("precision", "recall", "f1"))
    )


def _compute_top_k_accuracy(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[int, float]:
    own = probabilities[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(probabilities.shape[1]) < truth[:, None]
    rank = ((probabilities > own) | ((probabilities == own) & earlier)).sum(axis=1)
    return {k: float((rank < k).mean()) for k in TOP_K if k < probabilities.shape[1]}


def _compute_log_loss(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    own = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(own, _MIN_PROBABILITY, 1.0)).mean())
