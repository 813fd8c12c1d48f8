"""Geometric warp: against Pillow, SciPy and the matrix itself; boxes against drawn rectangles."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from lince import geometry, preprocess
from lince.augmentation import Policy, augment
from lince.augmentation.warp import compose_warp_matrix, warp_image
from lince.preprocess import PreprocessSpec

SIZE = 96
SPEC = PreprocessSpec(SIZE, SIZE)


@pytest.fixture(scope="module")
def photo():
    """Return a smooth image of the input size, so that two interpolations agree within one or two levels."""
    rough = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(rough, (0, 0), 6).astype(np.float32)
    return np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))


def altered(image, policy, spec=SPEC):
    return augment(image, Policy.parse(policy), np.random.default_rng(3), spec)


def assert_near(found, expected, margin=0, worst=3):
    inner = slice(margin, SIZE - margin)
    difference = np.abs(found[inner, inner].astype(int) - np.asarray(expected, int)[inner, inner])
    assert difference.max() <= worst
    assert difference.mean() < 0.8


def boxed(image, left, top, right, bottom):
    return Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(left, top, right, bottom))


def affine(image, a, b, c, d):
    """Return Pillow's affine transform about the centre; its coefficients map the result to the source."""
    back = np.linalg.inv([[a, b], [c, d]])
    shift = SIZE / 2 - back @ [SIZE / 2, SIZE / 2]
    numbers = (*back[0], shift[0], *back[1], shift[1])
    return Image.fromarray(image).transform((SIZE, SIZE), Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR)


def test_rotation_is_pillows(photo):
    for degrees in (30, -75):
        out = altered(photo, f"rotation {degrees}..{degrees}, fill constant").image
        assert_near(out, Image.fromarray(photo).rotate(degrees, Image.Resampling.BILINEAR), margin=16)


def test_flips_are_exact(photo):
    np.testing.assert_array_equal(altered(photo, "flip_x 1").image, ImageOps.mirror(Image.fromarray(photo)))
    np.testing.assert_array_equal(altered(photo, "flip_y 1").image, ImageOps.flip(Image.fromarray(photo)))


def test_quarter_turns_are_exact_and_all_three_come(photo):
    rng = np.random.default_rng(0)
    seen = set()
    for _i in range(20):
        out = augment(photo, Policy.parse("quarter_turn 1"), rng, SPEC).image
        seen.add(next(k for k in range(4) if np.array_equal(out, np.rot90(photo, k))))
    assert seen == {1, 2, 3}


def test_shifts_move_right_and_down(photo):
    out = altered(photo, "shift_x 0.25..0.25, shift_y 0.125..0.125, fill constant 7").image
    np.testing.assert_array_equal(out[12:, 24:], photo[:-12, :-24])
    assert (out[:12] == 7).all()
    assert (out[:, :24] == 7).all()


def test_zoom_enlarges_about_the_centre(photo):
    out = altered(photo, "zoom 1..1").image
    assert_near(out, boxed(photo, 24, 24, 72, 72))


def test_stretch_changes_the_aspect_and_keeps_the_area(photo):
    out = altered(photo, "stretch 1.25..1.25, fill nearest").image
    assert_near(out, affine(photo, 1.5, 0, 0, 1 / 1.5), margin=17)


def test_shears_slant(photo):
    slope = np.tan(np.radians(20))
    assert_near(altered(photo, "shear_x 20..20").image, affine(photo, 1, slope, 0, 1), margin=20)
    assert_near(altered(photo, "shear_y 20..20").image, affine(photo, 1, 0, slope, 1), margin=20)


def test_crop_cuts_a_window_of_that_area(photo):
    result = altered(photo, "crop 0.25..0.25")
    left, top = -result.matrix[0, 2] / 2, -result.matrix[1, 2] / 2
    assert 0 <= left <= 48
    assert 0 <= top <= 48
    assert_near(result.image, boxed(photo, left, top, left + 48, top + 48), worst=4)


def test_perspective_moves_the_corners_within_their_limit(photo):
    corners = np.array([[0, 0], [SIZE, 0], [SIZE, SIZE], [0, SIZE]], float)
    rng, moves = np.random.default_rng(0), []
    for _i in range(50):
        result = augment(photo, Policy.parse("perspective 0.2..0.2"), rng, SPEC)
        moves.append(np.abs(geometry.transform_points(corners, result.matrix) - corners) / SIZE)
    assert np.max(moves) <= 0.2 + 1e-6
    assert np.max(moves) > 0.18
    back = np.linalg.inv(result.matrix)
    numbers = (back / back[2, 2]).ravel()[:8]
    expected = Image.fromarray(photo).transform(
        (SIZE, SIZE), Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR
    )
    assert_near(result.image, expected, margin=24)


@pytest.mark.parametrize(
    ("fill", "mode"),
    [("reflect", "reflect"), ("nearest", "nearest"), ("wrap", "grid-wrap"), ("constant 90", "grid-constant")],
)
def test_fills_are_those_of_scipy(photo, fill, mode):
    ndimage = pytest.importorskip("scipy.ndimage")
    out = altered(photo, f"zoom -0.3..-0.3, rotation 20..20, fill {fill}").image
    turn = compose_warp_matrix({"zoom": (-0.3,), "rotation": (20.0,)}, SIZE, SIZE)
    back = np.linalg.inv(turn)[:2][::-1][:, [1, 0, 2]]  # scipy counts rows first, and from the pixels' centres
    offset = back[:, 2] + back[:, :2] @ [0.5, 0.5] - 0.5
    expected = [
        ndimage.affine_transform(photo[..., c].astype(float), back[:, :2], offset, order=1, mode=mode, cval=90)
        for c in range(3)
    ]
    assert_near(out, np.stack(expected, axis=-1), worst=20 if "constant" in fill or fill == "wrap" else 4)


def test_no_operation_is_the_plain_resize():
    image = np.random.default_rng(0).integers(0, 256, (75, 140, 3), dtype=np.uint8)
    for rule in ("squash", "crop", "letterbox"):
        spec = PreprocessSpec(40, 50, resize=rule)
        np.testing.assert_array_equal(
            augment(image, Policy(), np.random.default_rng(0), spec).image, preprocess.resize_to_input(image, spec)
        )


@pytest.mark.parametrize("rule", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("shape", [(200, 320), (97, 61), (40, 400), (96, 96)])
def test_a_warp_that_changes_nothing_is_near_the_plain_resize(rule, shape):
    rough = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(rough, (0, 0), 5)
    spec = PreprocessSpec(SIZE, SIZE, resize=rule)
    found = altered(image, "flip_x 0.000001", spec).image
    difference = np.abs(found.astype(int) - preprocess.resize_to_input(image, spec))
    assert np.quantile(difference, 0.95) <= 5
    assert difference.mean() < 1.5


def test_every_pixel_comes_from_where_the_matrix_says():
    ramp = np.zeros((240, 250, 3), np.uint8)
    ramp[..., 0] = np.arange(250)
    ramp[..., 1] = np.arange(240)[:, None]
    rng = np.random.default_rng(1)
    policy = Policy.parse(
        "rotation 40, zoom 0.3, shear_x 15, shear_y 10, stretch 0.3, perspective 0.1, fill constant 255"
    )
    for _i in range(10):
        result = augment(ramp, policy, rng, SPEC)
        rows, columns = np.mgrid[:SIZE, :SIZE]
        points = np.stack([columns, rows], axis=-1) + 0.5
        source = geometry.transform_points(points, np.linalg.inv(result.matrix)) - 0.5
        inside = ((source > 4) & (source < [245, 235])).all(axis=-1)
        assert inside.sum() > 2000
        assert np.abs(result.image[..., :2][inside] - source[inside]).max() < 1.6


def test_a_fine_pattern_that_shrinks_turns_grey_and_does_not_flicker():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    out = altered(stripes, "rotation 3..3, zoom 0.01..0.01").image
    assert np.abs(out.astype(int) - 127).max() <= 2


GEOMETRY = "rotation 20, shift_x 0.1, shift_y 0.1, zoom 0.2, stretch 0.2, shear_x 8, flip_x 0.5, flip_y 0.3, crop 0.6"


@pytest.mark.parametrize("rule", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("extra", ["", ", quarter_turn 0.5", ", perspective 0.08"])
def test_boxes_follow_drawn_rectangles(rule, extra):
    spec = PreprocessSpec(224, 200, resize=rule)
    rng = np.random.default_rng(5)
    policy = Policy.parse(f"{GEOMETRY}{extra}, fill constant 0")
    followed = 0
    for _i in range(40):
        image = np.zeros((375, 500, 3), np.uint8)
        left, top = rng.integers(60, 250, 2)
        right, bottom = left + rng.integers(40, 180), top + rng.integers(30, 110)
        image[top:bottom, left:right] = 255
        result = augment(image, policy, rng, spec, np.array([[left, top, right, bottom]]))
        if not result.kept[0]:
            continue
        rows, columns = np.nonzero(result.image[..., 0] > 60)
        drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(result.boxes[0], drawn, atol=1.5)
        followed += 1
    assert followed > 15


def test_boxes_that_leave_the_frame_are_not_kept():
    image = np.zeros((100, 100, 3), np.uint8)
    boxes = np.array([[0, 0, 40, 40], [60, 10, 90, 30], [10, 50, 11, 90], [68, 0, 98, 40]])
    result = augment(
        image, Policy.parse("shift_x 0.25..0.25"), np.random.default_rng(0), PreprocessSpec(100, 100), boxes
    )
    # The second shows 15 of 30 columns; the third is a single pixel wide; the fourth shows 7 of 30, under a quarter.
    np.testing.assert_array_equal(result.kept, [True, True, False, False])
    np.testing.assert_allclose(result.boxes, [[25, 0, 65, 40], [85, 10, 100, 30]])


def test_without_boxes_none_come_back_and_an_empty_list_stays_empty(photo):
    assert altered(photo, "rotation 10").boxes.shape == (0, 4)
    result = augment(photo, Policy.parse("rotation 10"), np.random.default_rng(0), SPEC, np.empty((0, 4)))
    assert result.boxes.shape == (0, 4)
    assert result.kept.shape == (0,)


def test_the_automatic_fill_is_grey_where_a_mirror_image_would_mislead(photo):
    shift, rng = Policy.parse("shift_x 0.5..0.5"), np.random.default_rng(0)
    mirrored = augment(photo, shift, rng, SPEC).image
    np.testing.assert_array_equal(mirrored[:, :48], photo[:, :48][:, ::-1])
    assert (augment(photo, shift, rng, SPEC, np.empty((0, 4))).image[:, :48] == preprocess.LETTERBOX_GREY).all()
    letterbox = PreprocessSpec(SIZE, SIZE, resize="letterbox")
    assert (augment(photo, shift, rng, letterbox).image[:, :48] == preprocess.LETTERBOX_GREY).all()


def test_sides_beyond_what_opencv_can_warp():
    short = np.random.default_rng(0).integers(0, 256, (6, 70, 3), dtype=np.uint8)
    out = warp_image(
        short.repeat(1000, axis=1), preprocess.compute_input_matrix(6, 70_000, SPEC), (SIZE, SIZE), "reflect"
    )
    # The middle of each row of the result's sixteen lies on a row of the image; columns 0 and 48 within one colour.
    rows = (out[7::16].astype(int) + out[8::16]) / 2
    np.testing.assert_allclose(rows[:, [0, 48]], short[:, [0, 35]], atol=12)
