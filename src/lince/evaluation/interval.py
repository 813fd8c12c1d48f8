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
LEVEL = 0.95
_TAIL = (1 - LEVEL) / 2


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval, ``low <= value <= high``."""

    value: float
    low: float
    high: float

    def record(self) -> dict[str, float]:
        """Return ``{"value": , "low": , "high": }``, as scripts read it."""
        return {"value": self.value, "low": self.low, "high": self.high}


def around(value: float, draws: NDArray[Any]) -> Interval:
    """Return ``value`` with the 2.5th and 97.5th percentiles of the resampled figures ``draws`` (R,)."""
    low, high = np.percentile(draws, [100 * _TAIL, 100 * (1 - _TAIL)])
    return Interval(value, min(float(low), value), max(float(high), value))


def proportion(successes: int, total: int, rng: np.random.Generator) -> Interval:
    """Return ``successes / total`` with its interval; ``total`` must be at least 1.

    Where all or none succeeded the bootstrap has no spread at all, however few the images; there the bound is the
    exact one (Clopper and Pearson 1934).
    """
    value = successes / total
    if successes == total:
        return Interval(1.0, all_right_bound(total), 1.0)
    if successes == 0:
        return Interval(0.0, 0.0, 1.0 - all_right_bound(total))
    return around(value, rng.binomial(total, value, RESAMPLES) / total)


def all_right_bound(total: int) -> float:
    """Return the lowest true proportion under which ``total`` of ``total`` successes are not yet a surprise."""
    return float(_TAIL ** (1 / total))
