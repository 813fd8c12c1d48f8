"""Run-length masks: against the COCO API, and outlines against their masks."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as reference

from lince import rle
from lince.errors import DataError
from lince.formats.masks import png

FEW = settings(max_examples=60, deadline=None)


@st.composite
def pictures(draw: st.DrawFn) -> NDArray[np.bool_]:
    height, width = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    bits = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    picture = np.array(bits).reshape(height, width)
    return np.kron(picture, np.ones((3, 2), bool)) if draw(st.booleans()) else picture


@st.composite
def polygons(draw: st.DrawFn) -> NDArray[np.float64]:
    number = st.one_of(st.integers(-20, 60), st.floats(-20, 60), st.floats(-500, 500))
    return np.array(draw(st.lists(st.tuples(number, number), min_size=3, max_size=9)), np.float64)


def encoded(picture: NDArray[np.bool_]) -> dict[str, object]:
    found: dict[str, object] = reference.encode(np.asfortranarray(picture.astype(np.uint8)))
    return found


@FEW
@given(pictures())
def test_text_area_and_box_are_those_of_the_coco_api(picture: NDArray[np.bool_]) -> None:
    text, theirs = rle.encode(picture), encoded(picture)
    assert text.encode() == theirs["counts"]
    assert np.array_equal(rle.decode(text, *picture.shape), picture)
    assert np.array_equal(rle.string_to_counts(text), rle.mask_to_counts(picture))
    assert rle.compute_area(rle.string_to_counts(text)) == reference.area(theirs) == picture.sum()
    left, top, width, height = reference.toBbox(theirs)
    if picture.any():
        assert rle.compute_bounding_box(rle.string_to_counts(text), len(picture)) == (
            left,
            top,
            left + width,
            top + height,
        )
    else:
        assert rle.compute_bounding_box(rle.string_to_counts(text), len(picture)) == (0, 0, 0, 0)


@FEW
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=20))
def test_text_holds_any_counts(counts: list[int]) -> None:
    assert rle.string_to_counts(rle.counts_to_string(np.array(counts))).tolist() == counts


@FEW
@given(pictures())
def test_union_is_that_of_the_coco_api(picture: NDArray[np.bool_]) -> None:
    others = [picture, np.roll(picture, 1, axis=0), np.roll(picture, 2, axis=1)]
    ours = rle.counts_to_string(rle.merge_counts([rle.mask_to_counts(other) for other in others]))
    theirs = reference.merge([encoded(other) for other in others])
    assert ours.encode() == theirs["counts"]


@settings(max_examples=150, deadline=None)
@given(st.lists(polygons(), min_size=1, max_size=3), st.integers(1, 50), st.integers(1, 50))
def test_outlines_cover_the_pixels_that_the_coco_api_says(
    rings: list[NDArray[np.float64]], height: int, width: int
) -> None:
    ours = rle.polygons_to_counts(rings, height, width)
    theirs = reference.merge(reference.frPyObjects([ring.ravel().tolist() for ring in rings], height, width))
    assert rle.counts_to_string(ours).encode() == theirs["counts"]
    assert rle.compute_area(ours) == reference.area(theirs)


def test_an_outline_of_nothing_and_one_far_away() -> None:
    assert rle.polygons_to_counts([], 2, 3).tolist() == [6]
    frame = np.array([[-1e300, -1e300], [1e300, -1e300], [1e300, 1e300], [-1e300, 1e300]])
    assert rle.compute_area(rle.polygons_to_counts([frame], 2, 3)) == 6


RING = np.pad(np.zeros((1, 1), bool), 1, constant_values=True)


@FEW
@given(pictures())
@example(RING)
@example(np.kron(np.ones((3, 4), bool), RING))
@example(np.array([[1, 0], [0, 1]], bool))
@example(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool))
def test_outline_goes_along_the_pixels_and_round_holes(picture: NDArray[np.bool_]) -> None:
    rings = rle.mask_to_polygons(picture)
    assert np.array_equal(rle.counts_to_mask(rle.polygons_to_counts(rings, *picture.shape), *picture.shape), picture)
    areas = [shoelace(ring) for ring in rings]
    assert min(areas, default=1) > 0
    assert sum(areas) == picture.sum()


def test_outline_of_one_hole_is_one_ring() -> None:
    (ring,) = rle.mask_to_polygons(RING)
    assert ring[:4].tolist() == [[0, 0], [3, 0], [3, 3], [0, 3]]
    assert [1.0, 1.5] in ring.tolist()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # raised in the COCO API
def test_real_pets_keep_every_pixel(shared: Path) -> None:
    paths = sorted((shared / "data" / "pets" / "annotations" / "trimaps").glob("[!.]*_1*.png"))[:4]
    assert len(paths) == 4
    for path in paths:
        picture = png.decode_mask_png(path.read_bytes()).values == 1  # the pet, without its border
        counts = rle.string_to_counts(rle.encode(picture))
        assert np.array_equal(reference.decode(encoded(picture)), rle.counts_to_mask(counts, *picture.shape))
        assert np.array_equal(rle.polygons_to_counts(rle.mask_to_polygons(picture), *picture.shape), counts)


def test_many_holes_in_a_row_are_no_trouble() -> None:
    picture = np.ones((3, 6001), bool)
    picture[1, 1::2] = False
    (ring,) = rle.mask_to_polygons(picture)
    assert shoelace(ring) == picture.sum()


@FEW
@given(st.text(max_size=40), st.integers(0, 50), st.integers(0, 50))
@example("`0", 5, 5)
@example("o" * 40, 5, 5)
@example("\ud800", 5, 5)
@example("ooooooooo?" * 100, 5, 5)
def test_any_text_is_a_mask_or_refused(text: str, height: int, width: int) -> None:
    with contextlib.suppress(DataError):
        assert rle.decode(text, height, width).shape == (height, width)


@pytest.mark.parametrize(
    ("counts", "said"),
    [([3, 4], "7 pixels"), ([3, 2], "5 pixels"), ([7, -1], "run length"), ([2**62, 2**62, 2**62, 2**62, 6], "length")],
)
def test_counts_that_do_not_fit_are_refused(counts: list[int], said: str) -> None:
    with pytest.raises(DataError, match=said):
        rle.require_valid_counts(np.array(counts), 2, 3)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="mask"):
        rle.mask_to_counts(np.zeros((1, 2, 3)))


def shoelace(ring: NDArray[np.float64]) -> float:
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
