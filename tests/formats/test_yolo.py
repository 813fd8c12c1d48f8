"""YOLO text: every layout is read, faults are refused, and written files read back."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lince import images, rle
from lince.annotations import Classes, ObjectTable, StringColumn
from lince.errors import AmbiguousError, DataError, LinceError, UsageError
from lince.formats import FORMATS, LabelTable, ReadOptions, WriteRequest, open_table
from lince.formats.yolo import dataset_yaml
from lince.formats.yolo import reader as yolo_reader
from lince.progress import SILENT, ProgressStage, SilentProgress
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location

HEIGHT, WIDTH = 40, 80
PHOTO = images.encode_png(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
ROW = "0 0.5 0.5 0.25 0.5\n"
BOX = [30.0, 10.0, 50.0, 30.0]


def photos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)
    return root


def texts(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def read(path: Path, fix: frozenset[str] = frozenset()) -> LabelTable:
    return open_table(path, "yolo", ReadOptions(fix=fix))


def splits(table: LabelTable) -> dict[str, int]:
    return dict(zip(table.names, table.splits.tolist(), strict=True))


def faults(table: LabelTable) -> list[tuple[str, int | None, str]]:
    return sorted((found.path, found.line, found.kind) for found in table.rejected)


def boxes(table: LabelTable) -> list[list[float]]:
    assert table.objects is not None
    return table.objects.boxes.tolist()


# Where images and labels lie


def pair(root: Path, *names: str) -> Path:
    """Write photos, each with a label file under ``labels`` instead of ``images``."""
    photos(root, *names)
    for name in names:
        texts(root, {name.replace("images/", "labels/").replace(".png", ".txt"): ROW})
    return root


@pytest.mark.parametrize(
    "parts",
    [
        "train: images/train\nval: images/val",
        "train: images/train/\nval: ./images/val\ntest:\n",
        "path: .\ntrain: images/train\nval: images/val\ntest: null",
        "path: ../elsewhere\ntrain: images/train\nval: images/val",
        "path: /content/drive/MyDrive/niño\ntrain: images/train\nval: images/val",
        "train: /content/set/images/train\nval: C:\\Users\\ana\\set\\images\\val",
        "train: ../images/train\nval: ../images/val",
        "path: images\ntrain: train\nvalid: [val]",
        "train:\n  - images/train/a.png\n  - images/train/b.png\nval: val.txt",
        "train: lists/train.txt\nval: val.txt",
    ],
)
def test_parts_are_found_however_the_set_was_moved(parts: str, awkward: Path) -> None:
    pair(awkward, "images/train/a.png", "images/train/b.png", "images/val/a.png")
    texts(awkward, {"data.yaml": f"{parts}\nnc: 1\nnames: ['casco ñ']\n"})
    texts(awkward, {"val.txt": "\ufeff./images/val/a.png\n\n"})
    texts(awkward, {"lists/train.txt": "../images/train/a.png\n/content/set/images/train/b.png\n"})
    for named in (awkward, awkward / "data.yaml"):
        table = open_table(named)
        assert splits(table) == {"images/train/a.png": TRAIN, "images/train/b.png": TRAIN, "images/val/a.png": VAL}
        assert (table.classes.names, boxes(table), table.sizes.tolist()) == (
            ("casco ñ",),
            [BOX] * 3,
            [[HEIGHT, WIDTH]] * 3,
        )
        strays = {"val.txt", "lists/train.txt"} - set(parts.split())
        assert {found.path for found in table.rejected} <= strays


@pytest.mark.parametrize("base", ["", "path: ./\n", "path: fotos\n"])
def test_a_file_in_a_folder_of_its_own_counts_from_the_folder_above(base: str, awkward: Path) -> None:
    root = awkward / "fotos" if "fotos" in base else awkward
    pair(root, "train/images/a (1).png", "valid/images/a (1).png")
    declared = f"{base}train: train/images\nval: valid/images\nnc: 1\nnames: ['perno']\n"
    texts(awkward, {"data/perno.yaml": declared, "data/other.yaml": declared.replace("train/", "coco/")})
    with pytest.raises(AmbiguousError, match=r"data/other\.yaml, data/perno\.yaml"):
        open_table(awkward)
    table = open_table(awkward / "data" / "perno.yaml")
    assert (table.splits.tolist(), boxes(table), table.rejected) == ([TRAIN, VAL], [BOX] * 2, ())
    assert all((table.root / name).read_bytes() == PHOTO for name in table.names)


def test_an_absolute_path_leads_anywhere(awkward: Path) -> None:
    pair(awkward / "set", "images/train/a.png", "images/val/b.png")
    texts(awkward, {"set/labels/val/gone.txt": ROW})
    texts(awkward, {"cfg/my.yaml": f"path: {awkward / 'set'}\ntrain: images/train\nval: images/val\nnames: {{0: x}}\n"})
    table = open_table(awkward / "cfg" / "my.yaml")
    assert list(splits(table).values()) == [TRAIN, VAL]
    assert [(table.root / name).read_bytes() == PHOTO for name in table.names] == [True, True]
    assert boxes(table) == [BOX] * 2
    assert [(fault, Path(name).name) for name, _line, fault in faults(table)] == [("no-image", "gone.txt")]


def test_roboflow_names_folders_that_lie_beside_its_file(awkward: Path) -> None:
    pair(awkward, "train/images/a.png", "valid/images/b.png", "test/images/c.png")
    texts(awkward, {"README.dataset.txt": "words", "README.roboflow.txt": "words"})
    texts(
        awkward,
        {"data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\nnames: ['a', 'b']\n"},
    )
    table = open_table(awkward)
    assert list(splits(table).items()) == [
        ("train/images/a.png", TRAIN), ("valid/images/b.png", VAL), ("test/images/c.png", TEST)
    ]  # fmt: skip
    assert table.rejected == ()


def test_no_file_declares_the_set(awkward: Path) -> None:
    pair(awkward, "images/train/a.png", "images/other/b.png")
    table = open_table(awkward)
    assert splits(table) == {"images/other/b.png": UNASSIGNED, "images/train/a.png": TRAIN}
    assert table.classes.names == ("class_0",)


@pytest.mark.parametrize("label", ["a.txt", "labels/a.txt", "sub/annotations/a.txt"])
def test_labels_lie_beside_photos_or_elsewhere(label: str, awkward: Path) -> None:
    photos(awkward, "a.png")
    table = open_table(texts(awkward, {label: ROW, "classes.txt": "casco\n\nniño ç\n"}))
    assert (list(table.names), boxes(table), table.rejected) == (["a.png"], [BOX], ())
    assert table.classes.names == ("casco", "niño ç")


def test_label_files_alone_find_the_photos_beside_them(awkward: Path) -> None:
    photos(awkward, "images/a.png", "images/b.png")
    texts(awkward, {"labels_my-project/a.txt": ROW + "3 0.5 0.5 0.25 0.5", "labels_my-project/gone.txt": ROW})
    said = Listener()
    table = open_table(awkward / "labels_my-project", progress=said)
    assert table.classes.names == ("class_0", "class_1", "class_2", "class_3")
    assert "class_0 to class_3" in "\n".join(said.lines)
    assert faults(table) == [("images/b.png", None, "no-label"), ("labels_my-project/gone.txt", None, "no-image")]


def test_an_archive_is_read_in_place(awkward: Path) -> None:
    pair(awkward / "in", "images/train/a.png", "images/val/b.png")
    texts(awkward / "in", {"data.yaml": "train: ../images/train\nval: /outside/images/val\nnames: [x]\n"})
    with zipfile.ZipFile(awkward / "set.zip", "w") as archive:
        for path in sorted((awkward / "in").rglob("*.*")):
            archive.write(path, path.relative_to(awkward / "in"))
    table = open_table(awkward / "set.zip")
    assert (table.format, splits(table)) == ("yolo", {"images/train/a.png": TRAIN, "images/val/b.png": VAL})
    assert boxes(table) == [BOX] * 2


def test_an_archive_of_labels_alone_says_what_to_do(awkward: Path) -> None:
    with zipfile.ZipFile(awkward / "labels.zip", "w") as archive:
        archive.writestr("a.txt", ROW)
    with pytest.raises(UsageError, match="unpack the archive next to the photos"):
        open_table(awkward / "labels.zip")


def test_darknet(awkward: Path) -> None:
    photos(awkward, "obj_train_data/a.png", "obj_train_data/b.png", "obj_valid_data/c.png")
    texts(awkward, {f"obj_{name}.txt": ROW for name in ("train_data/a", "train_data/b", "valid_data/c")})
    texts(
        awkward,
        {
            "obj.data": "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
            "backup = backup/\n",
            "obj.names": "casco\nniño ç\n",
            "train.txt": "data/obj_train_data/a.png\ndata/obj_train_data/b.png\ndata/obj_train_data/gone.png\n",
            "valid.txt": "data/obj_valid_data/c.png\n",
        },
    )
    for named in (awkward, awkward / "obj.data"):
        table = open_table(named)
        assert list(splits(table).values()) == [TRAIN, TRAIN, VAL]
        assert table.classes.names == ("casco", "niño ç")
        assert faults(table) == [("train.txt", 3, "no-image")]


class Listener(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def show_message(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[ProgressStage]:
        with SILENT.open_stage(name, total) as stage:
            yield stage


# Every loss is reported


def test_what_has_no_partner_is_named(awkward: Path) -> None:
    pair(awkward, "images/train/a.png", "images/val/v.png", "images/extra/x.png")
    photos(awkward, "images/train/alone.png", "images/train/a.jpg", "images/train/nothing.png")
    texts(awkward, {"labels/train/gone.txt": ROW, "labels/train/nothing.txt": "", "a/v.txt": ROW})
    texts(awkward, {"data.yaml": "train: images/train\nval: [images/val, images/train]\ntest: nowhere\nnames: [x]\n"})
    table = read(awkward)
    assert list(table.names) == ["images/train/a.jpg", "images/train/nothing.png", "images/val/v.png"]
    assert faults(table) == [
        ("a/v.txt", None, "double"),
        ("data.yaml", None, "no-image"),
        ("data.yaml", None, "overlap"),
        ("images/extra/x.png", None, "unusable"),
        ("images/train/a.png", None, "double"),
        ("images/train/alone.png", None, "no-label"),
        ("labels/train/gone.txt", None, "no-image"),
    ]
    assert table.objects is not None
    assert np.diff(table.objects.starts).tolist() == [1, 0, 1]


def test_photos_of_unknown_size_are_named(awkward: Path) -> None:
    pair(awkward, "images/a.png", "images/b.png")
    (awkward / "images/b.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    assert faults(read(awkward)) == [("images/b.png", None, "unusable")]


ROWS = {
    "0 0.5 0.5 0.25": ("row", "4 numbers: too few"),
    "0 0.5 0.5 0.25 0.5 0.9": ("row", "a score"),
    "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1": ("row", "pairs"),
    "7 0.5 0.5 0.25 0.5": ("class", "class id 7, but names has 3"),
    "-1 0.5 0.5 0.25 0.5": ("class", "'-1'"),
    "0.5 0.5 0.5 0.25 0.5": ("class", "'0.5'"),
    "casco 0.5 0.5 0.25 0.5": ("class", "'casco'"),
    "0 0.5 x 0.25 0.5": ("number", "x"),
    "0 0.5 1_0 0.25 0.5": ("number", "1_0"),
    "0 0.5 nan 0.25 0.5": ("number", "not a number"),
    "0 1e400 0.1 0.9 0.1 0.9 0.9": ("number", "not a number"),
    "0 0.5 0.5 0 0.5": ("empty", "no area"),
    "0 0.1 0.1 0.5 0.1 0.9 0.1": ("empty", "no area"),
    "0 0.5 0.5 -0.25 0.5": ("inverted", "swapped corners"),
    "0 0.95 0.5 0.2 0.5": ("outside", "by 4 px"),
    "0,0.5,0.5,0.2,0.5": ("row", "commas"),
    "\0\ufffd": ("row", "1 numbers"),
}


@pytest.mark.parametrize("row", list(ROWS))
def test_rows_that_cannot_be_used_are_named_with_their_line(row: str, awkward: Path) -> None:
    photos(awkward, "a.png")
    texts(awkward, {"a.txt": f"\n{ROW.strip()}\r\n{row}\n2.0 0.5\t0.5 0.25 5e-1", "classes.txt": "a\nb\nc"})
    table = read(awkward)
    (found,) = table.rejected
    fault, words = ROWS[row]
    assert (found.path, found.line, found.kind) == ("a.txt", 3, fault)
    assert words in found.reason
    assert found.remedy
    assert table.objects is not None
    assert table.objects.class_ids.tolist() == [0, 2]


def test_repairs_are_done_when_asked_for(awkward: Path) -> None:
    photos(awkward, "a.png")
    texts(awkward, {"a.txt": f"{ROW}{ROW}0 0.95 0.5 0.2 0.5\n0 0.5 0.5 -0.25 0.5\n"})
    table = read(awkward, frozenset({"clip", "order", "duplicates"}))
    assert boxes(table) == [BOX, [68.0, 10.0, 80.0, 30.0]]
    assert [(found.line, found.kind) for found in table.repaired] == [
        (2, "double"), (3, "outside"), (4, "inverted"), (4, "double")
    ]  # fmt: skip


def test_boxes_and_outlines_stand_in_one_file(awkward: Path) -> None:
    photos(awkward, "a.png")
    texts(awkward, {"a.txt": f"{ROW}1 0.1 0.2 0.5 0.25 0.3 0.75\n0 0 0 0.5 0 0.5 0.5 0 0.5\n"})
    objects = read(awkward).objects
    assert objects is not None
    assert objects.has_polygons.tolist() == [False, True, True]
    np.testing.assert_allclose(objects.get_polygons(1), [[[8, 8], [40, 10], [24, 30]]])
    np.testing.assert_allclose(objects.boxes, [BOX, [8, 8, 40, 30], [0, 0, 40, 20]])


def test_key_points_are_passed_over_and_it_is_said(awkward: Path) -> None:
    pair(awkward, "images/a.png")
    texts(awkward, {"labels/a.txt": f"{ROW.strip()} 0.5 0.5 2 0.1 0.1 0\n"})
    texts(awkward, {"data.yaml": "train: images\nkpt_shape: [2, 3]\nnames: {0: person}\n"})
    table = read(awkward)
    assert boxes(table) == [BOX]
    assert [found.path for found in table.rejected] == ["data.yaml"]


# Class names and descriptions


@pytest.mark.parametrize(
    ("declared", "names", "ids"),
    [
        ("names: [yes, no, 1]\nnc: 3", ("yes", "no", "1"), {0: 0, 2: 2}),
        ("names:\n- casco\n- 'señal: alto'\n", ("casco", "señal: alto"), {1: 1}),
        ("names: {0: a, 1: b}\nnc: 2", ("a", "b"), {1: 1}),
        ("names: {7: late, 2: early}", ("early", "late"), {2: 0, 7: 1}),
        ("names:\n  1: one\n  2: two\nnc: 3", ("one", "two"), {1: 0, 2: 1}),
        ("nc: 2\nval: images", ("class_0", "class_1"), {1: 1}),
        ("names: [null, ~]", ("null", "~"), {0: 0}),
    ],
)
def test_class_names(declared: str, names: tuple[str, ...], ids: dict[int, int], awkward: Path) -> None:
    photos(awkward, "images/a.png")
    rows = "".join(f"{number} 0.5 0.5 0.25 0.5\n" for number in ids)
    texts(awkward, {"labels/a.txt": rows, "data.yaml": f"{declared}\ntrain: images\n"})
    table = open_table(awkward)
    assert table.classes.names == names
    assert table.objects is not None
    assert table.objects.class_ids.tolist() == list(ids.values())
    assert [found.kind for found in table.rejected] == (["overlap"] if "val" in declared else [])


def test_a_class_between_the_declared_ones_is_refused(awkward: Path) -> None:
    photos(awkward, "images/a.png", "images/b.png")
    texts(
        awkward, {"labels/a.txt": "1" + ROW[1:], "labels/b.txt": "", "data.yaml": "train: images\nnames: {0: a, 5: b}"}
    )
    assert read(awkward).rejected[0].reason == "class id 1, but names has only 0, 5"


BAD = {
    "names: !!python/object/apply:os.system ['touch pwned']\n": ":1 cannot be used",
    "names: [a]\nx: !!python/name:os.system\n": ":2 cannot be used",
    "names: [a, b\n": "cannot be used",
    "names: [a, b]\nnc: 3\n": "2 names, and nc is 3",
    "names: [a, a]\n": "Duplicate class names",
    "names: [a, '']\n": "without a name",
    "names: [a, [b]]\n": "neither a list nor a map",
    "names: data/coco.names\n": "neither a list nor a map",
    "names: {a: 0}\n": "a: 0",
    "names: {0: [x]}\n": "contains 0",
    "train: x\nnc: 1000000000\n": "classes",
    "names: [a]\ntrain: {a: b}\n": "neither a path",
    "- names: [a]\n": "does not contain keys",
    "names: &a [*a]\n": "neither a list nor a map",
    'names: ["\\ud800"]\n': "cannot be used",
    "[" * 500_000: "too deeply",
    "- " * 400_000: "too deeply",
    "? " * 400_000: "too deeply",
    "names: [a]\n\x07": "cannot be used",
    "names: [a]\n" + "#" * 2**20: "1,048,587 bytes",
}


@pytest.mark.parametrize("text", list(BAD), ids=[text[:24] for text in BAD])
def test_a_description_that_cannot_be_used_is_refused(
    text: str, awkward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(awkward)
    pair(awkward, "images/a.png")
    texts(awkward, {"data.yaml": text})
    with pytest.raises(DataError, match=BAD[text]):
        read(awkward / "data.yaml")
    assert sorted(path.name for path in awkward.iterdir()) == ["data.yaml", "images", "labels"]


def test_a_description_in_another_encoding_is_refused(awkward: Path) -> None:
    pair(awkward, "images/a.png")
    (awkward / "data.yaml").write_bytes("names: [a,\nniño]\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"data\.yaml:2 is not UTF-8"):
        read(awkward)


def test_two_descriptions_are_refused(awkward: Path) -> None:
    pair(awkward, "images/a.png")
    texts(awkward, {"a.yaml": "names: [x]\n", "b.yaml": "names: [y]\n", "deeper/c.yaml": "names: [z]\n"})
    with pytest.raises(AmbiguousError, match=r"a\.yaml, b\.yaml\."):
        read(awkward)
    assert read(awkward / "b.yaml").classes.names == ("y",)


def test_two_lists_of_classes_are_refused(awkward: Path) -> None:
    pair(awkward, "images/a.png")
    texts(awkward, {"labels/classes.txt": "a\n", "classes.txt": "a\n"})
    assert read(awkward).classes.names == ("a",)
    texts(awkward, {"labels/classes.txt": "b\n"})
    with pytest.raises(AmbiguousError, match="different class names"):
        read(awkward)


def test_the_largest_number_of_classes_is_read_quickly(awkward: Path) -> None:
    pair(awkward, "images/a.png")
    count = dataset_yaml.MAX_CLASSES
    texts(awkward, {"classes.txt": "\n".join(f"c{number}" for number in range(count))})
    assert len(read(awkward).classes) == count


# Recognition of YOLO


@pytest.mark.parametrize(
    "files",
    [
        {"list.txt": "Abyssinian_100 1 1 1\nAbyssinian_101 1 1 1\n"},
        {"notes.txt": "some words"},
        {"a.txt": "1 2 3\n"},
        {"labels.txt": "daisy\ntulip\n"},
        {"a.txt": ""},
        {"environment.yaml": "name: x\ndependencies: [a]\n"},
        {"model.yaml": "nc: 80\ndepth_multiple: 0.33\nbackbone: []\n"},
        {"data.yaml": "names: [a, b]\ntrain: train\n"},
        {"a.txt": ROW, "b.txt": "words\n"},
        {"a.txt": "0 " + "1 11 " * 200 + "x"},
    ],
)
def test_what_is_no_yolo_is_not_taken_for_it(files: dict[str, str], awkward: Path) -> None:
    photos(awkward, "a.png", "b.png")
    assert yolo_reader.detect(resolve_location(texts(awkward, files))) is None


def test_a_long_outline_and_a_stray_text_are_no_hindrance(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png")
    row = "0 " + "0.123456 0.654321 1e-3 0.5 " * 500
    texts(awkward, {"a.txt": row, "b.txt": ROW, "leeme.txt": "palabras"})
    assert open_table(awkward).format == "yolo"


@pytest.mark.parametrize("labels", ["labels", "labels_yolo_format"])
def test_lists_of_photos_are_no_labels_of_lost_photos(labels: str, awkward: Path) -> None:
    photos(awkward, "images/a.png", "images/b.png")
    lists = {"train_yolo.txt": "./images/a.png\n", "leeme.txt": "Lista de fotos\n"}
    texts(awkward, {f"{labels}/a.txt": ROW, f"{labels}/b.txt": ROW, f"{labels}/gone.txt": ROW, **lists})
    table = open_table(awkward)
    kinds = {item.path: item.kind for item in table.rejected}
    assert kinds == dict.fromkeys(lists, "other-labels") | {f"{labels}/gone.txt": "no-image"}


# Writing


def export(names: list[str], places: list[int], objects: ObjectTable, classes: tuple[str, ...]) -> WriteRequest:
    table = LabelTable(
        root=Path("/nowhere"),
        format="made",
        names=StringColumn.from_strings(names),
        classes=Classes(classes),
        class_ids=np.full(len(names), -1, np.int32),
        splits=np.array(places, np.int8),
        objects=objects,
    )
    return WriteRequest(table, names, np.array([[HEIGHT, WIDTH]] * len(names), np.int32), lambda row: PHOTO)


def objects_of(counts: list[int], found: list[list[float]], rings: list[list[np.ndarray]]) -> ObjectTable:
    flat = [ring for one in rings for ring in one]
    return ObjectTable(
        starts=np.cumsum([0, *counts]),
        class_ids=np.arange(len(found), dtype=np.int32) % 2,
        boxes=np.array(found, np.float64),
        flags=np.zeros(len(found), np.uint8),
        ring_starts=np.cumsum([0, *map(len, rings)]),
        point_starts=np.cumsum([0, *map(len, flat)]),
        points=np.concatenate(flat),
        masks=StringColumn.from_strings("" for _box in found),
    )


def test_what_is_written_reads_the_same(awkward: Path) -> None:
    third = 1 / 3
    ring = np.array([[1.1, 2.0 + third], [70.7, 3.3], [20.2, 30.03]])
    names = ["images/train/ñ 1.png", "images/test/b.png", "images/rest.png"]
    marks = objects_of([2, 0, 1], [[third, 1, 79.7, 39], [*ring.min(0), *ring.max(0)], BOX], [[], [ring], []])
    made = export(names, [TRAIN, TEST, UNASSIGNED], marks, ("no", "señal: 'alto' #1"))
    yolo_reader.write(made, awkward)
    table = read(photos(awkward, *names))
    assert (list(table.names), table.splits.tolist(), table.rejected) == (names, [TRAIN, TEST, UNASSIGNED], ())
    assert table.classes == made.table.classes
    found = table.objects
    assert found is not None
    assert (found.starts.tolist(), found.class_ids.tolist()) == ([0, 2, 2, 3], [0, 1, 0])
    np.testing.assert_allclose(found.boxes, marks.boxes, rtol=1e-12)
    np.testing.assert_allclose(found.get_polygons(1), [ring], rtol=1e-12)
    assert (awkward / "labels/test/b.txt").read_text() == ""


def test_several_rings_become_one_that_covers_the_same(awkward: Path) -> None:
    squares = [np.array([[x, 5.0], [x + 10, 5], [x + 10, 15], [x, 15]]) for x in (5.0, 30.0, 60.0)]
    marks = objects_of([1], [[5, 5, 70, 15]], [squares])
    yolo_reader.write(export(["images/a.png"], [UNASSIGNED], marks, ("a",)), awkward)
    found = read(photos(awkward, "images/a.png")).objects
    assert found is not None
    covered = rle.polygons_to_counts(found.get_polygons(0), HEIGHT, WIDTH)
    assert rle.compute_area(covered) == 300
    assert np.array_equal(covered, rle.polygons_to_counts(squares, HEIGHT, WIDTH))


# Hostile input


LABEL = b"0 0.5 0.5 0.25 0.5\n1 0.1 0.2 0.5 0.25 0.3 0.75\n"
YAML = b"path: .\ntrain: images\nval: [images]\nnc: 2\nnames: {0: a, 1: 'b'}\n"
STRANGE = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    def change(parts: tuple[int, int, bytes, int]) -> bytes:
        start, length, new, times = parts
        start %= len(data)
        piece = data[start : start + length]
        return data[:start] + new + piece * times + data[start + length :]

    return st.tuples(st.integers(0, 200), st.integers(0, 20), st.binary(max_size=6), st.integers(0, 4)).map(change)


@STRANGE
@given(
    label=st.one_of(st.binary(max_size=80), mutated(LABEL)), declared=st.one_of(st.binary(max_size=80), mutated(YAML))
)
@example(label=LABEL, declared=YAML)
@example(label=b"0 1e308 1e308 1e308 1e308\n0 1e308 1 1 1e308 -1e308 0\n", declared=YAML)
@example(label=b"9999999999999999999999 0 0 1 1\n1e300 0 0 1 1\ninf 0 0 1 1\n", declared=YAML)
@example(label=LABEL, declared=b'path: "\\0"\ntrain: "/\\0"\nval: ["\\0.txt", /, .., "../../.."]\nnames: [a]\n')
@example(label=LABEL, declared=b"<<: [1]\nnames: [a, b]\ntrain: !!binary x\n")
@example(label=LABEL, declared=b"? [a]\n: b\nnames: [a]\n")
@example(label=LABEL, declared=b"names: [a, b]\ntrain: labels/a.txt\n")
def test_strange_files_are_refused_or_their_rows_are(
    label: bytes, declared: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shutil.rmtree(tmp_path_factory.getbasetemp() / "strange", ignore_errors=True)
    root = tmp_path_factory.getbasetemp() / "strange" / "far" / "down"  # paths outside the folder reach few files
    photos(root / "set", "images/a.png")
    (root / "set" / "labels").mkdir()
    (root / "set" / "labels" / "a.txt").write_bytes(label)
    (root / "set" / "data.yaml").write_bytes(declared)
    yolo_reader.detect(resolve_location(root / "set"))
    for named in (root / "set", root / "set" / "data.yaml"):
        try:
            table = FORMATS["yolo"].read(resolve_location(named), ReadOptions(), SILENT)
        except LinceError:
            continue
        assert table.objects is not None
        assert len(table.names) or table.rejected
        if len(table.names) == 1 and not any(found.path == "data.yaml" for found in table.rejected):
            rows = [line for line in label.decode("utf-8-sig", "replace").split("\n") if line.split()]
            assert len(table.objects) + len(table.rejected) == len(rows)


# Real photos


def test_hard_hats(shared: Path) -> None:
    data = shared / "data" / "hardhat"
    table = open_table(data / "data.yaml")
    assert table.classes.names == ("helmet", "person", "head")
    assert table.objects is not None
    assert np.bincount(table.objects.class_ids).tolist() == [1873, 26, 548]
    assert np.bincount(table.splits).tolist() == [400, 50, 51]
    assert (len(table.names), table.rejected) == (501, ())
    voc = open_table(data, "voc")
    assert voc.objects is not None
    assert by_photo(table) == by_photo(voc)


def by_photo(table: LabelTable) -> dict[str, list[str]]:
    assert table.objects is not None
    kinds = [table.classes.names[i] for i in table.objects.class_ids]
    return {Path(name).stem: sorted(kinds[table.objects.slice_of_image(i)]) for i, name in enumerate(table.names)}
