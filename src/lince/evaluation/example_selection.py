"""Selects informative images of a test set: confident errors, uncertain predictions, correct predictions.

All functions take class ids ``truth`` (N,) and ``probabilities`` (N, C), and return at most ``count`` indices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def select_confident_errors(truth: NDArray[Any], probabilities: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return wrongly classified images, most confident first."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    is_wrong = predicted[order] != truth[order]
    return np.asarray(order[is_wrong][:count], np.int64)


def select_uncertain_images(truth: NDArray[Any], probabilities: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the images with the smallest margin between their two highest probabilities; none for a single class."""
    if probabilities.shape[1] < 2:
        return np.empty(0, np.int64)
    sorted_top_two = np.partition(probabilities, -2, axis=1)
    return np.argsort(sorted_top_two[:, -1] - sorted_top_two[:, -2], kind="stable")[: min(count, len(truth))]


def select_correct_images(truth: NDArray[Any], probabilities: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return correctly classified images, alternating between the true classes, each class's most confident first."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    correct = order[predicted[order] == truth[order]].astype(np.int64)
    class_ranks = np.zeros(len(correct), np.int64)
    for class_id in np.unique(truth[correct]):
        is_class = truth[correct] == class_id
        class_ranks[is_class] = np.arange(is_class.sum())
    return np.asarray(correct[np.argsort(class_ranks, kind="stable")][:count], np.int64)
