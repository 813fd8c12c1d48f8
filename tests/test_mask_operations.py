"""Overlaps and crops of run-length masks, against decoded masks and against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lince import mask_operations, rle

SIDES = st.integers(1, 9)


@st.composite
def mask_lists(draw: st.DrawFn) -> tuple[list[np.ndarray], list[np.ndarray]]:
    shape = draw(st.tuples(SIDES, SIDES))
    masks = st.lists(arrays.arrays(np.bool_, shape), min_size=0, max_size=4)
    return draw(masks), draw(masks)


@given(mask_lists())
@settings(max_examples=300, deadline=None)
def test_intersections_are_those_of_the_pixels(lists: tuple[list[np.ndarray], list[np.ndarray]]) -> None:
    masks, others = lists
    shared = mask_operations.compute_intersections(*([rle.mask_to_counts(mask) for mask in side] for side in lists))
    expected = [[int((mask & other).sum()) for other in others] for mask in masks]
    np.testing.assert_array_equal(shared, np.array(expected, np.int64).reshape(len(masks), len(others)))


@given(mask_lists(), st.integers(0, 15))
@settings(max_examples=200, deadline=None)
def test_overlaps_are_those_of_pycocotools(lists: tuple[list[np.ndarray], list[np.ndarray]], bits: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    masks, others = lists
    if not masks or not others:
        return
    is_crowd = np.array([bool(bits >> i & 1) for i in range(len(others))])
    encoded = [[coco.encode(np.asfortranarray(mask, np.uint8)) for mask in side] for side in lists]
    expected = coco.iou(*encoded, is_crowd.astype(np.uint8).tolist())
    counts = [[rle.mask_to_counts(mask) for mask in side] for side in lists]
    found = mask_operations.compute_mask_ious(*counts, is_crowd)
    np.testing.assert_allclose(found, np.nan_to_num(expected), atol=1e-12)


@given(arrays.arrays(np.bool_, st.tuples(SIDES, SIDES)), st.data())
@settings(max_examples=300, deadline=None)
def test_a_crop_comes_out_as_the_slice_and_goes_in_again(mask: np.ndarray, data: st.DataObject) -> None:
    height, width = mask.shape
    left, right = sorted((data.draw(st.integers(0, width)), data.draw(st.integers(0, width))))
    top, bottom = sorted((data.draw(st.integers(0, height)), data.draw(st.integers(0, height))))
    counts = rle.mask_to_counts(mask)
    crop = mask_operations.decode_crop(counts, height, (left, top, right, bottom))
    np.testing.assert_array_equal(crop, mask[top:bottom, left:right])
    inside = np.zeros_like(mask)
    inside[top:bottom, left:right] = crop
    np.testing.assert_array_equal(
        mask_operations.encode_crop(crop, left, top, (height, width)), rle.mask_to_counts(inside)
    )


def test_run_lengths_of_zero_count_as_nothing() -> None:
    counts = np.array([0, 3, 0, 2, 4], np.int64)
    other = np.array([2, 4, 3], np.int64)
    assert mask_operations.compute_intersections([counts], [other]).tolist() == [[3]]
