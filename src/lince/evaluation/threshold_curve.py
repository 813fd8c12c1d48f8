"""Counts of right and wrong answers at every minimum confidence, and the precision, recall and F1 that follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """How many answers reach each of ``THRESHOLDS``.

    ``shown`` int64 (101,) counts the answers with at least that confidence, ``correct`` int64 (101,) those of them that
    are right; ``positives`` is the number of objects or images that could be right.
    """

    shown: NDArray[np.int64]
    correct: NDArray[np.int64]
    positives: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """Correct answers / answers, (101,); NaN where nothing reaches the threshold."""
        return np.where(self.shown > 0, self.correct / np.maximum(self.shown, 1), np.nan)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Correct answers / positives, (101,); NaN without positives."""
        return np.where(self.positives > 0, self.correct / max(self.positives, 1), np.nan)

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of precision and recall, (101,): 0 where nothing is right; NaN where both are undefined."""
        total = self.shown + self.positives
        return np.where(total > 0, 2 * self.correct / np.maximum(total, 1), np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return precision, recall and F1 as JSON; null where undefined."""
        return {
            name: [None if np.isnan(value) else float(value) for value in values]
            for name, values in (("precision", self.precision), ("recall", self.recall), ("f1", self.f1))
        }


def compute_threshold_curve(
    scores: NDArray[Any], is_correct: NDArray[np.bool_], counts: NDArray[np.bool_], positives: int
) -> ThresholdCurve:
    """Return the curve of answers with ``scores`` (K,) in 0..1, of which ``is_correct`` (K,) are right.

    Only those in ``counts`` (K,) count at all. Scores and thresholds are compared in float32, as networks give them.
    """
    levels = THRESHOLDS.astype(np.float32)
    shown, correct = (
        len(values) - np.searchsorted(np.sort(values.astype(np.float32)), levels, side="left")
        for values in (scores[counts], scores[counts & is_correct])
    )
    return ThresholdCurve(shown.astype(np.int64), correct.astype(np.int64), positives)


def add_threshold_curves(curves: Iterable[ThresholdCurve]) -> ThresholdCurve:
    """Return the curve of all answers together; at least one curve is needed."""
    items = list(curves)
    return ThresholdCurve(
        np.sum([item.shown for item in items], axis=0),
        np.sum([item.correct for item in items], axis=0),
        sum(item.positives for item in items),
    )
