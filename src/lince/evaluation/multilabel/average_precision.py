"""Average precision without interpolation, as scikit-learn computes it, and its bootstrap distribution over images.

AP = sum over the distinct probabilities, highest first, of (R_k - R_{k-1}) P_k, where P_k and R_k are precision and
recall of all images with at least the k-th probability. Images with one probability enter together, so that the order
of equals does not matter. (Interpolation, as detectors have it, would be too optimistic here.)

Letters in shapes: N images, C classes, R resamples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.bootstrap import FloatArray

_CHUNK_SIZE = 1 << 21  # weights per chunk of resamples, which bounds the memory


def compute_average_precisions(truth: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> FloatArray:
    """Return the average precision float64 (C,) of ``probabilities`` (N, C) against ``truth`` (N, C).

    NaN for a class that no image has.
    """
    return np.asarray(weigh_average_precisions(truth, probabilities, np.ones((1, len(truth))))[0], np.float64)


def weigh_average_precisions(
    truth: NDArray[np.bool_], probabilities: NDArray[np.floating], weights: NDArray[np.floating]
) -> FloatArray:
    """Return the average precision float64 (R, C) on R test sets in which image n counts ``weights[r, n]`` times.

    NaN for a class that no image of a set has.
    """
    count, class_count = truth.shape
    result = np.full((len(weights), class_count), np.nan)
    step = max(1, _CHUNK_SIZE // max(count, 1))
    for class_id in np.flatnonzero(truth.any(axis=0)).tolist():
        order = np.argsort(-probabilities[:, class_id], kind="stable")
        ends = np.flatnonzero(np.diff(probabilities[order, class_id], append=-np.inf))  # of each distinct probability
        positive = truth[order, class_id]
        has_positive = np.diff(np.cumsum(positive)[ends], prepend=0) > 0
        for start in range(0, len(weights), step):
            ordered = weights[start : start + step, order]
            shown = np.cumsum(ordered, axis=1)[:, ends[has_positive]]
            correct = np.cumsum(ordered * positive, axis=1)[:, ends[has_positive]]
            gained = np.diff(correct, axis=1, prepend=0.0)
            sums = (gained * correct / np.maximum(shown, 1.0)).sum(axis=1)
            total = correct[:, -1]
            result[start : start + step, class_id] = np.where(total > 0, sums / np.maximum(total, 1.0), np.nan)
    return result
