"""Softmax, which turns a classifier's logits into probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the softmax over the classes of ``logits`` (N, C): float32 (N, C), each row sums to 1.

    It is computed in float64.
    """
    return softmax_in_float64(logits).astype(np.float32)


def softmax_in_float64(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the softmax of ``softmax`` before it is rounded: float64 (N, C); it does not overflow."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float64)
