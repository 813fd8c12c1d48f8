"""The lists of keras-yolo3: images with all their boxes in a line; faults by their line, counts by another reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lince import images
from lince.errors import DataError, LinceError
from lince.formats import FORMATS, LabelTable, ReadOptions, open_table
from lince.formats.keras_yolo.lines import ListLine, parse_line
from lince.progress import SILENT
from lince.splits import TEST, TRAIN, VAL
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def found(table: LabelTable) -> dict[str, list[tuple[str, list[float]]]]:
    assert table.objects is not None
    names = [table.classes.names[i] for i in table.objects.class_ids]
    marks = list(zip(names, table.objects.boxes.tolist(), strict=True))
    return {name: marks[table.objects.slice_of_image(i)] for i, name in enumerate(table.names)}


@pytest.mark.parametrize(
    ("line", "image", "words"),
    [
        ("a.png 1,2,3,4,0 5,6,7,8,1", "a.png", ("1,2,3,4,0", "5,6,7,8,1")),
        ("  mi foto.jpg  (2).PNG\t1,2,3,4,0  ", "mi foto.jpg  (2).PNG", ("1,2,3,4,0",)),
        ("C:\\mis fotos\\a.png 1,2,3", "C:\\mis fotos\\a.png", ("1,2,3",)),
        ("a.png", "a.png", ()),
    ],
)
def test_lines(line: str, image: str, words: tuple[str, ...]) -> None:
    assert parse_line(line) == ListLine(image, words)


def test_three_parts_with_their_classes(awkward: Path) -> None:
    for part, names in (("train", "gato\nniño\n"), ("valid", "niño\ngato\n"), ("test", "gato\nniño\n")):
        put(awkward, {f"{part}/{part} 1.png": PHOTO, f"{part}/{part}2.png": PHOTO, f"{part}/_classes.txt": names})
        put(awkward, {f"{part}/_annotations.txt": f"{part} 1.png 1,2,30,20,0 40.5,2,60,20,1\n{part}2.png\n"})
    table = open_table(awkward)
    assert (table.format, table.classes.names, table.rejected) == ("keras-yolo", ("gato", "niño"), ())
    for part, split, names in (("train", TRAIN, "gato niño"), ("valid", VAL, "niño gato"), ("test", TEST, "gato niño")):
        first, second = names.split()
        assert found(table)[f"{part}/{part} 1.png"] == [(first, [1, 2, 30, 20]), (second, [40.5, 2, 60, 20])]
        assert found(table)[f"{part}/{part}2.png"] == []
        assert {s for name, s in zip(table.names, table.splits.tolist(), strict=True) if part in name} == {split}


@pytest.mark.parametrize("name", ["classes.txt", "model_data/voc_classes.txt", ""])
def test_the_list_of_classes_lies_in_many_places(name: str, awkward: Path) -> None:
    put(
        awkward,
        {"images/a.png": PHOTO, "images/b.png": PHOTO, "train.txt": "/content/drive/images/a.png 1,2,30,20,1\n"},
    )
    if name:
        put(awkward, {name: "gato\nperro\n"})
    table = open_table(awkward)
    assert found(table) == {"images/a.png": [("perro" if name else "1", [1, 2, 30, 20])]}
    kinds = [item.kind for item in table.rejected]
    assert kinds == (["unlabelled"] if name else ["assumed", "unlabelled"])


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("a.png 1,2,3,4", "row", "4 numbers instead of 5"), ("a.png 1,2,x,4,0", "number", "not a number: 1,2,x,4,0"),
        ("a.png 1,2,30,20,7", "class", "class 7 is not one of the 2"), ("a.png 1,2,30,20,-1", "number", "-1"),
        ("gone.png 1,2,3,4,0", "no-image", "gone.png"), ("1,2,3,4,0", "row", "no photo"),
        ("b.png 1,2,3,4,0", "double", "b.png appears twice"), ("a.png nan,2,3,4,0", "number", "not a number"),
        ("a.png 30,2,1,20,0", "inverted", "swapped"), ("a.png 1_0,2,30,20,0", "number", "1_0"),
    ],
)  # fmt: skip
def test_faults_are_named_with_their_line(line: str, kind: str, words: str, awkward: Path) -> None:
    put(awkward, {"a.png": PHOTO, "b.png": PHOTO, "_classes.txt": "x\ny\n"})
    table = open_table(put(awkward, {"_annotations.txt": f"b.png 1,2,30,20,0\n\n{line}\n"}), "keras-yolo")
    [item] = [item for item in table.rejected if item.path == "_annotations.txt"]
    assert (item.line, item.kind) == (3, kind)
    assert words in item.reason
    assert found(table) == {"b.png": [("x", [1, 2, 30, 20])]}


@pytest.mark.parametrize("text", ["a.png\nb.png\n", "0 0.5 0.5 0.2 0.2\n", "a.png 0\n", "hola\na.png 1,2,3,4,0\n", ""])
def test_other_texts_are_no_such_list(text: str, awkward: Path) -> None:
    put(awkward, {"a.png": PHOTO, "b.png": PHOTO, "x.txt": text})
    assert FORMATS["keras-yolo"].detect(resolve_location(awkward)) is None
    with pytest.raises(DataError, match="contains no list"):
        open_table(awkward, "keras-yolo")


BOXES = st.lists(st.tuples(*(st.integers(0, 39),) * 4, st.integers(0, 2)), max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(BOXES, min_size=1, max_size=4))
def test_counted_by_the_splitting_of_the_training_code(
    rows: list[list[tuple[int, ...]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [" ".join([f"{i}.png", *(",".join(map(str, box)) for box in row)]) for i, row in enumerate(rows)]
    root = put(tmp_path_factory.mktemp("k"), {f"{i}.png": PHOTO for i in range(len(rows))})
    put(root, {"x.txt": "\n".join(lines), "_classes.txt": "a\nb\nc\n"})
    expected = {}
    for line in lines:  # as keras-yolo3 reads it: line.split(), then each box by its commas
        name, *boxes = line.split()
        numbers = [[int(number) for number in box.split(",")] for box in boxes]
        expected[name] = [("abc"[e], [a, b, c, d]) for a, b, c, d, e in numbers if a < c and b < d]
    table = FORMATS["keras-yolo"].read(resolve_location(root / "x.txt"), ReadOptions(), SILENT)
    lost = {name for i, row in enumerate(rows) if row and not expected[name := f"{i}.png"]}
    assert found(table) == {name: boxes for name, boxes in expected.items() if name not in lost}
    refused = sum(item.kind in {"inverted", "empty"} for item in table.rejected)
    assert refused == sum(map(len, rows)) - sum(map(len, expected.values()))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.one_of(st.binary(max_size=80), st.text("a.png 0123456789,-\n\0", max_size=120).map(str.encode)))
@example(data=b"a.png " + b"9" * 5000 + b",1,2,3,0")
@example(data=b"a.png 1,2,30,20," + b"9" * 5000)
@example(data=b"a.png 1e999,2,30,20,0\na.png\n")
@example(data=b"\xff\xfea\0.\0p\0n\0g\0")
def test_any_bytes_are_refused_or_used(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = put(tmp_path_factory.mktemp("k"), {"a.png": PHOTO, "x.txt": data})
    FORMATS["keras-yolo"].detect(resolve_location(root))
    try:
        table = FORMATS["keras-yolo"].read(resolve_location(root / "x.txt"), ReadOptions(), SILENT)
    except LinceError:
        return
    assert set(table.names) <= {"a.png"}
