"""Metrics of multilabel models: equal to scikit-learn's, intervals that hold, refusals, thresholds, the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lince.annotations import Classes
from lince.errors import DataError
from lince.evaluation.confidence import draw_weights
from lince.evaluation.multilabel.average_precision import compute_average_precisions, weigh_average_precisions
from lince.evaluation.multilabel.metrics import (
    MultilabelMetrics,
    compute_log_loss,
    compute_mean_average_precision,
    compute_multilabel_metrics,
)
from lince.evaluation.multilabel.predictions import MultilabelPredictions
from lince.evaluation.multilabel.thresholds import MIN_EXAMPLES, choose_thresholds
from lince.postprocess import decide_classes

TOLERANCE = 1e-9


def make_classes(count: int) -> Classes:
    return Classes(tuple(f"class {i}" for i in range(count)))


def make_set(count: int, class_count: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return truth (N, C) and probabilities (N, C) that go with it, with ties."""
    rng = np.random.default_rng(seed)
    truth = rng.random((count, class_count)) < np.linspace(0.1, 0.6, class_count)
    logits = rng.normal(size=truth.shape) + 2 * truth - 1
    return truth, np.round(1 / (1 + np.exp(-logits)), 2).astype(np.float32)


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw truth with at least one class, probabilities with many ties, and thresholds.

    Of one column scikit-learn makes two classes, so there are at least two.
    """
    shape = draw(st.tuples(st.integers(1, 12), st.integers(2, 4)))
    truth = draw(arrays.arrays(np.bool_, shape))
    truth[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = True
    tenths = draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 10)))
    cuts = draw(arrays.arrays(np.int64, shape[1], elements=st.integers(1, 10)))
    return truth, (tenths / 10).astype(np.float32), cuts / 10


@given(answers())
def test_all_figures_equal_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, probabilities, thresholds = case
    compare_with_scikit_learn(truth, probabilities, thresholds)


def test_a_large_set_equals_scikit_learn() -> None:
    truth, probabilities = make_set(3000, 7)
    compare_with_scikit_learn(truth, probabilities, np.linspace(0.2, 0.8, 7))


@pytest.mark.filterwarnings("ignore:No positive class found", "ignore:Metric .* is ill-defined")
def compare_with_scikit_learn(truth: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    metrics = compute_multilabel_metrics(truth, probabilities, make_classes(truth.shape[1]), thresholds)
    predicted = decide_classes(probabilities, thresholds)
    present = truth.any(axis=0)
    expected_ap = [sklearn.average_precision_score(truth[:, i], probabilities[:, i]) for i in np.flatnonzero(present)]
    found_ap = [score.ap.value for score in metrics.scores if score.ap is not None]
    np.testing.assert_allclose(found_ap, expected_ap, atol=TOLERANCE)
    assert metrics.map.value == pytest.approx(np.mean(expected_ap), abs=TOLERANCE)
    assert [score.ap is None for score in metrics.scores] == (~present).tolist()
    for name, function, options in (
        ("f1_macro", sklearn.f1_score, {"average": "macro"}),
        ("f1_micro", sklearn.f1_score, {"average": "micro"}),
        ("precision_micro", sklearn.precision_score, {"average": "micro"}),
        ("recall_micro", sklearn.recall_score, {"average": "micro"}),
    ):
        found = getattr(metrics.figures, name)
        expected = function(truth, predicted, zero_division=np.nan, **options)
        assert (np.nan if found is None else found.value) == pytest.approx(expected, abs=TOLERANCE, nan_ok=True), name
    assert metrics.figures.subset_accuracy.value == pytest.approx(
        sklearn.accuracy_score(truth, predicted), abs=TOLERANCE
    )
    assert metrics.figures.hamming_loss.value == pytest.approx(sklearn.hamming_loss(truth, predicted), abs=TOLERANCE)
    table = sklearn.precision_recall_fscore_support(truth, predicted, average=None, zero_division=np.nan)
    for i, score in enumerate(metrics.scores):
        for figure, values in zip((score.precision, score.recall, score.f1), table, strict=False):
            found_value = np.nan if figure is None else figure.value
            assert found_value == pytest.approx(values[i], abs=TOLERANCE, nan_ok=True)
        assert score.support == table[3][i]


def test_log_loss_equals_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, probabilities = make_set(200, 3)
    inside = np.clip(probabilities.astype(np.float64), 0.01, 0.99)
    expected = np.mean([sklearn.log_loss(truth[:, i], inside[:, i]) for i in range(3)])
    assert compute_log_loss(truth, inside) == pytest.approx(expected, abs=TOLERANCE)


def test_weights_count_images_as_copies_of_them() -> None:
    truth, probabilities = make_set(40)
    weights = draw_weights(40, 5, np.random.default_rng(1)).astype(np.float64)
    for row, found in zip(weights, weigh_average_precisions(truth, probabilities, weights), strict=True):
        rows = np.repeat(np.arange(40), row.astype(int))
        np.testing.assert_allclose(found, compute_average_precisions(truth[rows], probabilities[rows]), atol=TOLERANCE)


def measure(truth: np.ndarray, probabilities: np.ndarray, **options: object) -> MultilabelMetrics:
    count = truth.shape[1]
    return compute_multilabel_metrics(truth, probabilities, make_classes(count), np.full(count, 0.5), **options)


def test_intervals_contain_their_figures_and_shrink_with_more_images() -> None:
    small, large = measure(*make_set(60)), measure(*make_set(1500))
    for name in vars(small.figures):
        few, many = getattr(small.figures, name), getattr(large.figures, name)
        assert few.low <= few.value <= few.high
        assert 0 < many.high - many.low < few.high - few.low


def test_copies_in_groups_widen_the_intervals() -> None:
    truth, probabilities = make_set(80)
    copies = [np.repeat(item, 5, axis=0) for item in (truth, probabilities)]
    alone, grouped = measure(*copies), measure(*copies, groups=np.repeat(np.arange(80), 5))
    assert grouped.map.value == alone.map.value
    for name in ("map", "f1_macro", "f1_micro", "hamming_loss", "subset_accuracy"):
        wide, narrow = getattr(grouped.figures, name), getattr(alone.figures, name)
        assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_the_interval_of_the_map_holds_the_truth_of_the_population() -> None:
    reference = compute_mean_average_precision(*make_set(200_000))
    found = [measure(*make_set(150, seed=seed)).map for seed in range(1, 41)]
    assert sum(item.low <= reference <= item.high for item in found) >= 34  # 38 of 40 are expected


def test_a_perfect_model_on_few_images_keeps_its_doubt() -> None:
    truth = np.eye(4, dtype=bool)
    metrics = measure(truth, truth.astype(np.float32))
    assert metrics.map.value == 1
    assert 0.3 < metrics.map.low < 0.5
    assert metrics.figures.hamming_loss.high > 0.5


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(DataError, match="no image to evaluate"):
        measure(np.empty((0, 2), bool), np.empty((0, 2)))
    with pytest.raises(DataError, match="no image with a class"):
        measure(np.zeros((3, 2), bool), np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="do not fit"):
        measure(np.ones((3, 2), bool), np.full((3, 1), 0.5))
    with pytest.raises(ValueError, match="probabilities must be"):
        measure(np.ones((1, 1), bool), np.full((1, 1), np.nan))


def test_classes_that_go_together_are_counted() -> None:
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]], bool)
    probabilities = np.array([[0.9, 0.8, 0], [0.9, 0.1, 0], [0, 0, 0], [0, 0.4, 0.9]], np.float32)
    metrics = measure(truth, probabilities)
    assert metrics.together.tolist() == [[2, 1, 0], [1, 2, 1], [0, 1, 1]]
    assert metrics.predicted_together.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert metrics.empty_counts == (1, 1)


def test_the_threshold_of_a_class_alone_is_that_of_the_best_f1() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, probabilities = make_set(400)
    for i in range(truth.shape[1]):
        chosen = choose_thresholds(truth[:, i : i + 1], probabilities[:, i : i + 1])
        scores = probabilities[:, i].astype(np.float64)
        best = max(sklearn.f1_score(truth[:, i], scores >= cut / 100) for cut in range(1, 100))
        assert sklearn.f1_score(truth[:, i], scores >= chosen.values[0]) == pytest.approx(best)


@pytest.mark.parametrize(("low", "high", "threshold"), [(0.1, 0.9, 0.5), (0.605, 0.9, 0.61), (0.1, 0.205, 0.2)])
def test_of_equal_thresholds_the_nearest_to_one_half_is_taken(low: float, high: float, threshold: float) -> None:
    truth = np.arange(40)[:, None] < 20
    assert choose_thresholds(truth, np.where(truth, high, low).astype(np.float32)).values == (threshold,)


def test_classes_with_few_examples_follow_the_others_and_many_examples_decide_alone() -> None:
    truth = np.zeros((2000, 3), bool)
    truth[:200, 0] = truth[:1500, 1] = truth[:1, 2] = True
    probabilities = np.empty((2000, 3), np.float32)
    for i, (low, high) in enumerate(((0.1, 0.35), (0.655, 0.9), (0.1, 0.9))):
        probabilities[:, i] = np.where(truth[:, i], high, low)
    chosen = choose_thresholds(truth, probabilities)
    assert chosen.values[1] == 0.66
    assert chosen.values[0] <= 0.35
    assert chosen.few == (2,)
    assert chosen.values[2] == 0.66  # of the two others, most answers are about the second
    assert chosen.describe(("a", "b", "owl"), 2000).endswith("owl.")
    assert "2,000 images: 300 of validation, and 1,700 of training" in chosen.describe(("a", "b", "owl"), 300, 1700)


def test_too_few_examples_in_all_keep_one_half() -> None:
    truth = np.zeros((40, 4), bool)
    truth[: MIN_EXAMPLES - 1, 3] = True
    chosen = choose_thresholds(truth, np.where(truth, 0.2, 0.1).astype(np.float32))
    assert chosen.values == (0.5,) * 4
    assert chosen.is_default
    assert "0.5" in chosen.describe(("a", "b", "c", "d"), 40)
    assert choose_thresholds(truth[:0], np.empty((0, 4), np.float32)).is_default


NAMES = ("cat", "a, b|c;d", 'quote "x"', "p:0.5:colon", "niño\nline")


def make_predictions(groups: np.ndarray | None = None) -> MultilabelPredictions:
    truth, probabilities = make_set(6, len(NAMES), seed=3)
    probabilities[0, 0] = np.float32(1 / 3)
    is_known = np.array([True, True, False, True, True, True])
    return MultilabelPredictions(
        tuple("abcdea"),
        tuple(f"photo {i}.png" for i in range(6)),
        truth & is_known[:, None],
        is_known,
        probabilities,
        Classes(NAMES),
        np.array([0.5, 0.25, 1 / 3, 0.7, 0.01]),
        groups,
    )


@pytest.mark.parametrize("groups", [None, np.array([0, 1, 1, 2, 3, 0])])
def test_a_file_restores_the_predictions_exactly(groups: np.ndarray | None, tmp_path: Path) -> None:
    before = make_predictions(groups)
    before.save(tmp_path / "p.csv")
    assert MultilabelPredictions.is_own_file(tmp_path / "p.csv")
    after = MultilabelPredictions.load(tmp_path / "p.csv")
    assert (after.keys, after.names, after.classes) == (before.keys, before.names, before.classes)
    for name in ("truth", "is_known", "probabilities", "thresholds"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert (after.groups is None) == (groups is None)
    assert after.compute_metrics().to_dict() == before.compute_metrics().to_dict()


def test_images_of_unknown_classes_are_not_measured() -> None:
    predictions = make_predictions()
    known = predictions.select(np.flatnonzero(predictions.is_known))
    assert predictions.compute_metrics().to_dict() == known.compute_metrics().to_dict()
    assert known.compute_metrics().count == 5


def test_classes_in_another_order_give_the_same_figures() -> None:
    predictions = make_predictions()
    turned = predictions.reorder_classes(Classes(NAMES[::-1]))
    np.testing.assert_array_equal(turned.truth, predictions.truth[:, ::-1])
    assert turned.compute_metrics().map.value == pytest.approx(predictions.compute_metrics().map.value)
    assert turned.reorder_classes(Classes(NAMES)).thresholds.tolist() == predictions.thresholds.tolist()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",[],", ",cat,", "is no list of classes"),
        (",[],", ',"[""dog""]",', "not among the classes"),
        (",[],", ",[1],", "is no list of classes"),
        ("p:0.5:cat", "cat", "header"),
        ("p:0.5:cat", "p:7:cat", "header"),
        ("p:0.5:cat", "p:x:cat", "header"),
        ("0.333333343", "much", "not a number"),
        ("0.333333343", "1.5", "between 0 and 1"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(old: str, new: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    predictions = make_predictions()
    truth = predictions.truth.copy()
    truth[0] = False
    MultilabelPredictions(**{**vars(predictions), "truth": truth}).save(path)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(DataError, match=reason) as caught:
        MultilabelPredictions.load(path)
    assert "p.csv:" in str(caught.value)


@given(st.binary(max_size=60))
def test_any_other_file_is_refused_or_read(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.csv"
        path.write_bytes(b"key,name,truths,predicted,p:0.5:cat\r\n" + content)
        try:
            count = len(MultilabelPredictions.load(path))
        except DataError as error:
            problem = str(error)
        else:
            problem = ""
            assert count <= content.count(b"\n") + 1
        assert not problem or "p.csv:" in problem
