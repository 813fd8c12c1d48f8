"""Tables of classes as Kaggle, Roboflow, Label Studio and spreadsheets write them; what is taken for what is told."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lince import images
from lince.annotations import UNLABELLED
from lince.checks.check_context import CheckContext
from lince.checks.rejected_labels import check_rejected_labels
from lince.datasets import open_dataset
from lince.errors import AmbiguousError, LinceError, UsageError
from lince.findings import Severity
from lince.formats import LabelTable, open_table
from lince.formats.csv_classes import reader as csv_classes_reader
from lince.formats.csv_classes.class_cells import find_class_names, parse_class_list, split_classes
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location
from lince.tasks import get_task, resolve_task

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))
CELLS = st.text("a.png,;01\n\"'[]", max_size=60)
RESULTS = st.text('[]{}",:x0123. widthrectanglelabels', max_size=60)
FUZZED = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def photos(*names: str) -> dict[str, str | bytes]:
    return dict.fromkeys(names, PHOTO)


def found(table: LabelTable) -> dict[str, str]:
    pairs = zip(table.names, table.class_ids.tolist(), strict=True)
    return {name: table.classes.names[class_id] for name, class_id in pairs}


def found_sets(table: LabelTable) -> dict[str, set[str]]:
    listed = ((name, table.list_class_names(row)) for row, name in enumerate(table.names))
    return {name: set(names) for name, names in listed}


def kinds(table: LabelTable) -> list[tuple[int | None, str]]:
    return [(item.line, item.kind) for item in table.rejected]


@pytest.mark.parametrize(
    "lines",
    [
        ("file,class", "a.png,x", "b.png,y"),
        ("sep=;", "archivo;clase", "a.png;x", "b.png;y"),
        ('"sep=\t"', "imagem\tclasse", "a.png\tx", "b.png\ty"),
        (",file,class", "0,a.png,x", "1,b.png,y"),
        ("Unnamed: 0;id;file;class", "0;7;a.png;x", "1;8;b.png;y"),
        ("a.png,x", "b.png,y"),
        ("x,a.png", "y,b.png"),
        ("0,a.png,x", "1,b.png,y"),
        ("a,x", "b,y"),
        ("a.png,x,train", "b.png,y,train"),
        ("image,breed", "a,x", "b,y"),
        ("filename, x, y", "a.png, 1, 0", "b.png, 0, 1"),
        ("image_id;x;y;w", "a;1.0;0.0;0.0", "b;0.0;1.0;0.0"),
        ("file,x,y", "a.png,True,False", "b.png,False,True"),
        ("file,labels,class", "a.png,2,['x']", 'b.png,3,"[""y""]"'),
        ("file,class", "a.png,[x]", "b.png,['y']"),
    ],
)
@pytest.mark.parametrize("folder", ["", "train/", "images/"])
def test_columns(lines: tuple[str, ...], folder: str, awkward: Path) -> None:
    put(awkward, {**photos(f"{folder}a.png", f"{folder}b.png"), "labels.csv": "\n".join(lines) + "\n"})
    for path in (awkward, awkward / "labels.csv"):
        table = open_table(path)
        paths = {(table.root / name).relative_to(awkward).as_posix(): label for name, label in found(table).items()}
        assert (table.format, paths) == ("csv", {f"{folder}a.png": "x", f"{folder}b.png": "y"})
        assert table.rejected == ()


@pytest.mark.parametrize(
    "text",
    [
        "file,caption\na.png,x\n",
        "file,text\na.png,a cat on a mat in the sun\n",
        "file,price\na.png,10.5\nb.png,11.2\n",
        "image,mask\na.png,b.png\n",
        "a.png,b.png\n",
        "id,breed\n1,x\n2,y\n",  # no photo is called so
        "file,a,b\na.png,1,7\n",
        "file,train,test\na.png,1,0\n",
    ],
)
def test_other_tables_are_not_taken_for_it(text: str, awkward: Path) -> None:
    put(awkward, {**photos("a.png", "b.png"), "labels.csv": text})
    with pytest.raises(UsageError):
        open_table(awkward)


def test_the_column_taken_for_the_class_is_said(awkward: Path) -> None:
    put(awkward, {**photos("a.png", "b.png"), "labels.csv": "id,raza\na,x\nb,y\n"})
    assert "raza" in str(csv_classes_reader.detect(resolve_location(awkward)))
    put(awkward, {"labels.csv": "id,gato,perro\na,1,0\nb,0,1\n"})
    assert "gato, perro" in str(csv_classes_reader.detect(resolve_location(awkward)))


def test_a_row_with_several_ones_or_none_has_as_many_classes(awkward: Path) -> None:
    text = "filename, cat, dog\na.png, 1, 0\nb.png, 1, 1\nc.png, 0, 0\nd.png, 0, 1\n"
    table = open_table(put(awkward, {**photos("a.png", "b.png", "c.png", "d.png"), "_classes.csv": text}))
    assert found_sets(table) == {"a.png": {"cat"}, "b.png": {"cat", "dog"}, "c.png": set(), "d.png": {"dog"}}
    assert kinds(table) == []
    assert table.class_ids.tolist() == [0, UNLABELLED, UNLABELLED, 1]
    assert table.label_sets is not None
    assert table.label_sets.is_listed


def test_a_class_called_as_row_numbers_are(awkward: Path) -> None:
    text = "index,filename,yes,no\n0,a.png,1,0\n1,b.png,0,1\n2,c.png,0,1\n"
    table = open_table(put(awkward, {**photos("a.png", "b.png", "c.png"), "t.csv": text}))
    assert (found(table), kinds(table)) == ({"a.png": "yes", "b.png": "no", "c.png": "no"}, [])


def test_a_row_of_zeros_is_named_where_no_row_has_several_ones(awkward: Path) -> None:
    text = "filename,cat,dog\na.png,1,0\nc.png,0,0\nd.png,0,1\n"
    table = open_table(put(awkward, {**photos("a.png", "c.png", "d.png"), "_classes.csv": text}))
    assert (found(table), kinds(table), table.label_sets) == (
        {"a.png": "cat", "d.png": "dog"}, [(3, "no-class")], None,
    )  # fmt: skip


def test_a_row_without_any_cell_says_nothing(awkward: Path) -> None:
    text = "filename,cat,dog\na.png,1,1\nc.png,,\nd.png,0,1\n"
    table = open_table(put(awkward, {**photos("a.png", "c.png", "d.png"), "_classes.csv": text}))
    assert (found_sets(table), kinds(table)) == ({"a.png": {"cat", "dog"}, "d.png": {"dog"}}, [(3, "no-class")])


def test_a_row_for_each_class_of_a_photo(awkward: Path) -> None:
    rows = "".join(f"{i}.png,cat\n{i}.png,dog\n" for i in range(3)) + "3.png,cat\n4.png,dog\n"
    table = open_table(put(awkward, {**photos(*(f"{i}.png" for i in range(5))), "t.csv": f"file,class\n{rows}"}))
    assert (found_sets(table), kinds(table)) == (
        {**{f"{i}.png": {"cat", "dog"} for i in range(3)}, "3.png": {"cat"}, "4.png": {"dog"}}, [],
    )  # fmt: skip


@pytest.mark.parametrize(("several", "is_listed"), [(1, False), (2, True)])
def test_a_few_photos_with_several_classes_may_be_mistakes(several: int, is_listed: bool, awkward: Path) -> None:
    rows = [f"{i}.png,{'cat|dog' if i < several else ('cat', 'dog')[i % 2]}\n" for i in range(30)]
    put(awkward, {**photos(*(f"{i}.png" for i in range(30))), "t.csv": f"file,class\n{''.join(rows)}"})
    dataset = open_dataset(awkward)
    assert dataset.label_sets is not None
    assert dataset.label_sets.is_listed == is_listed
    assert resolve_task(dataset).name == ("multilabel" if is_listed else "classify")
    assert len(get_task("multilabel").select_usable(dataset)) == 30
    alone = get_task("classify").select_usable(dataset)
    assert (len(alone), alone.label_sets, {item.kind for item in alone.rejected}) == (
        30 - several, None, {"several-classes"},
    )  # fmt: skip
    context = CheckContext(dataset, None)  # type: ignore[arg-type]
    told = [
        (one.code, one.count, one.severity) for one in check_rejected_labels(context) if one.code == "several-classes"
    ]
    assert told == ([] if is_listed else [("several-classes", several, Severity.ERROR)])


def test_a_value_that_comes_late_and_is_no_indicator_is_named(awkward: Path) -> None:
    rows = "".join(f"{i}.png,{i % 2},{1 - i % 2}\n" for i in range(2000))
    files = photos(*(f"{i}.png" for i in range(2001)))
    table = open_table(put(awkward, {**files, "t.csv": f"file,x,y\n{rows}2000.png,2,0\n"}))
    assert (len(table.names), kinds(table)) == (2000, [(2002, "row")])


def test_roboflow_classes_of_three_parts(awkward: Path) -> None:
    parts = {"train": TRAIN, "valid": VAL, "test": TEST}
    for part in parts:
        text = f"filename, cat, dog\n{part}0.png, 0, 1\n{part}1.png, 1, 0\n"
        put(awkward, {**photos(f"{part}/{part}0.png", f"{part}/{part}1.png"), f"{part}/_classes.csv": text})
    table = open_table(awkward)
    assert found(table) == {f"{part}/{part}{i}.png": ("dog", "cat")[i] for part in parts for i in range(2)}
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {
        f"{part}/{part}{i}.png": split for part, split in parts.items() for i in range(2)
    }
    assert table.rejected == ()


def test_tables_of_parts_beside_each_other(awkward: Path) -> None:
    put(awkward, {**photos("a.png", "b.png", "c.png"), "train.csv": "file,class\na.png,x\nb.png,y\n"})
    put(awkward, {"val.csv": "file,class\nb.png,x\nc.png,y\n"})
    table = open_table(awkward)
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {"a.png": TRAIN, "b.png": TRAIN, "c.png": VAL}
    assert [(item.path, item.line, item.kind) for item in table.rejected] == [("val.csv", 2, "double")]
    put(awkward, {"others.csv": "file,class\na.png,x\n"})
    with pytest.raises(AmbiguousError, match="3 tables"):
        open_table(awkward)


@pytest.mark.parametrize("folder", ["annotations", "labels", "datos/v2"])
def test_a_table_in_a_folder_of_its_own(folder: str, awkward: Path) -> None:
    put(awkward, {**photos("images/a.png", "images/b.png"), f"{folder}/x.csv": "file,class\na.png,x\nb.png,y\n"})
    assert found(open_table(awkward)) == {"images/a.png": "x", "images/b.png": "y"}
    put(awkward, {f"{folder}/x.csv": "file,class\nc.png,x\n"})
    with pytest.raises(UsageError, match="labels"):
        open_table(awkward)


def test_a_table_to_fill_in_is_no_second_one(awkward: Path) -> None:
    put(awkward, {**photos("train/a.png", "test/b.png"), "train.csv": "id,label\na,x\n"})
    table = open_table(put(awkward, {"sample_submission.csv": "id,label\nb,x\n"}))
    assert (found(table), table.splits.tolist()) == ({"train/a.png": "x"}, [UNASSIGNED])
    assert [(item.path, item.kind) for item in table.rejected] == [
        ("sample_submission.csv", "other-labels"), ("test/b.png", "unlabelled"),
    ]  # fmt: skip
    assert found(open_table(awkward / "sample_submission.csv")) == {"test/b.png": "x"}


# Several classes in a cell


@pytest.mark.parametrize(
    ("cell", "classes"),
    [
        ("['cat', 'dog']", ["cat", "dog"]), ('["cat"]', ["cat"]), ("[cat, dog]", ["cat", "dog"]), ("[]", []),
        ('["a\\"b, c"]', ['a"b, c']),
        ("['a b', 'c']", ["a b", "c"]), ('{"choices": ["x", "y"]}', ["x", "y"]), ("cat", None), ("[[1, 2]]", None),
        ('{"x": 1}', None), ("[{", None), ("{" * 5000, None),
    ],
)  # fmt: skip
def test_lists_in_a_cell(cell: str, classes: list[str] | None) -> None:
    assert parse_class_list(cell) == classes


@pytest.mark.parametrize(
    ("cells", "cell", "classes"),
    [
        (["cat", "dog", "cat dog"], "cat dog", ["cat", "dog"]),
        (["golden retriever", "labrador retriever"], "golden retriever", ["golden retriever"]),
        (["Maple, red", "Maple, sugar"], "Maple, red", ["Maple, red"]),
        (["a|b", "b|c"], "a|b", ["a", "b"]),
        (["a|b"], "a|b", ["a|b"]),
        (["cat", "cat|"], "cat|", ["cat|"]),
    ],
)
def test_which_cells_name_several_classes(cells: list[str], cell: str, classes: list[str]) -> None:
    assert split_classes(cell, find_class_names(cells)) == classes


def test_a_column_of_tags_lists_them(awkward: Path) -> None:
    text = "image_name,tags\np0,haze primary\np1,clear primary\np2,cloudy\n"
    table = open_table(put(awkward, {**photos("p0.png", "p1.png", "p2.png"), "train.csv": text}))
    assert found_sets(table) == {
        "p0.png": {"haze", "primary"}, "p1.png": {"clear", "primary"}, "p2.png": {"cloudy"},
    }  # fmt: skip
    assert kinds(table) == []
    put(awkward, {"train.csv": text.replace("tags", "label")})
    assert set(open_table(awkward).classes.names) == {"haze primary", "clear primary", "cloudy"}


@given(st.lists(st.text(max_size=12), max_size=8))
def test_cells_of_any_text(cells: list[str]) -> None:
    known = find_class_names(cells)
    for cell in cells:
        names = split_classes(cell, known)
        assert all(isinstance(name, str) for name in names)
        assert names or parse_class_list(cell) == []


@FUZZED
@given(st.text(alphabet="[]{}\",' :ab", max_size=40))
def test_broken_lists_are_no_error(text: str) -> None:
    assert parse_class_list(text) is None or isinstance(parse_class_list(text), list)


# Counts beside an independent reader


@FUZZED
@given(rows=st.lists(st.tuples(st.integers(0, 9), st.lists(st.booleans(), min_size=3, max_size=3)), max_size=30))
@example(rows=[(0, [True, False, False]), (0, [True, False, False]), (1, [True, True, False]), (2, [False] * 3)])
def test_indicators_counted_by_the_csv_module(
    rows: list[tuple[int, list[bool]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("niño")
    lines = [f"{photo}.png," + ",".join("10"[not value] for value in values) for photo, values in rows]
    put(root, {**photos(*(f"{i}.png" for i in range(10))), "t.csv": "\n".join(["file,x,y,z", *lines, "9.png,1,0,0"])})
    by_photo: dict[str, list[set[str]]] = {}
    for row in csv.DictReader(io.StringIO((root / "t.csv").read_text())):
        by_photo.setdefault(row["file"], []).append({name for name in "xyz" if row[name] == "1"})
    unions = {name: set[str]().union(*sets) for name, sets in by_photo.items()}
    differing = {name for name, sets in by_photo.items() if len(unions[name]) > 1 and unions[name] not in sets}
    has_lists = any(len(one) > 1 for sets in by_photo.values() for one in sets)
    if not has_lists and len(differing) >= max(3, len(unions) / 3):
        differing = set()
    expected = {name: union for name, union in unions.items() if name not in differing}
    if all(len(union) < 2 for union in expected.values()):
        expected = {name: union for name, union in expected.items() if union}
    if not expected:
        with pytest.raises(UsageError):
            open_table(root)
        return
    table = open_table(root / "t.csv")
    assert found_sets(table) == expected
    told = Counter(item.line for item in table.rejected if item.path == "t.csv")
    assert set(told.values()) <= {1}
    lines_of = {name: [] for name in unions}
    for line, (name, _values) in enumerate([*((f"{photo}.png", values) for photo, values in rows), ("9.png", [])], 2):
        lines_of[name].append(line)
    for name, lines in lines_of.items():  # one row is used, the others are told, or are those of the other classes
        rest = [line for line in lines if line not in told]
        assert rest if name in expected else not rest


HEADS = (b"file,class\n", b"sep=;\nfile;x;y\n", b"a.png,", b"0,a.png,", b"id,raza\n", b"\xff\xfes\x00e\x00")


@FUZZED
@given(head=st.sampled_from(HEADS), data=st.one_of(st.binary(max_size=99), CELLS.map(str.encode)))
@example(head=b"sep=;", data=b"")
@example(head=b"sep=;\n", data=b"\n\n")
def test_any_bytes_as_a_table(head: bytes, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = put(tmp_path_factory.mktemp("t"), {**photos("a.png", "p.png"), "t.csv": head + data})
    for path in (root, root / "t.csv"):
        try:
            table = open_table(path)
        except LinceError:
            continue
        assert set(table.names) <= {"a.png", "p.png"}


# Photos that are meant


@pytest.mark.parametrize(
    ("reference", "present", "told"),
    [
        ("IMG_0.JPG", ["img_0.jpg"], "spelling"),
        ("an\u0303o.png", ["a\u00f1o.png"], ""),
        ("a\u00f1o.png", ["an\u0303o.png"], ""),
        ("a.jpeg", ["a.jpg"], "extension"),
        ("A.jpeg", ["a.jpg"], "extension"),
        ("a", ["a.jpg"], ""),
        ("A", ["a.jpg"], "spelling"),
        ("C:\\fotos\\a.jpg", ["fotos/a.jpg"], ""),
        ("C:\\mis fotos\\a.jpg", ["fotos/a.jpg"], "folder"),
        ("/content/drive/MyDrive/a.jpg", ["a.jpg"], "folder"),
        ("/content/drive/MyDrive/train/a.jpg", ["train/a.jpg"], ""),
        ("/content/drive/MyDrive/x/a.jpg", ["train/a.jpg"], "folder"),
        ("a.jpg", ["train/a.jpg"], ""),
        ("/data/upload/1/0fdb2620-a.jpg", ["a.jpg"], "upload"),
        ("a.jpg", ["0fdb2620-a.jpg"], "upload"),
        ("a.jpg", ["3f2504e0-4f89-11d3-9a0c-0305e82c3301_a.jpg"], "upload"),
    ],
)
def test_the_photo_that_is_meant_and_the_guess(reference: str, present: list[str], told: str, awkward: Path) -> None:
    put(awkward, {**photos(*present), "labels.csv": f"file,class\n{reference},x\n"})
    table = open_table(awkward)
    assert found(table) == {present[0]: "x"}
    assert [item.kind for item in table.rejected] == (["assumed"] if told else [])
    for item in table.rejected:
        assert (told in item.reason, reference in item.reason, present[0] in item.reason) == (True, True, True)


@pytest.mark.parametrize(
    ("reference", "present", "told"),
    [
        ("a.png", ["1/a.png", "2/a.png"], r"several photos have that name: 1/a\.png, 2/a\.png"),
        ("a.png", ["1/a.jpg", "2/a.bmp"], r"several photos have that name: 1/a\.jpg, 2/a\.bmp"),
        ("a.png", ["1/0fdb2620-a.png", "2/0fdb2621-a.png"], "$"),
        ("train/a.png", ["train/c.png", "test/a.png"], r"test/a\.png has that name, but is in another place"),
        ("IMG 7.png", ["IMG_0007.png"], r"IMG_0007\.png is called almost so"),
        ("z.png", ["b.jpg"], "$"),
    ],
)
def test_near_misses_are_named(reference: str, present: list[str], told: str, awkward: Path) -> None:
    put(awkward, {**photos("other.png", *present), "labels.csv": f"file,class\nother.png,x\n{reference},x\n"})
    [item] = [item for item in open_table(awkward).rejected if item.kind == "no-image"]
    assert re.search(f"{re.escape(reference)}(; )?{told}", item.reason)


# Label Studio's CSV


def label_studio(*labels: object, header: str = "label") -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(["image", "id", header, "annotator", "annotation_id", "created_at", "updated_at", "lead_time"])
    for i, label in enumerate(labels):
        cell = label if isinstance(label, str) else json.dumps(label)
        writer.writerow([f"/data/upload/1/0fdb262{i}-{i}.png", i, cell, 1, i, "", "", 1.5])
    return stream.getvalue()


def test_label_studio_boxes(awkward: Path) -> None:
    size = {"original_width": 80, "original_height": 40, "rotation": 0}
    box = {"x": 10, "y": 25, "width": 50, "height": 50, "rectanglelabels": ["casco"], **size}
    key_point = {"x": 1, "y": 1, "width": 1, "keypointlabels": ["nariz"], **size}
    text = label_studio([box], [box, box], "", [key_point])
    table = open_table(put(awkward, {**photos("0.png", "1.png", "2.png", "3.png"), "project.csv": text}))
    assert (table.format, list(table.names)) == ("labelstudio", ["0.png", "1.png", "2.png"])
    assert table.objects is not None
    assert np.allclose(table.objects.boxes, [[8, 10, 48, 30]] * 3)
    assert [item.path for item in table.rejected] == ["project.csv:5#/label/0", "3.png"]


@pytest.mark.parametrize("cell", ["gato", {"choices": ["gato"]}, ["gato"]])
def test_label_studio_choices(cell: object, awkward: Path) -> None:
    text = label_studio(cell, cell, header="choice")
    table = open_table(put(awkward, {**photos("0.png", "1.png"), "project.csv": text}))
    assert table.format == "labelstudio"
    assert found(table) == {"0.png": "gato", "1.png": "gato"}


@FUZZED
@given(cell=st.one_of(st.text(max_size=60), RESULTS), tail=st.binary(max_size=40))
def test_any_cell_of_label_studio(cell: str, tail: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = put(tmp_path_factory.mktemp("t"), photos("0.png"))
    (root / "t.csv").write_bytes(label_studio(cell).encode("utf-8", "replace") + tail)
    try:
        table = open_table(root, "labelstudio")
    except LinceError:
        return
    assert list(table.names) == ["0.png"]
