"""Average precision as COCO counts it (Lin et al. 2014), and how far other images of the same kind would move it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.detection.matcher import IOU_THRESHOLDS, IntArray, MatchInput, MatchResult

RECALL_LEVELS = np.linspace(0.0, 1.0, 101)
_MAX_RESAMPLES, _MIN_RESAMPLES = 1000, 100
_BOOTSTRAP_BUDGET = 20_000_000  # figures that the bootstrap works through, which bounds its time on large test sets
_CHUNK_SIZE = 1 << 20

FloatArray = NDArray[np.float64]


def compute_interpolated_ap(hits: NDArray[Any], seen: NDArray[Any], positives: NDArray[Any]) -> FloatArray:
    """Return the average precision (...) over the 101 recalls of COCO; NaN where ``positives`` is zero.

    ``hits`` (..., P) counts the right findings up to and with each right one, ``seen`` (..., P) all that count;
    ``positives`` (..., 1) the objects to be found.
    """
    precision, recall = hits / (seen + np.spacing(1)), hits / np.maximum(positives, 1)
    best = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    covered = np.searchsorted(RECALL_LEVELS, recall, side="right")
    gained = np.diff(covered, prepend=0, axis=-1)
    return np.where(positives[..., 0] > 0, (best * gained).sum(axis=-1) / len(RECALL_LEVELS), np.nan)


def compute_average_precisions(columns: MatchInput, matching: MatchResult, classes: int) -> FloatArray:
    """Return the average precision (T, C) of each class at each of ``IOUS``; NaN for a class that is not there."""
    positives = count_positives(columns, matching, classes)
    result = np.full((len(IOU_THRESHOLDS), classes), np.nan)
    for class_id, part in enumerate(get_class_slices(columns, classes)):
        if positives[class_id]:
            for level in range(len(IOU_THRESHOLDS)):
                rows = np.flatnonzero(matching.true_positives[level, part])
                seen = np.cumsum(matching.not_ignored[level, part])[rows]
                result[level, class_id] = compute_interpolated_ap(
                    np.arange(1, len(rows) + 1), seen, positives[class_id, None]
                )
    return result


def get_class_slices(columns: MatchInput, classes: int) -> list[slice]:
    """Return where the findings of each of ``classes`` stand."""
    bounds = np.searchsorted(columns.class_ids, np.arange(classes + 1)).tolist()
    return [slice(start, end) for start, end in pairwise(bounds)]


def count_positives(columns: MatchInput, matching: MatchResult, classes: int) -> IntArray:
    """Return how many objects of each class are to be found, (C,)."""
    return np.bincount(columns.truth_class_ids[matching.positives], minlength=classes)


def compute_precision_curve(hits: NDArray[np.bool_], counted: NDArray[np.bool_], positives: int) -> FloatArray:
    """Return the best precision (101,) at each of ``RECALLS`` or beyond; zero where so much is never found.

    ``hits`` and ``counted`` (K,) are those of one class at one threshold, ``positives`` its objects.
    """
    rows = np.flatnonzero(hits)
    right = np.arange(1, len(rows) + 1)
    precision = right / (np.cumsum(counted)[rows] + np.spacing(1))
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return np.asarray(best[np.searchsorted(right / positives, RECALL_LEVELS)], np.float64)


def average_over_classes(values: FloatArray) -> FloatArray:
    """Return the mean (...) over the classes of ``values`` (..., C) that are there; NaN where none is."""
    there = ~np.isnan(values)
    count = there.sum(axis=-1)
    total = np.where(there, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def choose_resample_count(columns: MatchInput, matching: MatchResult) -> int:
    """Return how many test sets to draw: 1,000, fewer of a large one (down to 100), whose intervals are narrow."""
    work = matching.true_positives.sum() + len(columns) + columns.image_count
    return int(np.clip(_BOOTSTRAP_BUDGET // work, _MIN_RESAMPLES, _MAX_RESAMPLES))


def bootstrap_average_precisions(
    columns: MatchInput, matching: MatchResult, classes: int, seed: int, draws: int | None = None
) -> FloatArray:
    """Return the average precision (R, T, C) on R test sets drawn from the images with replacement.

    The matching within an image stays what it is, so that an image drawn twice counts twice: no more than sums of
    weights. R is ``draws``, or else what is ``affordable``. The same ``seed``, ``draws`` and number of images draw the
    same test sets, whatever was found on them.
    """
    draws = choose_resample_count(columns, matching) if draws is None else draws
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(columns.image_count, np.full(columns.image_count, 1 / columns.image_count), draws).astype(
        np.int32
    )
    result = np.empty((draws, len(IOU_THRESHOLDS), classes))
    for class_id, part in enumerate(get_class_slices(columns, classes)):
        own = matching.positives & (columns.truth_class_ids == class_id)
        step = max(1, _CHUNK_SIZE // max(1, part.stop - part.start, np.count_nonzero(own)))
        for first in range(0, draws, step):
            drawn = weights[first : first + step]
            positives = drawn.take(columns.truth_image_ids[own], axis=1).sum(axis=1, keepdims=True)
            for level, values in enumerate(_iter_weighted_ap(columns, matching, part, drawn, positives)):
                result[first : first + step, level, class_id] = values
    return result


def _iter_weighted_ap(
    columns: MatchInput, matching: MatchResult, part: slice, weights: NDArray[Any], positives: IntArray
) -> Iterator[FloatArray]:
    """Yield the average precision (R,) at each of ``IOUS`` of the findings in ``part``, weighted by image (R, N)."""
    each = weights.take(columns.image_ids[part], axis=1)
    all_seen = np.cumsum(each, axis=1)
    for hits, counted in zip(matching.true_positives[:, part], matching.not_ignored[:, part], strict=True):
        seen = all_seen if counted.all() else np.cumsum(each * counted, axis=1)
        right = np.flatnonzero(hits)
        yield compute_interpolated_ap(np.cumsum(each.take(right, axis=1), axis=1), seen.take(right, axis=1), positives)
