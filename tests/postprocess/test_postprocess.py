"""Detection decoding: encoded boxes come back, and suppression keeps the best of duplicates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lince import postprocess, preprocess
from lince.errors import UsageError
from lince.postprocess import DetectionFilter, yolox
from lince.preprocess import PreprocessSpec

SPEC = PreprocessSpec(96, 128, "corner", "bgr", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
ALL = DetectionFilter(iou_threshold=1.0)


@st.composite
def truths(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int32], tuple[int, int]]:
    height, width = draw(st.integers(8, 3000)), draw(st.integers(8, 3000))
    count = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    corner = rng.uniform(0, 0.9, (count, 2))
    far = corner + rng.uniform(0.01, 1, (count, 2)) * (1 - corner)
    boxes = np.concatenate([corner, far], 1) * [width, height, width, height]
    return boxes, rng.integers(0, 4, count).astype(np.int32), (height, width)


@settings(max_examples=80, deadline=None)
@given(truth=truths(), resize=st.sampled_from(preprocess.RESIZE_MODES[:1] + preprocess.PADDED_RESIZE_MODES))
def test_encoded_truth_comes_back(truth: tuple, resize: str) -> None:  # type: ignore[type-arg]
    boxes, class_ids, size = truth
    spec = PreprocessSpec(96, 128, resize)
    found = yolox.decode(yolox.encode(boxes, class_ids, size, spec, 4), size, spec, ALL)
    assert len(found) == len(boxes)
    assert (found.scores == 1).all()
    left = list(range(len(found)))
    for box, class_id in zip(boxes, class_ids, strict=True):
        close = [row for row in left if np.allclose(found.boxes[row], box, atol=max(size) * 1e-5)]
        same = [row for row in close if found.class_ids[row] == class_id]
        assert same, (box, class_id)
        left.remove(same[0])


def test_a_class_stays_with_its_box() -> None:
    boxes = np.array([[2.0, 3, 20, 30], [50, 40, 90, 80], [2, 3, 20, 30]])
    (raw,) = yolox.encode(boxes, np.array([2, 0, 1], np.int32), (96, 128), SPEC, 3)
    found = yolox.decode([raw], (96, 128), SPEC)
    pairs = {
        (int(c), tuple(np.round(b).astype(int).tolist())) for b, c in zip(found.boxes, found.class_ids, strict=True)
    }
    assert pairs == {(2, (2, 3, 20, 30)), (1, (2, 3, 20, 30)), (0, (50, 40, 90, 80))}  # another class is no duplicate


def test_places_are_the_cells_of_three_maps() -> None:
    where = yolox.make_grid(416, 416)
    assert len(where) == 3549
    assert where.cells[:2].tolist() == [[0, 0], [1, 0]]  # along the row first
    assert (where.strides[0], where.strides[52 * 52], where.strides[-1]) == (8, 16, 32)
    assert where.cells[-1].tolist() == [12, 12]


def test_numbers_mean_what_the_paper_says() -> None:
    raw = np.zeros((len(yolox.make_grid(96, 128)), 7), np.float32)
    place = 17  # row 1, column 1 of the map of stride 8
    raw[place] = [0.5, 0.25, np.log(2), np.log(3), 0.8, 0.5, 0.75]
    found = yolox.decode([raw], (192, 256), SPEC)  # the photo is twice the input
    np.testing.assert_allclose(found.boxes, [[8, 0, 40, 44]], atol=1e-4)  # centre (12, 10), size 16 x 24, times two
    assert found.class_ids.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.6])


def _greedy(boxes: NDArray[np.float64], class_ids: NDArray[np.int32], overlap: float) -> list[int]:
    """Return greedy suppression in plain Python: a row is kept unless a kept one of its class overlaps it too much."""
    kept: list[int] = []
    for row, box in enumerate(boxes.tolist()):
        if all(class_ids[row] != class_ids[k] or _iou(box, boxes[k].tolist()) <= overlap for k in kept):
            kept.append(row)
    return kept


def _iou(a: list[float], b: list[float]) -> float:
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60), overlap=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_suppression_is_the_greedy_one(seed: int, count: int, overlap: float) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 12, (count, 2)).astype(np.float64)
    boxes = np.concatenate([corner, corner + rng.integers(1, 10, (count, 2))], 1)
    class_ids = rng.integers(0, 2, count).astype(np.int32)
    expected = _greedy(boxes, class_ids, overlap)
    assert postprocess.nms(boxes, class_ids, overlap, 1000).tolist() == expected
    assert postprocess.nms(boxes, class_ids, overlap, 3).tolist() == expected[:3]


def test_what_is_no_number_or_lies_outside_is_left_out() -> None:
    raw = np.zeros((len(yolox.make_grid(96, 128)), 6), np.float32)
    raw[:6, 4:] = 0.9
    raw[0, 0] = np.nan
    raw[1, 2] = np.inf
    raw[2, 4] = np.nan
    raw[3, 5] = np.nan
    raw[4, :2] = 1000.0  # far to the right of the photo
    raw[5, 2:4] = 3e38  # wider than any photo
    found = yolox.decode([raw], (96, 128), SPEC)
    assert found.boxes.tolist() == [[0, 0, 128, 96]]


def test_thresholds_may_differ_by_class() -> None:
    (raw,) = yolox.encode(
        np.array([[1.0, 1, 20, 20], [40, 40, 80, 80]]), np.array([0, 1], np.int32), (96, 128), SPEC, 2
    )
    raw[:, 4] *= 0.5
    assert yolox.decode([raw], (96, 128), SPEC, DetectionFilter((0.6, 0.4))).class_ids.tolist() == [1]
    assert yolox.decode([raw], (96, 128), SPEC, DetectionFilter((0.5, 0.5))).class_ids.tolist() == [0, 1]
    with pytest.raises(UsageError, match=r"threshold cannot be 1\.5"):
        DetectionFilter((0.5, 1.5))


def test_answers_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(252, 5 \+ C\)"):
        yolox.decode([np.zeros((3549, 85), np.float32)], (96, 128), SPEC)


def test_corner_stands_at_the_top_left_and_matrix_agrees() -> None:
    image = np.zeros((50, 200, 3), np.uint8)
    fitted = preprocess.resize_to_input(image, PreprocessSpec(64, 64, "corner"))
    assert (fitted[:16] == 0).all()
    assert (fitted[16:] == preprocess.LETTERBOX_GREY).all()
    assert preprocess.compute_input_matrix(50, 200, PreprocessSpec(64, 64, "corner")).tolist() == [
        [0.32, 0, 0],
        [0, 0.32, 0],
        [0, 0, 1],
    ]
