"""Which images of a test set are worth a look: the confidently wrong, the doubtful, the plainly right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def select_confident_errors(truth: NDArray[Any], probabilities: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return up to ``count`` images that were answered wrongly, the surest answer first."""
    answer, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = answer[order] != truth[order]
    return np.asarray(order[wrong][:count], np.int64)


def select_uncertain_images(truth: NDArray[Any], probabilities: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return up to ``count`` images whose two most probable classes lie closest together."""
    if probabilities.shape[1] < 2:
        return np.empty(0, np.int64)
    two = np.partition(probabilities, -2, axis=1)
    return np.argsort(two[:, -1] - two[:, -2], kind="stable")[: min(count, len(truth))]


def select_correct_images(truth: NDArray[Any], probabilities: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return up to ``count`` images that were answered rightly, a class in turn, the surest of each first."""
    answer, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    hits = order[answer[order] == truth[order]].astype(np.int64)
    turn = np.zeros(len(hits), np.int64)
    for class_id in np.unique(truth[hits]):
        own = truth[hits] == class_id
        turn[own] = np.arange(own.sum())
    return np.asarray(hits[np.argsort(turn, kind="stable")][:count], np.int64)
