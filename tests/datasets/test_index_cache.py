"""Split index cache: same content as reading, invalidation and damage."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince import fileio, images
from lince.annotations import ObjectTable, StringColumn
from lince.datasets import Dataset, array_file, index_cache, open_dataset
from lince.i18n import use_language

PHOTO = images.encode_png(np.zeros((20, 30, 3), np.uint8))
SIZES = (20, 30)


@pytest.fixture(autouse=True)
def _always_worth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(index_cache, "MIN_INDEXED_ITEMS", 1)
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "cache"))


def yolo(root: Path, count: int = 6) -> Path:
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    for i in range(count):
        (root / f"images/é {i}.png").write_bytes(PHOTO)
        (root / f"labels/é {i}.txt").write_text(f"{i % 2} 0.5 0.5 0.2 0.{i + 1}\n7 0.5 0.5 0.1 0.1\n")
    (root / "data.yaml").write_text("train: images\nnames: [uno, dós]\n", "utf-8")
    return rested(root)


def coco(root: Path) -> Path:
    (root / "images").mkdir(parents=True)
    (root / "images/a.png").write_bytes(PHOTO)
    square = [1, 1, 9, 1, 9, 9, 1, 9]
    marks = [
        {"id": 1, "image_id": 5, "category_id": 3, "bbox": [1, 1, 8, 8], "area": 64, "segmentation": [square]},
        {"id": 2, "image_id": 5, "category_id": 9, "bbox": [2, 2, 4, 4], "area": 16},
    ]  # fmt: skip
    said = {
        "images": [{"id": 5, "file_name": "a.png", "height": 20, "width": 30}],
        "annotations": marks,
        "categories": [{"id": 3, "name": "gato"}, {"id": 9, "name": "pez"}],
    }
    (root / "instances.json").write_text(json.dumps(said))
    return rested(root)


def folders(root: Path) -> Path:
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        (root / name / "1.png").write_bytes(PHOTO)
    (root / "a" / "notes.txt").write_text("no photo")
    return rested(root)


def rested(root: Path, seconds: float = 60) -> Path:
    """Set old modification times on everything below ``root``."""
    for path in [root, *root.rglob("*")]:
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))
    return root


SETS = {"yolo": yolo, "coco": coco, "folders": folders}


def kept(root: Path) -> list[Path]:
    return sorted((root / ".lince").glob("*.columns")) if (root / ".lince").exists() else []


def same(one: Dataset, other: Dataset) -> bool:
    names = [[dataset.images.get_name(i) for i in range(len(dataset))] for dataset in (one, other)]
    plain = (one.classes, one.rejected, one.repaired, one.format, one.root) == (
        other.classes, other.rejected, other.repaired, other.format, other.root,
    )  # fmt: skip
    columns = [(one.class_ids, other.class_ids), (one.splits, other.splits)]
    if one.objects is not None and other.objects is not None:
        mine, theirs = one.objects, other.objects
        columns += [(getattr(mine, name), getattr(theirs, name)) for name in index_cache._OBJECT_COLUMNS.values()]
        plain = plain and list(mine.masks) == list(theirs.masks)
    if one.sizes is not None:
        columns.append((one.sizes, other.sizes))
    kinds = (one.objects is None, one.sizes is None) == (other.objects is None, other.sizes is None)
    return plain and kinds and names[0] == names[1] and all(np.array_equal(a, b) for a, b in columns)


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch):
    """Make reading labels an error, so that only an index can be used."""

    def forbid() -> None:
        def refuse(*_arguments: object) -> None:
            raise AssertionError("the labels were read")

        monkeypatch.setattr(index_cache, "read_table", refuse)

    return forbid


@pytest.mark.parametrize("make", SETS.values(), ids=SETS)
def test_an_index_gives_the_same_as_reading(awkward: Path, make, no_reading) -> None:
    root = make(awkward / "datos")
    read = open_dataset(root)
    assert len(kept(root)) == 1
    no_reading()
    indexed = open_dataset(root)
    assert same(read, indexed)
    assert indexed.images.read_image(0).shape == (*SIZES, 3)


def test_an_index_works_after_its_folder_is_moved(awkward: Path, no_reading) -> None:
    read = open_dataset(yolo(awkward / "one"))
    (awkward / "one").rename(awkward / "other")
    no_reading()
    moved = open_dataset(awkward / "other")
    assert np.array_equal(moved.objects.boxes, read.objects.boxes)
    assert moved.images.read_image(0).shape == (*SIZES, 3)


def test_other_options_have_an_index_of_their_own(awkward: Path) -> None:
    root = yolo(awkward / "datos")
    assert len(open_dataset(root).objects) == 6
    assert len(open_dataset(root, fix=["clip"]).objects) == 6
    assert len(open_dataset(root, format="yolo").objects) == 6
    assert len(kept(root)) == 3


CHANGES = {
    "a label rewritten": lambda root: (root / "labels/é 0.txt").write_text("1 0.5 0.5 0.5 0.5\n"),
    "a label of the same size": lambda root: (root / "labels/é 0.txt").write_text(
        (root / "labels/é 0.txt").read_text().replace("0.2", "0.4")
    ),
    "a label removed": lambda root: (root / "labels/é 1.txt").unlink(),
    "a photo removed": lambda root: (root / "images/é 1.png").unlink(),
    "a photo added": lambda root: (root / "images/new.png").write_bytes(PHOTO),
    "a class renamed": lambda root: (root / "data.yaml").write_text("train: images\nnames: [uno, tres]\n"),
    "a folder added": lambda root: (root / "images/more").mkdir(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_data_that_changed_is_read_again(awkward: Path, change, monkeypatch: pytest.MonkeyPatch) -> None:
    root = yolo(awkward / "datos")
    open_dataset(root)
    change(root)
    found = open_dataset(root)
    shutil.rmtree(root / ".lince")
    assert same(found, open_dataset(root))
    reads = []
    monkeypatch.setattr(index_cache, "read_table", lambda *arguments: reads.append(arguments) or read_place(*arguments))
    rested(root, 5)
    open_dataset(root)
    assert reads, "the times of the files changed and nobody looked"


read_place = index_cache.read_table


def test_contents_are_compared_where_file_times_are_equal(awkward: Path) -> None:
    root = yolo(awkward / "datos")
    open_dataset(root)
    label = root / "labels/é 0.txt"
    times = label.stat()
    label.write_text(label.read_text().replace("0.2", "0.4"))
    os.utime(label, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert open_dataset(root).objects.boxes[0, 2] == pytest.approx(30 * 0.7)


def test_what_was_written_a_moment_ago_is_not_indexed(awkward: Path) -> None:
    root = yolo(awkward / "datos")
    (root / "labels/é 0.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    open_dataset(root)
    assert kept(root) == []


def test_small_sets_have_no_index(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_cache, "MIN_INDEXED_ITEMS", 100)
    root = yolo(awkward / "datos")
    open_dataset(root)
    assert kept(root) == []


def test_where_nothing_may_be_written_the_cache_holds_it(
    awkward: Path, monkeypatch: pytest.MonkeyPatch, no_reading
) -> None:
    root = yolo(awkward / "datos")
    write = array_file.write_columns

    def refuse(path: Path, *rest) -> None:
        if root in path.parents:
            raise PermissionError(13, "Permission denied")
        write(path, *rest)

    monkeypatch.setattr(array_file, "write_columns", refuse)
    read = open_dataset(root)
    assert kept(root) == []
    no_reading()
    assert same(read, open_dataset(root))
    assert list((fileio.get_cache_folder() / "indexes").iterdir())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_index_is_ignored(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("datos") / "set"
    read = open_dataset(yolo(root, 3))
    (path,) = kept(root)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert same(read, open_dataset(root))


def test_concurrent_opens_write_one_index(awkward: Path) -> None:
    root = yolo(awkward / "datos")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _number: open_dataset(root), range(8)))
    assert all(same(found[0], one) for one in found)
    assert len(kept(root)) == 1
    assert [path.name for path in (root / ".lince").iterdir() if path.suffix == ".part"] == []


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.sampled_from(["<i8", "<i4", "|i1", "|u1", "<f8"]).flatmap(
            lambda kind: st.lists(st.integers(0, 3), min_size=1, max_size=2).map(
                lambda shape: np.arange(np.prod(shape)).reshape(shape).astype(kind)
            )
        ),
        max_size=4,
    )
)
def test_columns_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, columns) -> None:
    path = tmp_path_factory.mktemp("columns") / "x.columns"
    array_file.write_columns(path, {"é": [1, None]}, columns)
    record, found = array_file.read_columns(path)
    assert record == {"é": [1, None]}
    assert found.keys() == columns.keys()
    assert all(found[k].dtype == columns[k].dtype and np.array_equal(found[k], columns[k]) for k in columns)


def test_columns_of_objects_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not kept"):
        array_file.write_columns(tmp_path / "x", {}, {"a": np.array(["text"])})
    assert not list(tmp_path.iterdir())
    assert len(ObjectTable.empty(2).masks) == len(StringColumn.from_strings(()))


def test_reasons_speak_the_language_of_who_reads(awkward: Path) -> None:
    root = yolo(awkward / "set")
    reasons = {}
    for language in ("en", "es", "en"):
        with use_language(language):
            reasons.setdefault(language, []).append([item.reason for item in open_dataset(root).rejected])
    assert reasons["en"][0] == reasons["en"][1]
    assert "class id 7" in reasons["en"][0][0]
    assert "class id" not in reasons["es"][0][0]
