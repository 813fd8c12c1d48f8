"""Supervisely, VoTT and Datumaro: every shape, what is not used, and damaged files; counts as the JSON itself says."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support.mutated_bytes import draw_mutated

from lince import images, rle
from lince.annotations import CROWD, OCCLUDED
from lince.errors import DataError, LinceError
from lince.formats import FORMATS, LabelTable, ReadOptions, open_table
from lince.progress import SILENT
from lince.splits import TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location

HEIGHT, WIDTH = 40, 80
PHOTO = images.encode_png(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
MASK = np.array([[1, 0, 1], [1, 1, 1]], bool)


def put(root: Path, files: dict[str, Any]) -> Path:
    for name, value in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO if value is None else json.dumps(value).encode())
    return root


def found(table: LabelTable) -> dict[str, list[tuple[str, list[float]]]]:
    objects = table.objects
    assert objects is not None
    marks = [(table.classes.names[i], box) for i, box in zip(objects.class_ids, objects.boxes.tolist(), strict=True)]
    return {name: marks[objects.slice_of_image(i)] for i, name in enumerate(table.names)}


def kinds(table: LabelTable) -> list[str]:
    return [item.kind for item in table.rejected]


# Supervisely


def supervisely(*objects: Any, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    size = {"height": HEIGHT, "width": WIDTH}
    return {"description": "", "tags": [{"name": tag} for tag in tags], "size": size, "objects": list(objects)}


def shape(kind: str, *exterior: Any, name: str = "gato", interior: Any = (), **more: Any) -> dict[str, Any]:
    points = {"exterior": list(exterior), "interior": list(interior)}
    return {"classTitle": name, "geometryType": kind, "points": points, "tags": [], **more}


def packed(mask: np.ndarray, mode: str) -> str:
    """Return a mask as the library of Supervisely packs it: palette, or with alpha as its server does."""
    if mode == "P":
        picture = Image.fromarray(mask.astype(np.uint8))
        picture.putpalette([0, 0, 0, 255, 255, 255])
    else:
        picture = Image.fromarray(np.dstack([np.full((*mask.shape, 3), 255), mask * 255]).astype(np.uint8), "RGBA")
    stream = io.BytesIO()
    picture.save(stream, "PNG", **({"transparency": 0} if mode == "P" else {}))
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def test_a_project_of_supervisely(awkward: Path) -> None:
    square = [[10, 10], [30, 10], [30, 30], [10, 30]]
    hole = [[15, 15], [25, 15], [25, 25], [15, 25]]
    bitmaps = [shape("bitmap", bitmap={"data": packed(MASK, mode), "origin": [4, 5]}) for mode in ("P", "RGBA")]
    put(awkward, {
        "meta.json": {"classes": [{"title": "zorro"}, {"title": "gato"}, {"title": "nunca"}], "tags": []},
        "train/img/a ñ.png": None, "train/ann/a ñ.png.json": supervisely(
            shape("rectangle", [40, 30], [10, 20]), shape("polygon", *square, interior=[hole], name="zorro"), *bitmaps,
            shape("point", [1, 1]), shape("line", [1, 1], [5, 5]), shape("polygon", [1, 1], [2, 2]),
            shape("rectangle", [1, 1]), shape("rectangle", ["1", 1], [2, 2]),
            shape("rectangle", [0, 0], [9, 9], name=" "),
            shape("bitmap", bitmap={"data": packed(MASK, "P"), "origin": [79, 5]}),
            shape("bitmap", bitmap={"data": "AAAA", "origin": [4, 5]}), 3,
        ),
        "ds/img/a ñ.png": None, "ds/ann/a ñ.png.json": supervisely(tags=("val",)),
        "ds/img/old.png": None, "ds/ann/old.json": supervisely(shape("rectangle", [0, 0], [80, 40])),
        "ds/img/none.png": None, "ds/ann/gone.png.json": supervisely(shape("rectangle", [0, 0], [80, 40])),
        "key_id_map.json": {},
    })  # fmt: skip
    table = open_table(awkward)
    assert (table.format, table.classes.names) == ("supervisely", ("zorro", "gato", "nunca"))
    boxes = [("gato", [10, 20, 40, 30]), ("zorro", [10, 10, 30, 30]), *[("gato", [4, 5, 7, 7])] * 2]
    assert found(table) == {
        "ds/img/a ñ.png": [], "ds/img/old.png": [("gato", [0, 0, 80, 40])], "train/img/a ñ.png": boxes,
    }  # fmt: skip
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {
        "ds/img/a ñ.png": VAL, "ds/img/old.png": UNASSIGNED, "train/img/a ñ.png": TRAIN,
    }  # fmt: skip
    assert table.objects is not None
    whole = np.zeros((HEIGHT, WIDTH), bool)
    whole[5:7, 4:7] = MASK
    assert table.objects.masks[3] == table.objects.masks[4] == rle.encode(whole)
    filled = rle.polygons_to_counts(table.objects.get_polygons(2), HEIGHT, WIDTH)
    assert rle.compute_area(filled) == 20 * 20 - 10 * 10
    expected = ["no-image", *["row"] * 2, "empty", *["row"] * 2, "no-class", "outside", *["row"] * 2]
    assert kinds(table) == [*expected, "other-labels", "unlabelled"]


def test_a_file_of_supervisely_alone(awkward: Path) -> None:
    put(awkward, {"d/img/a.png": None, "d/img/b.png": None,
                  "d/ann/a.png.json": supervisely(shape("rectangle", [1, 2], [3, 4]))})  # fmt: skip
    table = open_table(awkward / "d" / "ann" / "a.png.json")
    assert (found(table), table.rejected) == ({"img/a.png": [("gato", [1, 2, 3, 4])]}, ())


def test_tags_of_whole_photos_are_classes_where_no_object_is_marked(awkward: Path) -> None:
    value = {"description": "", "tags": [{"name": "raza", "value": "siamés"}], "size": {}, "objects": []}
    files: dict[str, Any] = {f"ds/img/{name}.png": None for name in "abcde"}
    documents = {"a": supervisely(tags=("gato", "train")), "b": supervisely(tags=("perro", "gato")), "c": value,
                 "d": supervisely(tags=("perro", "perro")), "e": supervisely()}  # fmt: skip
    put(awkward, {**files, **{f"ds/ann/{name}.png.json": one for name, one in documents.items()}})
    table = open_table(awkward)
    classes = [table.list_class_names(row) for row in range(len(table.names))]
    assert (table.objects, list(zip(table.names, classes, strict=True))) == (
        None, [("ds/img/a.png", ["gato"]), ("ds/img/b.png", ["gato", "perro"]), ("ds/img/c.png", ["siamés"]),
               ("ds/img/d.png", ["perro"])],
    )  # fmt: skip
    assert table.splits.tolist() == [TRAIN, *[UNASSIGNED] * 3]
    assert [(one.path, one.kind) for one in table.rejected if one.kind != "unlabelled"] == [
        ("ds/ann/e.png.json", "no-class"),
    ]  # fmt: skip


def test_tags_of_whole_photos_beside_objects_are_told_once(awkward: Path) -> None:
    files: dict[str, Any] = {f"ds/img/{name}.png": None for name in "abc"}
    boxed = supervisely(shape("rectangle", [1, 1], [9, 9]), tags=("noche",))
    documents = {"a": boxed, "b": supervisely(tags=("noche",)), "c": supervisely()}
    put(awkward, {**files, **{f"ds/ann/{name}.png.json": one for name, one in documents.items()}})
    table = open_table(awkward)
    assert (sorted(table.names), table.class_ids.tolist()) == ([f"ds/img/{name}.png" for name in "abc"], [-1] * 3)
    [item_] = table.rejected
    assert (item_.path, item_.kind) == ("ds/ann/a.png.json", "reduced")
    assert "2 files have one" in item_.reason


# VoTT


def asset(name: str, *regions: Any, state: int = 2) -> dict[str, Any]:
    size = {"width": WIDTH, "height": HEIGHT}
    return {
        "asset": {"format": "png", "id": name, "name": name, "path": f"file:C:/fotos/{name}", "size": size,
                  "state": state, "type": 1},
        "regions": list(regions), "version": "2.1.0",
    }  # fmt: skip


def vott_region(*tags: str, kind: str = "RECTANGLE", points: Any = (), **box: Any) -> dict[str, Any]:
    bounds = {"left": 10, "top": 5, "width": 30, "height": 20, **box}
    return {"id": "x", "type": kind, "tags": list(tags), "boundingBox": bounds,
            "points": [{"x": x, "y": y} for x, y in points]}  # fmt: skip


CORNERS = [(1, 2), (20, 3), (10.5, 30)]


def test_an_export_of_vott_and_the_files_of_its_assets(awkward: Path) -> None:
    bad = [vott_region("a", "b"), vott_region(), vott_region("a", kind="POINT"), vott_region("a", left="1")]
    assets = [
        asset("a ñ.png", vott_region("gato"), vott_region("perro", kind="POLYGON", points=CORNERS), *bad),
        asset("b.png"),
        asset("c.png", state=0),
        asset("gone.png", vott_region("gato")),
    ]
    tags = [{"name": name, "color": "#fff"} for name in ("perro", "gato", "nunca")]
    photos = {f"{name}.png": None for name in ("a ñ", "b", "c")}
    whole = {"name": "p", "assets": {str(i): one for i, one in enumerate(assets)}, "tags": tags}
    one = put(awkward / "export", {**photos, "p-export.json": whole, "0-asset.json": assets[0]})
    other = put(awkward / "assets", {**photos, **{f"{i}-asset.json": one for i, one in enumerate(assets)}})
    (other / "p.vott").write_text(json.dumps({"name": "p", "tags": tags, "assets": {}}))
    for root in (one, other):
        table = open_table(root)
        assert (table.format, table.classes.names) == ("vott", ("perro", "gato", "nunca"))
        boxes = [("gato", [10, 5, 40, 25]), ("perro", [1, 2, 20, 30])]
        assert found(table) == {"a ñ.png": boxes, "b.png": []}
        refused = ["several-classes", "no-class", "row", "row", "no-label", "no-image", "unlabelled"]
        assert kinds(table) == refused
        assert table.objects is not None
        assert table.objects.get_polygons(1)[0].tolist() == [list(corner) for corner in CORNERS]


# Datumaro


def datumaro(*items: Any, names: tuple[str, ...] = ("zorro", "gato", "nunca")) -> dict[str, Any]:
    labels = {"label": {"labels": [{"name": name, "parent": ""} for name in names]}}
    return {"info": {}, "categories": labels, "items": list(items)}


def item(name: str, *annotations: Any) -> dict[str, Any]:
    image = {"path": f"{name}.png", "size": [HEIGHT, WIDTH]}
    return {"id": name, "annotations": list(annotations), "image": image}


def drawn(kind: str, label_id: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": 0, "type": kind, "label_id": label_id, "group": 0, **more}


def test_subsets_of_datumaro(awkward: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 2:7] = True
    part = [10, 10, 20, 10, 20, 20]
    drawings = [
        drawn("bbox", bbox=[1, 2, 30, 20], attributes={"occluded": True, "is_crowd": False}),
        drawn("polygon", 0, points=part, group=3, attributes={"is_crowd": 1}),
        drawn("polygon", 0, points=[value + 5 for value in part], group=3),
        drawn("mask", rle={"counts": rle.encode(mask), "size": [HEIGHT, WIDTH]}),
        drawn("ellipse", points=[10, 10, 30, 20]),
    ]
    bad = [drawn("points", points=[1, 1]), drawn("bbox", 7, bbox=[1, 1, 2, 2]), drawn("polygon", points=[1, 2, 3, 4]),
           drawn("bbox", None, bbox=[1, 1, 2, 2]), drawn("bbox", bbox=[1, 1, "2", 2]),
           drawn("caption", caption="x")]  # fmt: skip
    put(awkward, {
        "images/train/a ñ.png": None, "images/val/a ñ.png": None, "images/val/b.png": None,
        "annotations/train.json": datumaro(item("a ñ", *drawings, *bad)),
        "annotations/val.json": datumaro(item("a ñ"), item("b", drawn("label", 2)), item("gone", drawings[0])),
    })  # fmt: skip
    table = open_table(awkward)
    assert (table.format, table.classes.names) == ("datumaro", ("zorro", "gato", "nunca"))
    boxes = [("gato", [1, 2, 31, 22]), ("zorro", [10, 10, 25, 25]), ("gato", [2, 3, 7, 9]), ("gato", [10, 10, 30, 20])]
    assert found(table) == {"images/train/a ñ.png": boxes, "images/val/a ñ.png": [], "images/val/b.png": []}
    assert table.splits.tolist() == [TRAIN, VAL, VAL]
    assert table.class_ids.tolist() == [-1, -1, 2]
    assert table.objects is not None
    assert table.objects.flags.tolist() == [OCCLUDED, CROWD, 0, 0]
    assert len(table.objects.get_polygons(1)) == 2
    assert table.objects.masks[2] == rle.encode(mask)
    assert kinds(table) == ["row", "class", "empty", "no-class", "row", "row", "no-image"]


def test_a_box_around_polygons_of_its_group_is_no_object_of_its_own(awkward: Path) -> None:
    part = [10, 10, 20, 10, 20, 20]
    grouped = [
        drawn("bbox", bbox=[10, 10, 10, 10], group=1), drawn("polygon", points=part, group=1),
        drawn("bbox", bbox=[50, 10, 9, 9], group=1), drawn("bbox", 0, bbox=[10, 10, 10, 10], group=1),
        drawn("bbox", bbox=[10, 10, 10, 10], group=2), drawn("bbox", bbox=[10, 10, 10, 10]),
    ]  # fmt: skip
    put(awkward, {"images/default/a.png": None, "annotations/default.json": datumaro(item("a", *grouped))})
    table = open_table(awkward)
    same = [10, 10, 20, 20]
    outline, others = ("gato", same), [("gato", [50, 10, 59, 19]), ("zorro", same), ("gato", same), ("gato", same)]
    assert found(table) == {"images/default/a.png": [outline, *others]}
    assert table.objects is not None
    assert [len(table.objects.get_polygons(i)) for i in range(5)] == [1, 0, 0, 0, 0]
    assert [(one.path, one.kind, one.reason[:7]) for one in table.rejected] == [
        ("annotations/default.json#/items/0/annotations/0", "reduced", "1 boxes")
    ]


def test_a_subset_of_classified_photos(awkward: Path) -> None:
    put(awkward, {"images/default/a.png": None, "images/default/b.png": None, "annotations/default.json": datumaro(
        item("a", drawn("label", 0), drawn("label", 9)), item("b", drawn("label", 0), drawn("label", 1)))})  # fmt: skip
    table = open_table(awkward)
    assert (table.objects, table.class_ids.tolist(), table.list_class_names(1)) == (
        None, [0, -1], ["zorro", "gato"],
    )  # fmt: skip
    assert kinds(table) == ["class"]


# Counts and damage

REAL: dict[str, Any] = {
    "supervisely": ("d/ann/a.png.json", supervisely(*[shape("rectangle", [i, 1], [i + 5, 9]) for i in range(3)])),
    "vott": ("p-export.json", {"assets": {"1": asset("a.png", *[vott_region("x", left=i) for i in range(3)])}}),
    "datumaro": ("annotations/x.json", datumaro(item("a", *[drawn("bbox", bbox=[i, 2, 3, 4]) for i in range(3)]))),
}
PARTS = [drawn("polygon", points=[i, 2, 20, 2, 20, 20], group=1) for i in (1, 9)]
REAL |= {
    "supervisely tags": ("d/ann/a.png.json", {**supervisely(tags=("gato",)), "tags": [{"name": "x", "value": "gato"}]}),
    "datumaro groups": ("annotations/x.json", datumaro(item("a", drawn("bbox", bbox=[1, 2, 19, 18], group=1), *PARTS))),
}
COUNTERS: dict[str, Callable[[Any], int]] = {  # of objects, as the document itself lists them
    "supervisely": lambda value: len(value["objects"]),
    "vott": lambda value: sum(len(one["regions"]) for one in value["assets"].values()),
    "datumaro": lambda value: sum(len(one["annotations"]) for one in value["items"]),
    "supervisely tags": lambda value: 0,
    "datumaro groups": lambda value: sum(bool(one["annotations"]) for one in value["items"]),
}


def place(root: Path, name: str, data: bytes) -> Path:
    for photo in ("d/img/a.png", "a.png", "images/x/a.png"):
        (root / photo).parent.mkdir(parents=True, exist_ok=True)
        (root / photo).write_bytes(PHOTO)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize("kind", [kind for kind in REAL if " " not in kind])
def test_counts_are_those_of_the_document(kind: str, awkward: Path) -> None:
    name, value = REAL[kind]
    table = open_table(place(awkward, name, json.dumps(value).encode()))
    assert (table.format, len(table.names)) == (kind, 1)
    assert table.objects is not None
    assert len(table.objects) == COUNTERS[kind](value) == 3


@pytest.mark.parametrize("kind", REAL)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.data())
def test_damage_is_refused_or_accounted_for(
    kind: str, seed: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, value = REAL[kind]
    data = seed.draw(st.one_of(st.binary(max_size=60), *[draw_mutated(json.dumps(value).encode())] * 3))
    root = place(tmp_path_factory.getbasetemp() / f"damaged-{kind}", name, data)
    form = FORMATS[kind.partition(" ")[0]]
    form.detect(resolve_location(root))
    try:
        table = form.read(resolve_location(root / name), ReadOptions(), SILENT)
    except LinceError:
        return
    try:
        said = COUNTERS[kind](json.loads(data))
    except (AttributeError, KeyError, TypeError):
        said = 1
    assert len(table.names) or table.rejected
    assert table.objects is None or len(table.objects) >= said or table.rejected


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("text", ["[", "3", "", "[" * 100_000, "[1]", "{}"])
def test_other_json_is_refused(kind: str, text: str, awkward: Path) -> None:
    root = place(awkward, REAL[kind][0], text.encode())
    form = FORMATS[kind.partition(" ")[0]]
    assert form.detect(resolve_location(root)) is None
    with pytest.raises(DataError, match=r"\.json"):
        form.read(resolve_location(root / REAL[kind][0]), ReadOptions(), SILENT)
