"""Hugging Face image folders: metadata of classes and boxes is read as it is meant, and written as it is expected."""

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
from lince.errors import DataError, LinceError, UsageError
from lince.formats import FORMATS, LabelTable, ReadOptions, open_table
from lince.progress import SILENT
from lince.splits import TEST, TRAIN, VAL
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))
CARD = """---
license: mit
dataset_info:
  features:
  - name: image
    dtype: image
  - name: objects
    sequence:
    - name: bbox
      sequence: float32
    - name: categories
      dtype:
        class_label:
          names:
            '0': niño
            '1': casco
---
# Cascos
"""


def put(root: Path, files: dict[str, Any]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(record) + "\n" for record in content) if isinstance(content, list) else content
        (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def boxes(table: LabelTable) -> list[tuple[str, list[float]]]:
    assert table.objects is not None
    names = [table.classes.names[i] for i in table.objects.class_ids]
    return list(zip(names, table.objects.boxes.tolist(), strict=True))


def marked(*numbers: list[float], categories: Any = None, **record: Any) -> dict[str, Any]:
    return {
        "file_name": "a.png",
        "objects": {"bbox": [*numbers], "categories": categories or [0] * len(numbers)},
        **record,
    }


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (marked([30, 10, 20, 20]), [("niño", [30, 10, 50, 30])]),
        (
            marked([30, 10, 20, 20], [1, 2, 30, 20], categories=["x", 1]),
            [("x", [30, 10, 50, 30]), ("casco", [1, 2, 31, 22])],
        ),
        (marked([40, 10, 60, 30]), [("niño", [40, 10, 60, 30])]),  # only corners fit
        (marked([0.375, 0.25, 0.25, 0.5]), [("niño", [30, 10, 50, 30])]),
        ({"file_name": "a.png", "objects": [{"bbox": [30, 10, 20, 20], "label": "x"}]}, [("x", [30, 10, 50, 30])]),
        ({"file_name": "A.PNG", "objects": {"boxes": [], "labels": []}}, []),
        ({"file_name": "a.png", "objects": None}, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["", "train/"])
def test_boxes(record: dict[str, Any], expected: list[Any], folder: str, awkward: Path) -> None:
    put(awkward, {f"{folder}a.png": PHOTO, f"{folder}metadata.jsonl": [record], "README.md": CARD})
    table = open_table(awkward)
    assert (table.format, list(table.names)) == ("huggingface", [f"{folder}a.png"])
    assert boxes(table) == expected
    assert {item.kind for item in table.rejected} <= {"assumed"}


@pytest.mark.parametrize("text", [json.dumps, str])
def test_boxes_in_a_table(text: Any, awkward: Path) -> None:
    cell = text({"bbox": [[30, 10, 20, 20]], "categories": ["x"]}).replace('"', '""')
    table = open_table(put(awkward, {"a.png": PHOTO, "metadata.csv": f'file_name,objects\na.png,"{cell}"\n'}))
    assert (table.format, boxes(table)) == ("huggingface", [("x", [30, 10, 50, 30])])


@pytest.mark.parametrize(("label", "name"), [("gato", "gato"), (1, "casco"), (1.0, "casco"), (7, "7"), (["x"], "x")])
def test_classes(label: Any, name: str, awkward: Path) -> None:
    parts = {"train": TRAIN, "validation": VAL, "test": TEST}
    for part in parts:
        record = {"file_name": "a.png", "label": label}
        put(awkward, {f"{part}/a.png": PHOTO, f"{part}/metadata.jsonl": [record], "README.md": CARD})
    table = open_table(awkward)
    assert table.objects is None
    assert [table.classes.names[i] for i in table.class_ids] == [name] * 3
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {f"{p}/a.png": s for p, s in parts.items()}


@pytest.mark.parametrize("label", ["gato", 1])
def test_classes_in_tables_are_read_as_such(label: object, awkward: Path) -> None:
    for part in ("train", "test"):
        put(awkward, {f"{part}/a.png": PHOTO, f"{part}/metadata.csv": f"file_name,label\na.png,{label}\n"})
    table = open_table(awkward)
    assert (table.format, table.classes.names, table.splits.tolist()) == ("csv", (str(label),), [TEST, TRAIN])


FAULTS: dict[str, tuple[str, int, str]] = {
    '{"file_name": "a.png", "label"': ("row", 0, "not JSON"),
    "[1]": ("row", 0, "a record"),
    '{"label": "x"}': ("row", 0, "a text"),
    '{"file_name": "gone.png", "label": "x"}': ("no-image", 0, "gone.png"),
    '{"file_name": "b.png", "label": "x"}': ("double", 0, "b.png appears twice"),
    '{"file_name": "a.png", "label": null}': ("no-class", 0, "no class"),
    '{"file_name": "a.png", "label": true}': ("row", 0, "true"),
    '{"file_name": "a.png", "objects": {"bbox": [[1, 2, 3, 4]], "categories": []}}': (
        "row",
        0,
        "1 boxes and 0 classes",
    ),
    '{"file_name": "a.png", "objects": {"bbox": [[1, 2, 3]], "categories": ["x"]}}': ("row", 0, "4 numbers"),
    '{"file_name": "a.png", "objects": {"bbox": [[1, 2, 3, 1e999]], "categories": ["x"]}}': (
        "number",
        0,
        "not a number",
    ),
    '{"file_name": "a.png", "objects": 7}': ("row", 0, "7"),
}


@pytest.mark.parametrize("line", FAULTS)
def test_records_that_cannot_be_used_are_named_with_their_line(line: str, awkward: Path) -> None:
    kind, _count, words = FAULTS[line]
    first = json.dumps({"file_name": "b.png", "label": "x"})
    table = open_table(put(awkward, {"a.png": PHOTO, "b.png": PHOTO, "metadata.jsonl": f"{first}\n\n{line}\n"}))
    item = next(item for item in table.rejected if item.path.startswith("metadata.jsonl:3"))
    assert item.kind == kind
    assert words in item.reason
    assert list(table.names) == ["b.png"]


def test_photos_that_no_record_names_are_told(awkward: Path) -> None:
    put(awkward, {"a.png": PHOTO, "b.png": PHOTO, "metadata.jsonl": [{"file_name": "a.png", "label": "x"}]})
    assert [(item.path, item.kind) for item in open_table(awkward).rejected] == [("b.png", "unlabelled")]


def test_texts_alone_are_no_labels(awkward: Path) -> None:
    put(awkward, {"a.png": PHOTO, "metadata.jsonl": [{"file_name": "a.png", "text": "a cat"}]})
    with pytest.raises(UsageError, match=r"metadata\.jsonl: .*Hugging Face"):
        open_table(awkward)
    with pytest.raises(DataError, match="contains no metadata"):
        open_table(put(awkward / "other", {"a.png": PHOTO}), "huggingface")


@pytest.mark.parametrize("card", ["", "---\n", "---\nx: [\n---\n", "---\nclass_label: {names: 3}\n---\n", "# no card"])
def test_a_card_that_names_no_classes_is_passed_over(card: str, awkward: Path) -> None:
    table = open_table(put(awkward, {"a.png": PHOTO, "metadata.jsonl": [marked([30, 10, 20, 20])], "README.md": card}))
    assert table.classes.names == ("0",)


@pytest.mark.parametrize("name", ["hardhat", "flowers"])
def test_what_is_written_has_the_counts_of_the_source(name: str, shared: Path, tmp_path: Path) -> None:
    dataset = open_dataset(shared / "data" / name, format="voc" if name == "hardhat" else None)
    dataset = dataset.select(np.arange(0, len(dataset), len(dataset) // 40))
    convert_dataset(dataset, tmp_path / "out", "huggingface", ConvertOptions(lossy=True, allow_unusable=True))
    lines = [
        (path, line)
        for path in (tmp_path / "out").rglob("metadata.jsonl")
        for line in path.read_text("utf-8").splitlines()
    ]
    records = [(path, json.loads(line)) for path, line in lines]
    assert len(records) == len(dataset)
    assert all((path.parent / record["file_name"]).is_file() for path, record in records)
    marks = [
        category for _path, record in records for category in record.get("objects", {"categories": []})["categories"]
    ]
    labels = [record["label"] for _path, record in records if "label" in record]
    expected = [] if dataset.objects is None else [dataset.classes.names[i] for i in dataset.objects.class_ids]
    assert sorted(marks) == sorted(expected)
    assert sorted(labels) == sorted([] if marks else (dataset.classes.names[i] for i in dataset.class_ids))


TEXTS = st.text('{}[]",: 0123456789.file_namelabelobjectsbboxcategoriesa.png\n', max_size=200)
WHOLE = json.dumps(marked([30, 10, 20, 20], label="x"))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.one_of(
        st.binary(max_size=60),
        TEXTS.map(str.encode),
        st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 9), TEXTS).map(
            lambda change: (WHOLE[: change[0]] + change[2][:9] + WHOLE[change[0] + change[1] :]).encode()
        ),
    ),
    name=st.sampled_from(["metadata.jsonl", "metadata.csv"]),
)
@example(data=b'{"file_name": "a.png", "label": ' + b"9" * 5000 + b"}", name="metadata.jsonl")
@example(data=b'{"file_name": "a.png", "label": 1' + b"0" * 400 + b"}", name="metadata.jsonl")
@example(data=b"[" * 100_000, name="metadata.jsonl")
@example(data=b'file_name,objects\na.png,"{1, 2}"\n', name="metadata.csv")
@example(data=b'file_name,objects\na.png,"' + b"[" * 3000 + b'"\n', name="metadata.csv")
@example(data=b"file_name,objects\na.png,\"{1: 2, 'bbox': b'x'}\"\n", name="metadata.csv")
@example(data=b'{"file_name": "a\\u0000.png", "label": "\\ud800"}', name="metadata.jsonl")
def test_any_bytes_are_refused_or_used(data: bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = put(tmp_path_factory.mktemp("hf"), {"a.png": PHOTO, name: data})
    location = resolve_location(root / name)
    FORMATS["huggingface"].detect(location)
    try:
        table = FORMATS["huggingface"].read(location, ReadOptions(), SILENT)
    except LinceError:
        return
    assert set(table.names) <= {"a.png"}
