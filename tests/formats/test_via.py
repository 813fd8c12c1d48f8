"""VGG Image Annotator: projects and exports as JSON and CSV, every shape, and where the class is."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.mutated_bytes import draw_mutated

from lince import images
from lince.datasets import open_dataset
from lince.datasets.conversion import ConvertOptions, convert_dataset
from lince.errors import AmbiguousError, DataError, LinceError
from lince.formats import FORMATS, LabelTable, ReadOptions, open_table
from lince.progress import SILENT, SilentProgress
from lince.splits import TRAIN, VAL
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))
RECT = {"name": "rect", "x": 10, "y": 5, "width": 30, "height": 20}
POLYGON = {"name": "polygon", "all_points_x": [1, 20, 10.5], "all_points_y": [2, 3, 30]}
COLUMNS = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"


def photos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)
    return root


def region(shape: Any, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def record(name: str, *regions: Any, **attributes: Any) -> dict[str, Any]:
    return {"filename": name, "size": 7, "regions": list(regions), "file_attributes": attributes}


def save(path: Path, *records: dict[str, Any], project: dict[str, Any] | None = None) -> Path:
    value: dict[str, Any] = {f"{item['filename']}7": item for item in records}
    if project is not None:
        value = {"_via_settings": {}, "_via_img_metadata": value, "_via_attributes": project}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def save_table(path: Path, *records: dict[str, Any], header: str = COLUMNS) -> Path:
    """Write the records as VIA does in its own code: one row per region, records as JSON in the cells."""
    with open(path, "w", encoding="utf-8", newline="") as stream:
        stream.write(header + "\n")
        rows = csv.writer(stream)
        for item in records:
            head = [item["filename"], item["size"], json.dumps(item["file_attributes"]), len(item["regions"])]
            for number, one in enumerate(item["regions"]):
                shape, attributes = one["shape_attributes"], one["region_attributes"]
                rows.writerow([*head, number, json.dumps(shape), json.dumps(attributes)])
            if not item["regions"]:
                rows.writerow([*head, 0, "{}", "{}"])
    return path


def found(table: LabelTable) -> dict[str, list[tuple[str, list[float]]]]:
    objects = table.objects
    assert objects is not None
    marks = [(table.classes.names[i], box) for i, box in zip(objects.class_ids, objects.boxes.tolist(), strict=True)]
    return {name: marks[objects.slice_of_image(i)] for i, name in enumerate(table.names)}


def faults(table: LabelTable) -> list[tuple[str, int | None, str]]:
    return [(item.path, item.line, item.kind) for item in table.rejected]


class Messages(SilentProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def show_message(self, text: str) -> None:
        self.texts.append(text)


RECORDS = (
    record("a ñ.png", region(RECT, tipo="gato"), region(POLYGON, tipo="perro")),
    record("b.png", region(RECT, tipo="gato")),
    record("c.png"),
)
EXPECTED = {
    "a ñ.png": [("gato", [10, 5, 40, 25]), ("perro", [1, 2, 20, 30])],
    "b.png": [("gato", [10, 5, 40, 25])],
    "c.png": [],
}


def test_exports_as_json_and_csv_are_the_same(awkward: Path) -> None:
    for kind in ("json", "csv", "old.json", "old.csv", "project"):
        root = photos(awkward / kind, "a ñ.png", "b.png", "c.png", "nobody.png")
        if kind == "old.json":
            old = [{**one, "regions": {str(i): part for i, part in enumerate(one["regions"])}} for one in RECORDS]
            save(root / "via_region_data.json", *old)
        elif kind.endswith("json"):
            save(root / "via_region_data.json", *RECORDS)
        elif kind == "project":
            save(root / "via_project.json", *RECORDS, project={})
        else:
            save_table(root / "via_region_data.csv", *RECORDS, header="#" * (kind == "old.csv") + COLUMNS)
        table = open_table(root)
        assert (table.format, found(table)) == ("via", EXPECTED)
        assert faults(table) == [("nobody.png", None, "unlabelled")]
        assert table.objects is not None
        assert table.objects.get_polygons(1)[0].tolist() == [[1, 2], [20, 3], [10.5, 30]]
        assert table.sizes is not None
        assert table.sizes.tolist() == [[40, 80]] * 3


def test_a_project_beside_its_exports_counts_once(awkward: Path) -> None:
    photos(awkward, "a ñ.png", "b.png", "c.png")
    save(awkward / "p.json", *RECORDS, project={})
    save(awkward / "q.json", *RECORDS)
    save_table(awkward / "r.csv", *RECORDS[:1], record("b.png", region(RECT, tipo="otro")))
    table = open_table(awkward)
    assert found(table) == EXPECTED
    assert faults(table) == [
        ("q.json", None, "other-labels"), ("r.csv", 4, "double"), ("r.csv", None, "other-labels"),
    ]  # fmt: skip


def test_parts_in_folders_and_classes_in_the_order_of_the_options(awkward: Path) -> None:
    kinds = {"region": {"class": {"type": "dropdown", "options": {"zorro": "", "ave": "", "nunca": ""}}}}
    for part, name in (("train", "ave"), ("val", "zorro")):
        photos(awkward, f"{part}/a.png")
        save(awkward / part / "via_project.json", record("a.png", region(RECT, **{"class": name})), project=kinds)
    table = open_table(awkward)
    assert table.classes.names == ("zorro", "ave", "nunca")
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {"train/a.png": TRAIN, "val/a.png": VAL}


def test_circles_and_ellipses_become_polygons_and_points_are_named(awkward: Path) -> None:
    shapes = [
        {"name": "circle", "cx": 20, "cy": 15, "r": 10},
        {"name": "ellipse", "cx": 40, "cy": 20, "rx": 30, "ry": 10},
        {"name": "ellipse", "cx": 40, "cy": 20, "rx": 15, "ry": 10, "theta": np.pi / 2},
        {"name": "point", "cx": 1, "cy": 1},
        {"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]},
        {"name": "rect", "x": 70, "y": 0, "width": 20, "height": 10},
        {"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]},
        {"name": "rect", "x": None, "y": 0, "width": 20, "height": 10},
        {"name": "circle", "cx": 1e400, "cy": 15, "r": 10},
    ]
    photos(awkward, "a.png")
    table = open_table(save(awkward / "x.json", record("a.png", *(region(shape, label="x") for shape in shapes))))
    assert table.objects is not None
    boxes = [[10, 5, 30, 25], [10, 10, 70, 30], [30, 5, 50, 35]]
    np.testing.assert_allclose(table.objects.boxes, boxes, atol=1e-9)
    radii = np.hypot(*(table.objects.get_polygons(0)[0] - (20, 15)).T)
    np.testing.assert_allclose(radii, 10)
    kinds = ["row", "row", "outside", "empty", "row", "number"]
    assert [kind for _path, _line, kind in faults(table)] == kinds
    assert faults(table)[0][0] == "x.json#/a.png7/regions/3"


def test_without_attributes_there_is_one_class_and_that_is_told(awkward: Path) -> None:
    photos(awkward, "a.png")
    save(awkward / "x.json", record("a.png", region(RECT), region(POLYGON)))
    messages = Messages()
    table = open_table(awkward, progress=messages)
    assert [name for name, _box in found(table)["a.png"]] == ["object", "object"]
    assert any("'object'" in text for text in messages.texts)


def test_the_class_is_in_the_attribute_whose_name_says_so(awkward: Path) -> None:
    photos(awkward, "a.png")
    marks = [region(RECT, colour="red", Class="cat", id=7), region(POLYGON, colour="", Class={"dog": True, "x": False})]
    bad = [region(RECT, colour="red"), region(RECT, Class={"dog": True, "cat": True}), region(RECT, Class=3)]
    table = open_table(save(awkward / "x.json", record("a.png", *marks, *bad)))
    assert [name for name, _box in found(table)["a.png"]] == ["cat", "dog", "3"]
    assert [kind for _path, _line, kind in faults(table)] == ["no-class", "several-classes"]


def test_unclear_attributes_are_asked_about_and_the_remedy_works(awkward: Path) -> None:
    photos(awkward, "a.png")
    path = save(awkward / "x.json", record("a.png", region(RECT, raza="siamés", color="gris")))
    with pytest.raises(AmbiguousError, match=r"color, raza"):  # they differ
        open_table(awkward)
    path.write_text(path.read_text("utf-8").replace("raza", "class"), "utf-8")
    assert found(open_table(awkward)) == {"a.png": [("siamés", [10, 5, 40, 25])]}


def test_attributes_that_always_agree_are_one(awkward: Path) -> None:
    photos(awkward, "a.png")
    marks = [region(RECT, inseto="kudzu", insect="kudzu"), region(RECT), region(POLYGON, inseto="x", insect="x")]
    table = open_table(save(awkward / "x.json", record("a.png", *marks)))
    assert [name for name, _box in found(table)["a.png"]] == ["kudzu", "x"]
    assert [kind for _path, _line, kind in faults(table)] == ["no-class"]


def test_attributes_of_files_are_classes_of_images(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png", "c.png")
    named = [record(f"{name}.png", caption="x", especie=kind) for name, kind in (("a", "ave"), ("b", "pez"))]
    dataset = open_dataset(save(awkward / "x.json", *named, record("c.png", caption="x")))
    assert dataset.objects is None
    assert [dataset.classes.names[i] for i in dataset.class_ids if i >= 0] == ["ave", "pez"]


def test_rows_that_are_broken_are_named_by_their_line(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png")
    path = save_table(awkward / "x.csv", record("a.png", region(RECT, c="x")), record("gone.png", region(RECT, c="x")))
    broken = [
        'a.png,7,{},1,0,{"name":,{}',
        "b.png,7",
        'b.png,7,"{}",1,0,"[]","{}"',
        'b.png,7,"{}",1,0,"{}","{""c"":1}"',
    ]
    path.write_text(path.read_text("utf-8") + "\n".join(broken) + "\n", "utf-8")
    table = open_table(awkward)
    assert found(table) == {"a.png": [("x", [10, 5, 40, 25])]}
    assert sorted((line or 0, kind) for _path, line, kind in faults(table)) == [
        (0, "lost"), (3, "no-image"), (4, "row"), (5, "row"), (6, "row"), (7, "row"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["[", "{", "3", "", "[" * 100_000, '{"_via_img_metadata": 3}'])
def test_a_file_that_is_none_is_refused(text: str, awkward: Path) -> None:
    photos(awkward, "a.png").joinpath("x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json"):
        FORMATS["via"].read(resolve_location(awkward / "x.json"), ReadOptions(), SILENT)


def test_a_table_of_other_columns_is_refused(awkward: Path) -> None:
    photos(awkward, "a.png").joinpath("x.csv").write_text("filename,class\na.png,x\n")
    with pytest.raises(DataError, match=r"x\.csv is not a table of VIA"):
        FORMATS["via"].read(resolve_location(awkward / "x.csv"), ReadOptions(), SILENT)


def test_what_is_written_is_counted_by_hand(shared: Path, awkward: Path) -> None:
    dataset = open_dataset(shared / "data" / "hardhat" / "data.yaml").select(np.arange(390, 410))
    convert_dataset(dataset, awkward / "out", "via", ConvertOptions(lossy=True))
    projects = [json.loads(path.read_text("utf-8")) for path in sorted((awkward / "out").rglob("via_project.json"))]
    records = [item for project in projects for item in project["_via_img_metadata"].values()]
    regions = [part for item in records for part in item["regions"]]
    assert dataset.objects is not None
    assert (len(projects), len(records), len(regions)) == (2, 20, len(dataset.objects))
    assert all((awkward / "out").rglob(item["filename"]) for item in records)
    for project in projects:
        assert project["_via_image_id_list"] == [
            f"{item['filename']}{item['size']}" for item in project["_via_img_metadata"].values()
        ]
        assert list(project["_via_attributes"]["region"]["class"]["options"]) == list(dataset.classes.names)
    areas = [part["shape_attributes"]["width"] * part["shape_attributes"]["height"] for part in regions]
    boxes = dataset.objects.boxes
    np.testing.assert_allclose(sorted(areas), np.sort((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)))


REAL = json.dumps({f"{item['filename']}7": item for item in RECORDS}).encode()
ROW = 'b.png,7,"{}",1,0,"{""name"":""rect"",""x"":1,""y"":1,""width"":5,""height"":5}","{""c"":""x""}"'
TABLE = f"{COLUMNS}\n{ROW}\n".encode()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.one_of(st.binary(max_size=60), draw_mutated(REAL), draw_mutated(REAL), draw_mutated(TABLE)),
    is_table=st.booleans(),
)
@example(data=b'{"x": {"filename": "\\u0000", "regions": []}}', is_table=False)
@example(data=b'{"x": {"filename": "b.png", "regions": [[], {"shape_attributes": {"name": []}}]}}', is_table=False)
@example(data=TABLE, is_table=True)
def test_strange_files_are_refused_or_accounted_for(
    data: bytes, is_table: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = photos(tmp_path_factory.getbasetemp() / "strange-via", "a ñ.png", "b.png", "c.png")
    name = "x.csv" if is_table else "x.json"
    (root / name).write_bytes(data)
    FORMATS["via"].detect(resolve_location(root / name))
    try:
        table = FORMATS["via"].read(resolve_location(root / name), ReadOptions(), SILENT)
    except LinceError:
        return
    if is_table:
        return
    said = json.loads(data)
    values = list(said.values() if isinstance(said, dict) else said)
    lost = [kind for _path, _line, kind in faults(table) if kind == "lost"]
    whole = [path for path, _line, kind in faults(table) if path.count("/") <= 2 and kind != "lost"]
    assert len(table.names) + len(lost) + len(whole) >= len(values)
