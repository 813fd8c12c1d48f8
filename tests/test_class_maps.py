"""Class maps: drawn from masks, outlines and boxes; resized to the nearest pixel; void of mask images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mask_drawings import CAT, DOG, PHOTO, SHAPE, VALUES, coloured, dataset, grey, png, put

import lince
from lince import rle, tasks
from lince.annotations import Classes, ObjectTable, StringColumn
from lince.class_maps import BACKGROUND, VOID, draw_class_map, require_class_count, resize_class_map
from lince.datasets import Dataset
from lince.errors import DataError, UsageError


def make_objects(masks: list[np.ndarray | None], class_ids: list[int], boxes: list[list[float]]) -> ObjectTable:
    count = len(masks)
    return ObjectTable(
        np.array([0, count]),
        np.array(class_ids, np.int32),
        np.array(boxes, float).reshape(-1, 4),
        np.zeros(count, np.uint8),
        np.zeros(count + 1, np.int64),
        np.zeros(1, np.int64),
        np.empty((0, 2)),
        StringColumn.from_strings("" if mask is None else rle.encode(mask) for mask in masks),
    )


def test_later_objects_cover_earlier_ones_and_boxes_alone_are_void_beneath() -> None:
    first, second = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    first[:2], second[1:3, 1:3] = True, True
    objects = make_objects([first, second, None], [0, 2, 1], [[0, 0, 6, 2], [1, 1, 3, 3], [2, 2, 6, 4]])
    void = np.zeros((4, 6), bool)
    void[3, 0] = void[0, 0] = True
    drawn = draw_class_map(objects, 0, (4, 6), rle.encode(void))
    expected = [[1, 1, 1, 1, 1, 1], [1, 3, 3, 1, 1, 1], [0, 3, 3, VOID, VOID, VOID], [VOID, 0, VOID, VOID, VOID, VOID]]
    assert drawn.tolist() == expected
    assert (draw_class_map(None, 0, (4, 6)) == BACKGROUND).all()


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.integers(1, 40), st.randoms())
def test_a_resized_map_has_the_value_of_the_nearest_centre(
    height: int, width: int, new_height: int, new_width: int, random: object
) -> None:
    values = np.random.default_rng(random.randrange(1 << 30)).integers(0, 256, (height, width), np.uint8)  # type: ignore[attr-defined]
    resized = resize_class_map(values, (new_height, new_width))
    # Centres that lie between two pixels are nobody's.
    places = [(np.arange(new) + 0.5) * old / new for old, new in ((height, new_height), (width, new_width))]
    is_clear = [np.abs(place - np.rint(place)) > 1e-4 for place in places]
    rows, columns = (np.floor(place).astype(int) for place in places)
    clear = np.ix_(*is_clear)
    assert (resized[clear] == values[np.ix_(rows, columns)][clear]).all()


def test_more_classes_than_a_byte_holds_are_refused() -> None:
    require_class_count(Classes(tuple(map(str, range(254)))))
    with pytest.raises(DataError, match="255 classes"):
        require_class_count(Classes(tuple(map(str, range(255)))))


def open_masks(root: Path, mask: np.ndarray, **options: object) -> Dataset:
    return lince.open(put(root, {"images/a.jpg": PHOTO, "masks/a.png": png(mask)}), **options)


def draw(opened: Dataset) -> np.ndarray:
    assert opened.void_masks is not None
    return draw_class_map(opened.objects, 0, SHAPE, opened.void_masks[0])


def test_255_and_the_values_that_are_named_are_void(tmp_path: Path) -> None:
    values = grey(v1=CAT, v3=DOG)
    values[0, 0] = VOID
    opened = open_masks(tmp_path / "a", values)
    assert opened.classes.names == ("class_1", "class_3")
    assert (draw(opened) == np.where(values == 3, 2, values)).all()
    opened = open_masks(tmp_path / "a", values, void="3")
    assert opened.classes.names == ("foreground",)
    assert (draw(opened) == np.where(values == 3, VOID, values)).all()
    assert open_masks(tmp_path / "a", values, void=[3]).void_masks[0] == opened.void_masks[0]  # type: ignore[index]


@pytest.mark.parametrize(("word", "void"), [("dog", "DOG"), ("2", "DOG"), ("#008000", "DOG")])
def test_void_is_named_by_name_value_or_colour(tmp_path: Path, word: str, void: str) -> None:
    colours = [(0, 0, 0), (128, 0, 0), (0, 128, 0)] + [(9, 9, 9)] * 253
    root = dataset(tmp_path, png(VALUES, colours), labelmap__txt="cat:128,0,0::\ndog:0,128,0::\n")
    opened = lince.open(root, void=[word])
    expected = VALUES.copy()
    expected[DOG] = VOID
    assert opened.objects is not None
    names = [opened.classes.names[class_id] for class_id in opened.objects.class_ids]
    assert (names, void) == (["cat"], "DOG")
    assert (draw(opened) == expected).all()


def test_a_void_that_no_mask_has_and_one_for_other_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="void names 77"):
        open_masks(tmp_path / "a", VALUES, void="77")
    put(tmp_path / "b", {"cat/a.jpg": PHOTO, "dog/b.jpg": PHOTO})
    with pytest.raises(UsageError, match="void was given"):
        lince.open(tmp_path / "b", void="77")


def test_masks_of_two_values_have_a_foreground(tmp_path: Path) -> None:
    for number, mask in enumerate((grey(v255=CAT), grey(v7=CAT), coloured(grey(v1=CAT), {1: (9, 9, 200)}))):
        opened = open_masks(tmp_path / str(number), mask)
        assert opened.classes.names == ("foreground",)
        assert (draw(opened) == grey(v1=CAT)).all()


def test_mask_images_are_segmented_unless_another_task_is_named(tmp_path: Path) -> None:
    opened = open_masks(tmp_path, VALUES)
    assert tasks.resolve_task(opened).name == "segment"
    assert tasks.resolve_task(opened, "detect").name == "detect"
    assert "--task detect" in tasks.describe_other_tasks(opened, tasks.get_task("segment"))


def test_void_survives_rows_parts_conversion_and_merging(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[0, 0] = VOID
    root = put(tmp_path / "a", {f"images/{i}.jpg": PHOTO for i in range(3)})
    for number in range(3):
        put(root, {f"masks/{number}.png": png(values if number == 1 else VALUES)})
    opened = lince.open(root)
    assert [bool(text) for text in opened.void_masks or ()] == [False, True, False]
    assert [bool(text) for text in opened.select([1, 0]).void_masks or ()] == [True, False]
    lince.convert(root, tmp_path / "b", "masks")
    assert list(lince.open(tmp_path / "b").void_masks or ()) == list(opened.void_masks or ())
    with pytest.raises(UsageError, match="no label: they become background"):
        lince.convert(root, tmp_path / "c", "coco")
    lince.convert(root, tmp_path / "c", "coco", lossy=True)
    assert not lince.open(tmp_path / "c").is_pixelwise
