"""Mask folders: every kind of PNG and legend, refusals, round trip, and real trimaps."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support.mask_drawings import (
    CAT,
    DOG,
    EXPECTED,
    GREEN,
    PHOTO,
    RED,
    SHAPE,
    VALUES,
    cells,
    dataset,
    drawn,
    grey,
    png,
    put,
    read,
)

from lince import rle
from lince.errors import UsageError
from lince.formats import LabelTable, ReadOptions, WriteRequest, open_table
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.masks import color_map
from lince.formats.masks import png as masks_png
from lince.formats.masks import reader as mask_reader
from lince.progress import SILENT
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.tree import DataLocation, LocalFolder

# Where masks and photos lie


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("images/a.jpg", "masks/a.png"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png"),
        ("images/train/a.jpg", "masks/train/a.png"),
        ("train/images/a.jpg", "train/masks/a.png"),
        ("images/train/a.jpg", "annotations/train/a.png"),
        ("train/a.jpg", "train/a_mask.png"),
        ("a.jpg", "masks/a.png"),
        ("images/a.jpg", "masks/a_mask.png"),
        ("images/x/a.jpg", "masks/a.png"),
        ("images/a.png", "labels/a.png"),
        ("train/a.png", "trainannot/a.png"),
        ("train/a.jpg", "train_labels/a.png"),
        ("imágenes/a.jpg", "máscaras/a.png"),
        ("imagens/train/a.jpg", "mascaras/train/a.png"),
        ("RGB/a.png", "SemSeg/a.png"),
    ],
)
def test_layouts(awkward: Path, photo: str, mask: str) -> None:
    put(awkward, {photo: PHOTO, mask: png(VALUES), "classes.txt": "0 background\n1 cat\n2 dog"})
    other = {name.replace("train", "val"): data for name, data in ((photo, PHOTO), (mask, png(VALUES)))}
    if "train" in photo:
        put(awkward, other)
    table = read(awkward)
    assert mask_reader.detect(DataLocation(LocalFolder(awkward)))
    assert table.rejected == ()
    assert drawn(table)[photo] == EXPECTED["images/a.jpg"]
    splits = dict(zip(table.names, table.splits.tolist(), strict=True))
    assert splits[photo] == (TRAIN if "train" in photo else UNASSIGNED)
    assert splits.get(photo.replace("train", "val")) == (VAL if "train" in photo else splits[photo])


def test_lists_of_pascal_voc_give_the_splits(awkward: Path) -> None:
    for name in "abc":
        put(awkward, {f"JPEGImages/{name}.jpg": PHOTO, f"SegmentationClass/{name}.png": png(VALUES),
                      f"SegmentationObject/{name}.png": png(VALUES)})  # fmt: skip
    put(awkward, {"ImageSets/Segmentation/train.txt": "a\nb\n", "ImageSets/Segmentation/val.txt": "c\n"})
    table = read(awkward)
    assert table.splits.tolist() == [TRAIN, TRAIN, VAL]
    assert table.rejected == ()


def test_the_folder_of_masks_itself_may_be_named(awkward: Path) -> None:
    dataset(awkward, png(VALUES), classes__txt="0 background\n1 cat\n2 dog")
    table = read(awkward / "masks")
    assert [name.rpartition("/")[2] for name in table.names] == ["a.jpg"]
    assert (table.root / table.names[0]).read_bytes() == PHOTO


@pytest.mark.parametrize(
    "files",
    [
        ["mask/1.png", "mask/2.png", "no_mask/1.png", "no_mask/2.png"],
        ["cat/1.png", "dog/1.png"],
        ["images/a.jpg", "labels/a.txt"],
        ["images/a.jpg", "annotations/b.png"],
        ["masks/a.png"],
        ["person_mask.png", "dog_mask.png", "cat_1.png"],
    ],
)
def test_what_is_no_mask_is_not_claimed(awkward: Path, files: list[str]) -> None:
    put(awkward, dict.fromkeys(files, PHOTO))
    assert mask_reader.detect(DataLocation(LocalFolder(awkward))) is None
    with pytest.raises(UsageError, match="no masks"):
        read(awkward)


# What is refused


def test_every_refusal_has_its_place_and_its_fault(awkward: Path) -> None:
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SHAPE[::-1]).save(turned, "JPEG", exif=exif)
    put(
        awkward, {f"images/{name}.jpg": PHOTO for name in ("good", "small", "cut", "smooth", "unknown", "bare", "text")}
    )
    smooth = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    put(awkward, {"images/turned.jpg": turned.getvalue(), "classes.txt": "0 background\n1 cat\n2 dog"})
    put(awkward, {
        "masks/good.png": png(VALUES), "masks/small.png": png(VALUES[1:]), "masks/cut.png": png(VALUES)[:50],
        "masks/smooth.png": png(np.tile(smooth, (3, 3, 1))[: SHAPE[0], : SHAPE[1]]), "masks/text.png": b"words",
        "masks/unknown.png": png(grey(v1=CAT, v9=DOG)), "masks/alone.png": png(VALUES),
        "masks/turned.png": png(VALUES), "masks/good_mask.png": png(VALUES),
    })  # fmt: skip
    table = read(awkward)
    found = {refusal.path: (refusal.kind, refusal.reason) for refusal in table.rejected}
    assert sorted(table.names) == ["images/good.jpg", "images/unknown.jpg"]
    assert drawn(table)["images/unknown.jpg"] == {"cat": cells(CAT)}
    assert found.pop("masks/smooth.png")[0] == "class"
    assert found.pop("images/smooth.jpg")[0] == "lost"
    assert found.pop("masks/cut.png")[0] == "unusable"
    assert found == {
        "masks/small.png": ("outside", "8 x 5 pixels, but its photo has 8 x 6"),
        "masks/turned.png": ("outside", "8 x 6 pixels, but its photo has 6 x 8"),
        "masks/text.png": ("unusable", "This is not a PNG"),
        "masks/unknown.png": ("class", "9 is not in the legend"),
        "masks/alone.png": ("no-image", "its photo is missing"),
        "masks/good_mask.png": ("double", "images/good.jpg already has a mask: masks/good.png"),
        "images/bare.jpg": ("no-label", "no mask"),
    }


def test_an_empty_mask_is_a_photo_that_shows_nothing(awkward: Path) -> None:
    put(awkward, {"images/b.jpg": PHOTO, "masks/b.png": png(grey())})
    table = read(dataset(awkward, png(VALUES)))
    assert drawn(table)["images/b.jpg"] == {}
    assert table.rejected == ()


# There and back


def many(root: Path) -> LabelTable:
    marks = ObjectTableBuilder(ReadOptions())
    for i, (split, word) in enumerate([(TRAIN, "train/"), (VAL, "val/"), (TEST, "test/"), (UNASSIGNED, "")] * 2):
        row = marks.add_image(f"images/{word}ñ {i}.jpg", split, SHAPE)
        for class_id in range(i % 3):
            values = np.zeros(SHAPE, bool)
            values[class_id * 2 : class_id * 2 + 2, i % 4 :] = True
            counts = rle.mask_to_counts(values)
            marks.add(
                row,
                RawObject(
                    2 * class_id, rle.compute_bounding_box(counts, SHAPE[0]), "x", mask=rle.counts_to_string(counts)
                ),
            )
    return marks.build_table(LocalFolder(root), "test", ["gato: negro", "nobody", "#3", "niño"])


def test_written_and_read_again(awkward: Path) -> None:
    table = many(awkward)
    files = [mask_reader.image_path(*(name.split("/")[1:-1] or [""]), "", name.split("/")[-1]) for name in table.names]
    assert files == list(table.names)
    put(awkward, dict.fromkeys(files, PHOTO))
    export = WriteRequest(table, files, np.full((len(files), 2), SHAPE, np.int32), lambda _row: PHOTO)
    mask_reader.write(export, awkward)
    again = open_table(awkward)
    assert (again.format, again.classes, again.rejected) == ("masks", table.classes, ())
    assert drawn(again) == drawn(table)
    assert dict(zip(again.names, again.splits.tolist(), strict=True)) == dict(
        zip(table.names, table.splits.tolist(), strict=True)
    )
    with Image.open(awkward / "masks/train/ñ 4.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]  # type: ignore[index]


def test_the_palette_is_that_of_pascal_voc() -> None:
    colours = color_map.make_voc_palette()
    assert colours[:4] == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]
    assert (colours[15], colours[20], colours[255]) == ((192, 128, 128), (0, 64, 128), (224, 224, 192))
    assert len(set(colours)) == 256


def test_the_later_object_covers_the_earlier(awkward: Path) -> None:
    marks = ObjectTableBuilder(ReadOptions())
    row = marks.add_image("images/a.jpg", size=SHAPE)
    for class_id, where in ((0, np.s_[0:4, 0:4]), (1, np.s_[2:6, 2:6])):
        values = np.zeros(SHAPE, bool)
        values[where] = True
        marks.add(row, RawObject(class_id, (0, 0, 8, 6), "x", mask=rle.encode(values)))
    table = marks.build_table(LocalFolder(awkward), "test", ["below", "above"])
    put(awkward, {"images/a.jpg": PHOTO})
    mask_reader.write(WriteRequest(table, ["images/a.jpg"], np.array([SHAPE], np.int32), lambda _row: PHOTO), awkward)
    found = drawn(read(awkward))["images/a.jpg"]
    assert found["above"] == cells(np.s_[2:6, 2:6])
    assert len(found["below"]) == 16 - 4


# Real trimaps and mutated masks


def test_trimaps_of_pets(shared: Path, awkward: Path) -> None:
    folder = shared / "data/pets"
    for path in sorted((folder / "annotations/trimaps").iterdir())[::12]:
        for name in (f"annotations/trimaps/{path.name}", f"images/{path.stem}.jpg"):
            (awkward / name).parent.mkdir(parents=True, exist_ok=True)
            (awkward / name).symlink_to(folder / name)
    table = read(awkward)
    assert (table.classes.names, len(table.names), table.rejected) == (("class_1", "class_2", "class_3"), 50, ())
    assert table.objects is not None
    assert table.sizes is not None
    areas = np.zeros(3, np.int64)
    for row in range(50):
        with Image.open(folder / "annotations/trimaps" / (Path(table.names[row]).stem + ".png")) as image:
            values = np.asarray(image)
        for i in range(*table.objects.slice_of_image(row).indices(len(table.objects))):
            kind = int(table.objects.class_ids[i]) + 1
            assert np.array_equal(rle.decode(table.objects.masks[i], *values.shape), values == kind)
            areas[kind - 1] += (values == kind).sum()
    assert areas.all()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_change_to_a_mask(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    root = tmp_path_factory.getbasetemp() / "anymask"
    data = bytearray(png(VALUES, [(0, 0, 0), RED, GREEN]))
    for _i in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(8, len(data) - 1))] = draw.draw(st.integers(0, 255))
    dataset(root, bytes(data[: draw.draw(st.integers(9, len(data)))]), labelmap__txt="cat:128,0,0::\ndog:0,128,0::")
    table = mask_reader.read(DataLocation(LocalFolder(root)), ReadOptions(), SILENT)
    assert len(table.names) + len(table.rejected) >= 1


def test_masks_of_numbers_keep_them(awkward: Path) -> None:
    values = np.arange(48, dtype=np.uint8).reshape(SHAPE) * 5
    assert np.array_equal(masks_png.decode_mask_png(masks_png.encode_mask_png(values)).values, values)
    for mode in ("1", "L", "P"):
        with Image.open(io.BytesIO(png(values, mode=mode))) as image:
            assert np.array_equal(masks_png.decode_mask_png(png(values, mode=mode)).values, np.asarray(image))
    with pytest.raises(ValueError, match="uint8"):
        masks_png.encode_mask_png(values.astype(np.int32))
