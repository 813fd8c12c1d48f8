"""Softmax, which turns a classifier's logits into probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the softmax over the classes of ``logits`` (N, C): float32 (N, C), each row sums to 1.

    It is computed in float64 and does not overflow.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)
