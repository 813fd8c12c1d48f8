"""Precision, recall and F1 of one class with their intervals, for all tasks that say classes of whole images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.confidence import ConfidenceInterval, compute_grouped_interval
from lince.i18n import _


@dataclass(frozen=True)
class ClassScore:
    """Metrics of one class; ``None`` where the figure would be a division by zero.

    ``support`` images are of this class, ``predicted`` were predicted as it, ``correct`` are both.
    """

    name: str
    support: int
    predicted: int
    correct: int
    precision: ConfidenceInterval | None
    recall: ConfidenceInterval | None
    f1: ConfidenceInterval | None

    def explain_undefined(self) -> dict[str, str]:
        """Return, for each figure that is ``None``, the translated reason."""
        reasons = {
            "precision": _("no image was predicted as this class"),
            "recall": _("no test image is of this class"),
            "f1": _("no test image is of this class or was predicted as it"),
        }
        return {figure: reason for figure, reason in reasons.items() if getattr(self, figure) is None}

    def list_figures(self) -> dict[str, ConfidenceInterval | None]:
        """Return the figures with their intervals, by their keys in ``report.json``."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON: numbers or null, with their intervals and the reasons for nulls."""
        figures = self.list_figures()
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
    """Unweighted means over the classes where the figure is defined; ``None`` where it is for none."""

    precision: float | None
    recall: float | None
    f1: float | None

    @classmethod
    def from_scores(cls, scores: Iterable[ClassScore]) -> MacroAverages:
        """Return the macro averages of ``scores``."""
        figures = [score.list_figures() for score in scores]
        means = []
        for key in ("precision", "recall", "f1"):
            values = [item.value for figure in figures if (item := figure[key]) is not None]
            means.append(float(np.mean(values)) if values else None)
        return cls(*means)

    def to_dict(self) -> dict[str, float | None]:
        """Return the three means as JSON."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


def compute_class_score(
    name: str,
    is_true: NDArray[np.bool_],
    is_predicted: NDArray[np.bool_],
    groups: NDArray[np.int64] | None,
    rng: np.random.Generator,
) -> ClassScore:
    """Return the metrics of a class, with intervals drawn from ``rng``, from which images (N,) are and were called it.

    F1 = 2 j / (1 + j), where j = correct / union is a proportion (the Jaccard index), whose interval is transformed.
    Images with the same number in ``groups`` (N,) are drawn together.
    """
    is_correct = is_true & is_predicted
    precision, recall, jaccard = (
        compute_grouped_interval(is_correct, counted, groups, rng) if counted.any() else None
        for counted in (is_predicted, is_true, is_true | is_predicted)
    )
    f1 = None
    if jaccard is not None:
        f1 = ConfidenceInterval(*(2 * bound / (1 + bound) for bound in (jaccard.value, jaccard.low, jaccard.high)))
    support, predicted, correct = (int(images.sum()) for images in (is_true, is_predicted, is_correct))
    return ClassScore(name, support, predicted, correct, precision, recall, f1)
