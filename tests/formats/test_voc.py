"""Pascal VOC: where photos, splits and classes come from, corner convention, and broken files."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lince import images
from lince.annotations import DIFFICULT, OCCLUDED, TRUNCATED, Classes, ObjectTable, StringColumn
from lince.errors import DataError
from lince.formats import FORMATS, LabelTable, ReadOptions, WriteRequest, open_table
from lince.formats.voc import reader as voc_reader
from lince.parsing import xml_reader
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location
from lince.storage.tree import LocalFolder

PHOTO = images.encode_png(np.zeros((60, 80, 3), np.uint8))
BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
SIZE = "<size><width>80</width><height>60</height><depth>3</depth></size>"
DOG = f"<object>\n<name>perro</name>\n{BOX}\n</object>"
BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>
<annotation>&c;</annotation>"""


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def xml(filename: str, *parts: str) -> str:
    return f"<annotation>\n<filename>{filename}</filename>\n{SIZE}\n" + "\n".join(parts) + "\n</annotation>\n"


def read(root: Path, fix: tuple[str, ...] = ()) -> LabelTable:
    return open_table(root, "voc", ReadOptions(fix=frozenset(fix)))


def marks(table: LabelTable) -> list[tuple[str, str, list[float]]]:
    objects = table.objects
    assert objects is not None
    return [
        (table.names[image], table.classes.names[kind], box)
        for image, kind, box in zip(
            objects.image_ids.tolist(), objects.class_ids.tolist(), objects.boxes.tolist(), strict=True
        )
    ]


def faults(table: LabelTable) -> list[tuple[str, int | None, str]]:
    return [(refusal.path, refusal.line, refusal.kind) for refusal in table.rejected]


# Real sets


def test_hard_hats_as_voc_are_those_of_yolo(shared: Path) -> None:
    table = open_table(shared / "data/hardhat", "voc")
    counts = Counter(kind for _name, kind, _box in marks(table))
    assert counts == {"helmet": 1873, "head": 548, "person": 26}
    assert Counter(table.splits.tolist()) == {TRAIN: 400, VAL: 50, TEST: 51}
    assert table.rejected == ()
    names = ("helmet", "person", "head")
    for row, name in enumerate(table.names):
        text = (shared / "data/hardhat" / name.replace("images", "labels")).with_suffix(".txt").read_text()
        rows = [line.split() for line in text.splitlines()]
        expected = []
        for kind, *numbers in rows:
            x, y, width, height = (416 * float(number) for number in numbers)
            expected.append((names[int(kind)], [x - width / 2, y - height / 2, x + width / 2, y + height / 2]))
        assert table.objects is not None
        found = table.objects.slice_of_image(row)
        boxes = table.objects.boxes[found]
        assert [table.classes.names[i] for i in table.objects.class_ids[found]] == [kind for kind, _box in expected]
        # The YOLO values here have three decimals, and VOC's are truncated to whole pixels.
        np.testing.assert_allclose(boxes, [box for _kind, box in expected] or np.empty((0, 4)), atol=1.35)


def test_raccoons_and_the_heads_of_pets(shared: Path) -> None:
    raccoons = open_table(shared / "data/raccoon", "voc")
    assert (len(raccoons.names), len(marks(raccoons)), raccoons.rejected) == (200, 217, ())
    whole = open_table(shared / "data/pets", "voc")
    assert (len(whole.names), len(marks(whole)), whole.classes.names) == (296, 297, ("cat", "dog"))
    assert Counter(refusal.kind for refusal in whole.rejected) == {"no-label": 304}
    part = open_table(shared / "data/pets/annotations/xmls")
    assert (part.format, list(part.names), marks(part)) == ("voc", list(whole.names), marks(whole))


# Layouts


@pytest.mark.parametrize(
    ("label", "photo"),
    [
        ("1.xml", "1.png"),
        ("Annotations/1.xml", "JPEGImages/1.png"),
        ("annotations/xmls/1.xml", "images/1.png"),
        ("labels/ñ/1.xml", "fotos de hoy/ñ/1.png"),
    ],
)
def test_photos_are_found_from_any_layout(awkward: Path, label: str, photo: str) -> None:
    put(awkward, {label: xml("1.png", DOG), photo: PHOTO})
    table = open_table(awkward)
    assert (table.format, table.rejected) == ("voc", ())
    assert marks(table) == [(photo, "perro", [10, 20, 30, 40])]
    assert table.sizes is not None
    assert table.sizes.tolist() == [[60, 80]]


@pytest.mark.parametrize("named", ["set/Annotations", "set/Annotations/1.xml"])
def test_labels_named_alone_find_the_photos_beside_them(awkward: Path, named: str) -> None:
    put(awkward, {"set/Annotations/1.xml": xml("1.png", DOG), "set/JPEGImages/1.png": PHOTO, "other/2.png": PHOTO})
    table = open_table(awkward / named)
    assert (table.root, list(table.names), table.rejected) == (awkward / "set", ["JPEGImages/1.png"], ())


def test_folders_of_splits_as_roboflow_writes_them(awkward: Path) -> None:
    for part in ("train", "valid", "test"):
        put(awkward, {f"{part}/1.xml": xml("1.png", DOG), f"{part}/1.png": PHOTO})
    table = open_table(awkward)
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {
        "train/1.png": TRAIN,
        "valid/1.png": VAL,
        "test/1.png": TEST,
    }


def test_two_years_with_the_same_names_stay_apart(awkward: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        put(awkward, {f"{year}/Annotations/1.xml": xml("1.png", DOG), f"{year}/JPEGImages/1.png": PHOTO})
        put(awkward, {f"{year}/SegmentationClass/1.png": PHOTO})
    put(awkward, {"VOC2012/ImageSets/Main/val.txt": "1\n"})
    table = read(awkward)
    assert table.rejected == ()
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {
        "VOC2007/JPEGImages/1.png": UNASSIGNED,
        "VOC2012/JPEGImages/1.png": VAL,
    }


def test_a_wrong_filename_gives_way_to_the_name_of_the_label_file(awkward: Path) -> None:
    put(awkward, {f"{name}.png": PHOTO for name in ("a", "b", "c", "x")})
    put(awkward, {"a.xml": xml("b.png", DOG), "b.xml": xml("b.png"), "c.xml": xml("gone.jpg", DOG)})
    put(awkward, {"d.xml": xml("x.png", DOG), "e.xml": xml("x.png"), "f.xml": xml("gone.jpg", DOG)})
    table = read(awkward)
    assert [name for name, _kind, _box in marks(table)] == ["a.png", "c.png", "x.png"]
    assert list(table.names) == ["a.png", "b.png", "c.png", "x.png"]
    assert faults(table) == [("e.xml", 1, "double"), ("f.xml", 1, "no-image")]


def test_photos_without_a_label_file_are_named(awkward: Path) -> None:
    put(awkward, {"1.xml": xml("1.png"), "1.png": PHOTO, "2.png": PHOTO, "trimaps/1.png": PHOTO})
    table = read(awkward)
    assert list(table.names) == ["1.png"]
    assert faults(table) == [("2.png", None, "no-label")]


def test_label_files_far_away_are_fetched_many_at_once_and_stay_in_order(
    awkward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(600):
        put(awkward, {f"{number:03}.xml": xml(f"{number:03}.png", DOG.replace("10", str(number / 100)))})
        put(awkward, {f"{number:03}.png": PHOTO})
    near = read(awkward)
    monkeypatch.setattr(LocalFolder, "is_remote", True)
    table = read(awkward)
    assert marks(table) == marks(near)
    assert (len(table.names), table.rejected) == (600, ())


# Splits and classes


def test_splits_come_from_the_lists(awkward: Path) -> None:
    for name in ("1", "2", "niño 3", "4", "5"):
        put(awkward, {f"Annotations/{name}.xml": xml(f"{name}.png"), f"JPEGImages/{name}.png": PHOTO})
    lists = {"train": "1\n", "val": "2  -1\n\nniño 3\n", "test": "4.png\n1\n9\n", "trainval": "1\n2\nniño 3\n5\n"}
    put(awkward, {f"ImageSets/Main/{word}.txt": text for word, text in lists.items()})
    put(awkward, {"ImageSets/Main/perro_train.txt": "4 1\n", "ImageSets/Layout/test.txt": "1\n"})
    table = read(awkward)
    assert table.splits.tolist() == [TRAIN, VAL, TEST, TRAIN, VAL]
    assert [name[11:] for name in table.names] == ["1.png", "2.png", "4.png", "5.png", "niño 3.png"]
    main = "ImageSets/Main/test.txt"
    assert faults(table) == [(main, 2, "double"), (main, 3, "no-image")]


def test_training_and_validation_in_one_list_is_training(awkward: Path) -> None:
    put(awkward, {"Annotations/1.xml": xml("1.png"), "JPEGImages/1.png": PHOTO, "ImageSets/Main/trainval.txt": "1"})
    assert read(awkward).splits.tolist() == [TRAIN]


def test_the_order_of_the_classes(awkward: Path) -> None:
    put(awkward, {"1.png": PHOTO, "1.xml": xml("1.png", DOG, DOG.replace("perro", "10"), DOG.replace("perro", "2"))})
    assert read(awkward).classes.names == ("2", "10", "perro")
    head = "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
    put(awkward, {"labelmap.txt": head + "a:b:1,2,3::\nperro:128,0,0:cabeza,pata:\ngato:::\n"})
    table = read(awkward)
    assert table.classes.names == ("a:b", "perro", "gato", "2", "10")
    assert [kind for _name, kind, _box in marks(table)] == ["perro", "10", "2"]


# Objects


def test_corners_are_taken_as_they_stand_unless_the_set_counts_from_1(awkward: Path) -> None:
    put(awkward, {"1.png": PHOTO, "2.png": PHOTO, "3.png": PHOTO})
    source = "<source><database>{}</database><annotation>{}</annotation></source>"
    put(awkward, {"1.xml": xml("1.png", source.format("The VOC2007 Database", "PASCAL VOC2007"), DOG)})
    put(awkward, {"2.xml": xml("2.png", source.format("OXFORD-IIIT Pet Dataset", "OXIIIT"), DOG)})
    put(awkward, {"3.xml": xml("3.png", source.format("Unknown", "PASCAL VOC2012"), DOG)})
    boxes = [box for _name, _kind, box in marks(read(awkward))]
    assert boxes == [[9, 19, 30, 40], [10, 20, 30, 40], [9, 19, 30, 40]]


def test_fields_stand_in_any_order_and_parts_are_no_objects(awkward: Path) -> None:
    bndbox = "<bndbox><ymax> 40.25 </ymax><xmax>30</xmax><ymin>2e1</ymin><xmin>10.5</xmin></bndbox>"
    part = f"<part><name>cabeza</name>{BOX}</part>"
    flags = "<difficult>1</difficult><truncated>true</truncated><occluded> 1 </occluded>"
    first = f"<object>{part}{flags}{bndbox}<name> perro </name></object>"
    second = f"<object><name>perro</name><difficult>Unspecified</difficult><truncated>0</truncated>{BOX}</object>"
    put(awkward, {"1.png": PHOTO, "1.xml": xml("1.png", first, second)})
    table = read(awkward)
    assert marks(table) == [("1.png", "perro", [10.5, 20, 30, 40.25]), ("1.png", "perro", [10, 20, 30, 40])]
    assert table.objects is not None
    assert table.objects.flags.tolist() == [DIFFICULT | TRUNCATED | OCCLUDED, 0]


def test_outlines_as_labelme_and_roboflow_write_them(awkward: Path) -> None:
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((1, 2), (30.5, 4), (5, 40)))
    numbered = "<x1>1</x1><y1>2</y1><x3>5</x3><y3>40</y3><x2>30.5</x2><y2>4</y2>"
    alone = f"<object><name>a</name><polygon><username>x</username>{points}</polygon></object>"
    boxed = f"<object><name>a</name><polygon>{numbered}</polygon>{BOX}</object>"
    put(awkward, {"1.png": PHOTO, "1.xml": xml("1.png", alone, boxed)})
    table = read(awkward)
    assert [box for _name, _kind, box in marks(table)] == [[1, 2, 30.5, 40], [10, 20, 30, 40]]
    assert table.objects is not None
    for index in (0, 1):
        assert [ring.tolist() for ring in table.objects.get_polygons(index)] == [[[1, 2], [30.5, 4], [5, 40]]]


def test_what_is_wrong_with_an_object_is_told_with_its_line(awkward: Path) -> None:
    wrong = {
        "<object><name> </name>" + BOX + "</object>": ("row", "<name>"),
        "<object><name>a</name></object>": ("row", "<bndbox>"),
        "<object><name>a</name>" + BOX.replace("<ymax>40</ymax>", "") + "</object>": ("row", "<ymax>"),
        "<object><name>a</name>" + BOX.replace("10", "diez") + "</object>": ("number", "diez"),
        "<object><name>a</name>" + BOX.replace("10", "nan") + "</object>": ("number", "nan"),
        "<object><name>a</name>" + BOX.replace("10", "") + "</object>": ("number", ""),
        "<object><name>a</name>" + BOX.replace("10", "35") + "</object>": ("inverted", "--fix order"),
        "<object><name>a</name>" + BOX.replace("10", "30") + "</object>": ("empty", "no area"),
        "<object><name>a</name>" + BOX.replace("40", "70") + "</object>": ("outside", "--fix clip"),
        "<object><name>a</name><polygon><x1>1</x1><y1>2</y1></polygon></object>": ("row", "<pt>"),
    }
    put(awkward, {"1.png": PHOTO, "1.xml": xml("1.png", *wrong, DOG)})
    table = read(awkward)
    assert len(marks(table)) == 1
    first = 4
    for line, (refusal, (fault, said)) in enumerate(zip(table.rejected, wrong.values(), strict=True), first):
        assert (refusal.path, refusal.line, refusal.kind) == ("1.xml", line, fault)
        assert said in str(refusal)
    fixed = read(awkward, ("order", "clip"))
    assert len(marks(fixed)) == 3
    assert [change.line for change in fixed.repaired] == [first + 6, first + 8]


# Broken and hostile files


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"", 1, "truncated"),
        (xml("1.png", DOG)[:-40].encode(), 6, "truncated"),
        (b"<annotation>\n<object>\n</annotation>", 3, "mismatched tag"),
        (b"<annotation>\n\xff</annotation>", 2, "invalid token"),
        (BOMB.encode(), 2, "attack"),
        (BOMB.encode("utf-16"), 2, "attack"),
        (b'<!DOCTYPE annotation SYSTEM "file:///etc/passwd">\n<annotation>&x;</annotation>', 2, "unknown entity"),
        (b"<annotation>" + b"<a>" * 100, 1, "64 deep"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', 1, "klingon"),
        (b"<html>\n</html>", 1, "<html>"),
    ],
)
def test_a_broken_file_is_listed_and_alone_it_is_an_error(awkward: Path, content: bytes, line: int, said: str) -> None:
    put(awkward, {"1.png": PHOTO, "1.xml": xml("1.png", DOG), "2.png": PHOTO, "2.xml": content})
    table = read(awkward)
    assert list(table.names) == ["1.png"]
    broken, unlabelled = table.rejected
    assert (broken.path, broken.line, unlabelled.path) == ("2.xml", line, "2.png")
    assert said in broken.reason
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        read(awkward / "2.xml")
    assert f"2.xml:{line}" in caught.value.problem


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-16", "utf-16"), ("cp1252", "windows-1252"), ("gb18030", "gb2312"), ("utf-8-sig", "")],
)
def test_files_are_read_in_the_encoding_they_declare(awkward: Path, encoding: str, declared: str) -> None:
    name = "头盔" if encoding == "gb18030" else "señal"
    head = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    text = head + xml("1.png", DOG.replace("perro", name))
    put(awkward, {"1.png": PHOTO, "1.xml": text.encode(encoding)})
    assert open_table(awkward).classes.names == (name,)


def test_a_file_of_too_many_elements_is_refused(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_reader, "_MAX_ELEMENTS", 50)
    put(awkward, {"1.png": PHOTO, "1.xml": xml("1.png", DOG), "2.xml": xml("1.png", *[DOG] * 10)})
    table = read(awkward)
    assert (list(table.names), len(table.rejected)) == (["1.png"], 1)
    assert "more than 50 elements" in table.rejected[0].reason


def test_a_file_too_large_is_refused_unread(awkward: Path) -> None:
    put(awkward, {"1.png": PHOTO, "1.xml": b"<annotation>", "2.png": PHOTO, "2.xml": xml("2.png")})
    with open(awkward / "1.xml", "ab") as stream:
        stream.truncate(2**40)
    table = read(awkward)
    assert [refusal.path for refusal in table.rejected] == ["1.xml", "1.png"]


def test_names_that_are_no_text_and_paths_out_of_reach_do_no_harm(awkward: Path) -> None:
    names = ("../../../etc/passwd", "\\\\server\\x.png", "a" * 5000, "C:\\1.png", "&#0;", "..", "/")
    put(awkward, {f"{i}.xml": xml(name, DOG) for i, name in enumerate(names)})
    put(awkward, {"1.png": PHOTO})
    table = read(awkward)
    assert list(table.names) == ["1.png"]
    assert len(table.rejected) == len(names) - 1


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Return mutations of real files: flipped bytes, truncation, repeated and dropped lines."""
    data = bytearray(xml("1.png", "<source><database>The VOC2007 Database</database></source>", DOG, DOG, DOG).encode())
    for _turn in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["flip", "cut", "double", "drop", "insert"]))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = draw(st.sampled_from([b"<", b"&", b"</object>", b"<object>", b"1e999", b"-", b"\0", b"<!--"]))
        else:
            lines = data.splitlines(keepends=True)
            at %= max(1, len(lines))
            lines[at:at] = lines[at : at + 1] if kind == "double" else []
            data = bytearray(b"".join(lines if kind == "double" else lines[:at] + lines[at + 1 :]))
    return bytes(data)


@settings(max_examples=120, deadline=None, database=None)
@given(st.one_of(mutations(), st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
@example(BOMB.encode())
def test_nothing_gets_lost_in_a_mutated_file(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = put(Path(folder), {"1.png": PHOTO, "1.xml": data})
        voc_reader.detect(resolve_location(root))
        table = read_anyway(root)
        used = 0 if table.objects is None else len(table.objects)
        if len(table.names):
            tree = ElementTree.fromstring(data)
            assert used + len([r for r in table.rejected if r.line]) == len(tree.findall("object"))
        else:
            assert table.rejected


def read_anyway(root: Path) -> LabelTable:
    return FORMATS["voc"].read(resolve_location(root), ReadOptions(), voc_reader.SILENT)


# Writing


def export(root: Path, files: list[str], classes: tuple[str, ...], boxes: list[list[float]]) -> WriteRequest:
    count = len(files)
    starts = np.arange(count + 1, dtype=np.int64)
    zeros = np.zeros(count + 1, np.int64)
    objects = ObjectTable(
        starts,
        np.arange(count, dtype=np.int32) % len(classes),
        np.array(boxes, np.float64),
        np.array([DIFFICULT, TRUNCATED, OCCLUDED, 7][:count], np.uint8) & 11,
        zeros,
        np.zeros(1, np.int64),
        np.empty((0, 2)),
        StringColumn.from_strings([""] * count),
    )
    splits = np.array([TRAIN, TEST, UNASSIGNED, VAL][:count], np.int8)
    no_class = np.full(count, -1, np.int32)
    table = LabelTable(
        root, "made", StringColumn.from_strings(files), Classes(classes), no_class, splits, objects=objects
    )
    return WriteRequest(table, files, np.full((count, 2), (60, 80), np.int32), lambda i: PHOTO)


def test_what_is_written_reads_back_the_same(awkward: Path) -> None:
    files = [
        voc_reader.image_path("train", "", "uno & dos.png"),
        voc_reader.image_path("", "", "1.png"),
        voc_reader.image_path("", "", "1.jpg"),
    ]
    outside = put(awkward / "elsewhere", {"1.png": PHOTO}) / "1.png"
    boxes = [[0.1, 0.2, 79.9, 59.7], [1 / 3, 2, 3, 4], [5, 6, 7, 8], [1e-9, 1, 2, 3]]
    classes = ("z", "<ñ> & 'co'", "nunca", "a")
    made = export(awkward, [*files, str(outside)], classes, boxes)
    out = put(awkward / "out", dict.fromkeys(files, PHOTO))
    voc_reader.write(made, out)
    table = open_table(out)
    assert (table.format, table.rejected, table.classes.names) == ("voc", (), classes)
    found = {name: (kind, box) for name, kind, box in marks(table)}
    expected = zip([*files, str(outside)], classes, boxes, strict=True)
    assert found == {name: (kind, box) for name, kind, box in expected}
    assert table.objects is not None
    flags = dict(zip(table.names, table.objects.flags.tolist(), strict=True))
    assert flags == dict(zip([*files, str(outside)], [DIFFICULT, TRUNCATED, OCCLUDED, 3], strict=True))
    splits = dict(zip(table.names, table.splits.tolist(), strict=True))
    assert splits == dict(zip([*files, str(outside)], [TRAIN, TEST, UNASSIGNED, VAL], strict=True))
    first = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    voc_reader.write(made, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == first


@pytest.mark.parametrize("name", ["a\nb", " a", "\0", "\ud800"])
def test_names_that_xml_cannot_hold_are_refused(awkward: Path, name: str) -> None:
    made = export(awkward, ["JPEGImages/1.png"], ("ok",), [[1, 2, 3, 4]])
    columns = (made.table.class_ids, made.table.splits)
    table = LabelTable(awkward, "m", StringColumn.from_strings(["x"]), Classes((name,)), *columns)
    broken = WriteRequest(table, made.image_paths, made.image_sizes, made.read_image)
    with pytest.raises(DataError, match="name"):
        voc_reader.write(broken, awkward)


def test_xml_in_pieces_is_the_same_as_whole() -> None:
    data = ("<a>" + "".join(f"<b i='{i}'>\n<c>ñ{i}</c></b>" for i in range(20_000)) + "</a>").encode()
    whole = xml_reader.parse_xml(data, "x")
    assert isinstance(whole, xml_reader.XmlElement)
    root, *children = xml_reader.iterate_children(data, "x")
    assert isinstance(root, xml_reader.XmlElement)
    assert (root.tag, len(whole.children)) == ("a", 20_000)
    for one, other in zip(whole.children, children, strict=True):
        assert isinstance(other, xml_reader.XmlElement)
        assert (one.attributes, one.line, one.find_text("c")) == (other.attributes, other.line, other.find_text("c"))
