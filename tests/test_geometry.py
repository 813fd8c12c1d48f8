"""Geometry: boxes and points under matrices, against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lince import geometry

SHIFT = np.array([[1.0, 0.0, 5.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]])
side = st.floats(-500, 500)
box = st.tuples(side, side, st.floats(0, 300), st.floats(0, 300)).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
boxes = st.lists(box, max_size=5).map(lambda rows: np.array(rows, np.float64).reshape(-1, 4))
matrices = st.lists(st.floats(-3, 3), min_size=6, max_size=6).map(
    lambda six: np.vstack([np.reshape(six, (2, 3)), [0.0, 0.0, 1.0]])
)


def test_points_move_as_column_vectors():
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(geometry.transform_points(np.array([[2.0, 3.0]]), SHIFT @ turn), [[2.0, 0.0]])


def test_perspective_divides_by_the_depth():
    lens = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.01, 0.0, 1.0]])
    np.testing.assert_allclose(geometry.transform_points(np.array([[100.0, 50.0]]), lens), [[50.0, 25.0]])


def test_a_box_that_reaches_the_horizon_becomes_empty():
    lens = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.01, 0.0, 1.0]])
    moved = geometry.transform_boxes(np.array([[0, 0, 10, 10], [50, 0, 150, 10]]), lens)
    assert moved[0, 2] == pytest.approx(10 / 0.9)
    assert (moved[1] == 0).all()


@given(boxes, matrices)
def test_a_moved_box_is_the_tightest_around_its_moved_corners(given_boxes, matrix):
    moved = geometry.transform_boxes(given_boxes, matrix)
    for (left, top, right, bottom), row in zip(given_boxes, moved, strict=True):
        corners = np.array([[x, y, 1.0] for x in (left, right) for y in (top, bottom)]) @ matrix.T
        np.testing.assert_allclose(row[:2], corners[:, :2].min(axis=0), atol=1e-9)
        np.testing.assert_allclose(row[2:], corners[:, :2].max(axis=0), atol=1e-9)


@given(box, st.lists(st.floats(-1.5, 1.5), min_size=4, max_size=4), st.tuples(side, side))
def test_the_visible_box_is_that_of_the_points_inside(one, turn, move):
    matrix = np.array([[turn[0], turn[1], move[0]], [turn[2], turn[3], move[1]], [0.0, 0.0, 1.0]])
    corners = geometry.transform_corners(np.array([one]), matrix)
    found = geometry.compute_visible_boxes(corners, 100, 200)[0]
    inner = np.linspace(0, 1, 41)
    across, down = np.meshgrid(one[0] + inner * (one[2] - one[0]), one[1] + inner * (one[3] - one[1]))
    points = geometry.transform_points(np.stack([across, down], axis=-1).reshape(-1, 2), matrix)
    seen = points[((points >= 0) & (points <= (200, 100))).all(axis=1)]
    if len(seen):
        assert (seen.min(axis=0) >= found[:2] - 1e-6).all()
        assert (seen.max(axis=0) <= found[2:] + 1e-6).all()
    cut = geometry.clip_boxes(geometry.transform_boxes(np.array([one]), matrix), 100, 200)[0]
    assert (found[2:] - found[:2] <= cut[2:] - cut[:2] + 1e-6).all()


def test_a_tilted_square_that_is_cut_has_a_tighter_box_than_the_cut_box_around_it():
    diamond = np.array([[[-10.0, 50.0], [30.0, 10.0], [70.0, 50.0], [30.0, 90.0]]])
    np.testing.assert_allclose(geometry.compute_visible_boxes(diamond, 100, 100), [[0, 10, 70, 90]])
    np.testing.assert_allclose(geometry.compute_visible_boxes(diamond - [30, 0], 100, 100), [[0, 10, 40, 90]])
    np.testing.assert_allclose(geometry.compute_visible_boxes(diamond - [50, 0], 100, 100), [[0, 30, 20, 70]])
    assert (geometry.compute_visible_boxes(diamond - [90, 0], 100, 100) == 0).all()


def test_a_shape_around_the_whole_frame_shows_all_of_it():
    diamond = np.array([[[-200.0, 50.0], [50.0, -200.0], [300.0, 50.0], [50.0, 300.0]]])
    np.testing.assert_allclose(geometry.compute_visible_boxes(diamond, 100, 100), [[0, 0, 100, 100]])


def test_clip_and_area():
    clipped = geometry.clip_boxes(np.array([[-5, 10, 50, 300], [400, 0, 500, 10]]), 100, 200)
    np.testing.assert_array_equal(clipped, [[0, 10, 50, 100], [200, 0, 200, 10]])
    np.testing.assert_array_equal(geometry.compute_box_areas(clipped), [4500, 0])


def test_turned_over_boxes_have_no_area():
    np.testing.assert_array_equal(geometry.compute_box_areas(np.array([[10, 10, 0, 0], [10, 0, 0, 10]])), [0, 0])


@pytest.mark.parametrize("wrong", [np.zeros(4), np.zeros((2, 3)), np.zeros((1, 2, 4))])
def test_arrays_of_another_shape_are_refused(wrong):
    with pytest.raises(ValueError, match="boxes must be"):
        geometry.transform_boxes(wrong, np.eye(3))


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="points must be"):
        geometry.transform_points(np.zeros((2, 3)), np.eye(3))


# Intersection over union


def intersection_by_definition(a, b):
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def area_by_definition(a):
    return max(0.0, a[2] - a[0]) * max(0.0, a[3] - a[1])


@given(boxes, boxes)
def test_iou_is_that_of_a_plain_loop(some, others):
    iou = geometry.compute_iou(some, others)
    smaller = geometry.compute_overlap_of_smaller(some, others)
    assert iou.shape == smaller.shape == (len(some), len(others))
    assert iou.dtype == np.float64
    for i, a in enumerate(some):
        for j, b in enumerate(others):
            both = intersection_by_definition(a, b)
            union = area_by_definition(a) + area_by_definition(b) - both
            least = min(area_by_definition(a), area_by_definition(b))
            assert geometry.compute_intersections(some, others)[i, j] == pytest.approx(both)
            assert iou[i, j] == pytest.approx(both / union if union > 0 else 0.0)
            assert smaller[i, j] == pytest.approx(both / least if least > 0 else 0.0)


@given(boxes, boxes, st.integers(0, 31))
def test_paired_iou_takes_a_row_of_each_and_divides_by_the_detection_in_a_crowd(some, others, bits):
    count = min(len(some), len(others))
    crowd = np.array([bool(bits >> row & 1) for row in range(count)], np.bool_)
    found = geometry.compute_paired_iou(some[:count], others[:count], crowd)
    plain = geometry.compute_iou(some[:count], others[:count])
    for row in range(count):
        if crowd[row]:
            area = area_by_definition(some[row])
            both = intersection_by_definition(some[row], others[row])
            assert found[row] == pytest.approx(both / area if area > 0 else 0.0)
        else:
            assert found[row] == plain[row, row]


def test_boxes_without_area_have_no_overlap():
    point = np.array([[5.0, 5.0, 5.0, 5.0]])
    assert geometry.compute_iou(point, point)[0, 0] == 0.0
    assert geometry.compute_overlap_of_smaller(point, np.array([[0.0, 0.0, 9.0, 9.0]]))[0, 0] == 0.0
    assert geometry.compute_paired_iou(point, point, np.array([True]))[0] == 0.0


@given(boxes, boxes)
def test_iou_is_that_of_torchvision(some, others):
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops")
    some, others = np.concatenate([some, [[0, 0, 9, 9]]]), np.concatenate([others, [[3, 3, 12, 12]]])
    theirs = ops.box_iou(torch.from_numpy(some), torch.from_numpy(others)).nan_to_num().numpy()
    np.testing.assert_allclose(geometry.compute_iou(some, others), theirs, rtol=1e-9, atol=1e-12)


@given(boxes, boxes, st.booleans())
def test_iou_is_that_of_the_coco_api(some, others, crowd):
    mask = pytest.importorskip("pycocotools.mask")
    some, others = np.concatenate([some, [[0, 0, 9, 9]]]), np.concatenate([others, [[3, 3, 12, 12]]])
    sized = [np.concatenate([rows[:, :2], rows[:, 2:] - rows[:, :2]], axis=1) for rows in (some, others)]
    theirs = np.nan_to_num(mask.iou(*sized, [int(crowd)] * len(others)))
    ours = geometry.compute_iou(some, others)
    if crowd:
        ours = np.stack(
            [
                geometry.compute_paired_iou(some, np.broadcast_to(row, some.shape), np.ones(len(some), np.bool_))
                for row in others
            ],
            axis=1,
        )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
