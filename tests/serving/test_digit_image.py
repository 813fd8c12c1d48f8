"""Digit image: pen strokes become an image like MNIST's."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support import digit_model
from tests.support.handwritten_digits import first_of_each, strokes
from tests.support.plain_digits import HANDS, Hand, draw_digit

import lince
from lince.inference.classification.predictor import ClassificationPredictor
from lince.model_card import DrawingSpec, ModelCard
from lince.serving import digit_image
from lince.web.http_errors import ApiError

SHARE = st.floats(0, 1, width=16)
BUILT_IN = DrawingSpec(  # as the built-in digits: both sides fitted, straightened, an equal amount of ink
    width=8, height=8, paper=0, ink=255, box=(5.8, 8.0), stretch=True, centre="box", position=(4.1, 4.0), pen=1.5,
    ink_area=19.5, slant=(0.0, 0.1),
)  # fmt: skip
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


@pytest.mark.parametrize("digit", range(10))
def test_a_card_says_how_a_drawing_is_prepared(digit):
    found = []
    for hand in HANDS.values():
        lines = [np.array(line) for line in draw_digit(digit, hand)]
        picture = digit_image.render_digit(lines, BUILT_IN)
        again = digit_image.render_digit([0.4 * line + 0.3 for line in lines], BUILT_IN)
        assert picture.shape == (8, 8, 3)
        assert np.abs(picture.astype(int) - again).max() <= 1  # where and how large it is drawn changes nothing
        grey = picture[:, :, 0] / 255
        assert grey[0].max() > 0.3 < grey[-1].max()  # both edges are reached, which MNIST's digits never do
        found.append(grey.sum())
    assert found == pytest.approx([19.5] * len(HANDS), rel=0.05)


def test_dark_ink_is_drawn_where_the_training_images_have_it():
    lines = [np.array(line) for line in draw_digit(5, Hand())]
    light = digit_image.render_digit(lines).astype(int)
    dark = digit_image.render_digit(lines, replace(digit_image.MNIST, paper=240, ink=10)).astype(int)
    assert np.abs(dark - (240 - light * 230 / 255)).max() <= 0.5


@given(LINES)
@example([[(0.5, 0.5)]])
@example([[(0.1, 0.5), (0.9, 0.5)]])
@example([[(0.0, 0.0)], [(0.0, 1.0)]])
def test_any_strokes_become_an_image_under_any_card(lines):
    strokes = digit_image.parse_strokes([[list(point) for point in line] for line in lines])
    for spec in (BUILT_IN, replace(BUILT_IN, width=20, height=12, box=(1.0, 30.0), centre="mass", stretch=False)):
        picture = digit_image.render_digit(strokes, spec)
        assert picture.shape == (spec.height, spec.width, 3)
        assert picture.any()


def read_drawings(model: ClassificationPredictor, hand: Hand, seed: int) -> int:
    """Return how many of the ten digits ``model`` recognises, drawn in ``hand`` and prepared as its card says."""
    spec = model.card.drawing
    assert spec is not None
    drawn = (digit_image.render_digit([np.array(line) for line in draw_digit(d, hand, seed)], spec) for d in range(10))
    return sum(result.class_name == str(d) for d, result in enumerate(model.predict_many(drawn)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nine_of_ten_plain_digits_are_read_by_the_model_of_the_demo(tmp_path):
    pytest.importorskip("torch")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "lince", "demo", "--out", tmp_path / "demo"]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    model = lince.load(tmp_path / "demo")
    assert {
        name: read_drawings(model, hand, 0) for name, hand in HANDS.items() if read_drawings(model, hand, 0) < 9
    } == {}


@pytest.mark.slow
def test_nine_of_ten_plain_digits_are_read_by_a_model_of_mnist(shared, tmp_path):
    pytest.importorskip("torch")
    from lince.training.classification.drawing_style import measure_drawing_style

    mnist = shared / "data" / "mnist"
    folder = digit_model.model_folder(tmp_path / "digits", digit_model.weights(1000, mnist, 30_000))
    data = lince.open(mnist)
    images = np.stack([data.images.read_image(row)[:, :, 0] for row in range(500)])
    replace(ModelCard.load(folder), drawing=measure_drawing_style(images)).save(folder)
    model = lince.load(folder)
    assert {
        name: read_drawings(model, hand, 0) for name, hand in HANDS.items() if read_drawings(model, hand, 0) < 9
    } == {}
