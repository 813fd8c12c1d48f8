"""Choosing a few rows out of many without a random generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sample_evenly(count: int, most: int, *, round_to_nearest: bool = False) -> NDArray[np.int64]:
    """Return up to ``most`` indices, evenly spread over ``range(count)``: int64, strictly ascending.

    The first and the last index are always among them (with ``most`` 1, only the first). All ``count`` indices are
    returned when there are no more than ``most``; none when either is 0.

    The positions between are fractions, rounded down. With ``round_to_nearest`` they are rounded to the nearest
    integer instead, half to even.
    """
    positions = np.linspace(0, count - 1, min(most, count))
    return (positions.round() if round_to_nearest else positions).astype(np.int64)
