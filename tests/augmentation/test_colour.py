"""Colour operations: colour matrix, lookup table and local effects against Pillow, colorsys and SciPy."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from lince.augmentation import OPERATIONS, Policy, augment
from lince.augmentation.colour import apply_colour_operations
from lince.augmentation.operations import COLOUR
from lince.augmentation.pixel_ops import apply_local_operations
from lince.preprocess import PreprocessSpec


@pytest.fixture(scope="module")
def photo():
    """Return a smooth image whose channels use different parts of the range."""
    rough = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(rough, (0, 0), 3).astype(np.float32)
    unit = (smooth - smooth.min()) / np.ptp(smooth)
    return np.uint8(unit * (160, 120, 200) + (20, 60, 5))


@pytest.fixture(scope="module")
def picture(photo):
    return Image.fromarray(photo)


def assert_near(found, expected, worst=1):
    assert np.abs(found.astype(int) - np.asarray(expected, int)).max() <= worst


@pytest.mark.parametrize("change", [-0.6, 0.5, 1.5])
def test_brightness_contrast_saturation_are_pillows(photo, picture, change):
    assert_near(
        apply_colour_operations(photo, {"brightness": (change,)}), ImageEnhance.Brightness(picture).enhance(1 + change)
    )
    assert_near(
        apply_colour_operations(photo, {"saturation": (change,)}),
        ImageEnhance.Color(picture).enhance(1 + change),
        worst=3,
    )
    # Pillow rounds the mean grey; lince takes that of every fourth row.
    assert_near(
        apply_colour_operations(photo, {"contrast": (change,)}),
        ImageEnhance.Contrast(picture).enhance(1 + change),
        worst=3,
    )


def test_greyscale_equalize_autocontrast_invert_are_pillows(photo, picture):
    assert_near(apply_colour_operations(photo, {"greyscale": ()}), picture.convert("L").convert("RGB"))
    assert_near(apply_colour_operations(photo, {"autocontrast": ()}), ImageOps.autocontrast(picture))
    assert_near(apply_colour_operations(photo, {"invert": ()}), ImageOps.invert(picture), worst=0)
    # Pillow rounds its steps to integers and lince does not, so levels may differ slightly.
    assert_near(apply_colour_operations(photo, {"equalize": ()}), ImageOps.equalize(picture), worst=6)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_posterize_is_pillows(photo, picture, bits):
    assert_near(
        apply_colour_operations(photo, {"posterize": (float(bits),)}), ImageOps.posterize(picture, bits), worst=0
    )


@pytest.mark.parametrize("threshold", [0, 100, 256])
def test_solarize_is_pillows(photo, picture, threshold):
    assert_near(
        apply_colour_operations(photo, {"solarize": (float(threshold),)}),
        ImageOps.solarize(picture, threshold),
        worst=0,
    )


def test_gamma_follows_its_exponent(photo):
    assert_near(apply_colour_operations(photo, {"gamma": (0.8,)}), np.rint(255 * (photo / 255) ** 1.8), worst=0)


def test_channel_shift_adds_to_each_channel_its_own(photo):
    shifted = apply_colour_operations(photo, {"channel_shift": (30.0, -200.0, 0.0)})
    assert_near(shifted, np.clip(photo.astype(int) + np.array([30, -200, 0]), 0, 255), worst=0)


def test_hue_turns_the_colour_plane_and_keeps_luma_and_greys(photo):
    turned = apply_colour_operations(photo, {"hue": (25.0,)})
    assert_near(turned @ [0.299, 0.587, 0.114], np.rint(photo @ [0.299, 0.587, 0.114]), worst=2)
    grey = np.repeat(photo[..., :1], 3, axis=2)
    assert_near(apply_colour_operations(grey, {"hue": (140.0,)}), grey)
    colour = np.uint8([[[150, 110, 90]]])
    before, after = (
        colorsys.rgb_to_yiq(*(c[0, 0] / 255)) for c in (colour, apply_colour_operations(colour, {"hue": (25.0,)}))
    )
    turn = np.angle(complex(*after[1:]) / complex(*before[1:]), deg=True)
    assert turn == pytest.approx(25, abs=1.5)
    assert_near(
        apply_colour_operations(apply_colour_operations(colour, {"hue": (180.0,)}), {"hue": (180.0,)}), colour, worst=2
    )


def test_a_flat_image_survives_what_stretches_levels():
    flat = np.full((5, 7, 3), 77, np.uint8)
    for name in ("autocontrast", "equalize"):
        np.testing.assert_array_equal(apply_colour_operations(flat, {name: ()}), flat)


def test_a_combined_table_equals_the_operations_in_sequence(photo):
    drawn = {
        "gamma": (0.2,),
        "brightness": (0.15,),
        "contrast": (-0.2,),
        "channel_shift": (5.0, -9.0, 3.0),
        "invert": (),
        "solarize": (180.0,),
    }
    one_by_one = photo
    for name, numbers in drawn.items():
        one_by_one = apply_colour_operations(one_by_one, {name: numbers})
    difference = np.abs(apply_colour_operations(photo, drawn).astype(int) - one_by_one)
    # Levels at the very threshold of solarize may fall on either side after rounding.
    assert np.quantile(difference, 0.99) <= 3
    mixed = {"saturation": (-0.4,), "hue": (20.0,), "greyscale": ()}
    one_by_one = photo
    for name, numbers in mixed.items():
        one_by_one = apply_colour_operations(one_by_one, {name: numbers})
    assert_near(apply_colour_operations(photo, mixed), one_by_one, worst=2)


def test_tables_after_equalize_see_the_equalized_levels(photo):
    both = apply_colour_operations(photo, {"autocontrast": (), "equalize": (), "contrast": (0.3,)})
    steps = apply_colour_operations(
        apply_colour_operations(apply_colour_operations(photo, {"autocontrast": ()}), {"equalize": ()}),
        {"contrast": (0.3,)},
    )
    assert_near(both, steps, worst=4)


def local(photo, seed=0, **drawn):
    return apply_local_operations(photo, drawn, np.random.default_rng(seed))


@pytest.mark.parametrize("change", [-1.0, -0.5, 1.0, 3.0])
def test_sharpness_is_pillows_away_from_the_border(photo, picture, change):
    expected = np.asarray(ImageEnhance.Sharpness(picture).enhance(1 + change))
    assert_near(local(photo, sharpness=(change,))[1:-1, 1:-1], expected[1:-1, 1:-1], worst=3)


def test_blur_is_a_gaussian(photo):
    ndimage = pytest.importorskip("scipy.ndimage")
    rough = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    expected = ndimage.gaussian_filter(rough.astype(float), (2, 2, 0), mode="reflect")
    assert_near(local(rough, blur=(2.0,)), expected, worst=3)
    np.testing.assert_array_equal(local(rough, blur=(0.0,)), rough)


def test_noise_has_its_deviation_and_no_bias():
    grey = np.full((400, 400, 3), 128, np.uint8)
    change = local(grey, noise=(12.0,)).astype(float) - 128
    assert change.std() == pytest.approx(12, rel=0.03)
    assert change.mean() == pytest.approx(0, abs=0.06)
    within = [np.mean(np.abs(change) <= 12 * k) for k in (1, 2)]
    np.testing.assert_allclose(within, [0.683, 0.954], atol=0.03)
    assert abs(np.corrcoef(change[:, :-1].ravel(), change[:, 1:].ravel())[0, 1]) < 0.02


def test_salt_and_pepper_turn_their_share_white_and_black():
    grey = np.full((200, 200, 3), 128, np.uint8)
    out = local(grey, salt_pepper=(0.1,))
    assert (out == 255).all(axis=2).mean() == pytest.approx(0.05, abs=0.006)
    assert (out == 0).all(axis=2).mean() == pytest.approx(0.05, abs=0.006)


def test_jpeg_keeps_colours_and_loses_more_at_lower_quality(photo):
    losses = [np.abs(local(photo, jpeg=(q,)).astype(int) - photo).mean() for q in (95.0, 40.0, 5.0)]
    assert losses == sorted(losses)
    red = np.full((32, 32, 3), (220, 30, 40), np.uint8)
    assert_near(local(red, jpeg=(90.0,)), red, worst=4)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_erasing_covers_its_share_in_one_rectangle(share):
    grey = np.full((120, 120, 3), 128, np.uint8)
    areas = []
    for seed in range(20):
        where = np.random.default_rng(seed).random(3)
        changed = (local(grey, seed, erasing=(share, *where)) != 128).any(axis=2)
        rows, columns = np.nonzero(changed)
        areas.append((np.ptp(rows) + 1) * (np.ptp(columns) + 1) / changed.size)
        assert changed.mean() == pytest.approx(areas[-1], rel=0.02)
    assert np.mean(areas[:]) == pytest.approx(share, rel=0.25)


def test_the_given_image_is_never_written_to(photo):
    before = photo.copy()
    photo.setflags(write=False)
    everything = ", ".join(
        name if OPERATIONS[name].is_switch else f"{name} {OPERATIONS[name].high}"
        for name in OPERATIONS
        if name not in ("brightness", "contrast", "gamma", "saturation", "zoom", "stretch", "sharpness")
    )
    for policy in (everything, "noise 20, salt_pepper 0.5, erasing 0.3", "none"):
        augment(photo, Policy.parse(policy), np.random.default_rng(0), PreprocessSpec(90, 120))
    photo.setflags(write=True)
    np.testing.assert_array_equal(photo, before)


def test_colour_alone_leaves_every_pixel_in_its_place(photo):
    names = [name for name, operation in OPERATIONS.items() if operation.group == COLOUR and operation.is_switch]
    result = augment(photo, Policy.parse(", ".join(names)), np.random.default_rng(0), PreprocessSpec(90, 120))
    np.testing.assert_array_equal(result.matrix, np.eye(3))


@st.composite
def any_policies(draw):
    steps = []
    for name in draw(st.lists(st.sampled_from(sorted(OPERATIONS)), unique=True, max_size=8)):
        operation = OPERATIONS[name]
        low, high = sorted(draw(st.tuples(*[st.floats(operation.low, operation.high)] * 2)))
        steps.append(f"{name} 1" if operation.is_switch else f"{name} {low}..{high}")
    fill = draw(st.sampled_from(["auto", "reflect", "nearest", "wrap", "constant 9"]))
    return Policy.parse(", ".join([*steps, f"fill {fill}"]))


@settings(deadline=None, max_examples=150)
@given(
    any_policies(),
    st.sampled_from([(1, 1), (1, 400), (400, 1), (2, 3), (7, 4000), (33, 57), (301, 199)]),
    st.sampled_from([(1, 1), (8, 31), (64, 48)]),
    st.sampled_from(["squash", "crop", "letterbox"]),
    st.integers(0, 1000),
)
def test_any_policy_on_any_size_gives_the_input_size_and_sound_boxes(policy, size, target, rule, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    boxes = np.array([[0, 0, size[1], size[0]], [0, 0, 0, 0]])
    result = augment(image, policy, np.random.default_rng(seed), PreprocessSpec(*target, resize=rule), boxes)
    assert result.image.shape == (*target, 3)
    assert result.image.dtype == np.uint8
    assert result.boxes.shape == (result.kept.sum(), 4)
    assert not result.kept[1]
    assert ((result.boxes >= 0) & (result.boxes <= [target[1], target[0]] * 2)).all()


@given(any_policies(), st.integers(0, 100))
@settings(deadline=None, max_examples=40)
def test_random_choices_depend_on_the_generator_and_not_on_the_image(policy, seed):
    spec = PreprocessSpec(20, 30)
    rngs = [np.random.default_rng(seed) for _i in range(3)]
    black, white = np.zeros((20, 30, 3), np.uint8), np.full((77, 31, 3), 255, np.uint8)
    first = augment(black, policy, rngs[0], spec).image
    np.testing.assert_array_equal(first, augment(black, policy, rngs[1], spec).image)
    augment(white, policy, rngs[2], spec)
    assert rngs[0].bit_generator.state == rngs[2].bit_generator.state
