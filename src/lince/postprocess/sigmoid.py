"""The sigmoid, which turns the logits of a multilabel model into probabilities, and the decision by thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_THRESHOLD = 0.5  # of a class whose threshold was not chosen on data


def sigmoid(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the sigmoid of each of ``logits``, float32 of the same shape; it is computed in float64."""
    return sigmoid_in_float64(logits).astype(np.float32)


def sigmoid_in_float64(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sigmoid of ``sigmoid`` before it is rounded: float64; it does not overflow."""
    values = np.asarray(logits, np.float64)
    exponentials = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1.0, exponentials) / (1.0 + exponentials), np.float64)


def decide_classes(probabilities: NDArray[Any], thresholds: NDArray[Any] | Sequence[float]) -> NDArray[np.bool_]:
    """Return bool (..., C): which of ``probabilities`` (..., C) are at or above the threshold (C,) of their class.

    Compared in float64, so that a float32 probability and a threshold read from JSON always give the same answer.
    """
    return np.asarray(probabilities, np.float64) >= np.asarray(thresholds, np.float64)
