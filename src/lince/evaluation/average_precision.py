"""Computes average precision by COCO's rules (Lin et al. 2014), and its bootstrap distribution over images.

Letters in shapes: N images, M labelled objects, K detections, T IoU thresholds, C classes, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.confidence import draw_weights
from lince.evaluation.detection.matcher import IOU_THRESHOLDS, IntArray, MatchInput, MatchResult

RECALL_LEVELS = np.linspace(0.0, 1.0, 101)
_MAX_RESAMPLES, _MIN_RESAMPLES = 1000, 100
_BOOTSTRAP_BUDGET = 20_000_000  # values processed by the bootstrap, which bounds its time on large test sets
_CHUNK_SIZE = 1 << 20  # weights per chunk of resamples, which bounds the memory

FloatArray = NDArray[np.float64]


def compute_interpolated_ap(
    cumulative_tp: NDArray[Any], cumulative_count: NDArray[Any], positives: NDArray[Any]
) -> FloatArray:
    """Return the average precision (...), the mean of the precision envelope over COCO's 101 recall levels.

    ``cumulative_tp`` and ``cumulative_count`` (..., P) are the numbers of true positives and of all counted detections
    up to and including each true positive, best score first; ``positives`` (..., 1) is the number of labelled objects.
    The envelope at a recall is the highest precision at this recall or beyond. NaN where ``positives`` is zero.
    """
    precision, recall = cumulative_tp / (cumulative_count + np.spacing(1)), cumulative_tp / np.maximum(positives, 1)
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    levels_reached = np.searchsorted(RECALL_LEVELS, recall, side="right")
    levels_gained = np.diff(levels_reached, prepend=0, axis=-1)
    return np.where(positives[..., 0] > 0, (envelope * levels_gained).sum(axis=-1) / len(RECALL_LEVELS), np.nan)


def compute_average_precisions(match_input: MatchInput, matching: MatchResult, classes: int) -> FloatArray:
    """Return the average precision float64 (T, C) of each class at each of ``IOU_THRESHOLDS``.

    NaN for a class of which the images have no object.
    """
    positives = count_positives(match_input, matching, classes)
    result = np.full((len(IOU_THRESHOLDS), classes), np.nan)
    for class_id, class_slice in enumerate(get_class_slices(match_input, classes)):
        if positives[class_id]:
            for level in range(len(IOU_THRESHOLDS)):
                tp_rows = np.flatnonzero(matching.true_positives[level, class_slice])
                cumulative_count = np.cumsum(matching.not_ignored[level, class_slice])[tp_rows]
                result[level, class_id] = compute_interpolated_ap(
                    np.arange(1, len(tp_rows) + 1), cumulative_count, positives[class_id, None]
                )
    return result


def get_class_slices(match_input: MatchInput, classes: int) -> list[slice]:
    """Return for each of ``classes`` classes the slice of its detections, which are sorted by class."""
    bounds = np.searchsorted(match_input.class_ids, np.arange(classes + 1)).tolist()
    return [slice(start, end) for start, end in pairwise(bounds)]


def count_positives(match_input: MatchInput, matching: MatchResult, classes: int) -> IntArray:
    """Return the number of labelled objects of each class that count, int64 (C,)."""
    return np.bincount(match_input.truth_class_ids[matching.positives], minlength=classes)


def compute_precision_curve(
    true_positives: NDArray[np.bool_], not_ignored: NDArray[np.bool_], positives: int
) -> FloatArray:
    """Return the precision envelope (101,) at ``RECALL_LEVELS``; zero at recalls that are never reached.

    ``true_positives`` and ``not_ignored`` (K,) are those of one class at one IoU threshold, best score first;
    ``positives`` is the number of its objects, at least 1.
    """
    tp_rows = np.flatnonzero(true_positives)
    cumulative_tp = np.arange(1, len(tp_rows) + 1)
    precision = cumulative_tp / (np.cumsum(not_ignored)[tp_rows] + np.spacing(1))
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return np.asarray(envelope[np.searchsorted(cumulative_tp / positives, RECALL_LEVELS)], np.float64)


def average_over_classes(values: FloatArray) -> FloatArray:
    """Return the mean (...) of ``values`` (..., C) over the classes, NaN left out; NaN where all are NaN."""
    is_defined = ~np.isnan(values)
    count = is_defined.sum(axis=-1)
    total = np.where(is_defined, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def choose_resample_count(match_input: MatchInput, matching: MatchResult) -> int:
    """Return the number of bootstrap resamples: 1,000, or fewer (down to 100) for a large test set.

    The intervals of a large test set are narrow in any case, and its resamples take longer.
    """
    work = matching.true_positives.sum() + len(match_input) + match_input.image_count
    return int(np.clip(_BOOTSTRAP_BUDGET // work, _MIN_RESAMPLES, _MAX_RESAMPLES))


def bootstrap_average_precisions(
    match_input: MatchInput,
    matching: MatchResult,
    classes: int,
    seed: int,
    resample_count: int | None = None,
    groups: NDArray[np.int64] | None = None,
) -> FloatArray:
    """Return the average precision (R, T, C) on R test sets drawn from the images with replacement.

    The matching within an image does not depend on the other images, so an image drawn twice simply counts twice: a
    resample is a vector of integer weights, drawn from a multinomial. R is ``resample_count``, by default that of
    ``choose_resample_count``. The same ``seed``, R and number of images give the same resamples, whatever the
    detections, so that two models can be compared on them. Images with the same number in ``groups`` (N,) are drawn
    together.
    """
    resample_count = choose_resample_count(match_input, matching) if resample_count is None else resample_count
    rng = np.random.default_rng(seed)
    units = np.arange(match_input.image_count) if groups is None else np.unique(groups, return_inverse=True)[1]
    weights = draw_weights(int(units.max()) + 1, resample_count, rng).astype(np.int32)[:, units]
    result = np.empty((resample_count, len(IOU_THRESHOLDS), classes))
    for class_id, class_slice in enumerate(get_class_slices(match_input, classes)):
        class_truths = matching.positives & (match_input.truth_class_ids == class_id)
        step = max(1, _CHUNK_SIZE // max(1, class_slice.stop - class_slice.start, np.count_nonzero(class_truths)))
        for start in range(0, resample_count, step):
            chunk_weights = weights[start : start + step]
            positives = chunk_weights.take(match_input.truth_image_ids[class_truths], axis=1).sum(axis=1, keepdims=True)
            for level, values in enumerate(
                _iter_weighted_ap(match_input, matching, class_slice, chunk_weights, positives)
            ):
                result[start : start + step, level, class_id] = values
    return result


def _iter_weighted_ap(
    match_input: MatchInput, matching: MatchResult, class_slice: slice, weights: NDArray[Any], positives: IntArray
) -> Iterator[FloatArray]:
    """Yield for each IoU threshold the average precision (R,) of one class's detections, ``class_slice``.

    ``weights`` (R, N) are the images' weights in each resample, ``positives`` (R, 1) the weighted numbers of objects.
    """
    detection_weights = weights.take(match_input.image_ids[class_slice], axis=1)
    cumulative_weights = np.cumsum(detection_weights, axis=1)
    for true_positives, not_ignored in zip(
        matching.true_positives[:, class_slice], matching.not_ignored[:, class_slice], strict=True
    ):
        cumulative_count = (
            cumulative_weights if not_ignored.all() else np.cumsum(detection_weights * not_ignored, axis=1)
        )
        tp_rows = np.flatnonzero(true_positives)
        yield compute_interpolated_ap(
            np.cumsum(detection_weights.take(tp_rows, axis=1), axis=1),
            cumulative_count.take(tp_rows, axis=1),
            positives,
        )
