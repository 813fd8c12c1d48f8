"""Metrics of semantic segmentation: equal to scikit-learn's, contours to a plain computation, the file, comparisons."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lince.annotations import Classes
from lince.class_maps import VOID
from lince.errors import DataError
from lince.evaluation.segmentation import pixel_counts
from lince.evaluation.segmentation.comparison import compare_segmenters
from lince.evaluation.segmentation.metrics import SegmentationMetrics, compute_mean_iou, compute_segmentation_metrics
from lince.evaluation.segmentation.packed_map import PackedMap
from lince.evaluation.segmentation.photo_selection import PhotoFigures
from lince.evaluation.segmentation.pixel_counts import PixelCounts, count_pixels
from lince.evaluation.segmentation.predictions import SegmentationPredictions

TOLERANCE = 1e-9
Maps = Sequence[tuple[np.ndarray, np.ndarray]]  # truth and prediction of each photo


def make_classes(count: int) -> Classes:
    return Classes(tuple(f"class {i}" for i in range(count)))


def measure(maps: Maps, class_count: int) -> SegmentationMetrics:
    counts = [count_pixels(truth, predicted, class_count) for truth, predicted in maps]
    return compute_segmentation_metrics(counts, make_classes(class_count))


def make_photos(count: int, class_count: int = 3, seed: int = 0, noise: float = 0.1) -> Maps:
    """Return ``count`` photos with rectangles of classes, and predictions of which a fraction ``noise`` is wrong."""
    rng = np.random.default_rng(seed)
    photos = []
    for _i in range(count):
        truth = np.zeros((24, 32), np.uint8)
        for _k in range(2):
            top, left = rng.integers(0, 14, 2)
            truth[top : top + 9, left : left + 12] = rng.integers(1, class_count + 1)
        is_noise = rng.random(truth.shape) < noise
        random = rng.integers(0, class_count + 1, truth.shape).astype(np.uint8)
        photos.append((truth, np.where(is_noise, random, truth)))
    return photos


def make_predictions(maps: Maps, class_count: int = 3, groups: np.ndarray | None = None) -> SegmentationPredictions:
    return SegmentationPredictions(
        tuple(f"{i:032x}" for i in range(len(maps))),
        tuple(f"photo {i}, ñ.png" for i in range(len(maps))),
        tuple(count_pixels(truth, predicted, class_count) for truth, predicted in maps),
        make_classes(class_count),
        groups,
    )


@st.composite
def photo_sets(draw: st.DrawFn) -> tuple[Maps, int]:
    """Draw one to four photos of up to 12 x 12 pixels, with void pixels, at least one of which shows a class."""
    class_count = draw(st.integers(1, 4))
    maps = []
    for _i in range(draw(st.integers(1, 4))):
        shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
        truth = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, class_count + 1)))
        truth[truth > class_count] = VOID
        maps.append((truth, draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, class_count)))))
    maps[0][0][0, 0] = draw(st.integers(1, class_count))
    return maps, class_count


@given(photo_sets())
def test_all_figures_equal_those_of_scikit_learn(case: tuple[Maps, int]) -> None:
    compare_with_scikit_learn(*case)


def test_a_large_set_equals_scikit_learn() -> None:
    compare_with_scikit_learn(make_photos(60, 6), 6)


def compare_with_scikit_learn(maps: Maps, class_count: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    metrics = measure(maps, class_count)
    truth = np.concatenate([truth.ravel() for truth, _predicted in maps])
    predicted = np.concatenate([predicted.ravel() for _truth, predicted in maps])
    truth, predicted = truth[truth != VOID], predicted[truth != VOID]
    labels = list(range(class_count + 1))
    np.testing.assert_array_equal(metrics.confusion, sklearn.confusion_matrix(truth, predicted, labels=labels))
    present = np.union1d(truth, predicted)
    assert metrics.miou.value == pytest.approx(
        sklearn.jaccard_score(truth, predicted, labels=present, average="macro"), abs=TOLERANCE
    )
    assert metrics.figures.pixel_accuracy.value == pytest.approx(
        sklearn.accuracy_score(truth, predicted), abs=TOLERANCE
    )
    options = {"labels": labels, "average": None, "zero_division": np.nan}
    for name, function in (
        ("dice", sklearn.f1_score),
        ("precision", sklearn.precision_score),
        ("recall", sklearn.recall_score),
    ):
        found = [score.list_figures()[name] for score in (metrics.background, *metrics.scores)]
        values = [np.nan if item is None else item.value for item in found]
        np.testing.assert_allclose(values, function(truth, predicted, **options), atol=TOLERANCE)
    ious = [np.nan if score.iou is None else score.iou.value for score in (metrics.background, *metrics.scores)]
    expected = sklearn.jaccard_score(truth, predicted, labels=labels, average=None, zero_division=0)
    np.testing.assert_allclose(ious, np.where(np.isin(labels, present), expected, np.nan), atol=TOLERANCE)


def test_the_mean_iou_equals_that_of_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    torchmetrics = pytest.importorskip("torchmetrics.classification")
    maps = [(truth.copy(), predicted) for truth, predicted in make_photos(40, 5)]
    for truth, _predicted in maps:
        truth[:2] = VOID
    metrics = measure(maps, 5)
    jaccard = torchmetrics.MulticlassJaccardIndex(6, average="macro", ignore_index=VOID)
    truth, predicted = (torch.from_numpy(np.stack([pair[i] for pair in maps]).astype(np.int64)) for i in range(2))
    assert metrics.miou.value == pytest.approx(float(jaccard(predicted, truth)), abs=1e-6)


def count_band_pixels(truth: np.ndarray, predicted: np.ndarray, value: int) -> tuple[int, int]:
    """Return intersection and union of the contour bands of a class: pixels with others, or the border, around them."""
    height, width = truth.shape
    distance = max(1, round(0.02 * (height**2 + width**2) ** 0.5))
    bands = []
    for class_map in (truth, predicted):
        mask = class_map == value
        around = np.lib.stride_tricks.sliding_window_view(np.pad(mask, distance), (2 * distance + 1,) * 2)
        bands.append(mask & ~around.all(axis=(2, 3)))
    return int((bands[0] & bands[1]).sum()), int((bands[0] | bands[1]).sum())


@given(st.integers(0, 10_000), st.integers(1, 150), st.integers(1, 150))
def test_contours_equal_a_plain_computation(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    maps = [np.zeros((height, width), np.uint8) for _i in range(2)]
    for class_map in maps:
        for _k in range(3):
            top, left = rng.integers(0, height), rng.integers(0, width)
            class_map[top : top + rng.integers(1, 90), left : left + rng.integers(1, 90)] = rng.integers(0, 3)
    found = {value: (shared, joined) for value, shared, joined in count_pixels(*maps, 2).contours.tolist()}
    present = sorted(set(np.unique(maps)) - {0})
    assert found == {value: count_band_pixels(*maps, value) for value in present}


def test_the_boundary_iou_is_the_mean_over_the_classes() -> None:
    maps = make_photos(12, 3, noise=0.02)
    sums = np.zeros((4, 2))
    for truth, predicted in maps:
        for value in range(1, 4):
            sums[value] += count_band_pixels(truth, predicted, value)
    figure = measure(maps, 3).figures.boundary_iou
    assert figure is not None
    assert figure.value == pytest.approx(float((sums[1:, 0] / sums[1:, 1]).mean()), abs=TOLERANCE)
    assert figure.low <= figure.value <= figure.high


def test_contours_are_not_known_beside_void_pixels() -> None:
    maps = [(truth.copy(), predicted) for truth, predicted in make_photos(8)]
    maps[3][0][0, 0] = VOID
    metrics = measure(maps, 3)
    assert metrics.figures.boundary_iou is None
    assert metrics.to_dict()["boundary_iou"] is None
    assert metrics.void_pixels == 1
    assert metrics.void_share == pytest.approx(1 / (8 * 24 * 32))


def test_areas_are_compared_photo_by_photo() -> None:
    truth = np.zeros((2, 10, 10), np.uint8)
    truth[:, :5] = 1
    predicted = truth.copy()
    predicted[0, 5] = 1  # 60 of 50 pixels
    predicted[1, 4] = 0  # 40 of 50
    score = measure(list(zip(truth, predicted, strict=True)), 1).scores[0]
    assert score.area_error == pytest.approx(0.2)
    assert score.area_bias == pytest.approx(0.0)


def test_the_mean_dice_leaves_out_photos_of_background_alone() -> None:
    maps = make_photos(10, 3)
    empty = np.zeros((5, 5), np.uint8)
    expected = []
    for truth, predicted in maps:
        values = sorted((set(np.unique(truth)) | set(np.unique(predicted))) - {0})
        dice = [
            2 * ((truth == v) & (predicted == v)).sum() / ((truth == v).sum() + (predicted == v).sum()) for v in values
        ]
        expected.append(np.mean(dice))
    figure = measure([*maps, (empty, empty)], 3).figures.mean_dice
    assert figure is not None
    assert figure.value == pytest.approx(float(np.mean(expected)), abs=TOLERANCE)


def test_void_pixels_count_nowhere() -> None:
    maps = make_photos(6)
    voided = []
    for truth, predicted in maps:
        wider = np.full((truth.shape[0] + 3, truth.shape[1]), VOID, np.uint8)
        wider[3:] = truth
        said = np.full_like(wider, 2)
        said[3:] = predicted
        voided.append((wider, said))
    before, after = measure(maps, 3), measure(voided, 3)
    np.testing.assert_array_equal(before.confusion, after.confusion)
    assert before.miou == after.miou


def test_the_mean_iou_of_an_epoch_is_that_of_the_report() -> None:
    maps = make_photos(9)
    counts = [count_pixels(*pair, 3) for pair in maps]
    assert compute_mean_iou(counts, 3) == pytest.approx(measure(maps, 3).miou.value, abs=1e-15)
    assert np.isnan(compute_mean_iou([count_pixels(np.full((2, 2), VOID, np.uint8), np.zeros((2, 2), np.uint8), 3)], 3))


def test_strips_give_the_counts_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = make_photos(1)[0]
    whole = count_pixels(*pair, 3)
    monkeypatch.setattr(pixel_counts, "_STRIP_PIXELS", 50)
    np.testing.assert_array_equal(count_pixels(*pair, 3).cells, whole.cells)


@pytest.mark.parametrize(
    ("truth", "predicted"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)),
        (np.zeros((2, 3), np.int64), np.zeros((2, 3), np.uint8)),
        (np.full((2, 3), 3, np.uint8), np.zeros((2, 3), np.uint8)),
        (np.zeros((2, 3), np.uint8), np.full((2, 3), VOID, np.uint8)),
    ],
)
def test_maps_that_do_not_fit_are_refused(truth: np.ndarray, predicted: np.ndarray) -> None:
    with pytest.raises(ValueError, match="class maps"):
        count_pixels(truth, predicted, 2)


def test_254_classes_are_told_from_void() -> None:
    truth = np.array([[254, VOID, 0]], np.uint8)
    counts = count_pixels(truth, np.array([[254, 254, 254]], np.uint8), 254)
    assert counts.cells.tolist() == [[0, 254, 1], [254, 254, 1]]
    assert counts.has_void


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(DataError, match="no image to evaluate"):
        compute_segmentation_metrics([], make_classes(2))
    with pytest.raises(DataError, match="no image with a class"):
        measure([(np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8))], 1)


def test_the_mean_says_what_it_is_the_mean_of() -> None:
    truth = np.ones((4, 4), np.uint8)
    predicted = truth.copy()
    predicted[0, 0] = 3
    metrics = measure([(truth, predicted)], 3)
    assert metrics.counted_names == ("class 0", "class 2")  # there is no background, and nowhere the second class
    assert metrics.to_dict()["mean_over"] == ["class 0", "class 2"]
    assert metrics.miou.value == pytest.approx((15 / 16 + 0) / 2)
    assert set(metrics.scores[1].explain_undefined()) == {
        "iou", "dice", "precision", "recall", "area_error", "area_bias"
    }  # fmt: skip
    assert metrics.baseline == ("class 0", 1.0)


def test_intervals_contain_their_figures_and_shrink_with_more_photos() -> None:
    widths = []
    for count in (12, 192):
        figures = measure(make_photos(count, noise=0.3), 3).figures
        for item in vars(figures).values():
            assert 0 <= item.low <= item.value <= item.high <= 1
        widths.append(figures.miou.high - figures.miou.low)
    assert widths[1] < widths[0] / 2


def test_copies_in_groups_widen_the_intervals() -> None:
    maps = [pair for pair in make_photos(10, noise=0.4) for _copy in range(8)]
    alone = make_predictions(maps).compute_metrics().miou
    grouped = make_predictions(maps, groups=np.repeat(np.arange(10), 8)).compute_metrics().miou
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


@given(photo_sets())
def test_a_file_restores_the_predictions_exactly(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[Maps, int]
) -> None:
    maps, class_count = case
    path = tmp_path_factory.mktemp("niño") / "predictions.csv"
    written = make_predictions(maps, class_count, np.arange(len(maps)) // 2)
    written.save(path)
    read = SegmentationPredictions.load(path)
    assert SegmentationPredictions.is_own_file(path)
    assert (read.keys, read.names, read.classes) == (written.keys, written.names, written.classes)
    for old, new in zip(written.counts, read.counts, strict=True):
        assert (old.height, old.width) == (new.height, new.width)
        np.testing.assert_array_equal(old.cells, new.cells)
        np.testing.assert_array_equal(old.contours, new.contours)
    assert read.compute_metrics().to_dict() == written.compute_metrics().to_dict()


def test_a_file_keeps_names_and_groups(tmp_path: Path) -> None:
    classes = Classes(("a,b", 'quo"te', "p:x"))
    written = SegmentationPredictions(
        ("0" * 32, "1" * 32, "2" * 32),
        ("línea\nnueva.png", "b.png", "c.png"),
        tuple(count_pixels(*pair, 3) for pair in make_photos(3)),
        classes,
        np.array([0, 1, 0]),
    )
    written.save(tmp_path / "p.csv")
    read = SegmentationPredictions.load(tmp_path / "p.csv")
    assert read.classes == classes
    assert read.names == written.names
    np.testing.assert_array_equal(read.groups, written.groups)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("0:", "x:", "is no list of pixel counts"),
        ("0:", "9:", "is no list of pixel counts"),
        (",768,", ",767,", "do not add up"),
        (",768,", ",many,", "is no number of pixels"),
        (",24,", ",2,", "do not add up"),
        ("p:class 1", "class 1", "header"),
        ("background", "ground", "header"),
        ("p:class 1", "p:class 0", "class 0"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(old: str, new: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    make_predictions(make_photos(3)).save(path)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DataError, match=reason) as refused:
        SegmentationPredictions.load(path)
    assert f"{path}:" in str(refused.value)


@given(st.binary(max_size=80))
def test_any_other_file_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "predictions.csv"
    path.write_bytes(b"key,name,width,height,pixels,contour,background,p:a\r\n" + content)
    with contextlib.suppress(DataError):
        assert len(SegmentationPredictions.load(path)) <= 40


def test_classes_in_another_order_give_the_same_figures() -> None:
    predictions = make_predictions(make_photos(8))
    other = Classes(("class 2", "class 0", "class 1"))
    moved = predictions.reorder_classes(other)
    assert moved.classes == other
    before = {score.name: score.to_dict() for score in predictions.compute_metrics().scores}
    assert {score.name: score.to_dict() for score in moved.compute_metrics().scores} == before
    back = moved.reorder_classes(predictions.classes)
    for old, new in zip(predictions.counts, back.counts, strict=True):
        np.testing.assert_array_equal(old.cells, new.cells)
        np.testing.assert_array_equal(old.contours, new.contours)


def test_selecting_takes_all_columns_along() -> None:
    predictions = make_predictions(make_photos(5), groups=np.arange(5))
    chosen = predictions.select([4, 1])
    assert chosen.keys == (predictions.keys[4], predictions.keys[1])
    assert chosen.counts == (predictions.counts[4], predictions.counts[1])
    np.testing.assert_array_equal(chosen.groups, [4, 1])


def test_a_run_does_not_differ_from_its_copy_and_a_better_one_is_better() -> None:
    poor, good = make_predictions(make_photos(30, noise=0.5)), make_predictions(make_photos(30, noise=0.5))
    good = SegmentationPredictions(
        poor.keys, poor.names, tuple(count_pixels(t, t, 3) for t, _p in make_photos(30, noise=0.5)), poor.classes
    )
    comparison = compare_segmenters({"poor": poor, "copy": poor, "good": good})
    _first, copy, better = comparison.runs
    assert copy.difference is not None
    assert better.difference is not None
    assert (copy.difference.miou.value, copy.difference.outcome) == (0.0, "unclear")
    assert better.difference.outcome == "better"
    assert better.difference.miou.value == pytest.approx(1 - comparison.runs[0].metrics.miou.value)
    assert all(item.difference is not None and item.difference.low > 0 for item in better.difference.classes)
    backward = compare_segmenters({"good": good, "poor": poor}).runs[1].difference
    assert backward is not None
    assert backward.outcome == "worse"
    assert "good is better than poor" in comparison.build_view().outcomes[1]


def test_photos_are_matched_by_content_and_labels_whatever_their_order() -> None:
    maps = make_photos(12)
    first = make_predictions(maps)
    order = list(range(12))[::-1]
    comparison = compare_segmenters(
        {"a": first, "b": first.select(order).reorder_classes(Classes(("class 1", "class 2", "class 0")))}
    )
    assert comparison.runs[1].difference is not None
    assert comparison.runs[1].difference.miou.value == 0.0
    with pytest.raises(DataError, match="test sets differ"):
        compare_segmenters({"a": first, "b": first.select(range(6))})
    relabelled = [(np.where(truth == 1, 2, truth).astype(np.uint8), predicted) for truth, predicted in maps]
    with pytest.raises(DataError, match="test sets differ"):
        compare_segmenters({"a": first, "b": make_predictions(relabelled)})


def test_the_worst_photos_come_first() -> None:
    maps = [make_photos(1, noise=noise, seed=seed)[0] for seed, noise in enumerate((0.0, 0.6, 0.2, 0.0))]
    empty = np.zeros((24, 32), np.uint8)
    void = np.full((24, 32), VOID, np.uint8)
    figures = PhotoFigures.measure(make_predictions([*maps, (empty, empty), (void, empty)]))
    worst = figures.select_worst(8)
    assert worst.tolist() == [1, 2]
    assert figures.select_best(8, worst).tolist() == [0, 3]


def test_a_packed_map_is_reduced_and_restored() -> None:
    class_map = make_photos(1)[0][0]
    np.testing.assert_array_equal(PackedMap.pack(class_map).unpack(), class_map)
    small = PackedMap.pack(class_map, 16).unpack()
    assert small.shape == (12, 16)
    assert set(np.unique(small)) <= set(np.unique(class_map))


def test_counts_know_their_void_pixels() -> None:
    counts = PixelCounts(2, 2, np.array([[0, 0, 3]]), np.empty((0, 3), np.int64))
    assert (counts.counted, counts.has_void) == (3, True)
