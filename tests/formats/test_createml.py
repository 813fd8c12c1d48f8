"""CreateML: every variant is read, every fault is named, and written files read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lince import images
from lince.datasets import open_dataset
from lince.datasets.conversion import ConvertOptions, convert_dataset
from lince.errors import DataError, LinceError
from lince.formats import FORMATS, LabelTable, ReadOptions, open_table
from lince.formats.createml import reader as createml_reader
from lince.formats.createml import writer as createml_writer
from lince.progress import SILENT
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location

HEIGHT, WIDTH = 40, 80
PHOTO = images.encode_png(np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def photos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)
    return root


def entry(image: str, *marks: Any) -> dict[str, Any]:
    return {"image": image, "annotations": list(marks)}


def mark(label: Any, x: Any = 40, y: Any = 20, width: Any = 20, height: Any = 20) -> dict[str, Any]:
    return {"label": label, "coordinates": {"x": x, "y": y, "width": width, "height": height}}


def put(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def found(table: LabelTable) -> list[tuple[str, int, list[tuple[str, list[float]]]]]:
    objects = table.objects
    assert objects is not None
    kinds = [table.classes.names[i] for i in objects.class_ids]
    marks = list(zip(kinds, objects.boxes.tolist(), strict=True))
    splits = table.splits.tolist()
    return [(name, splits[i], marks[objects.slice_of_image(i)]) for i, name in enumerate(table.names)]


def faults(table: LabelTable) -> list[tuple[str, str]]:
    return [(refusal.path, refusal.kind) for refusal in table.rejected]


def test_photos_and_boxes(awkward: Path) -> None:
    photos(awkward, "a ñ.png", "b.png", "nobody.png")
    put(awkward / "labels.json", [entry("a ñ.png", mark("niño"), mark("casco", 10.5, 5, 3, 4)), entry("b.png")])
    for named in (awkward, awkward / "labels.json"):
        table = open_table(named)
        assert table.format == "createml"
        assert table.classes.names == ("casco", "niño")
        assert found(table) == [
            ("a ñ.png", UNASSIGNED, [("niño", [30, 10, 50, 30]), ("casco", [9, 3, 12, 7])]),
            ("b.png", UNASSIGNED, []),
        ]
        assert faults(table) == ([("nobody.png", "unlabelled")] if named == awkward else [])


def test_apples_older_keys_and_photos_beside(awkward: Path) -> None:
    photos(awkward, "images/a.png")
    put(awkward / "labels" / "x.json", [{"imagefilename": "a.png", "annotation": [mark("cat")]}])
    table = open_table(awkward / "labels" / "x.json")
    assert found(table) == [("images/a.png", UNASSIGNED, [("cat", [30, 10, 50, 30])])]


def test_a_file_for_each_part(awkward: Path) -> None:
    for part in ("train", "valid", "test"):
        photos(awkward, f"{part}/same.png")
        put(awkward / part / "_annotations.createml.json", [entry("same.png", mark(part))])
    assert [(name, split) for name, split, _marks in found(open_table(awkward))] == [
        ("test/same.png", TEST), ("train/same.png", TRAIN), ("valid/same.png", VAL)
    ]  # fmt: skip


def test_files_called_by_their_part(awkward: Path) -> None:
    photos(awkward, "images/a.png", "images/b.png")
    put(awkward / "train.json", [entry("a.png", mark("x"))])
    put(awkward / "my_test.json", [entry("b.png", mark("x"))])
    assert [split for _name, split, _marks in found(open_table(awkward))] == [TEST, TRAIN]


def test_shares_of_the_photo(awkward: Path) -> None:
    photos(awkward, "a.png")
    table = open_table(put(awkward / "x.json", [entry("a.png", mark("x", 0.5, 0.5, 0.25, 0.5), mark("x", 1, 1, 0, 0))]))
    assert found(table) == [("a.png", UNASSIGNED, [("x", [30, 10, 50, 30])])]
    assert table.sizes is not None
    assert table.sizes.tolist() == [[HEIGHT, WIDTH]]
    assert faults(table) == [("x.json#/0/annotations/1", "empty")]


def test_shares_of_a_photo_of_unknown_size_are_named(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png")
    (awkward / "b.png").write_bytes(b"\x89PNG cut")
    share = mark("x", 0.5, 0.5, 0.25, 0.5)
    table = open_table(put(awkward / "x.json", [entry("a.png", share), entry("b.png", share)]))
    assert faults(table) == [("b.png", "unusable")]


def test_every_fault_is_named_with_its_place(awkward: Path) -> None:
    photos(awkward, "a.png")
    bad = [
        mark(""), mark(7), mark("x", "1"), mark("x", None), mark("x", float("nan")), mark("x", 40, 20, -4, 4),
        {"label": "x"}, 3, mark("x", True), mark("\ud800"), mark("x", 10**400), {"label": "x", "coordinates": [1]},
    ]  # fmt: skip
    entries = [entry("a.png", mark("x"), *bad), entry("gone.png", mark("x")), entry("./a.png"), {"image": "a.png"}, 5]
    table = open_table(put(awkward / "x.json", entries))
    assert found(table) == [("a.png", UNASSIGNED, [("x", [30, 10, 50, 30])])]
    kinds = ["row", "row", "row", "row", "number", "inverted", "row", "row", "row", "row", "number", "row"]
    assert sorted(faults(table)) == sorted(
        [
            *((f"x.json#/0/annotations/{i}", fault) for i, fault in enumerate(kinds, 1)),
            ("x.json#/1", "no-image"),
            ("x.json#/2", "double"),
            ("x.json#/3", "row"),
            ("x.json#/4", "row"),
        ]
    )
    assert all(refusal.remedy and refusal.reason for refusal in table.rejected)


@pytest.mark.parametrize("text", ["[", "[{", "{}", "3", "", "[" * 100_000, "\xff"])
def test_a_file_that_is_no_list_is_refused(text: str, awkward: Path) -> None:
    photos(awkward, "a.png")
    put(awkward / "x.json", text)
    with pytest.raises(DataError, match=r"x\.json"):
        FORMATS["createml"].read(resolve_location(awkward / "x.json"), ReadOptions(), SILENT)


@pytest.mark.parametrize(
    "value",
    [
        {"images": [], "annotations": [], "categories": []},
        {"version": "5.0", "shapes": [], "imagePath": "a.png"},
        [{"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": []}]}],
        [{"image": "a.png", "label": [{"x": 1}], "id": 3}],
        [{"image": "a.png", "annotations": ["cat"]}],
        [{"image": "a.png", "annotations": [{"label": "cat"}]}],
        [],
        [1],
        "x",
    ],
)
def test_other_json_is_not_taken_for_it(value: Any, awkward: Path) -> None:
    photos(awkward, "a.png")
    assert createml_reader.detect(resolve_location(put(awkward / "x.json", json.dumps(value)))) is None


def test_what_is_written_names_photos_from_its_own_folder(shared: Path, awkward: Path) -> None:
    dataset = open_dataset(shared / "data" / "hardhat" / "data.yaml").select(np.arange(395, 405))
    convert_dataset(dataset, awkward / "out", "createml", ConvertOptions(lossy=True))
    (train, val) = (
        json.loads((awkward / "out" / part / createml_writer._FILE_NAME).read_text()) for part in ("train", "val")
    )
    assert (len(train), len(val), "/" in train[0]["image"]) == (5, 5, False)
    table = open_table(awkward / "out")
    assert table.objects is not None
    assert dataset.objects is not None
    np.testing.assert_allclose(np.sort(table.objects.boxes, axis=0), np.sort(dataset.objects.boxes, axis=0), rtol=1e-12)


REAL = json.dumps([entry("a.png", mark("cat"), mark("dog", 1.5, 2, 3, 4)), entry("b.png")]).encode()


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    def change(parts: tuple[int, int, bytes, int]) -> bytes:
        start, length, new, times = parts
        start %= len(data)
        piece = data[start : start + length]
        return data[:start] + new + piece * times + data[start + length :]

    return st.tuples(st.integers(0, 300), st.integers(0, 30), st.binary(max_size=6), st.integers(0, 4)).map(change)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.one_of(st.binary(max_size=60), mutated(REAL), mutated(REAL)))
@example(data=json.dumps([entry("a.png", mark("x", 1e308, 1e308, 1e308, 1e308))]).encode())
@example(data=b'[{"image": "\\u0000", "annotations": []}]')
@example(data=b'[{"image": "a.png", "annotations": [[]]}, {"image": "a.png"}]')
@example(data=REAL)
def test_strange_files_are_refused_or_their_entries_are(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = photos(tmp_path_factory.getbasetemp() / "strange-createml", "a.png", "b.png")
    (root / "x.json").write_bytes(data)
    createml_reader.detect(resolve_location(root))
    try:
        table = FORMATS["createml"].read(resolve_location(root / "x.json"), ReadOptions(), SILENT)
    except LinceError:
        return
    said = json.loads(data)
    lost = [path for path, fault in faults(table) if fault == "lost"]
    assert len(table.names) + len(lost) + len([path for path, _fault in faults(table) if path.count("/") == 1]) == len(
        said
    )
