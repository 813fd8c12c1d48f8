"""Masks from prototypes and coefficients: their pixels, their memory, and encoders."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince import postprocess, rle
from lince.postprocess import prototypes
from lince.preprocess import PreprocessSpec, compute_input_matrix

SPEC = PreprocessSpec(64, 96, "corner")


def test_a_mask_is_the_interpolated_sigmoid_above_one_half_inside_the_box() -> None:
    rng = np.random.default_rng(0)
    maps = cv2.GaussianBlur(rng.normal(0, 8, (24, 16, 4)), (0, 0), 2).transpose(2, 1, 0).astype(np.float32)
    coefficients = rng.normal(0, 1, (3, 4)).astype(np.float32)
    size = (128, 192)  # twice the input
    boxes = np.array([[0, 0, 192, 128], [10.5, 20.5, 99.5, 90.5], [30.2, 40.7, 30.9, 41.2]])
    masks = prototypes.draw_masks(maps, coefficients, boxes, size, SPEC)
    for row, box in enumerate(boxes):
        share = 1 / (1 + np.exp(-np.tensordot(coefficients[row], maps, 1)))
        whole = cv2.resize(share, (192, 128), interpolation=cv2.INTER_LINEAR) > 0.5
        y, x = np.mgrid[:128, :192] + 0.5
        inside = (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
        ours = rle.decode(masks[row], *size)
        assert (ours != (whole & inside)).mean() < 2e-4  # OpenCV rounds places to 1/2048
        assert not (ours & ~inside).any()
    assert rle.decode(masks[0], *size).any()


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["corner", "letterbox", "squash"]), st.data())
@settings(max_examples=100, deadline=None)
def test_a_certain_object_fills_its_box(height: int, width: int, resize: str, data: st.DataObject) -> None:
    spec = PreprocessSpec(64, 64, resize)
    left = data.draw(st.integers(0, width - 1))
    top = data.draw(st.integers(0, height - 1))
    box = [left, top, data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))]
    coefficients, maps = prototypes.encode_full_masks(1, (16, 16))
    (text,) = prototypes.draw_masks(maps, coefficients, np.array([box], np.float64), (height, width), spec)
    expected = np.zeros((height, width), bool)
    expected[box[1] : box[3], box[0] : box[2]] = True
    np.testing.assert_array_equal(rle.decode(text, height, width), expected)


@pytest.mark.parametrize("name", ["yolox-prototypes", "ultralytics-prototypes"])
def test_encoded_boxes_come_back_with_masks_that_fill_them(name: str) -> None:
    decoder, spec, size = postprocess.get_decoder(name), PreprocessSpec(64, 64, "letterbox"), (100, 80)
    boxes = np.array([[10, 20, 40, 60], [45, 50, 70, 90]], np.float64)
    outputs = decoder.encode(boxes, np.array([1, 0], np.int32), size, spec, 2)
    found = decoder.decode(outputs, size, spec, postprocess.DEFAULT_FILTER)
    order = np.argsort(found.boxes[:, 0])
    np.testing.assert_allclose(found.boxes[order], boxes, atol=1e-3)
    for row, box in zip(order, boxes, strict=True):
        area = rle.compute_area(rle.string_to_counts(found.masks[int(row)]))
        assert area == pytest.approx((box[2] - box[0]) * (box[3] - box[1]), rel=0.08)


def test_only_kept_boxes_cost_a_mask_and_a_large_photo_takes_bounded_memory() -> None:
    size, spec = (5000, 8000), PreprocessSpec(320, 320, "corner")
    maps = np.random.default_rng(1).normal(0, 1, (32, 80, 80)).astype(np.float32)
    coefficients = np.ones((2, 32), np.float32)
    boxes = np.array([[0, 0, 8000, 5000], [0, 0, 8000, 5000]], np.float64)
    tracemalloc.start()
    masks = prototypes.draw_masks(maps, coefficients, boxes, size, spec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(masks) == 2
    assert peak < 12 * size[0] * size[1]  # bytes: not 4 bytes a pixel for each of the prototypes


def test_places_of_pixels_follow_the_input_matrix() -> None:
    matrix = compute_input_matrix(50, 80, SPEC)
    assert matrix[0, 0] == matrix[1, 1] == pytest.approx(1.2)
