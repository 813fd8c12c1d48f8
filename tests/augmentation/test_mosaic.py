"""Mosaic and blend augmentation: boxes match the drawn objects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lince import images
from lince.augmentation.mosaic import LabelledImage, mixup_images, mosaic
from lince.preprocess import LETTERBOX_GREY, PreprocessSpec

SPEC = PreprocessSpec(160, 224, "corner")
COLOURS = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250], [250, 250, 20]], np.uint8)


def photo(class_id: int, height: int = 300, width: int = 400) -> LabelledImage:
    """Return a dark photo with one bright rectangle in the colour of its class."""
    image = np.full((height, width, 3), 60, np.uint8)
    box = np.array([[0.3 * width, 0.25 * height, 0.7 * width, 0.8 * height]]).round()
    left, top, right, bottom = box[0].astype(int)
    image[top:bottom, left:right] = COLOURS[class_id]
    return LabelledImage(image, box, np.array([class_id], np.int32))


def four() -> list[LabelledImage]:
    return [photo(0), photo(1, 160, 224), photo(2, 900, 500), photo(3, 40, 90)]


def shown(image: np.ndarray, class_id: int) -> np.ndarray | None:
    """Return the bounding box of the pixels in the class's colour in ``image``."""
    rows, columns = np.nonzero((np.abs(image.astype(int) - COLOURS[class_id]) < 60).all(axis=2))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) if len(rows) else None


@pytest.mark.parametrize("resize", ["corner", "letterbox", "squash"])
def test_the_boxes_frame_what_the_mosaic_shows(resize):
    spec, found = PreprocessSpec(160, 224, resize), 0
    for seed in range(40):
        made = mosaic(four(), np.random.default_rng(seed), spec)
        assert made.image.shape == (160, 224, 3)
        for box, class_id in zip(made.boxes, made.class_ids, strict=True):
            np.testing.assert_allclose(box, shown(made.image, class_id), atol=1.5)
            found += 1
    assert found > 80


def test_the_same_seed_gives_the_same_mosaic_and_leaves_photos_unchanged():
    photos = four()
    before = [one.image.copy() for one in photos]
    first, second = (mosaic(photos, np.random.default_rng(5), SPEC) for _i in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    assert all((one.image == old).all() for one, old in zip(photos, before, strict=True))
    # The next random numbers do not depend on the photos.
    left = np.random.default_rng(5), np.random.default_rng(5)
    mosaic(photos, left[0], SPEC)
    mosaic(photos[::-1], left[1], SPEC)
    assert left[0].random() == left[1].random()


def test_a_box_is_kept_when_a_quarter_of_it_is_visible():
    shares = {True: [], False: []}
    for seed in range(300):
        made = mosaic(four(), np.random.default_rng(seed), SPEC, mirror=False)
        # Without the rule every box with any visible part is kept.
        for class_id in range(4):
            seen = shown(made.image, class_id)
            if seen is not None:
                shares[class_id in made.class_ids].append(np.prod(seen[2:] - seen[:2]))
    assert shares[True]
    assert shares[False]
    # The smallest rectangle, drawn at half its size, has 0.4 * 0.55 * 112 * 50 = 1232 pixels: a quarter of it is 308.
    assert min(shares[True]) > 290


def test_nothing_is_mirrored_where_that_is_not_wanted():
    two = np.zeros((160, 224, 3), np.uint8)
    two[:, 112:] = 255
    plain = LabelledImage(two, np.empty((0, 4)), np.empty(0, np.int32))
    falls = {True: 0, False: 0}
    for mirror in falls:
        for seed in range(20):
            made = mosaic([plain] * 4, np.random.default_rng(seed), SPEC, mirror).image[:, :, 0].astype(int)
            levels = made[(made < 5) | (made > 250)]
            assert levels.size
            row = made[1]
            half = row[: np.argmax(np.abs(np.diff((row > 200).astype(int)))) + 1]
            falls[mirror] += int(half[0] > 200 and row[len(half)] < 5 and len(half) < 56)
    assert falls[False] == 0
    assert falls[True] > 0


def test_four_photos_without_objects_make_a_mosaic_without():
    empty = LabelledImage(np.zeros((50, 70, 3), np.uint8), np.empty((0, 4)), np.empty(0, np.int32))
    made = mosaic([empty] * 4, np.random.default_rng(0), SPEC)
    assert made.boxes.shape == (0, 4)
    assert made.class_ids.shape == (0,)


@pytest.mark.parametrize("sides", [(1, 1), (1, 900), (2000, 3)])
def test_a_photo_of_any_shape_can_be_part_of_a_mosaic(sides):
    odd = LabelledImage(
        np.zeros((*sides, 3), np.uint8), np.array([[0.0, 0.0, sides[1], sides[0]]]), np.zeros(1, np.int32)
    )
    made = mosaic([odd, *four()[1:]], np.random.default_rng(3), SPEC)
    assert np.isfinite(made.boxes).all()
    assert (made.boxes[:, 2:] - made.boxes[:, :2] >= 2).all()


def test_a_blend_shows_half_of_each_and_the_boxes_of_both():
    base = LabelledImage(
        np.full((160, 224, 3), 200, np.uint8), np.array([[1.0, 2.0, 30.0, 40.0]]), np.array([3], np.int32)
    )
    for seed in range(20):
        made = mixup_images(base, photo(0), np.random.default_rng(seed), SPEC)
        np.testing.assert_array_equal(made.boxes[0], base.boxes[0])
        assert made.class_ids[0] == 3
        other = np.clip(made.image.astype(int) * 2 - 200, 0, 255)
        for box, class_id in zip(made.boxes[1:], made.class_ids[1:], strict=True):
            np.testing.assert_allclose(box, shown(other, class_id), atol=2)
        assert {60, LETTERBOX_GREY} & set(np.unique(other).tolist())


def test_what_does_not_fit_together_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="4 images, not 3"):
        mosaic(four()[:3], rng, SPEC)
    with pytest.raises(ValueError, match="expected an image of 160 x 224"):
        mixup_images(photo(0), photo(1), rng, SPEC)
    with pytest.raises(ValueError, match="boxes have the classes"):
        LabelledImage(np.zeros((4, 4, 3), np.uint8), np.empty((2, 4)), np.zeros(1, np.int32))


def test_real_photos_keep_their_helmets(shared):
    folder = shared / "data" / "hardhat"
    labels = sorted(folder.rglob("labels/train/*.txt"))[:4] or sorted(folder.rglob("train/labels/*.txt"))[:4]
    if not labels:
        pytest.skip("the helmets lie elsewhere")
    photos = []
    for path in labels:
        file = next(p for p in folder.rglob(f"{path.stem}.jpg"))
        image = images.read_image(file)
        rows = np.loadtxt(path, ndmin=2)
        middles, sides = rows[:, 1:3], rows[:, 3:5]
        boxes = np.concatenate([middles - sides / 2, middles + sides / 2], 1) * np.tile(image.shape[1::-1], 2)
        photos.append(LabelledImage(image, boxes, rows[:, 0].astype(np.int32)))
    made = [mosaic(photos, np.random.default_rng(seed), PreprocessSpec(416, 416, "corner")) for seed in range(10)]
    counts = [len(one.class_ids) for one in made]
    assert 0 < sum(counts) <= 10 * sum(len(one.class_ids) for one in photos)
    assert all((one.boxes >= 0).all() and (one.boxes <= 416).all() for one in made)
    assert cv2.imencode(".png", made[0].image)[0]
