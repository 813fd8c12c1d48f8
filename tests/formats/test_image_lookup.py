"""Which image a label file means: the one in the place that it names, and never another of the same file name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lince import images
from lince.formats import open_table
from lince.formats.image_lookup import ImageLookup
from lince.splits import TEST, UNASSIGNED, VAL
from lince.storage.tree import LocalFolder

PNG = images.encode_png(np.zeros((80, 120, 3), np.uint8))
VOC = (
    "<annotation><filename>{name}</filename><size><width>120</width><height>80</height></size><object>"
    "<name>cat</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>50</xmax><ymax>50</ymax></bndbox></object></annotation>"
)


def make_images(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG)


def make_lookup(root: Path, *names: str) -> ImageLookup:
    make_images(root, *names)
    return ImageLookup(LocalFolder(root))


@pytest.mark.parametrize(
    ("reference", "label_folder", "present"),
    [
        ("3.png", "train", ("train/1.png", "valid/3.png")),
        ("train/3.png", "", ("train/1.png", "test/3.png")),
        ("test/3.png", "", ("cut photos train/3.png", "cut photos test/1.png")),
        ("cars/3.png", "", ("cars/1.png", "people/3.png")),
        ("cars/images/3.png", "", ("cars/images/1.png", "people/images/3.png")),
    ],
)
def test_an_image_in_another_place_is_another_image(
    awkward: Path, reference: str, label_folder: str, present: tuple[str, ...]
) -> None:
    lookup = make_lookup(awkward, *present)
    assert lookup.find(reference, label_folder) is None
    make_images(awkward, wanted := f"{label_folder}/{reference}".lstrip("/"))
    assert make_lookup(awkward).find(reference, label_folder) == wanted


@pytest.mark.parametrize(
    ("label_file", "present"),
    [
        ("train/labels/3.txt", ("train/images/1.png", "valid/images/3.png")),
        ("labels/train/3.txt", ("images/train/1.png", "images/val/3.png")),
        ("day/labels/3.txt", ("day/images/1.png", "night/images/3.png")),
        ("labels/day/3.txt", ("images/day/1.png", "images/night/3.png")),
        ("day/3.txt", ("day/1.png", "night/3.png")),
    ],
)
def test_a_sidecar_has_its_image_in_its_own_branch(awkward: Path, label_file: str, present: tuple[str, ...]) -> None:
    lookup = make_lookup(awkward, *present)
    assert lookup.find_by_stem(label_file) is None
    assert lookup.find("3.png", label_file.rpartition("/")[0], sidecar=True) is None


@pytest.mark.parametrize(
    ("reference", "label_folder", "present"),
    [
        ("3.png", "", ("photos/3.png",)),
        ("3.png", "annotations", ("photos/3.png", "annotations/logo.png", *(f"photos/x{i}.png" for i in range(8)))),
        ("images/3.png", "", ("photos/3.png", "images/logo.png", *(f"photos/x{i}.png" for i in range(8)))),
        ("/home/me/train/3.png", "", ("valid/3.png",)),
        ("C:\\photos\\3.png", "", ("valid/3.png", "valid/4.png")),
        ("3.png", "labels", ("images/3.png", "images/4.png")),
        ("3.png", "train/annotations", ("images/3.png", "images/4.png")),
        ("day/3.png", "", ("all/day/3.png", "all/night/4.png")),
    ],
)
def test_an_image_that_was_moved_as_a_whole_is_found(
    awkward: Path, reference: str, label_folder: str, present: tuple[str, ...]
) -> None:
    assert make_lookup(awkward, *present).find(reference, label_folder) == present[0]


def test_the_labels_of_a_missing_photo_go_to_no_other(awkward: Path) -> None:
    make_images(awkward, *(f"train/images/{i}.png" for i in range(8) if i != 3), "test/images/3.png")
    (awkward / "train/annotations").mkdir()
    for i in range(8):
        (awkward / f"train/annotations/{i}.xml").write_text(VOC.format(name=f"{i}.png"))
    table = open_table(awkward)
    assert [name for name in table.names if "3" in name] == []
    assert [(item.path, item.kind) for item in table.rejected] == [
        ("train/annotations/3.xml", "no-image"),
        ("test/images/3.png", "no-label"),
    ]


def test_two_yolo_splits_with_the_same_file_names(awkward: Path) -> None:
    make_images(awkward, *(f"{part}/images/{i}.png" for part in ("train", "valid") for i in range(4)))
    for part, numbers in (("train", (0, 1, 2, 3)), ("valid", (0, 1))):
        (awkward / part / "labels").mkdir()
        for i in numbers:
            (awkward / part / "labels" / f"{i}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (awkward / "train/images/3.png").unlink()
    (awkward / "data.yaml").write_text("names: [cat]\ntrain: train/images\nval: valid/images\n")
    table = open_table(awkward)
    assert list(table.names) == [
        *(f"train/images/{i}.png" for i in range(3)),
        "valid/images/0.png",
        "valid/images/1.png",
    ]
    assert sorted((item.path, item.kind) for item in table.rejected) == [
        ("train/labels/3.txt", "no-image"),
        ("valid/images/2.png", "no-label"),
        ("valid/images/3.png", "no-label"),
    ]
    assert TEST not in table.splits
    assert set(table.splits.tolist()) <= {0, VAL, UNASSIGNED}
