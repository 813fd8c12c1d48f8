"""Digit image: pen strokes become an image like MNIST's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.handwritten_digits import first_of_each, strokes

from lince.serving import digit_image
from lince.serving.http_errors import ApiError

SHARE = st.floats(0, 1, width=16)
LINES = st.lists(st.lists(st.tuples(SHARE, SHARE), min_size=1, max_size=8), min_size=1, max_size=4)


def ink(lines: list[list[tuple[float, float]]]) -> np.ndarray:
    picture = digit_image.render_digit(digit_image.parse_strokes([[list(point) for point in line] for line in lines]))
    assert picture.shape == (28, 28, 3)
    assert (picture == picture[:, :, :1]).all()
    return picture[:, :, 0].astype(float)


@pytest.mark.parametrize(("across", "down"), [(0.2, 0.6), (0.9, 0.3), (0.05, 0.06)])
def test_the_longer_side_fills_20_pixels_and_the_shape_is_kept(across, down):
    found = ink([[(0, 0), (across, 0), (across, down), (0, down), (0, 0)]])
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    sides = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert max(sides) == 20
    shape = (20 - digit_image.PEN_WIDTH) * min(across, down) / max(across, down) + digit_image.PEN_WIDTH
    assert min(sides) == pytest.approx(shape, abs=1.1)


@given(LINES)
@example([[(0, 0), (0.25, 0)], [(0, 1), (1, 1)]])  # the ink at its edge is too faint for eight bits
def test_the_centre_of_mass_lies_in_the_middle_unless_the_edge_is_in_the_way(lines):
    found = ink(lines)
    for axis in (0, 1):
        profile = found.sum(axis=1 - axis)
        used = np.flatnonzero(profile)
        centre = float(np.average(np.arange(28), weights=profile))
        assert abs(centre - 14) <= 0.52 or used[0] == 0 or used[-1] == 27


@given(LINES, st.floats(0.3, 3), st.floats(-1, 1))
def test_where_and_how_large_a_digit_is_drawn_changes_nothing(lines, scale, shift):
    points = np.concatenate([np.array(line) for line in lines])
    if np.ptp(points, axis=0).max() < 0.2:
        return  # a dot stays a dot
    moved = [[(x * scale + shift, y * scale + shift) for x, y in line] for line in lines]
    one, other = ink(lines), ink(moved)
    # A centre of mass between two pixels may be rounded to either.
    assert min(np.abs(one - np.roll(other, (y, x), (0, 1))).max() for y in (-1, 0, 1) for x in (-1, 0, 1)) <= 2


def test_a_dot_stays_a_dot():
    assert 3 <= np.ptp(np.flatnonzero(ink([[(0.4, 0.7)]]).any(axis=0))) + 1 <= 4
    assert ink([[(0.4, 0.7), (0.401, 0.7)]]).sum() < 10 * 255


@pytest.mark.parametrize(
    "sent",
    [None, {}, [], [[]], [[1, 2]], [[[1]]], [[[1, 2, 3]]], [[["a", "b"]]], [[[None, 1]]], [[[1e9, 0]]],
     [[[float("nan"), 0]]], [[[0, 0]]] * 201, [[[0, 0]] * 6001], [[[10**400, 0]]], [[{"x": 1}]]],
)  # fmt: skip
def test_what_is_not_strokes_is_refused(sent):
    with pytest.raises(ApiError) as refused:
        digit_image.parse_strokes(sent)
    assert refused.value.status == 422


def test_a_digit_drawn_again_looks_like_the_scanned_one(shared):
    for digit, scanned in first_of_each(shared / "data" / "mnist").items():
        drawn = ink(strokes(scanned))
        alike = float(np.corrcoef(drawn.ravel(), scanned.astype(float).ravel())[0, 1])
        assert alike > 0.65, digit  # line thickness differs
