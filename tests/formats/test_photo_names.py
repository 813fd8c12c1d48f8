"""Photos that label files of every format call otherwise than they are called: found, told, or named as near misses."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from tests.support.label_samples import BOX, NAMING, PHOTO, SIDECARS, write_files

from lince.errors import LinceError
from lince.formats import LabelTable, open_table

# What the file is called, what the label says, and a word of the notice; '' where there is nothing to tell.
GUESSES = [
    ("img_0.png", "IMG_0.PNG", "spelling"),
    ("img_0.png", "img_0.jpg", "extension"),
    ("img_0.png", "0fdb2623-img_0.png", "upload"),
    ("0fdb2623-img_0.png", "img_0.png", "upload"),
    ("img_0.png", "img_0", ""),
    ("img_0.png", "C:\\Users\\ana\\fotos\\img_0.png", "folder"),
    ("img_0.png", "/content/drive/MyDrive/fotos/img_0.png", "folder"),
    (unicodedata.normalize("NFD", "año.png"), "año.png", ""),
]


def require_box(table: LabelTable, name: str) -> None:
    assert list(table.names) == [name]
    assert table.objects is not None
    np.testing.assert_allclose(table.objects.boxes, [BOX], atol=1e-6)
    assert [table.classes.names[i] for i in table.objects.class_ids] == ["gato"]


@pytest.mark.parametrize(("file_name", "said", "told"), GUESSES)
@pytest.mark.parametrize("name", NAMING)
def test_a_photo_called_otherwise_is_found_and_told(
    awkward: Path, name: str, file_name: str, said: str, told: str
) -> None:
    if name == "keras-yolo" and said == "img_0":
        pytest.skip("a line of that format begins with the name of an image")
    write_files(awkward, {f"fotos/{file_name}": PHOTO, "fotos/otra.png": PHOTO, **NAMING[name](said)})
    table = open_table(awkward, name)
    require_box(table, f"fotos/{file_name}")
    notices = [item for item in table.rejected if item.kind == "assumed"]
    if name == "labelstudio" and (told == "folder" or said.startswith("0fdb")):
        told = ""  # its names are addresses on a server, where uploads have a code in front
    is_folder_alike = "fotos/img_0" in said.replace("\\", "/")  # the last folder is the same: nothing to tell
    assert len(notices) == (1 if told and not is_folder_alike else 0), notices
    for item in notices:
        assert told in item.reason
        assert said.rpartition("\\")[2] in item.reason
        assert f"fotos/{file_name}" in item.reason
        assert (awkward / item.path).is_file()


@pytest.mark.parametrize("name", NAMING)
def test_a_photo_in_another_folder_is_found_and_told(awkward: Path, name: str) -> None:
    write_files(awkward, {"fotos/a.png": PHOTO, **NAMING[name]("D:\\datos\\otros\\a.png")})
    table = open_table(awkward, name)
    require_box(table, "fotos/a.png")
    notices = [item.reason for item in table.rejected if item.kind == "assumed"]
    assert len(notices) == (name != "labelstudio")  # which has addresses on a server, whose folders mean nothing
    assert all("another folder: 1, such as D:\\datos\\otros\\a.png" in reason for reason in notices)


@pytest.mark.parametrize(
    ("file_name", "stem", "told"),
    [
        ("img_0.png", "IMG_0", "spelling"),
        ("img_0.png", "0fdb2623-img_0", "upload"),
        ("0fdb2623-img_0.png", "img_0", "upload"),
        (unicodedata.normalize("NFD", "año.png"), "año", ""),
    ],
)
@pytest.mark.parametrize("name", SIDECARS)
def test_a_label_file_called_otherwise_than_its_photo(
    awkward: Path, name: str, file_name: str, stem: str, told: str
) -> None:
    write_files(awkward, {f"fotos/{file_name}": PHOTO, **SIDECARS[name](stem)})
    table = open_table(awkward, name)
    require_box(table, f"fotos/{file_name}")
    notices = [item for item in table.rejected if item.kind == "assumed"]
    assert len(notices) == bool(told), notices
    assert all(told in item.reason and stem in item.path for item in notices)


@pytest.mark.parametrize("name", NAMING)
def test_a_photo_that_is_called_almost_so_is_named(awkward: Path, name: str) -> None:
    write_files(awkward, {"fotos/gato_007.png": PHOTO, **NAMING[name]("gato-7.png")})
    with pytest.raises(LinceError, match=r"gato-7\.png.*; fotos/gato_007\.png is called almost so"):
        open_table(awkward, name)


@pytest.mark.parametrize("name", SIDECARS)
def test_a_label_file_called_almost_as_a_photo_names_it(awkward: Path, name: str) -> None:
    write_files(awkward, {"fotos/gato_007.png": PHOTO, **SIDECARS[name]("gato-7")})
    with pytest.raises(LinceError, match=r"; fotos/gato_007\.png is called almost so"):
        open_table(awkward, name)


@pytest.mark.parametrize("name", NAMING)
def test_two_photos_of_one_name_are_not_guessed(awkward: Path, name: str) -> None:
    write_files(awkward, {"1/a.png": PHOTO, "2/a.png": PHOTO, **NAMING[name]("A.png")})
    with pytest.raises(LinceError, match=r"several photos have that name: 1/a\.png, 2/a\.png"):
        open_table(awkward, name)


def test_label_files_of_one_photo_each_are_told_together(awkward: Path) -> None:
    for number in range(3):
        write_files(
            awkward, {f"a{number}.png": PHOTO, f"a{number}.xml": SIDECARS["voc"](f"A{number}")[f"labels/A{number}.xml"]}
        )
    [item] = open_table(awkward, "voc").rejected
    assert (item.path, item.reason) == (
        "a0.xml", "photos found in another spelling: 3, such as A0.png, which is not there; a0.png is",
    )  # fmt: skip


def test_the_name_of_a_label_file_decides_where_two_give_one_photo(awkward: Path) -> None:
    xml = SIDECARS["voc"]("A")["labels/A.xml"]
    write_files(awkward, {"a.png": PHOTO, "A.png": PHOTO, "a.xml": xml, "A.xml": xml})
    table = open_table(awkward, "voc")
    assert (sorted(table.names), table.rejected) == (["A.png", "a.png"], ())


@pytest.mark.parametrize("name", ["voc", "labelme"])
def test_the_name_of_the_label_file_comes_before_a_name_that_is_only_almost_right(awkward: Path, name: str) -> None:
    [(_path, text)] = NAMING[name]("a.jpg").items()
    suffix = ".xml" if name == "voc" else ".json"
    write_files(awkward, {"a.png": PHOTO, "b.png": PHOTO, f"b{suffix}": text})
    table = open_table(awkward, name)
    assert (list(table.names), [item.kind for item in table.rejected]) == (["b.png"], ["no-label"])
