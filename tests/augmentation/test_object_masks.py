"""Masks follow their image: through every operation, mosaic and mixup, with the same matrix as the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from lince import rle
from lince.augmentation import Policy, augment
from lince.augmentation.mosaic import LabelledImage, mixup_images, mosaic
from lince.augmentation.object_masks import ObjectMask, draw_masks, move_masks
from lince.preprocess import PreprocessSpec

SPEC = PreprocessSpec(128, 128, "letterbox")
EVERYTHING = (
    "flip_x 0.5, rotation 25, zoom 0.2, shift_x 0.1, shift_y 0.1, shear_x 10, perspective 0.15, quarter_turn 0.5"
)


def make_image(seed: int, size: tuple[int, int] = (150, 210)) -> tuple[LabelledImage, np.ndarray]:
    """Return a black image with one white ellipse as its object, and the ellipse."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    y, x = rng.uniform(50, 100), rng.uniform(60, 150)
    mask = ((rows - y) / rng.uniform(20, 45)) ** 2 + ((columns - x) / rng.uniform(25, 55)) ** 2 < 1
    counts = rle.mask_to_counts(mask)
    box = np.array([rle.compute_bounding_box(counts, size[0])])
    image = np.where(mask[:, :, None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    masks = (ObjectMask.from_counts(counts, size, np.ones(2)),)
    return LabelledImage(image, box, np.zeros(1, np.int32), masks=masks), mask


@pytest.mark.parametrize("seed", range(12))
def test_a_mask_lies_where_the_pixels_of_its_object_lie(seed: int) -> None:
    image, _mask = make_image(seed)
    augmented = augment(image.image, Policy.parse(EVERYTHING), np.random.default_rng(seed), SPEC, image.boxes)
    masks = move_masks(image.masks, augmented.kept, augmented.matrix)
    if not augmented.kept.all():
        assert not masks
        return
    drawn = masks[0].draw((128, 128))
    assert ((drawn > 127) != (augmented.image[:, :, 0] > 127)).mean() < 0.004


def test_cells_of_a_stride_hold_the_covered_part() -> None:
    image, mask = make_image(3, (128, 128))
    covered = image.masks[0].draw((128, 128), 4)
    exact = mask.reshape(32, 4, 32, 4).mean(axis=(1, 3))
    assert np.abs(covered / 255 - exact).max() < 0.3  # the crop need not begin at the edge of a cell
    assert np.abs(covered / 255 - exact).mean() < 0.015
    assert abs(covered.sum() / 255 * 16 - mask.sum()) < 0.02 * mask.sum()


def test_polygons_and_run_lengths_give_the_same_mask_also_at_a_reduced_size() -> None:
    ring = np.array([[20.0, 30], [150, 20], [170, 120], [60, 140]])
    size = (150, 210)
    counts = rle.polygons_to_counts([ring], *size)
    for scale in (np.ones(2), np.array([0.5, 0.5]), np.array([0.31, 0.3])):
        small = (round(size[0] * scale[1]), round(size[1] * scale[0]))
        by_runs = ObjectMask.from_counts(counts, size, scale).draw(small)
        by_ring = ObjectMask.from_rings([ring], size, scale).draw(small)
        assert ((by_runs > 127) != (by_ring > 127)).mean() < 0.01
    assert ObjectMask.from_counts(counts, size, np.array([0.3, 0.3])).pixels.size < 70 * 70  # a crop, and reduced


@pytest.mark.parametrize("seed", range(6))
def test_masks_stay_on_their_objects_in_a_mosaic_and_end_at_the_tile(seed: int) -> None:
    parts = [make_image(10 * seed + i)[0] for i in range(4)]
    mixed = mosaic(parts, np.random.default_rng(seed), SPEC)
    assert len(mixed.masks) == len(mixed.boxes)
    covered = np.zeros((128, 128), bool)
    for box, mask in zip(mixed.boxes, mixed.masks, strict=True):
        drawn = mask.draw((128, 128)) > 127
        covered |= drawn
        left, top, right, bottom = box
        rows, columns = np.nonzero(drawn)
        assert columns.min() >= left - 1.5
        assert columns.max() <= right + 1.5
        assert rows.min() >= top - 1.5
        assert rows.max() <= bottom + 1.5
    white = mixed.image[:, :, 0] > 200
    assert (covered & ~white).mean() < 0.02
    assert (white & ~covered).mean() < 0.3  # objects of which too little is left are no objects any more


def test_mixup_keeps_the_masks_of_both_images() -> None:
    first = make_image(1, (128, 128))[0]
    second = make_image(2)[0]
    mixed = mixup_images(first, second, np.random.default_rng(0), SPEC)
    assert len(mixed.masks) == len(mixed.boxes) >= 1
    np.testing.assert_array_equal(mixed.masks[0].draw((128, 128)), first.masks[0].draw((128, 128)))
    drawn, has_mask = draw_masks((*mixed.masks, None), (128, 128), 4)
    assert drawn.shape == (len(mixed.masks) + 1, 32, 32)
    assert has_mask.tolist() == [True] * len(mixed.masks) + [False]
    assert not drawn[-1].any()
