"""COCO reader: files as tools write them, valid and damaged."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from lince import images, rle
from lince.annotations import CROWD
from lince.errors import DataError, LinceError
from lince.formats import LabelTable, ReadOptions, open_table
from lince.formats.coco import image_index
from lince.formats.coco import reader as coco_reader
from lince.progress import SILENT
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((40, 60, 3), np.uint8))
CATEGORIES = [{"id": 1, "name": "casco"}, {"id": 2, "name": "niña"}]


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)


def image(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 60, "height": 40, **more}


def mark(image_id: Any = 1, category_id: Any = 1, bbox: Any = (1, 2, 10, 20), **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": image_id, "category_id": category_id, "bbox": bbox, **more}


def content(*annotations: Any, **more: Any) -> dict[str, Any]:
    whole = {"images": [image(1, "a.png")], "annotations": list(annotations), "categories": CATEGORIES}
    return {**whole, **more}


def save(root: Path, value: Any, name: str = "labels.json") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(value), encoding="utf-8")
    return root / name


def opened(root: Path, value: Any, options: ReadOptions | None = None) -> LabelTable:
    put(root, "a.png")
    save(root, value)
    return open_table(root, options=options)


def boxes(table: LabelTable) -> list[tuple[str, str, list[float]]]:
    objects = table.objects
    assert objects is not None
    return [
        (table.names[i], table.classes.names[k], box)
        for i, k, box in zip(objects.image_ids, objects.class_ids, objects.boxes.tolist(), strict=True)
    ]


def said(table: LabelTable) -> list[tuple[str, str]]:
    return [(row.path, row.kind) for row in table.rejected]


def test_boxes_sizes_and_negatives(awkward: Path) -> None:
    put(awkward, "fotos/b ñ.png")
    value = content(mark(), mark(2, 2, [0.5, 0.25, 3, 4]), images=[image(1, "a.png"), image(2, "fotos\\b ñ.png")])
    value["images"].append(image(9, "c.png"))
    put(awkward, "c.png")
    table = opened(awkward, value)
    assert table.format == "coco"
    assert boxes(table) == [("a.png", "casco", [1, 2, 11, 22]), ("fotos/b ñ.png", "niña", [0.5, 0.25, 3.5, 4.25])]
    assert list(table.names) == ["a.png", "fotos/b ñ.png", "c.png"]
    assert table.sizes is not None
    assert table.sizes.tolist() == [[40, 60]] * 3
    assert table.rejected == ()
    assert set(table.splits.tolist()) == {UNASSIGNED}


@pytest.mark.parametrize("ids", [(0, 1, 2), (1, 2, 3), (7, 40, 90), (90, 7, 40), ("a", "b", "c")])
def test_category_ids_ascend_and_never_shift(awkward: Path, ids: tuple[Any, ...]) -> None:
    categories = [{"id": number, "name": f"class of {number}"} for number in ids]
    table = opened(awkward, content(*(mark(1, number) for number in ids), categories=categories))
    assert table.classes.names == tuple(f"class of {number}" for number in sorted(ids))
    assert [name for _photo, name, _box in boxes(table)] == [f"class of {number}" for number in ids]


ROBOFLOW = [
    {"id": 0, "name": "hats", "supercategory": "none"},
    {"id": 1, "name": "head", "supercategory": "hats"},
    {"id": 2, "name": "helmet", "supercategory": "hats"},
]


def test_the_name_of_a_project_is_no_class_and_that_is_said(awkward: Path) -> None:
    told = []

    class Listener:
        show_message = staticmethod(told.append)
        open_stage = staticmethod(lambda _name, _total: contextlib.nullcontext(Listener))
        advance = staticmethod(lambda: None)

    put(awkward, "a.png")
    save(awkward, content(mark(1, 2), categories=ROBOFLOW))
    table = open_table(awkward, progress=Listener)
    assert table.classes.names == ("head", "helmet")
    assert boxes(table)[0][1] == "helmet"
    assert any("'hats'" in line for line in told)


def test_a_category_0_that_marks_have_is_a_class(awkward: Path) -> None:
    table = opened(awkward, content(mark(1, 0), categories=ROBOFLOW))
    assert table.classes.names == ("hats", "head", "helmet")
    alone = opened(awkward, content(mark(1, 1), categories=[{"id": 0, "name": "x"}, {"id": 1, "name": "y"}]))
    assert alone.classes.names == ("x", "y")


def test_several_files_are_splits_and_names_count(awkward: Path) -> None:
    put(awkward, "train2017/1.png", "val2017/1.png", "test2017/1.png")
    save(awkward, content(mark(5), images=[image(5, "1.png")]), "annotations/instances_train2017.json")
    other = [{"id": 1, "name": "niña"}, {"id": 2, "name": "casco"}, {"id": 3, "name": "chaleco"}]
    save(awkward, content(mark(5), images=[image(5, "1.png")], categories=other), "annotations/instances_val2017.json")
    save(awkward, content(images=[image(5, "1.png")]), "annotations/instances_test2017.json")
    save(awkward, content({"image_id": 5, "caption": "uno"}, id=1), "annotations/captions_val2017.json")
    table = open_table(awkward)
    rows = dict(zip(table.names, table.splits.tolist(), strict=True))
    assert rows == {"train2017/1.png": TRAIN, "val2017/1.png": VAL, "test2017/1.png": TEST}
    assert sorted(table.classes.names) == ["casco", "chaleco", "niña"]
    assert {(photo, name) for photo, name, _box in boxes(table)} == {
        ("train2017/1.png", "casco"),
        ("val2017/1.png", "niña"),
    }
    assert said(table) == [("annotations/captions_val2017.json", "other-labels")]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("annotations/instances_train2017.json", TRAIN),
        ("annotations/val.json", VAL),
        ("valid/_annotations.coco.json", VAL),
        ("Test/annotations/labels.json", TEST),
        ("annotations/instances_default.json", UNASSIGNED),
        ("train_val.json", UNASSIGNED),
        ("my test photos/labels.json", UNASSIGNED),
    ],
)
def test_splits_by_name(name: str, split: int) -> None:
    assert image_index.infer_split(name) == split


def test_roboflows_folders(awkward: Path) -> None:
    for word in ("train", "valid", "test"):
        put(awkward, f"{word}/a.png")
        save(awkward, content(mark()), f"{word}/_annotations.coco.json")
    table = open_table(awkward)
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {
        "train/a.png": TRAIN,
        "valid/a.png": VAL,
        "test/a.png": TEST,
    }
    assert len(boxes(table)) == 3


def test_a_file_named_itself_finds_photos_beside_its_folder(awkward: Path) -> None:
    put(awkward, "images/val/a.png", "images/train/a.png")
    named = save(awkward, content(mark()), "annotations/instances_val.json")
    table = open_table(named)
    assert list(table.names) == ["images/val/a.png"]
    assert (table.root / table.names[0]).read_bytes() == PHOTO
    (table,) = [open_table(named.parent)]
    assert len(boxes(table)) == 1


def test_images_known_by_their_address_alone(awkward: Path) -> None:
    put(awkward, "train2017/000 9.png")
    address = "http://images.example/train2017/000%209.png"
    table = opened(awkward, content(mark(4), images=[{"id": 4, "coco_url": address}]))
    assert list(table.names) == ["train2017/000 9.png"]
    assert table.sizes is not None
    assert table.sizes.tolist() == [[40, 60]]  # from the photo


@pytest.mark.parametrize(
    ("annotation", "where", "fault"),
    [
        (mark(8), "/image_id", "no-image"),
        (mark([8]), "/image_id", "no-image"),
        (mark(1, 3), "/category_id", "class"),
        (mark(1, None), "/category_id", "class"),
        (mark(bbox=[1, 2, 3]), "/bbox", "row"),
        (mark(bbox=[1, 2, "3", 4]), "/bbox/2", "row"),
        (mark(bbox=None), "/bbox", "row"),
        (mark(bbox=[1, 2, 0, 4]), "", "empty"),
        (mark(bbox=[1, 2, -3, 4]), "", "inverted"),
        (mark(bbox=[1, 2, 70, 4]), "", "outside"),
        (mark(bbox=[1, 2, float("nan"), 4]), "", "number"),
        (mark(bbox=[1, 2, 10**400, 4]), "", "number"),
        (mark(segmentation=[[1, 2, 3, 4]]), "/segmentation/0", "empty"),
        (mark(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "/segmentation/0", "row"),
        (mark(segmentation=[[1, 2, 3, 4, 5, "6"]]), "/segmentation/0", "row"),
        (mark(segmentation=[[1, 2, 3, 4, 5, float("inf")]]), "/segmentation/0", "number"),
        (mark(segmentation="x"), "/segmentation", "row"),
        (mark(segmentation={"size": [40, 60], "counts": [2399]}), "/segmentation", "row"),
        (mark(segmentation={"size": [40, 60], "counts": [2400]}), "/segmentation", "empty"),
        (mark(segmentation={"size": [40, 60], "counts": [10, -1, 2391]}), "/segmentation", "number"),
        (mark(segmentation={"size": [60, 40], "counts": [0, 2400]}), "/segmentation", "row"),
        (mark(segmentation={"size": [40, 60], "counts": "~~"}), "/segmentation", "row"),
        (mark(segmentation={"size": [40, 60]}), "/segmentation/counts", "row"),
        (mark(segmentation={"counts": [2400]}), "/segmentation/size", "row"),
        (17, "", "row"),
    ],
)
def test_what_cannot_be_used_is_listed_by_its_place(awkward: Path, annotation: Any, where: str, fault: str) -> None:
    table = opened(awkward, content(mark(), annotation))
    assert said(table) == [(f"labels.json#/annotations/1{where}", fault)]
    assert len(boxes(table)) == 1
    assert table.rejected[0].remedy


def test_images_that_cannot_be_told_apart_or_found(awkward: Path) -> None:
    put(awkward, "b.png", "c.png", "d.png")
    pictures = [
        image(1, "a.png"),
        image(2, "b.png"),
        image(2, "c.png"),
        image(3, "a.png"),
        image(4, "gone.png"),
        {"id": 5},
        image(None, "d.png"),  # type: ignore[arg-type]
        image(1, "a.png"),
    ]
    table = opened(awkward, content(mark(), mark(2), mark(3), mark(4), mark(4), images=pictures))
    assert list(table.names) == ["a.png"]
    assert len(boxes(table)) == 1
    assert said(table) == [
        ("labels.json#/images/5/file_name", "row"),
        ("labels.json#/images/6/id", "row"),
        ("labels.json#/images/1", "row"),
        ("labels.json#/images/2", "row"),
        ("labels.json#/images/3", "double"),
        ("labels.json#/images/4", "no-image"),
        ("labels.json#/images/7", "double"),
        ("d.png", "unlabelled"),
    ]
    assert "affects 2 annotations" in table.rejected[5].reason


def test_outlines_masks_and_crowds(awkward: Path) -> None:
    picture = np.zeros((40, 60), np.uint8)
    picture[5:9, 10:20] = 1
    theirs = reference.encode(np.asfortranarray(picture))
    rings = [[1, 2, 11, 2, 11, 22], [20, 20, 30.5, 20, 30, 30]]
    table = opened(
        awkward,
        content(
            mark(segmentation=rings),
            mark(bbox=None, segmentation=rings),
            mark(bbox=[], segmentation={"size": [40, 60], "counts": theirs["counts"].decode()}, iscrowd=1),
            mark(bbox=[9, 4, 12, 6], segmentation={"size": [40, 60], "counts": rle.mask_to_counts(picture).tolist()}),
        ),
    )
    objects = table.objects
    assert objects is not None
    assert objects.boxes.tolist() == [[1, 2, 11, 22], [1, 2, 30.5, 30], [10, 5, 20, 9], [9, 4, 21, 10]]
    assert [ring.ravel().tolist() for ring in objects.get_polygons(1)] == rings
    assert [text.encode() for text in objects.masks] == [b"", b"", theirs["counts"], theirs["counts"]]
    assert objects.flags.tolist() == [0, 0, CROWD, 0]
    assert table.rejected == ()


def test_many_at_once_are_read_as_one_by_one(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rings = [[1, 2, 11, 2, 11, 22], [20, 20, 30.5, 20, 30, 30]]
    text = rle.encode(np.eye(40, 60))
    annotations = [mark(bbox=[i, i, 5 + i, 5]) for i in range(9)]
    annotations += [mark(segmentation=rings), mark(2), mark(iscrowd=1, segmentation={"size": [40, 60], "counts": text})]
    pictures = [image(1, "a.png"), image(2, "gone.png")]
    found = []
    for at_once in (1, 4, 1024):
        monkeypatch.setattr(coco_reader, "_BATCH_SIZE", at_once)
        objects = opened(awkward, content(*annotations, mark(7), images=pictures)).objects
        assert objects is not None
        found.append(
            {name: list(value) if name == "masks" else value.tolist() for name, value in vars(objects).items()}
        )
    assert found[0] == found[1] == found[2]
    assert len(found[0]["class_ids"]) == 11


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (content({"image_id": 1, "caption": "x"}), "captions"),
        (content({"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2]}), "key points"),
        (content({"image_id": 1, "segments_info": []}), "panoptic"),
        ({"images": [image(1, "a.png")], "categories": CATEGORIES}, "without annotations"),
    ],
)
def test_other_tasks_are_refused_in_clear_words(awkward: Path, value: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        opened(awkward, value)


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_file_without_its_lists_is_refused_by_its_place(awkward: Path, key: str) -> None:
    with pytest.raises(DataError, match=f"labels.json#/{key}: "):
        opened(awkward, content(mark(), **{key: {"0": 1}}))


def test_what_is_named_as_a_photo_must_be_one(awkward: Path) -> None:
    (awkward / "photo without ending").write_bytes(PHOTO)
    pictures = [image(1, "a.png"), image(2, "labels.json"), image(3, "/etc/passwd"), image(4, "photo without ending")]
    table = opened(awkward, content(mark(), images=pictures))
    assert list(table.names) == ["a.png", "photo without ending"]
    assert said(table) == [("labels.json#/images/1", "no-image"), ("labels.json#/images/2", "no-image")]


def test_classes_that_cannot_be_told_apart_are_refused(awkward: Path) -> None:
    with pytest.raises(DataError, match="both 'x' and 'y'"):
        opened(awkward, content(mark(), categories=[{"id": 1, "name": "x"}, {"id": 1, "name": "y"}]))
    table = opened(awkward, content(mark(), mark(1, 3), categories=[*CATEGORIES, {"id": 3, "name": " "}]))
    assert [fault for _path, fault in said(table)] == ["class", "class"]


@pytest.mark.parametrize(
    ("value", "is_ours"),
    [
        (content(), True),
        ({"categories": CATEGORIES, "annotations": [], "images": []}, True),
        ({"annotations": [mark()] * 500, "categories": CATEGORIES, "images": []}, True),
        ({"version": "5", "shapes": [], "imagePath": "a.png", "images": [image(1, "a.png")]}, False),
        ([{"image": "a.png", "annotations": [{"label": "x"}]}], False),
        ([{"data": {"image": "a.png"}, "annotations": [{"result": []}]}], False),
        ({"images": ["a.png"], "annotations": {}}, False),
        ({"images": 3}, False),
    ],
)
def test_only_its_own_files_are_taken(awkward: Path, value: Any, is_ours: bool) -> None:
    path = save(awkward, value)
    assert bool(coco_reader.detect(resolve_location(path))) is is_ours


# Hostile files

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "bbox", "x/~"]), inner),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(JSON, JSON, JSON, st.data())
def test_any_json_ends_in_rows_or_a_clear_refusal(one: Any, two: Any, three: Any, data: st.DataObject) -> None:
    annotation = mark(
        data.draw(st.just(1) | JSON), data.draw(st.just(1) | JSON), one, segmentation=two, iscrowd=data.draw(JSON)
    )
    value = content(annotation, three)
    key = data.draw(st.sampled_from(["images", "annotations", "categories", "info"]))
    value = {**value, key: data.draw(st.just(value.get(key)) | JSON)}
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(LinceError):
        put(Path(folder), "a.png")
        save(Path(folder), value)
        table = coco_reader.read(resolve_location(Path(folder)), ReadOptions(), SILENT)
        found = value["annotations"] if "a.png" in list(table.names) else []
        assert len(table.rejected) + len(table.objects or ()) >= len(found)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_end_in_rows_or_a_clear_refusal(data: st.DataObject) -> None:
    whole = json.dumps(content(mark(), mark(segmentation=[[1, 2, 3, 4, 5, 6]])), indent=1).encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    lines = whole.split(b"\n")
    line = at % len(lines)
    damaged = data.draw(
        st.sampled_from(
            [
                whole[:at],
                whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :],
                b"\n".join([*lines[:line], lines[line], *lines[line:]]),
                b"\n".join([*lines[:line], *lines[line + 1 :]]),
            ]
        )
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(LinceError):
        put(Path(folder), "a.png")
        (Path(folder) / "labels.json").write_bytes(damaged)
        coco_reader.detect(resolve_location(Path(folder)))
        coco_reader.read(resolve_location(Path(folder)), ReadOptions())
