"""COCO writer: its files read back by lince and by the COCO API."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as reference
from pycocotools.coco import COCO

from lince import images, rle
from lince.annotations import CROWD, Classes, ObjectTable, StringColumn
from lince.formats import LabelTable, WriteRequest, open_table
from lince.formats.coco import reader as coco_reader
from lince.splits import TRAIN, UNASSIGNED, VAL

PHOTO = images.encode_png(np.zeros((40, 60, 3), np.uint8))


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)


def table_of(root: Path) -> LabelTable:
    photos = ["images/train/ñ 1.png", "images/train/2.png", "images/val/2.png", "images/3.png"]
    put(root, *photos)
    picture = np.zeros((40, 60), bool)
    picture[3:9, 4:17] = True
    points = np.array([[1.1, 2], [30, 2.7], [15, 1 / 3 + 30], [40, 20], [50, 20], [50, 30], [40, 30]])
    objects = ObjectTable(
        starts=np.array([0, 2, 2, 4, 4]),
        class_ids=np.array([2, 0, 0, 2], np.int32),
        boxes=np.array([[0.1, 0.2, 59.7, 39.123456789], [1, 2, 50, 31], [4, 3, 17, 9], [2, 2, 3, 3]]),
        flags=np.array([0, 0, CROWD, 0], np.uint8),
        ring_starts=np.array([0, 0, 2, 2, 2]),
        point_starts=np.array([0, 3, 7]),
        points=points,
        masks=StringColumn.from_strings(["", "", rle.encode(picture), ""]),
    )
    splits = np.array([TRAIN, TRAIN, VAL, UNASSIGNED], np.int8)
    sizes = np.array([[40, 60]] * 4, np.int32)
    ids = np.full(4, -1, np.int32)
    return LabelTable(
        root,
        "x",
        StringColumn.from_strings(photos),
        Classes(("b", "a", "ç")),
        ids,
        splits,
        objects=objects,
        sizes=sizes,
    )


def written(root: Path) -> LabelTable:
    table = table_of(root)
    assert table.sizes is not None
    export = WriteRequest(table, list(table.names), table.sizes, lambda _row: PHOTO)
    coco_reader.FORMAT.write(export, root)  # type: ignore[misc]
    return table


def test_what_is_written_is_read_back(awkward: Path) -> None:
    table, again = written(awkward), open_table(awkward)
    order = [list(again.names).index(name) for name in table.names]
    assert again.objects is not None
    assert table.objects is not None
    same = again.objects.select_images(np.array(order))
    assert again.splits[order].tolist() == table.splits.tolist()
    assert again.classes == table.classes
    for column in ("starts", "class_ids", "flags", "ring_starts", "point_starts", "points"):
        assert np.array_equal(getattr(same, column), getattr(table.objects, column)), column
    assert np.allclose(same.boxes, table.objects.boxes, rtol=1e-12, atol=0)
    assert list(same.masks) == list(table.objects.masks)
    assert again.rejected == ()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # raised in the COCO API
def test_the_coco_api_reads_what_is_written(awkward: Path) -> None:
    table = written(awkward)
    objects = table.objects
    assert objects is not None
    found = []
    for name in ("train", "val"):
        with contextlib.redirect_stdout(io.StringIO()):
            api = COCO(str(awkward / "annotations" / f"instances_{name}.json"))
        names = {row["id"]: row["name"] for row in api.loadCats(api.getCatIds())}
        assert tuple(names.values()) == table.classes.names
        for annotation in api.loadAnns(api.getAnnIds()):
            area = annotation["area"]
            if annotation["segmentation"]:
                assert area == api.annToMask(annotation).sum() == reference.area(api.annToRLE(annotation))
            found.append((names[annotation["category_id"]], annotation["iscrowd"]))
            assert os.path.exists(awkward / "images" / name / api.imgs[annotation["image_id"]]["file_name"])
    assert found == [("ç", 0), ("b", 0), ("b", 1), ("ç", 0)]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_hard_hats_are_counted_by_the_coco_api_as_by_us(shared: Path, awkward: Path) -> None:
    table = open_table(shared / "data" / "hardhat", "yolo")
    assert table.objects is not None
    sizes = np.full((len(table.names), 2), 416, np.int32)
    files = [str(table.root / name) for name in table.names]
    coco_reader.write(WriteRequest(table, files, sizes, lambda _row: PHOTO), awkward)
    found: dict[str, int] = {}
    area = 0.0
    for path in sorted((awkward / "annotations").iterdir()):
        with contextlib.redirect_stdout(io.StringIO()):
            api = COCO(str(path))
        for row in api.loadCats(api.getCatIds()):
            found[row["name"]] = found.get(row["name"], 0) + len(api.getAnnIds(catIds=[row["id"]]))
        area += sum(row["area"] for row in api.loadAnns(api.getAnnIds()))
    assert found == {"helmet": 1873, "person": 26, "head": 548}
    sides = table.objects.boxes[:, 2:] - table.objects.boxes[:, :2]
    assert area == pytest.approx(sides.prod(axis=1).sum(), rel=1e-12)
    again = open_table(awkward)
    assert len(again.names) == len(table.names) == 501
    assert again.classes == table.classes
    assert sorted(again.splits.tolist()) == sorted(table.splits.tolist())


def test_full_paths_stay(awkward: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/1.png")
    table = table_of(awkward)
    assert table.sizes is not None
    files = [str(tmp_path / "elsewhere/1.png"), *list(table.names)[1:]]
    coco_reader.FORMAT.write(WriteRequest(table, files, table.sizes, lambda _row: PHOTO), awkward)  # type: ignore[misc]
    assert files[0] in list(open_table(awkward).names)
