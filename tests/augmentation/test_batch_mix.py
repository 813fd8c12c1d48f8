"""Mixup, cutmix and the augmentation preview sheet: labels, seeds and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lince
from lince.annotations import get_class_colour
from lince.augmentation import Policy, augment, cutmix, mixup
from lince.augmentation.policy import describe_sampled
from lince.augmentation.preview import render_preview_sheet
from lince.images import encode_png, read_image
from lince.preprocess import LETTERBOX_GREY, PreprocessSpec

CLASSES = np.eye(4, dtype=np.float32)


def batch():
    """Return four images of uniform grey whose level is the class id."""
    return np.tile(np.arange(4, dtype=np.float32)[:, None, None, None], (1, 3, 16, 20)), CLASSES.copy()


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_targets_tell_what_the_images_show(mix):
    rng = np.random.default_rng(0)
    for _i in range(50):
        images, targets = mix(*batch(), rng, 0.7)
        assert images.dtype == targets.dtype == np.float32
        np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
        # The level is the class, so the mean level must be the expected class.
        np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), targets @ np.arange(4), atol=1e-5)


def test_cutmix_takes_one_window_and_blends_nothing():
    images, _targets = cutmix(*batch(), np.random.default_rng(1), 1.0)
    assert set(np.unique(images)) <= {0, 1, 2, 3}
    changed = images[:, 0] != batch()[0][:, 0]
    rows, columns = np.nonzero(changed.any(axis=0))
    for one in changed:
        assert one.sum() in (0, (np.ptp(rows) + 1) * (np.ptp(columns) + 1))


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_mixing_repeats_with_its_seed_and_leaves_the_batch_alone(mix):
    images, targets = batch()
    first = mix(images, targets, np.random.default_rng(5), 1.0)
    again = mix(images, targets, np.random.default_rng(5), 1.0)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(images, batch()[0])
    np.testing.assert_array_equal(targets, CLASSES)
    assert mix is not mixup or not np.array_equal(first[0], mix(images, targets, np.random.default_rng(6), 1.0)[0])


def test_mixup_shares_follow_the_beta_distribution():
    rng = np.random.default_rng(0)
    shares = [mixup(*batch(), rng, 0.4)[1].max(axis=1).min() for _i in range(2000)]
    expected = np.random.default_rng(1).beta(0.4, 0.4, 20_000)
    assert np.mean(shares) == pytest.approx(np.mean(np.maximum(expected, 1 - expected)), abs=0.04)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_wrong_shapes_and_strengths_are_refused(mix):
    images, targets = batch()
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="expected a batch"):
        mix(images[0], targets, rng, 1.0)
    with pytest.raises(ValueError, match="expected a batch"):
        mix(images, targets[:3], rng, 1.0)
    with pytest.raises(ValueError, match="alpha"):
        mix(images, targets, rng, 0.0)


def test_the_sheet_shows_originals_first_and_repeats_with_its_seed():
    rng = np.random.default_rng(0)
    images = [np.full((50, 60, 3), level, np.uint8) for level in (30, 200)]
    spec = PreprocessSpec(96, 100)
    picture = render_preview_sheet(images, Policy.parse("invert 1"), 7, 3, spec)
    assert picture.dtype == np.uint8
    assert picture.shape[0] == 22 + 2 * (96 + 15 + 6)  # heading, then image, one line of text and margin for each row
    rows = [22 + 48, 22 + 48 + 117]
    assert picture[rows, 6 + 50].tolist() == [[30] * 3, [200] * 3]
    assert picture[rows, picture.shape[1] - 6 - 50].tolist() == [[225] * 3, [55] * 3]
    noisy = [rng.integers(0, 256, (50, 60, 3), dtype=np.uint8) for _i in range(2)]
    policy = Policy.parse("strong")
    np.testing.assert_array_equal(
        render_preview_sheet(noisy, policy, 7, 3, spec), render_preview_sheet(noisy, policy, 7, 3, spec)
    )
    assert not np.array_equal(
        render_preview_sheet(noisy, policy, 7, 3, spec), render_preview_sheet(noisy, policy, 8, 3, spec)
    )
    twice = render_preview_sheet([noisy[0], noisy[0]], policy, 7, 3, spec)
    alone = render_preview_sheet(noisy[:1], policy, 7, 3, spec)
    assert not np.array_equal(twice[22 : 22 + 96], twice[len(alone) : len(alone) + 96])
    # The copies of an image do not depend on the other images.
    np.testing.assert_array_equal(render_preview_sheet(noisy, policy, 7, 3, spec)[: len(alone)], alone)


def test_small_inputs_are_enlarged_and_grey_ones_are_shown_grey():
    image = np.zeros((28, 28, 3), np.uint8)
    image[10:20, 10:20] = (255, 0, 0)
    spec = PreprocessSpec(28, 28, channels="grey", mean=(0.0,), std=(255.0,))
    picture = render_preview_sheet([image], Policy(), 0, 2, spec)
    assert picture.shape[0] == 22 + 28 * 4 + 6
    assert picture[22 + 60, 6 + 60].tolist() == [76, 76, 76]


def test_a_sheet_needs_an_image_and_a_copy():
    with pytest.raises(ValueError, match="at least one image"):
        render_preview_sheet([], Policy(), 0, 2, PreprocessSpec(8, 8))
    with pytest.raises(ValueError, match="at least one image"):
        render_preview_sheet([np.zeros((8, 8, 3), np.uint8)], Policy(), 0, 0, PreprocessSpec(8, 8))


def test_what_is_named_below_a_copy_is_what_was_applied():
    policy = Policy.parse("rotation 20, flip_x 0.5, blur 2 p 0.5")
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    seen = set()
    for seed in range(12):
        augmented = augment(image, policy, np.random.default_rng(seed), PreprocessSpec(40, 40))
        texts = describe_sampled(augmented.sampled)
        angle = float(texts[0].removeprefix("rotation "))
        is_mirrored = np.linalg.det(augmented.matrix) < 0
        assert is_mirrored == ("flip_x" in texts)
        # The matrix turns the image anticlockwise by the angle; a mirror image is turned before it is mirrored.
        measured = np.degrees(np.arctan2(augmented.matrix[0, 1], abs(augmented.matrix[0, 0])))
        assert abs(abs(measured) - abs(angle)) < 0.6
        seen |= {text.split()[0] for text in texts}
    assert seen == {"rotation", "flip_x", "blur"}


def test_a_sheet_of_a_detector_shows_its_boxes_and_the_borders_of_its_training(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / "boxes"
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "labels").mkdir(exist_ok=True)
        green = np.full((64, 64, 3), (0, 120, 0), np.uint8)
        (folder / "images" / f"{number}.png").write_bytes(encode_png(green))
        (folder / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (folder / "classes.txt").write_text("hat\n")
    path = lince.augment(folder, "shift_x 0.3..0.3", out=tmp_path / "sheet.png", count=1, copies=1)
    sheet = read_image(path).astype(int)
    copy = sheet[22:, sheet.shape[1] // 2 :]
    is_box = np.abs(copy - get_class_colour(0)).max(axis=2) < 40
    is_border = np.abs(copy - LETTERBOX_GREY).max(axis=2) < 4
    assert is_box.any()
    assert is_border.any()  # a mirrored border would show objects that have no box
    left, right = np.flatnonzero(is_box.any(axis=0))[[0, -1]]
    assert np.flatnonzero(is_border.any(axis=0)).max() < left < right
