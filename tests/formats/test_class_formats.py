"""Class folders, file names and tables: what is read and what is refused, on small sets."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lince import images
from lince.annotations import Classes, StringColumn
from lince.errors import AmbiguousError, LinceError, UsageError
from lince.formats import LabelTable, ReadOptions, WriteRequest, class_folders, file_names
from lince.formats.csv_classes import reader as csv_classes_reader
from lince.formats.format_detector import open_table
from lince.formats.registry import FORMATS
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage import image_files
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((2, 3, 3), np.uint8))


def photos(root: Path, *paths: str, data: bytes = PHOTO) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def rows(table: LabelTable) -> list[tuple[str, str, int]]:
    said = [table.classes.names[i] for i in table.class_ids]
    return list(zip(table.names, said, table.splits.tolist(), strict=True))


def reasons(table: LabelTable) -> dict[str, str]:
    return {refusal.path: refusal.reason for refusal in table.rejected}


# Class folders


def test_class_folders(awkward: Path) -> None:
    photos(awkward, "Zebra/1.png", "ñandú/a b.png", "ñandú/deep/é.jpg", "item 10/x", "item 2/x.gif")
    table = open_table(awkward)
    assert table.format == "folders"
    assert table.classes.names == ("item 2", "item 10", "Zebra", "ñandú")
    assert rows(table) == [
        ("item 2/x.gif", "item 2", UNASSIGNED),
        ("item 10/x", "item 10", UNASSIGNED),
        ("Zebra/1.png", "Zebra", UNASSIGNED),
        ("ñandú/a b.png", "ñandú", UNASSIGNED),
        ("ñandú/deep/é.jpg", "ñandú", UNASSIGNED),
    ]
    assert table.rejected == ()


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Train", "valid", "TEST"), ("training", "validation", "testing")],
)
def test_class_folders_below_splits(awkward: Path, train: str, val: str, test: str) -> None:
    photos(awkward, f"{train}/a/1.png", f"{train}/b/1.png", f"{val}/a/1.png", f"{test}/b/1.png")
    assert sorted(rows(open_table(awkward))) == sorted(
        [
            (f"{train}/a/1.png", "a", TRAIN),
            (f"{train}/b/1.png", "b", TRAIN),
            (f"{val}/a/1.png", "a", VAL),
            (f"{test}/b/1.png", "b", TEST),
        ]
    )


def test_a_class_may_be_called_train(awkward: Path) -> None:
    table = open_table(photos(awkward, "train/1.png", "bus/1.png"))
    assert table.classes.names == ("bus", "train")
    assert set(table.splits.tolist()) == {UNASSIGNED}


def test_split_folders_beside_class_folders_are_refused(awkward: Path) -> None:
    photos(awkward, "train/a/1.png", "train/b/1.png", "more/1.png")
    with pytest.raises(AmbiguousError, match="more"):
        open_table(awkward)


@pytest.mark.parametrize(
    "found",
    [
        ["train/1.png", "valid/1.png", "test/1.png"],
        ["train2017/1.png", "val2017/1.png"],
        ["images/1.png", "masks/1.png"],
        ["JPEGImages/1.png", "SegmentationClass/1.png", "SegmentationObject/1.png"],
        ["train/images/1.png", "train/labels/1.png", "valid/images/1.png", "valid/labels/1.png"],
        ["images/train/1.png", "images/val/1.png", "annotations/1.png"],
        ["images/a/1.png", "one/1.png"],
    ],
    ids=lambda found: found[0],
)
def test_folders_of_other_layouts_are_no_classes(awkward: Path, found: list[str]) -> None:
    assert class_folders.detect(resolve_location(photos(awkward, *found))) is None


def test_images_in_no_class_folder_are_named(awkward: Path) -> None:
    photos(awkward, "train/a/1.png", "train/b/1.png", "train/masks/1.png", "images/1.png", "x.png", "val/a/1.png")
    table = open_table(awkward, "folders")
    assert len(table.names) == 3
    assert set(reasons(table)) == {"train/masks/1.png", "images/1.png", "x.png"}
    assert all(refusal.remedy for refusal in table.rejected)


@pytest.mark.parametrize(
    "name", ["a/b", "a\\b", ".oculta", "..", "images", "Masks", "unassigned", "__MACOSX", "a\0", " a", "a "]
)
def test_a_class_that_no_folder_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="class"):
        class_folders.image_path("", name, "1.png")


def test_written_folders_are_read_again(awkward: Path) -> None:
    found = [("1.png", "niño", "train"), ("2.png", "gato", ""), ("3.png", "niño", ""), ("4.png", "gato", "val")]
    files = [class_folders.image_path(split, name, file) for file, name, split in found]
    export = exported(files, ["gato", "niño"], [1, 0, 1, 0], [TRAIN, UNASSIGNED, UNASSIGNED, VAL])
    class_folders.write(export, photos(awkward, *files))
    assert sorted(rows(open_table(awkward))) == [
        ("train/niño/1.png", "niño", TRAIN),
        ("unassigned/gato/2.png", "gato", UNASSIGNED),
        ("unassigned/niño/3.png", "niño", UNASSIGNED),
        ("val/gato/4.png", "gato", VAL),
    ]


def test_a_written_table_is_read_again(awkward: Path) -> None:
    classes = ['a, "b"', "línea\notra", "ñ; c"]
    files = [csv_classes_reader.image_path("train", classes[i], f"gato_{i}.png") for i in range(3)]
    csv_classes_reader.write(exported(files, classes, [0, 1, 2], [TRAIN, UNASSIGNED, TEST]), photos(awkward, *files))
    table = open_table(awkward)  # although the file names could be read too
    assert table.format == "csv"
    assert [table.classes.names[i] for i in table.class_ids] == classes
    assert table.splits.tolist() == [TRAIN, UNASSIGNED, TEST]
    assert [str(table.root / name) for name in table.names] == [str(awkward / name) for name in files]


def exported(files: list[str], classes: list[str], class_ids: list[int], splits: list[int]) -> WriteRequest:
    ids, parts = np.array(class_ids, np.int32), np.array(splits, np.int8)
    table = LabelTable(Path("x"), "x", StringColumn.from_strings(files), Classes(tuple(classes)), ids, parts)
    return WriteRequest(table, files, np.full((len(files), 2), 2, np.int32), lambda row: PHOTO)


def test_what_is_not_used_is_named_and_what_the_system_left_is_passed_over(awkward: Path) -> None:
    photos(awkward, "a/1.png", "b/1.png", "stray.png")
    photos(awkward, "a/notes.txt", "a/fake.jpg", data=b"words")
    photos(awkward, "b/cut.jpg", data=b"")
    photos(awkward, "a/.DS_Store", "b/Thumbs.db", "__MACOSX/a/1.png", ".git/x.png", "a/._1.png", "b/desktop.ini")
    (awkward / "empty").mkdir()
    (awkward / "a" / "gone.png").symlink_to(awkward / "nowhere.png")
    table = open_table(awkward)
    assert [name for name, _class, _split in rows(table)] == ["a/1.png", "b/1.png"]
    assert reasons(table) == {
        "stray.png": "is not in a class folder",
        "empty": "a folder without images",
        "a/notes.txt": "not an image: .txt",
        "a/fake.jpg": "not an image, despite its extension",
        "b/cut.jpg": "the file is empty",
        "a/gone.png": "cannot be opened: No such file or directory",
    }
    assert all(refusal.remedy for refusal in table.rejected)


def test_photos_of_other_kinds_say_what_to_do(awkward: Path) -> None:
    photos(awkward, "a/1.png", "b/1.png")
    photos(awkward, "a/2.jxl", data=b"\xff\x0a")
    (refusal,) = open_table(awkward).rejected
    assert (refusal.reason, refusal.remedy) == ("lince does not read .jxl", "save it as JPEG or PNG")


def test_links_are_followed_but_not_in_circles(awkward: Path) -> None:
    photos(awkward, "store/x.png", "data/a/1.png", "data/b/1.png")
    (awkward / "data/a/2.png").symlink_to(awkward / "store/x.png")
    (awkward / "data/c").symlink_to(awkward / "store")
    (awkward / "data/b/up").symlink_to(awkward / "data/b")
    found = [name for name, _class, _split in rows(open_table(awkward / "data"))]
    assert found == ["a/1.png", "a/2.png", "b/1.png", "c/x.png"]


def test_two_spellings_of_an_accent_are_one_class(awkward: Path) -> None:
    photos(awkward, "train/nin\u0303o/1.png", "test/ni\u00f1o/1.png", "train/b/1.png")
    assert open_table(awkward).classes.names == ("b", "ni\u00f1o")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_not_text_is_refused(awkward: Path) -> None:
    photos(awkward, "a/1.png", "b/1.png")
    try:
        Path(os.fsdecode(os.fsencode(awkward / "a") + b"/\xff.png")).write_bytes(PHOTO)
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    table = open_table(awkward)
    assert len(table.names) == 2
    assert [refusal.reason for refusal in table.rejected] == ["its name is not valid text"]


def test_above_the_limit_endings_decide(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(awkward, "a/1.png", "b/1.png", "b/notes.txt")
    photos(awkward, "a/fake.jpg", data=b"words")
    monkeypatch.setattr(image_files, "MAX_PROBED_FILES", 3)
    assert list(reasons(open_table(awkward))) == ["b/notes.txt"]


# File names


@pytest.mark.parametrize("form", ["{}_{}", "{}-{}", "{}.{}", "{} {}", "{} ({})"])
def test_names_show_their_class(awkward: Path, form: str) -> None:
    photos(awkward, *[form.format(name, i) + ".jpg" for name in ("cat", "big_dog") for i in (1, 20)])
    table = open_table(awkward)
    assert table.format == "names"
    assert table.classes.names == ("big_dog", "cat")
    assert len(table.names) == 4
    assert all(said in name for name, said, _split in rows(table))


def test_names_below_images_and_splits(awkward: Path) -> None:
    photos(awkward, "images/train/a_1.png", "images/train/b_1.png", "images/train/b_2.png", "images/test/a_9.png")
    photos(awkward, "annotations/x.xml", data=b"<xml/>")
    assert rows(open_table(awkward)) == [
        ("images/test/a_9.png", "a", TEST),
        ("images/train/a_1.png", "a", TRAIN),
        ("images/train/b_1.png", "b", TRAIN),
        ("images/train/b_2.png", "b", TRAIN),
    ]


@pytest.mark.parametrize(
    "found",
    [
        ["cat_1.png", "cat_2.png", "dog_1.png", "portrait.png"],
        ["IMG_1.png", "IMG_2.png", "DSC_1.png", "DSC_2.png"],
        ["IMG_20240102_1.png", "IMG_20240102_2.png", "IMG_20240103_1.png", "IMG_20240103_2.png"],
        ["a_1.png", "b_1.png", "c_1.png"],
        ["cat_1.png", "cat_2.png"],
    ],
    ids=["one does not fit", "cameras", "dates", "every class once", "one class"],
)
def test_names_that_do_not_show_a_class_are_asked_for(awkward: Path, found: list[str]) -> None:
    photos(awkward, *found)
    with pytest.raises(UsageError, match="pattern"):
        open_table(awkward)


def test_a_given_pattern_rejects_what_does_not_fit(awkward: Path) -> None:
    photos(awkward, "7_cat_front.png", "8_dog_back.png", "cover.png")
    table = open_table(awkward, options=ReadOptions("{n}_{class}_{side}"))
    assert rows(table) == [("7_cat_front.png", "cat", -1), ("8_dog_back.png", "dog", -1)]
    assert reasons(table) == {"cover.png": "its name does not match the pattern"}


@pytest.mark.parametrize("pattern", ["{n}", "", "{class}{class}", "class_{n}"])
def test_a_pattern_names_the_class_once(awkward: Path, pattern: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        open_table(photos(awkward, "a_1.png"), options=ReadOptions(pattern))


@given(st.text(max_size=20), st.text(max_size=20))
def test_patterns_and_names_of_any_text(pattern: str, name: str) -> None:
    with contextlib.suppress(UsageError):
        file_names.compile_pattern(pattern).fullmatch(name)


# Tables


def table_of(root: Path, text: str, encoding: str = "utf-8") -> Path:
    path = root / "fotos de niños.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_of_any_spreadsheet(awkward: Path, delimiter: str, encoding: str) -> None:
    photos(awkward, "a.png", "sub/b.png", "ç.png")
    lines = [["Filename", "note", "Class", "Split"], ["a.png", "x", "niño", "train"], ["sub\\b.png", "", "gato", ""]]
    lines += [["./ç.png", "y", "niño", "Test"]]
    path = table_of(awkward, "\r\n".join(delimiter.join(line) for line in lines) + "\r\n", encoding)
    table = open_table(path)
    assert table.format == "csv"
    assert rows(table) == [("a.png", "niño", TRAIN), ("sub/b.png", "gato", UNASSIGNED), ("ç.png", "niño", TEST)]
    assert open_table(awkward).names.blob == table.names.blob


def test_rows_are_rejected_with_their_line(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png", "c.png", "d.png")
    photos(awkward, "words.jpg", data=b"words")
    path = table_of(
        awkward,
        'path,label,split\na.png,x,\ngone.png,x,\nb.png,,\nb.png,y\n\nc.png,x,holiday\n"b.png",y,train\n,y,\nb.png,y,\n'
        "d.png,x,\nd.png,y,\nwords.jpg,x,\n",
    )
    table = open_table(path)
    assert rows(table) == [("a.png", "x", UNASSIGNED), ("b.png", "y", TRAIN)]
    found = {refusal.line: refusal.reason for refusal in table.rejected}
    assert found == {
        3: "no such file: gone.png",
        4: "no class",
        5: "2 columns instead of 3",
        7: "unknown split 'holiday'",
        9: "no file",
        10: "b.png appears twice",
        11: "d.png has several classes: x, y",
        12: "d.png has several classes: x, y",
        None: "not an image, despite its extension",
    }
    assert str(table.rejected[0]).startswith("fotos de niños.csv:3: no such file")


def test_files_are_looked_for_beside_the_table(awkward: Path) -> None:
    photos(awkward, "images/a.png", "images/b.png")
    (awkward / "labels").mkdir()
    path = table_of(awkward / "labels", f"file,class\na.png,x\n{awkward / 'images' / 'b.png'},y\n")
    table = open_table(path)
    assert rows(table) == [("a.png", "x", -1), ("b.png", "y", -1)]
    assert table.root / table.names[0] == awkward / "images" / "a.png"


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("filename,width,class,xmin,ymin\na.png,3,x,1,2\n", UsageError, "table of boxes"),
        ("path,label,class\na.png,x,y\n", AmbiguousError, "label, class"),
        ("one,two\na.png,x\n", UsageError, "columns one, two"),
        ("", UsageError, "columns"),
    ],
)
def test_ambiguous_and_broken_tables_are_refused(awkward: Path, text: str, error: type[LinceError], words: str) -> None:
    photos(awkward, "a.png")
    with pytest.raises(error, match=words):
        open_table(table_of(awkward, text))


HEAD = b"path,label,split\n"


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(HEAD.__add__), st.text(max_size=99).map(
    lambda text: HEAD + text.encode("utf-8", "surrogatepass"))))  # fmt: skip
@example(HEAD + b'"a\0b",x,\n')
@example(HEAD + b'"open,x,\n')
@example(b"\xff\xfe\x00")
def test_any_bytes_as_a_table(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    with contextlib.suppress(LinceError):
        open_table(path)


# Ambiguous layouts


def test_two_readings_are_refused_and_the_option_decides(awkward: Path) -> None:
    photos(awkward, "cat_1.png", "cat_2.png", "dog_1.png", "dog_2.png", "x/1.png", "y/1.png")
    with pytest.raises(AmbiguousError, match="with format") as caught:
        open_table(awkward)
    assert "folders: 2 class folders" in str(caught.value)
    assert "names: file names" in str(caught.value)
    assert open_table(awkward, "folders").classes.names == ("x", "y")
    assert open_table(awkward, "names").classes.names == ("cat", "dog")


def test_labels_that_somebody_wrote_go_before_the_names_of_files(awkward: Path) -> None:
    photos(awkward, "cat_1.png", "cat_2.png", "dog_1.png", "dog_2.png")
    assert open_table(awkward).format == "names"
    for stem in ("cat_1", "cat_2", "dog_1", "dog_2"):
        (awkward / f"{stem}.xml").write_text(f"<annotation><filename>{stem}.png</filename></annotation>", "utf-8")
    assert open_table(awkward).format == "voc"
    assert open_table(awkward, "names").classes.names == ("cat", "dog")


def test_no_reading_says_what_is_there(awkward: Path) -> None:
    photos(awkward, "hello.png", "sub/x.txt")
    with pytest.raises(UsageError, match=r"1 x \.png; folders: sub"):
        open_table(awkward)
    with pytest.raises(UsageError, match="does not exist"):
        open_table(awkward / "nowhere")
    with pytest.raises(UsageError, match="format"):
        open_table(awkward, "yolo9")


def test_one_class_folder_alone_is_taken_when_it_is_said(awkward: Path) -> None:
    photos(awkward, "wrong/rosa/1.png")
    with pytest.raises(UsageError, match="only one class folder: rosa") as refused:
        open_table(awkward / "wrong")
    assert 'format="folders"' in str(refused.value)
    assert open_table(awkward / "wrong", "folders").classes.names == ("rosa",)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_refuses_an_empty_folder(awkward: Path, form: str) -> None:
    with pytest.raises(LinceError):
        open_table(awkward, form)


@given(st.lists(st.text(max_size=12)), st.data())
def test_strings_hold_any_text(texts: list[str], draw: st.DataObject) -> None:
    column = StringColumn.from_strings(texts)
    assert list(column) == texts
    order = draw.draw(st.permutations(range(len(texts))))
    assert list(column.take(np.array(order, np.int64))) == [texts[i] for i in order]
