"""LabelMe: files of its versions, valid and damaged; written files read back."""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince import images, rle
from lince.annotations import CROWD, DIFFICULT, OCCLUDED, UNLABELLED, Classes, ObjectTable, StringColumn
from lince.datasets import open_dataset
from lince.errors import DataError, LinceError
from lince.formats import LabelTable, ReadOptions, WriteRequest
from lince.formats.labelme import reader as labelme_reader
from lince.formats.masks import png as masks_png
from lince.progress import SILENT
from lince.splits import TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((40, 60, 3), np.uint8))
TRIANGLE = [[1, 2], [11.5, 2], [11, 22]]


def drawn(kind: str | None = "polygon", points: Any = TRIANGLE, label: Any = "casco", **more: Any) -> dict[str, Any]:
    shape = {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}
    return {key: value for key, value in shape.items() if key != "shape_type" or value}


def content(*shapes: Any, **more: Any) -> dict[str, Any]:
    whole = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    return {**whole, "imageHeight": 40, "imageWidth": 60, **more}


def save(root: Path, value: Any, name: str = "a.json") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(value), encoding="utf-8")
    return root / name


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)


def read(path: Path) -> LabelTable:
    return labelme_reader.read(resolve_location(path), ReadOptions(), SILENT)


def opened(root: Path, *shapes: Any, **more: Any) -> LabelTable:
    put(root, "a.png")
    save(root, content(*shapes, **more))
    assert labelme_reader.detect(resolve_location(root))
    return read(root)


def objects_of(table: LabelTable) -> ObjectTable:
    assert table.objects is not None
    return table.objects


def said(table: LabelTable) -> list[tuple[str, str]]:
    return [(row.path, row.kind) for row in table.rejected]


def png(picture: np.ndarray) -> str:
    return base64.b64encode(masks_png.encode_mask_png(picture.astype(np.uint8))).decode()


def test_every_kind_of_shape(awkward: Path) -> None:
    inside = np.array([[1, 0, 1], [1, 1, 0]])
    table = opened(
        awkward,
        drawn(),
        drawn(None, label="niña"),
        drawn("rectangle", [[30, 20], [10.5, 5]]),
        drawn("rectangle", [[10, 5], [30, 5], [30, 20], [10, 20]]),
        drawn("rectangle", [[10, 5], [30, 6], [29, 20], [9, 19]]),
        drawn("circle", [[20, 20], [23, 24]]),
        drawn("mask", [[7, 3], [9, 4]], mask=png(inside)),
        drawn("oriented_rectangle", [[10, 5], [30, 6], [29, 20], [9, 19]]),
    )
    found = objects_of(table)
    assert table.rejected == ()
    assert [table.classes.names[k] for k in found.class_ids] == ["casco", "niña", *["casco"] * 6]
    assert found.boxes.tolist() == [
        [1, 2, 11.5, 22],
        [1, 2, 11.5, 22],
        [10.5, 5, 30, 20],
        [10, 5, 30, 20],
        [9, 5, 30, 20],
        [15, 15, 25, 25],
        [7, 3, 10, 5],
        [9, 5, 30, 20],
    ]
    assert [len(found.get_polygons(i)) for i in range(8)] == [1, 1, 0, 0, 1, 1, 0, 1]
    (circle,) = found.get_polygons(5)
    assert len(circle) == 64
    assert np.allclose(np.hypot(*(circle - 20).T), 5)
    mask = rle.decode(found.masks[6], 40, 60)
    assert np.array_equal(mask[3:5, 7:10], inside)
    assert mask.sum() == 4


def test_groups_and_flags(awkward: Path) -> None:
    other = [[30, 20], [40, 20], [40, 30]]
    table = opened(
        awkward,
        drawn(group_id=1, flags={"difficult": True, "crowd": False}),
        drawn(label="niña", group_id=1, difficult=True, flags=None),
        drawn(points=other, group_id=1),
        drawn(points=other, group_id=2, flags={"occluded": True, "casa": True}),
        drawn("rectangle", [[1, 1], [5, 5]], group_id=2),
    )
    found = objects_of(table)
    assert [len(found.get_polygons(i)) for i in range(len(found))] == [2, 1, 1, 0]
    assert found.boxes[0].tolist() == [1, 2, 40, 30]
    assert found.flags.tolist() == [DIFFICULT, DIFFICULT, OCCLUDED, 0]


@pytest.mark.parametrize(
    ("shape", "where", "fault"),
    [
        (drawn("line", [[1, 2], [3, 4]]), "", "row"),
        (drawn("point", [[1, 2]]), "", "row"),
        (drawn("linestrip"), "", "row"),
        (drawn(points=[[1, 2], [3, 4]]), "", "empty"),
        (drawn(points=[[1, 2], [3, 4], [5]]), "/points", "row"),
        (drawn(points=[[1, 2], [3, 4], [5, "6"]]), "/points", "row"),
        (drawn(points=[[1, 2], [3, 4], [5, float("nan")]]), "/points", "number"),
        (drawn(points=None), "/points", "row"),
        (drawn(label=None), "/label", "row"),
        (drawn(label="\ud800"), "/label", "row"),
        (drawn("rectangle", [[1, 2]]), "", "row"),
        (drawn("rectangle", [[1, 2], [1, 5]]), "", "empty"),
        (drawn("circle", [[1, 2]]), "", "row"),
        (drawn("circle", [[1, 20], [9, 20]]), "", "outside"),
        (drawn("mask", [[1, 2], [3, 4]]), "/mask", "row"),
        (drawn("mask", [[1, 2], [3, 4]], mask="?"), "/mask", "row"),
        (drawn("mask", [[1, 2], [3, 4]], mask="aaaa"), "/mask", "row"),
        (drawn("mask", [[1, 2], [3, 4]], mask=png(np.ones((2, 2)))), "", "outside"),
        (drawn("mask", [[59, 2], [60, 2]], mask=png(np.ones((1, 2)))), "", "outside"),
        (drawn("mask", [[1, 2], [1, 2]], mask=png(np.zeros((1, 1)))), "", "empty"),
        (7, "", "row"),
    ],
)
def test_what_cannot_be_used_is_listed_by_its_place(awkward: Path, shape: Any, where: str, fault: str) -> None:
    table = opened(awkward, drawn(), shape)
    assert said(table) == [(f"a.json#/shapes/1{where}", fault)]
    assert len(objects_of(table)) == 1
    assert table.rejected[0].remedy


def test_photos_are_found_by_mention_by_name_or_within(awkward: Path) -> None:
    put(awkward, "fotos/train/b ñ.png", "c.png", "nobody.png")
    save(awkward, content(drawn(), imagePath="..\\fotos\\train\\b ñ.png"), "labels/1.json")
    save(awkward, content(imagePath="renamed.png"), "c.json")
    save(awkward, content(drawn(), imageData=base64.b64encode(PHOTO).decode(), imageHeight=None), "labels/within.json")
    save(awkward, content(drawn(), imagePath="gone.png"), "labels/gone.json")
    save(awkward, content(drawn(), imagePath="../c.png"), "labels/twice.json")
    save(awkward, content(drawn(), imageData="aaaa"), "labels/broken.json")
    save(awkward, {"images": []}, "labels/other.json")
    (awkward / "labels" / "bad.json").write_bytes(b'{"shapes": [')
    data = open_dataset(awkward, format="labelme")
    names = [data.images.get_name(i) for i in range(len(data))]
    assert names == ["c.png", "fotos/train/b ñ.png", "labels/within.png"]
    assert data.splits.tolist() == [UNASSIGNED, TRAIN, UNASSIGNED]
    assert data.sizes is not None
    assert data.sizes.tolist() == [[40, 60]] * 3
    assert [len(data.images.read_bytes(i)) for i in range(3)] == [len(PHOTO)] * 3
    assert data.images.read_image(2).shape == (40, 60, 3)
    assert {(row.path, row.kind) for row in data.rejected} == {
        ("labels/bad.json", "row"),
        ("labels/broken.json", "no-image"),
        ("labels/gone.json", "no-image"),
        ("labels/other.json#/shapes", "row"),
        ("labels/twice.json", "double"),
        ("nobody.png", "no-label"),
    }


def test_a_photo_of_another_split_with_the_number_of_the_file_is_another_photo(awkward: Path) -> None:
    put(awkward, "cut photos train/2.png", "cut photos test/1.png", "test/3.png")
    save(awkward, content(drawn(), imagePath="test\\2.png", imageData=base64.b64encode(PHOTO).decode()), "2.json")
    save(awkward, content(drawn(), imagePath="train\\3.png"), "test/3.json")  # moved together with its photo
    data = open_dataset(awkward, format="labelme")
    assert [data.images.get_name(row) for row in range(len(data))] == ["2.png", "test/3.png"]


def test_a_file_named_itself(awkward: Path) -> None:
    put(awkward, "images/a.png", "images/b.png")
    path = save(awkward, content(drawn(), imagePath="..\\images\\a.png"), "json/a.json")
    table = read(path)
    assert [(table.root / name).resolve() for name in table.names] == [(awkward / "images/a.png").resolve()]
    assert table.rejected == ()
    (awkward / "json" / "b.json").write_bytes(b"{")
    with pytest.raises(DataError, match=r"b\.json:1:2"):
        read(awkward / "json" / "b.json")
    with pytest.raises(DataError, match="gone"):
        read(save(awkward, content(imagePath="gone.png"), "json/c.json"))


def test_flags_of_photos_are_classes_where_nothing_is_drawn(awkward: Path) -> None:
    put(awkward, *(f"{i}.png" for i in range(4)))
    for i, flags in enumerate([{"gato": True, "perro": False}, {"perro": True}, {"gato": True, "perro": True}, {}]):
        save(awkward, content(flags=flags, imagePath=f"{i}.png"), f"{i}.json")
    table = read(awkward)
    assert table.objects is None
    listed = {name: table.list_class_names(row) for row, name in enumerate(table.names)}
    assert listed == {"0.png": ["gato"], "1.png": ["perro"], "2.png": ["gato", "perro"]}
    assert said(table) == [("3.png", "no-label")]
    save(awkward, content(flags={"gato": False, "perro": False}, imagePath="3.png"), "3.json")
    assert (len(read(awkward).names), read(awkward).list_class_names(3), said(read(awkward))) == (4, [], [])
    save(awkward, content(flags={"gato": True, "perro": False}, imagePath="2.png"), "2.json")
    assert (read(awkward).label_sets, said(read(awkward))) == (None, [("3.png", "no-label")])


def test_flags_beside_shapes_are_reported(awkward: Path) -> None:
    told: list[str] = []

    class Listener:
        show_message = staticmethod(told.append)
        open_stage = staticmethod(lambda _name, _total: contextlib.nullcontext(Listener))
        advance = staticmethod(lambda: None)

    put(awkward, "a.png")
    save(awkward, content(drawn(), flags={"blurred": True}))
    table = labelme_reader.read(resolve_location(awkward), ReadOptions(), Listener)
    assert len(objects_of(table)) == 1
    assert "flags" in told[0]


@pytest.mark.parametrize(
    ("value", "is_ours"),
    [
        (content(), True),
        ({"imageData": "x" * 9000, "imagePath": "a.png", "shapes": []}, False),  # the photo alone is read
        ({"imagePath": "a.png", "imageData": "x" * 9000, "shapes": []}, True),
        ({"shapes": []}, False),
        ({"images": [], "annotations": [], "categories": []}, False),
        ([content()], False),
        ("shapes", False),
    ],
)
def test_only_its_own_files_are_taken(awkward: Path, value: Any, is_ours: bool) -> None:
    assert bool(labelme_reader.detect(resolve_location(save(awkward, value)))) is is_ours


# Writing


def table_of(root: Path) -> LabelTable:
    photos = ["images/ñ 1.png", "images/deep/ñ 1.png", "images/2.png"]
    put(root, *photos)
    picture = np.zeros((40, 60), bool)
    picture[3:9, 4:17] = True
    picture[5, 6] = False
    first = np.array([[1.1, 2], [30, 2.7], [15, 1 / 3 + 30]])
    second = np.array([[40, 20], [50, 20], [50, 30], [40, 30.5]])
    low, high = np.minimum(first.min(0), second.min(0)), np.maximum(first.max(0), second.max(0))
    boxes = np.array([[0.1, 0.2, 59.7, 39.123456789], [*low, *high], [4, 3, 17, 9], [*second.min(0), *second.max(0)]])
    objects = ObjectTable(
        starts=np.array([0, 2, 2, 4]),
        class_ids=np.array([2, 0, 0, 2], np.int32),
        boxes=boxes,
        flags=np.array([31, 0, CROWD, 0], np.uint8),
        ring_starts=np.array([0, 0, 2, 2, 3]),
        point_starts=np.array([0, 3, 7, 11]),
        points=np.concatenate([first, second, second]),
        masks=StringColumn.from_strings(["", "", rle.encode(picture), ""]),
    )
    unlabelled = np.full(3, UNLABELLED, np.int32)
    splits, sizes = np.array([UNASSIGNED, VAL, UNASSIGNED], np.int8), np.array([[40, 60]] * 3, np.int32)
    classes = Classes(("zorro", "unused", "ç"))
    return LabelTable(
        root, "x", StringColumn.from_strings(photos), classes, unlabelled, splits, objects=objects, sizes=sizes
    )


def test_what_is_written_is_read_back(awkward: Path) -> None:
    table = table_of(awkward)
    assert table.sizes is not None
    files = list(table.names)
    labelme_reader.write(WriteRequest(table, files, table.sizes, lambda _row: PHOTO), awkward)
    again = read(awkward)
    assert again.rejected == ()
    assert again.classes == table.classes
    order = np.array([list(again.names).index(name) for name in files])
    found, wanted = objects_of(again).select_images(order), objects_of(table)
    for column in ("starts", "class_ids", "flags", "boxes", "ring_starts", "point_starts", "points"):
        assert np.array_equal(getattr(found, column), getattr(wanted, column)), column
    assert list(found.masks) == list(wanted.masks)


def test_photos_that_stay_elsewhere(awkward: Path, tmp_path: Path) -> None:
    put(tmp_path, "x/1.png", "y/1.png")
    table = table_of(awkward)
    assert table.sizes is not None
    files = [str(tmp_path / "x/1.png"), str(tmp_path / "y/1.png"), "images/2.png"]
    labelme_reader.write(WriteRequest(table, files, table.sizes, lambda _row: PHOTO), awkward)
    assert set(files) <= set(read(awkward).names)


def test_class_names_that_a_list_cannot_hold_are_refused(awkward: Path) -> None:
    for name in (" a", "a\nb", "", "_background_"):
        table = LabelTable(
            awkward,
            "x",
            StringColumn.from_strings([]),
            Classes((name,)),
            np.empty(0, np.int32),
            np.empty(0, np.int8),
            sizes=np.empty((0, 2), np.int32),
        )
        with pytest.raises(DataError, match="Rename"):
            labelme_reader.write(WriteRequest(table, [], np.empty((0, 2), np.int32), lambda _row: PHOTO), awkward)


# Hostile files

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["label", "points"]), inner),
    max_leaves=6,
)
KINDS = st.sampled_from(["polygon", "rectangle", "circle", "mask", "line"])


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_json_ends_in_rows_or_a_clear_refusal(data: st.DataObject) -> None:
    shape = drawn(data.draw(KINDS | JSON), data.draw(st.just(TRIANGLE) | JSON), data.draw(st.just("x") | JSON))
    shape |= {"group_id": data.draw(JSON), "flags": data.draw(JSON), "mask": data.draw(JSON)}
    value = content(shape, data.draw(JSON))
    key = data.draw(st.sampled_from(list(value)))
    value[key] = data.draw(st.just(value[key]) | JSON)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(LinceError):
        put(Path(folder), "a.png")
        save(Path(folder), value)
        table = read(Path(folder))
        found = value["shapes"] if isinstance(value["shapes"], list) else []
        assert len(table.rejected) + len(table.objects or ()) >= (len(found) if len(table.names) else 1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_end_in_rows_or_a_clear_refusal(data: st.DataObject) -> None:
    whole = json.dumps(content(drawn(), drawn("mask", [[1, 2], [2, 2]], mask=png(np.ones((1, 2)))))).encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    cut, flipped = whole[:at], whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :]
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(LinceError):
        put(Path(folder), "a.png")
        (Path(folder) / "a.json").write_bytes(data.draw(st.sampled_from([cut, flipped, whole[at:], whole + whole])))
        labelme_reader.detect(resolve_location(Path(folder)))
        table = read(Path(folder))
        assert len(table.rejected) + len(table.objects or ()) >= 1
