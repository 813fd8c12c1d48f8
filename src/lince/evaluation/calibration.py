"""Measures calibration: whether predicted probabilities agree with the observed accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15


@dataclass(frozen=True)
class CalibrationBin:
    """The predictions whose confidence is in (low, high]: their number, mean confidence and accuracy, in [0, 1].

    ``confidence`` and ``accuracy`` are ``None`` for an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class CalibrationResult:
    """The expected calibration error ``ece`` (Guo et al. 2017), its bins, and the mean confidence.

    All three are fractions in [0, 1]; ``bins`` cover (0, 1] in order, empty ones included.
    """

    ece: float
    confidence: float
    bins: tuple[CalibrationBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the error, the mean confidence and the bins that are not empty, as JSON."""
        filled = [item for item in self.bins if item.count]
        names = ("low", "high", "count", "confidence", "accuracy")
        bins = [{name: getattr(item, name) for name in names} for item in filled]
        return {"ece": self.ece, "confidence": self.confidence, "bins": bins}


def compute_calibration(truth: NDArray[Any], probabilities: NDArray[Any], bins: int = NUM_BINS) -> CalibrationResult:
    """Return the calibration of ``probabilities`` (N, C) against the class ids ``truth`` (N,).

    The confidence of a prediction is its largest probability. The error is the mean over the predictions of |accuracy -
    confidence| of their bin, with ``bins`` bins of equal width.
    """
    confidence = np.minimum(probabilities.max(axis=1), 1.0)
    correct = probabilities.argmax(axis=1) == truth
    bin_indices = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(bin_indices, minlength=bins)
    confidence_sums = np.bincount(bin_indices, weights=confidence, minlength=bins)
    hits = np.bincount(bin_indices, weights=correct, minlength=bins)
    table = tuple(_make_bin(i, bins, int(counts[i]), float(confidence_sums[i]), float(hits[i])) for i in range(bins))
    return CalibrationResult(float(np.abs(hits - confidence_sums).sum() / len(truth)), float(confidence.mean()), table)


def _make_bin(index: int, bins: int, count: int, confidence_sum: float, hits: float) -> CalibrationBin:
    """Return bin ``index`` of ``bins``, with ``count`` predictions of which ``hits`` are correct."""
    means = (confidence_sum / count, hits / count) if count else (None, None)
    return CalibrationBin(index / bins, (index + 1) / bins, count, *means)
