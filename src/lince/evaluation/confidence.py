"""A figure with the range that luck alone explains: percentile bootstrap over images, drawn without a loop.

Resampling n images with replacement and counting the right ones is a draw from Binomial(n, right / n); counting
several kinds of image is a draw from a multinomial. So the bootstrap is drawn from those distributions directly:
the same numbers as from resampled indices, in microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE_LEVEL = 0.95
_TAIL_PROBABILITY = (1 - CONFIDENCE_LEVEL) / 2


@dataclass(frozen=True)
class ConfidenceInterval:
    """A figure and its 95 % interval, ``low <= value <= high``."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return ``{"value": , "low": , "high": }``, as scripts read it."""
        return {"value": self.value, "low": self.low, "high": self.high}


def compute_percentile_interval(value: float, draws: NDArray[Any]) -> ConfidenceInterval:
    """Return ``value`` with the 2.5th and 97.5th percentiles of the resampled figures ``draws`` (R,)."""
    low, high = np.percentile(draws, [100 * _TAIL_PROBABILITY, 100 * (1 - _TAIL_PROBABILITY)])
    return ConfidenceInterval(value, min(float(low), value), max(float(high), value))


def compute_proportion_interval(successes: int, total: int, rng: np.random.Generator) -> ConfidenceInterval:
    """Return ``successes / total`` with its interval; ``total`` must be at least 1.

    Where all or none succeeded the bootstrap has no spread at all, however few the images; there the bound is the
    exact one (Clopper and Pearson 1934).
    """
    value = successes / total
    if successes == total:
        return ConfidenceInterval(1.0, compute_all_success_bound(total), 1.0)
    if successes == 0:
        return ConfidenceInterval(0.0, 0.0, 1.0 - compute_all_success_bound(total))
    return compute_percentile_interval(value, rng.binomial(total, value, RESAMPLES) / total)


def compute_all_success_bound(total: int) -> float:
    """Return the lowest true proportion under which ``total`` of ``total`` successes are not yet a surprise."""
    return float(_TAIL_PROBABILITY ** (1 / total))
