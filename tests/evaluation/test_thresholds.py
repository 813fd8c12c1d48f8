"""Threshold choice: best F1 per class, with boxes borrowed from other classes for rare ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluation.test_detection_metrics import FAR, A, B, drawn, found_of, names, truth_of

from lince.evaluation.detection.metrics import compute_detection_metrics
from lince.evaluation.detection.thresholds import POOLED_BOXES, choose_thresholds
from lince.postprocess import DEFAULT_FILTER

COMMON, RARE = 0, 1


def common(images: int) -> tuple[list, list]:
    """Return ``images`` with two objects of a common class each: scores 0.6 to 0.8, and a false one at 0.4."""
    truth = [[(COMMON, A, 0), (COMMON, B, 0)] for _image in range(images)]
    found = [[(COMMON, A, 0.8), (COMMON, B, 0.6), (COMMON, FAR, 0.4)] for _image in range(images)]
    return truth, found


def test_a_class_with_one_box_does_not_get_a_low_threshold():
    truth, found = common(60)
    truth[0].append((RARE, (300, 300, 340, 340), 0))
    found[0].append((RARE, (300, 300, 340, 340), 0.009))
    for image in found[:30]:
        image.extend([(RARE, FAR, 0.01)] * 3)
    alone = compute_detection_metrics(truth_of(truth), found_of(found), names(2)).thresholds
    assert alone[RARE] < 0.01
    chosen = choose_thresholds(truth_of(truth), found_of(found), 2)
    assert chosen == (pytest.approx(0.5), pytest.approx(0.5))


def test_a_class_with_many_boxes_has_its_own_threshold():
    truth, found = common(60)
    for image, answers in zip(truth, found, strict=True):
        for place in range(4):
            box = (300, 100 * place, 340, 100 * place + 40)
            image.append((RARE, box, 0))
            answers.append((RARE, box, 0.2))
        answers.append((RARE, FAR, 0.1))
    assert choose_thresholds(truth_of(truth), found_of(found), 2) == (pytest.approx(0.5), pytest.approx(0.15))


@given(st.integers(0, 1000), st.integers(1, 12))
def test_a_single_class_uses_its_own_threshold(seed, images):
    truth, found, known = drawn(images, 1, 3.0, seed=seed, crowds=0.2)
    if not (truth.flags == 0).any():
        return
    assert choose_thresholds(truth, found, 1) == compute_detection_metrics(truth, found, known).thresholds


@given(st.integers(0, 1000), st.integers(0, 8), st.integers(1, 5))
def test_the_threshold_maximises_f1_with_borrowed_boxes(seed, images, classes):
    """Every score is tried as the threshold, with boxes counted one by one."""
    truth, found, _known = drawn(images, classes, 3.0, seed=seed, crowds=0.0)
    scores = sorted({float(score) for item in found for score in item.scores})
    for class_id, threshold in enumerate(choose_thresholds(truth, found, classes)):
        tried = [counting(truth, found, class_id, score) for score in scores]
        best = max(tried, default=0.0)
        if best == 0.0:
            assert threshold == DEFAULT_FILTER.min_score_threshold
        else:
            assert counting(truth, found, class_id, threshold) == pytest.approx(best)


def counting(truth, found, class_id, threshold) -> float:
    """Return the F1 of a class at a threshold, with the other classes as at most ``LENT`` boxes."""
    own = int((truth.class_ids == class_id).sum())
    others = len(truth) - own
    lent = min(others, POOLED_BOXES)
    hits = counted = 0.0
    for image, item in enumerate(found):
        part = slice(truth.starts[image], truth.starts[image + 1])
        for kind in np.unique(item.class_ids):
            weight = 1.0 if kind == class_id else lent / max(others, 1)
            free = list(truth.boxes[part][truth.class_ids[part] == kind])
            for row in np.flatnonzero((item.class_ids == kind) & (item.scores >= np.float32(threshold))):
                counted += weight
                overlaps = [overlap(item.boxes[row], box) for box in free]
                if max(overlaps, default=0.0) >= 0.5:
                    free.pop(len(overlaps) - 1 - int(np.argmax(overlaps[::-1])))
                    hits += weight
    return 2 * hits / (counted + own + lent)


def overlap(one, other) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def test_nothing_marked_or_nothing_found_is_the_default():
    empty = found_of([[], []])
    assert choose_thresholds(truth_of([[], []]), empty, 2) == (DEFAULT_FILTER.min_score_threshold,) * 2
    assert choose_thresholds(truth_of([[(0, A, 0)], []]), empty, 2) == (DEFAULT_FILTER.min_score_threshold,) * 2
    assert (
        choose_thresholds(truth_of([[], []]), found_of([[(0, A, 0.9)], []]), 2)
        == (DEFAULT_FILTER.min_score_threshold,) * 2
    )
