"""Whether a probability means what it says: of the answers given with 80 %, are 80 % right?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15


@dataclass(frozen=True)
class CalibrationBin:
    """The answers whose probability lies in (low, high]: how many, how sure and how often right on average.

    ``confidence`` and ``accuracy`` are ``None`` where there are none.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class CalibrationResult:
    """The expected calibration error (Guo et al. 2017) with its bins, and the mean probability of the answers."""

    ece: float
    confidence: float
    bins: tuple[CalibrationBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the error and the filled bins as JSON."""
        filled = [item for item in self.bins if item.count]
        names = ("low", "high", "count", "confidence", "accuracy")
        bins = [{name: getattr(item, name) for name in names} for item in filled]
        return {"ece": self.ece, "confidence": self.confidence, "bins": bins}


def compute_calibration(truth: NDArray[Any], probabilities: NDArray[Any], bins: int = NUM_BINS) -> CalibrationResult:
    """Return the calibration of ``probabilities`` (N, C) against ``truth`` (N,), in ``bins`` of equal width."""
    confidence = np.minimum(probabilities.max(axis=1), 1.0)
    right = probabilities.argmax(axis=1) == truth
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sure = np.bincount(place, weights=confidence, minlength=bins)
    hits = np.bincount(place, weights=right, minlength=bins)
    table = tuple(_make_bin(i, bins, int(counts[i]), float(sure[i]), float(hits[i])) for i in range(bins))
    return CalibrationResult(float(np.abs(hits - sure).sum() / len(truth)), float(confidence.mean()), table)


def _make_bin(index: int, bins: int, count: int, sure: float, hits: float) -> CalibrationBin:
    means = (sure / count, hits / count) if count else (None, None)
    return CalibrationBin(index / bins, (index + 1) / bins, count, *means)
