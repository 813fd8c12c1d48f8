"""Intervals of figures on test sets with copies: images of one scene are drawn together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.test_detection_metrics import found_of, truth_of

from lince.annotations import Classes
from lince.evaluation.classification.comparison import compare_classifiers
from lince.evaluation.classification.metrics import compute_classification_metrics
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.confidence import compute_expanded_tail, compute_grouped_interval, compute_proportion_interval
from lince.evaluation.detection.metrics import compute_detection_metrics
from lince.evaluation.detection.predictions import DetectionPredictions


def test_three_copies_of_each_image_tell_no_more_than_one() -> None:
    hits = np.random.default_rng(0).random(40) < 0.6
    rng = lambda: np.random.default_rng(1)  # noqa: E731
    alone = compute_proportion_interval(int(hits.sum()), 40, rng())
    copied = compute_grouped_interval(hits.repeat(3), np.ones(120), np.arange(40).repeat(3), rng())
    naive = compute_proportion_interval(int(hits.sum()) * 3, 120, rng())
    assert copied.value == alone.value
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert naive.high - naive.low < 0.7 * (alone.high - alone.low)
    assert compute_grouped_interval(hits, np.ones(40), np.arange(40), rng()) == alone
    assert compute_grouped_interval(hits, np.ones(40), None, rng()) == alone
    right = np.ones(120)
    assert compute_grouped_interval(right, right, np.arange(40).repeat(3), rng()) == compute_proportion_interval(
        40, 40, rng()
    )


@pytest.mark.parametrize(("units", "tail"), [(5, 0.000954), (8, 0.005738), (40, 0.020258)])
def test_few_groups_leave_less_on_each_side(units: int, tail: float) -> None:
    """Against ``scipy.stats``: norm.cdf(-sqrt(n / (n - 1)) * t.ppf(0.975, n - 1))."""
    assert compute_expanded_tail(units) == pytest.approx(tail, rel=0.05)


def test_copies_of_one_scene_say_nothing_of_others() -> None:
    interval = compute_grouped_interval(
        np.array([1, 0, 1]), np.ones(3), np.zeros(3, np.int64), np.random.default_rng(0)
    )
    assert (interval.low, interval.high) == (0, 1)


def test_the_interval_of_few_unlike_groups_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 6, 8)
        hits = rng.random(sizes.sum()) < rng.beta(0.75, 0.75, 8).repeat(sizes)
        interval = compute_grouped_interval(hits, np.ones(len(hits)), np.arange(8).repeat(sizes), rng)
        held += interval.low <= 0.5 <= interval.high
    assert 0.93 * 400 <= held <= 0.98 * 400


def test_the_intervals_of_a_classifier_hold_the_truth_as_often_as_they_say() -> None:
    classes, held = Classes(("a", "b")), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        hits, truth = rng.random(40) < 0.7, rng.integers(0, 2, 40)
        predicted = np.where(hits, truth, 1 - truth).repeat(3)
        metrics = compute_classification_metrics(
            truth.repeat(3), np.eye(2)[predicted], classes, seed, np.arange(40).repeat(3)
        )
        held += metrics.accuracy.low <= 0.7 <= metrics.accuracy.high
    assert held >= 180


def test_the_interval_of_a_detector_counts_copies_once() -> None:
    is_right = (np.random.default_rng(0).random(30) < 0.6).repeat(3)
    truth = truth_of([[(0, (0, 0, 10, 10), 0)]] * 90)
    found = found_of([[(0, (0, 0, 10, 10) if right else (50, 50, 60, 60), 0.9)] for right in is_right])
    together, apart = (
        compute_detection_metrics(truth, found, Classes(("x",)), 1, groups=groups).map50
        for groups in (np.arange(30).repeat(3), None)
    )
    assert together.value == apart.value
    assert together.high - together.low > 1.4 * (apart.high - apart.low)


def classifier(truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray | None) -> ClassificationPredictions:
    keys = tuple(f"{row:032x}" for row in range(len(truth)))
    return ClassificationPredictions(
        keys, keys, truth.astype(np.int32), np.eye(2, dtype=np.float32)[predicted], Classes(("a", "b")), groups
    )


def test_groups_are_kept_in_the_file_of_predictions(tmp_path: Path) -> None:
    truth = np.array([0, 1, 0, 1])
    for groups in (np.array([7, 7, 3, 9]), np.array([0, 1, 2, 3]), None):
        classifier(truth, truth, groups).save(tmp_path / "p.csv")
        found = ClassificationPredictions.load(tmp_path / "p.csv").groups
        assert (found is None) == (groups is None or len(set(groups.tolist())) == 4)
        if found is not None:
            assert (found == found[0]).tolist() == [True, True, False, False]
    detections = DetectionPredictions(
        ("a", "b"), ("a", "b"), truth_of([[], []]), tuple(found_of([[], []])), Classes(("x",)), np.array([4, 4])
    )
    detections.save(tmp_path / "d.csv")
    assert DetectionPredictions.load(tmp_path / "d.csv").groups.tolist() == [0, 0]


def test_a_comparison_counts_copies_once() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 40).repeat(3)
    before, after = (np.where((rng.random(40) < share).repeat(3), truth, 1 - truth) for share in (0.5, 0.8))
    alone, copied = (
        compare_classifiers(
            {
                "one": classifier(truth[::step], before[::step], groups),
                "two": classifier(truth[::step], after[::step], None),
            }
        )
        .runs[1]
        .difference
        for step, groups in ((3, None), (1, np.arange(40).repeat(3)))
    )
    naive = compare_classifiers({"one": classifier(truth, before, None), "two": classifier(truth, after, None)})
    assert alone.accuracy.value == pytest.approx(copied.accuracy.value)
    width = copied.accuracy.high - copied.accuracy.low
    assert width == pytest.approx(alone.accuracy.high - alone.accuracy.low, rel=0.15)
    assert copied.p_value == pytest.approx(alone.p_value, rel=0.2, abs=0.01)
    assert naive.runs[1].difference.p_value < alone.p_value / 2


def test_nothing_learnt_is_seldom_called_a_difference() -> None:
    called = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, 30).repeat(4)
        one, two = (np.where((rng.random(30) < 0.6).repeat(4), truth, 1 - truth) for _run in range(2))
        groups = np.arange(30).repeat(4)
        runs = {"one": classifier(truth, one, groups), "two": classifier(truth, two, groups)}
        called += compare_classifiers(runs).runs[1].difference.p_value < 0.05
    assert called <= 18
