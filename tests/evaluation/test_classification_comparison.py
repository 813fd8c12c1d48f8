"""Classification predictions on disk and run comparison: round trips, refusals, p values against SciPy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lince.annotations import Classes
from lince.errors import DataError, UsageError
from lince.evaluation.classification.comparison import compare_classifiers, mcnemar
from lince.evaluation.classification.predictions import ClassificationPredictions

FLOWERS = Classes(("daisy", "roses", "tulips"))


def answers(
    truth: list[int], predicted: list[int], classes: Classes = FLOWERS, start: int = 0
) -> ClassificationPredictions:
    """Return predictions of ``predicted`` with probability 0.7, on images named by their position."""
    rest = 0.3 / (len(classes) - 1)
    shares = np.full((len(truth), len(classes)), rest, np.float32)
    shares[np.arange(len(truth)), predicted] = 0.7
    keys = tuple(f"{i + start:032x}" for i in range(len(truth)))
    names = tuple(f"photos/{i + start}.jpg" for i in range(len(truth)))
    return ClassificationPredictions(keys, names, np.array(truth, np.int32), shares, classes)


def same(one: ClassificationPredictions, other: ClassificationPredictions) -> bool:
    return (
        (one.keys, one.names, one.classes) == (other.keys, other.names, other.classes)
        and np.array_equal(one.truth, other.truth)
        and np.array_equal(one.probabilities, other.probabilities)
        and other.probabilities.dtype == np.float32
    )


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(data=st.data(), labels=st.lists(names, min_size=1, max_size=4, unique=True))
def test_predictions_survive_the_file_exactly(tmp_path_factory, data, labels):
    count = data.draw(st.integers(0, 5))
    shares = data.draw(
        st.lists(
            st.lists(st.floats(0, 1, width=32), min_size=len(labels), max_size=len(labels)),
            min_size=count,
            max_size=count,
        )
    )
    truth = data.draw(st.lists(st.integers(-1, len(labels) - 1), min_size=count, max_size=count))
    called = data.draw(st.lists(names, min_size=count, max_size=count))
    given_ = ClassificationPredictions(
        tuple(f"{i:032x}" for i in range(count)),
        tuple(called),
        np.array(truth, np.int32),
        np.array(shares, np.float32).reshape(count, len(labels)),
        Classes(tuple(labels)),
    )
    path = tmp_path_factory.mktemp("run") / "predictions.csv"
    given_.save(path)
    assert same(given_, ClassificationPredictions.load(path))


def test_a_file_name_that_is_not_unicode_survives(awkward):
    odd = b"ni\xf1o.jpg".decode("utf-8", "surrogateescape")
    given_ = answers([0], [1])
    given_ = ClassificationPredictions(given_.keys, (odd,), given_.truth, given_.probabilities, FLOWERS)
    given_.save(awkward / "predictions.csv")
    assert ClassificationPredictions.load(awkward / "predictions.csv").names == (odd,)


@pytest.mark.parametrize(
    ("line", "change", "reason"),
    [
        (1, "key,name,truth,p:a", "header"),
        (1, "key,name,truth,predicted,daisy", "header"),
        (3, "ff,x.jpg,roses,roses,0.1", "5 columns instead of 7"),
        (3, "ff,x.jpg,lilies,roses,0.1,0.2,0.7", "'lilies' is not among"),
        (3, "ff,x.jpg,roses,roses,0.1,much,0.7", "not a number"),
        (3, "ff,x.jpg,roses,roses,0.1,nan,0.7", "not between 0 and 1"),
        (3, "ff,x.jpg,roses,roses,0.1,7,0.7", "not between 0 and 1"),
        (3, 'ff,"x".jpg,roses,roses,0.1,0.2,0.7', "expected after"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, change, reason):
    path = tmp_path / "predictions.csv"
    answers([0, 1, 2], [0, 1, 1]).save(path)
    lines = path.read_text().splitlines()
    lines[line - 1] = change
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        ClassificationPredictions.load(path)
    assert f"predictions.csv:{line}: " in caught.value.problem
    assert reason in caught.value.problem


def test_an_empty_or_missing_file_is_refused(tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.csv:1"):
        ClassificationPredictions.load(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="cannot be read"):
        ClassificationPredictions.load(tmp_path / "absent.csv")


def test_arrays_that_do_not_fit_are_refused():
    one = answers([0, 1], [0, 1])
    with pytest.raises(ValueError, match="do not fit"):
        ClassificationPredictions(one.keys, one.names, one.truth[:1], one.probabilities, FLOWERS)
    with pytest.raises(ValueError, match="needs a name"):
        ClassificationPredictions(one.keys, one.names, one.truth, one.probabilities, Classes(("", "a", "b")))


def test_metrics_pass_over_unlabelled_images():
    assert answers([0, -1, 1], [0, 2, 2]).compute_metrics().accuracy.value == 0.5


def test_what_changed_between_two_runs():
    truth = [0] * 10 + [1] * 10 + [2] * 10
    old = answers(truth, [1] * 8 + [0] * 2 + [1] * 10 + [2] * 10)
    new = answers(truth, [0] * 10 + [2] + [1] * 9 + [2] * 10)
    result = compare_classifiers({"old": old, "new": new})
    difference = result.runs[1].difference
    assert result.runs[0].difference is None
    assert difference.accuracy.value == pytest.approx(7 / 30)
    assert difference.accuracy.low > 0
    assert [change.name for change in difference.newly_correct] == [f"photos/{i}.jpg" for i in range(8)]
    assert difference.newly_correct[0].before == "roses"
    assert [vars(change) for change in difference.newly_wrong] == [
        {"name": "photos/10.jpg", "truth": "roses", "before": "roses", "after": "tulips"}
    ]
    assert difference.outcome == "better"
    assert [(item.before, item.after) for item in difference.classes] == [(0.2, 1.0), (1.0, 0.9), (1.0, 1.0)]
    assert compare_classifiers({"new": new, "old": old}).runs[1].difference.outcome == "worse"
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_paired_interval_is_that_of_resampled_pairs():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 300)
    one = np.where(rng.random(300) < 0.8, truth, (truth + 1) % 3)
    two = np.where(rng.random(300) < 0.85, truth, (truth + 1) % 3)
    per_image = (two == truth).astype(float) - (one == truth)
    draws = per_image[rng.integers(0, 300, (20_000, 300))].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    found = compare_classifiers(
        {"a": answers(truth.tolist(), one.tolist()), "b": answers(truth.tolist(), two.tolist())}
    )
    accuracy = found.runs[1].difference.accuracy
    assert (accuracy.low, accuracy.high) == (pytest.approx(low, abs=0.008), pytest.approx(high, abs=0.008))


def test_runs_that_answer_alike_show_no_difference():
    one = answers([0, 1, 2], [0, 1, 1])
    difference = compare_classifiers({"a": one, "b": one}).runs[1].difference
    assert (difference.accuracy.value, difference.p_value, difference.outcome) == (0.0, 1.0, "unclear")
    assert difference.accuracy.low < 0 < difference.accuracy.high


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 5), (9, 2), (2, 9), (40, 61), (900, 1100)])
def test_p_values_are_those_of_the_exact_binomial_test(gained, lost):
    binomtest = pytest.importorskip("scipy.stats").binomtest
    expected = binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_order_of_images_and_classes_does_not_matter():
    truth, predicted = [0, 1, 2, 0, 1, -1], [0, 1, 1, 2, 1, 0]
    one = answers(truth, predicted)
    other = one.select([5, 3, 1, 4, 0, 2]).reorder_classes(Classes(("tulips", "daisy", "roses")))
    assert not np.array_equal(one.probabilities[:, 0], other.probabilities[:, 0])
    result = compare_classifiers({"a": one, "b": other})
    assert result.count == 5
    assert result.runs[1].difference.p_value == 1.0
    assert result.runs[0].metrics.to_dict() == result.runs[1].metrics.to_dict()


def test_copies_of_one_photo_are_matched_each_with_its_own_label():
    one = answers([0, 1, 0], [0, 0, 0])
    one = ClassificationPredictions(("k", "k", "k"), one.names, one.truth, one.probabilities, FLOWERS)
    result = compare_classifiers({"a": one, "b": one.select([1, 2, 0])})
    assert result.count == 3
    assert result.runs[1].difference.outcome == "unclear"


def test_different_test_sets_are_refused_unless_the_shared_part_is_asked_for():
    one, two = answers([0, 1, 2, 0], [0, 1, 2, 1]), answers([1, 2, 0, 1], [1, 2, 0, 1], start=1)
    with pytest.raises(DataError, match=r"3 images are in all of them \(one: 4, two: 4\)"):
        compare_classifiers({"one": one, "two": two})
    result = compare_classifiers({"one": one, "two": two}, shared_only=True)
    assert (result.count, result.left_out_counts) == (3, {"one": 1, "two": 1})
    assert [change.name for change in result.runs[1].difference.newly_correct] == ["photos/3.jpg"]
    with pytest.raises(DataError, match="0 images"):
        compare_classifiers({"one": one, "two": answers([0], [0], start=99)}, shared_only=True)


def test_a_relabelled_test_set_is_another_one():
    with pytest.raises(DataError, match="2 images are in all"):
        compare_classifiers({"one": answers([0, 1, 2], [0, 1, 2]), "two": answers([0, 1, 1], [0, 1, 2])})


def test_different_classes_are_refused_by_name():
    other = answers([0], [0], Classes(("daisy", "roses", "lilies")))
    with pytest.raises(DataError, match="different classes: lilies, tulips"):
        compare_classifiers({"one": answers([0], [0]), "two": other})


def test_one_run_cannot_be_compared():
    with pytest.raises(UsageError):
        compare_classifiers({"one": answers([0], [0])})
