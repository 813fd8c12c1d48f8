"""Classification metrics: against scikit-learn, bootstrap against resampled indices, edge cases."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lince.annotations import Classes
from lince.errors import DataError
from lince.evaluation import confidence as evaluation_confidence
from lince.evaluation import example_selection
from lince.evaluation.classification.metrics import compute_classification_metrics


def made(count: int, classes: int, skill: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Classes]:
    """Draw labels and softmax probabilities of a classifier whose accuracy grows with ``skill``."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), truth] += skill
    powers = np.exp(logits)
    return truth, powers / powers.sum(axis=1, keepdims=True), Classes(tuple(f"class {i}" for i in range(classes)))


def values(metrics, figure: str) -> list[float | None]:
    return [None if item is None else item.value for item in (getattr(score, figure) for score in metrics.scores)]


@pytest.mark.parametrize(("count", "classes"), [(400, 2), (736, 5), (3000, 37)])
def test_figures_equal_those_of_scikit_learn(count, classes):
    reference = pytest.importorskip("sklearn.metrics")
    truth, probabilities, names = made(count, classes)
    metrics = compute_classification_metrics(truth, probabilities, names)
    predicted, labels = probabilities.argmax(axis=1), np.arange(classes)

    precision, recall, f1, support = reference.precision_recall_fscore_support(truth, predicted, labels=labels)
    np.testing.assert_allclose(values(metrics, "precision"), precision, rtol=0, atol=1e-12)
    np.testing.assert_allclose(values(metrics, "recall"), recall, rtol=0, atol=1e-12)
    np.testing.assert_allclose(values(metrics, "f1"), f1, rtol=0, atol=1e-12)
    assert [score.support for score in metrics.scores] == support.tolist()
    macro = reference.precision_recall_fscore_support(truth, predicted, average="macro")[:3]
    np.testing.assert_allclose(list(metrics.macro.to_dict().values()), macro, rtol=0, atol=1e-12)
    assert metrics.accuracy.value == pytest.approx(reference.accuracy_score(truth, predicted), abs=1e-12)
    assert metrics.log_loss == pytest.approx(reference.log_loss(truth, probabilities, labels=labels), abs=1e-12)
    np.testing.assert_array_equal(metrics.confusion, reference.confusion_matrix(truth, predicted, labels=labels))
    for k, share in metrics.top_k_accuracy.items():
        expected = reference.top_k_accuracy_score(truth, probabilities, k=k, labels=labels)
        assert share == pytest.approx(expected, abs=1e-12)


def test_top_k_is_given_only_where_it_says_something():
    assert list(compute_classification_metrics(*made(100, 2)).top_k_accuracy) == []
    assert list(compute_classification_metrics(*made(100, 4)).top_k_accuracy) == [2, 3]
    assert list(compute_classification_metrics(*made(100, 10)).top_k_accuracy) == [2, 3, 5]


def test_the_drawn_bootstrap_is_that_of_resampled_images():
    truth, probabilities, names = made(250, 4, skill=1.5)
    right = probabilities.argmax(axis=1) == truth
    rng = np.random.default_rng(7)
    resampled = right[rng.integers(0, len(right), (20_000, len(right)))].mean(axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    accuracy = compute_classification_metrics(truth, probabilities, names).accuracy
    assert accuracy.low == pytest.approx(low, abs=0.009)
    assert accuracy.high == pytest.approx(high, abs=0.009)
    assert accuracy.high - accuracy.low > 0.08


def test_the_interval_holds_the_true_figure_about_95_times_in_100():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        found = evaluation_confidence.compute_proportion_interval(int(rng.binomial(300, 0.8)), 300, rng)
        held += found.low <= 0.8 <= found.high
    assert 0.91 <= held / 400 <= 0.98


def test_a_perfect_score_keeps_an_interval_below_1():
    rng = np.random.default_rng(0)
    few, many = (
        evaluation_confidence.compute_proportion_interval(10, 10, rng),
        evaluation_confidence.compute_proportion_interval(10_000, 10_000, rng),
    )
    assert (few.value, few.high) == (1.0, 1.0)
    assert few.low == pytest.approx(0.6915, abs=1e-4)  # the exact Clopper-Pearson bound for 10 of 10
    assert many.low > 0.999
    none = evaluation_confidence.compute_proportion_interval(0, 10, rng)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - few.low)


def test_the_same_seed_gives_the_same_intervals():
    case = made(300, 5)
    assert (
        compute_classification_metrics(*case, seed=4).to_dict()
        == compute_classification_metrics(*case, seed=4).to_dict()
    )
    assert (
        compute_classification_metrics(*case, seed=4).accuracy != compute_classification_metrics(*case, seed=5).accuracy
    )


def test_calibration_error_equals_a_plain_loop_over_the_bins():
    truth, probabilities, names = made(2000, 6, skill=2.5)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    expected = 0.0
    for i in range(15):
        own = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if own.any():
            expected += own.mean() * abs(right[own].mean() - confidence[own].mean())
    calibration = compute_classification_metrics(truth, probabilities, names).calibration
    assert calibration.ece == pytest.approx(expected, abs=1e-12)
    assert sum(item.count for item in calibration.bins) == 2000
    assert calibration.confidence == pytest.approx(confidence.mean(), abs=1e-12)


def test_a_perfect_and_sure_classifier_is_calibrated():
    truth = np.array([0, 1, 2, 1])
    metrics = compute_classification_metrics(truth, np.eye(3)[truth], Classes(("a", "b", "c")))
    assert metrics.calibration.ece == 0
    assert metrics.log_loss == 0
    assert metrics.accuracy.value == 1


def test_missing_figures_are_null_with_their_reason():
    truth = np.array([0, 0, 1, 1])
    answers = np.array([0, 0, 0, 2])
    metrics = compute_classification_metrics(
        truth, np.eye(4)[answers], Classes(("a", "never answered", "not in the test", "neither"))
    )
    rows = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["classes"]
    assert rows[0]["precision"] == pytest.approx(2 / 3)
    assert (rows[1]["precision"], rows[1]["recall"], rows[1]["f1"]) == (None, 0.0, 0.0)
    assert list(rows[1]["undefined"]) == ["precision"]
    assert (rows[2]["precision"], rows[2]["recall"], rows[2]["f1"]) == (0.0, None, 0.0)
    assert sorted(rows[3]["undefined"]) == ["f1", "precision", "recall"]
    assert metrics.macro.recall == pytest.approx(0.5)


def test_equal_probabilities_count_for_the_first_class():
    metrics = compute_classification_metrics(np.array([0, 1, 2]), np.full((3, 3), 1 / 3), Classes(("a", "b", "c")))
    assert metrics.confusion[:, 0].tolist() == [1, 1, 1]
    assert metrics.top_k_accuracy == {2: pytest.approx(2 / 3)}


def test_what_does_not_fit_is_refused():
    truth, probabilities, names = made(10, 3)
    with pytest.raises(DataError, match="no image"):
        compute_classification_metrics(truth[:0], probabilities[:0], names)
    with pytest.raises(ValueError, match="do not fit"):
        compute_classification_metrics(truth[:5], probabilities, names)
    with pytest.raises(ValueError, match="class ids"):
        compute_classification_metrics(truth - 1, probabilities, names)
    with pytest.raises(ValueError, match="sum to 1"):
        compute_classification_metrics(truth, probabilities * 2, names)
    with pytest.raises(ValueError, match="finite"):
        compute_classification_metrics(truth, np.full_like(probabilities, np.nan), names)


@given(
    answers=hnp.arrays(np.int64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(0, 3)),
    sure=st.floats(0.26, 1.0),
)
def test_figures_stay_in_range_whatever_the_answers(answers, sure):
    truth, predicted = answers.T
    probabilities = np.full((len(truth), 4), (1 - sure) / 3)
    probabilities[np.arange(len(truth)), predicted] = sure
    metrics = compute_classification_metrics(truth, probabilities, Classes(("a", "b", "c", "d")))
    json.dumps(metrics.to_dict(), allow_nan=False)
    assert metrics.confusion.sum() == len(truth)
    assert metrics.accuracy.value == pytest.approx((truth == predicted).mean())
    np.testing.assert_allclose(metrics.confusion_rates.sum(axis=1), [float((truth == i).any()) for i in range(4)])
    for score in metrics.scores:
        for found in (score.precision, score.recall, score.f1):
            assert found is None or 0 <= found.low <= found.value <= found.high <= 1


def test_images_for_the_report_are_selected():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.55, 0.45], [0.2, 0.8], [0.3, 0.7]])
    truth = np.array([0, 1, 0, 0, 1])
    assert example_selection.select_confident_errors(truth, probabilities, 5).tolist() == [3, 1]
    assert example_selection.select_uncertain_images(truth, probabilities, 2).tolist() == [2, 1]
    assert example_selection.select_correct_images(truth, probabilities, 2).tolist() == [0, 4]
    assert example_selection.select_correct_images(truth, probabilities, 9).tolist() == [0, 4, 2]
    assert example_selection.select_uncertain_images(truth[:2], np.ones((2, 1)), 2).tolist() == []
