"""Labels that lince does not read are named with their file and what to do, and the remedies lead on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.support.label_samples import YOLO, write_files

from lince import images
from lince.errors import LinceError
from lince.formats import open_table

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))
KEY_POINTS = (
    '<annotation><image>a</image><category>person</category><keypoints><keypoint name="L_Eye" visible="1" x="1" y="2"/>'
    '</keypoints><visible_bounds height="10" width="10" xmin="1" ymin="2"/></annotation>'
)
MANIFEST = json.dumps({"source-ref": "s3://b/a.png", "box": {"annotations": [{"class_id": 0, "top": 1, "left": 1}]}})
VOTT_1 = json.dumps({"frames": {"a.png": [{"x1": 1, "y1": 2}]}, "framerate": "1", "inputTags": "cat", "scd": False})
VIA_3 = json.dumps({"project": {}, "config": {}, "attribute": {}, "file": {}, "metadata": {}, "view": {}})
BDD = json.dumps({"name": "a", "frames": [{"timestamp": 1, "objects": [{"category": "car"}]}], "attributes": {}})
BOXES = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
KNOWN = {
    "det.json": (BDD, r"BDD100K \(turn it into COCO .* -i det\.json"),
    "out.manifest": (MANIFEST, r"SageMaker \(write its boxes into a CSV table"),
    "ann/a.xml": (KEY_POINTS, r"Pascal \(key points\) \(write its boxes"),
    "v1.json": (VOTT_1, r"VoTT 1 \(export it from VoTT as Pascal VOC"),
    "v3.json": (VIA_3, r"VIA 3 \(write its boxes"),
    "seg.csv": (f"{BOXES}\na_m.png,a,/m/1,x,0,1,0,1,1,\n", r"masks of OpenImages \(give lince the table of boxes"),
    "il.csv": ("ImageID,Source,LabelName,Confidence\na,verification,/m/1,1\n", r"whole images, of OpenImages"),
    "vrd.csv": (
        "ImageID,LabelName1,LabelName2,RelationshipLabel\na,/m/1,/m/2,on\n",
        r"pairs of objects, of OpenImages",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_formats_are_named_with_a_remedy(name: str, awkward: Path) -> None:
    text, said = KNOWN[name]
    for path, data in {"images/a.png": PHOTO, "images/b.png": PHOTO, name: text.encode()}.items():
        (awkward / path).parent.mkdir(parents=True, exist_ok=True)
        (awkward / path).write_bytes(data)
    with pytest.raises(LinceError, match=rf"{name}: .*{said}"):
        open_table(awkward)
    with pytest.raises(LinceError, match=said.partition(r" \(")[0]):
        open_table(awkward / name)
    (awkward / "boxes.csv").write_text("filename,class,xmin,ymin,xmax,ymax\na.png,x,1,2,3,4\n")
    assert list(open_table(awkward).names) == ["images/a.png"]


def put_numbers(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(12):
            (root / folder / f"{number:03}.png").write_bytes(PHOTO)


IDS = "id, blood\n" + "".join(f"{number},{number % 2}\n" for number in range(12))
BLANKS = "".join(f"fotos/{number:03}.png  {number / 12:.2f}    kind{number % 2}\n" for number in range(12))


def test_ids_without_the_zeros_of_the_names_are_read_and_it_is_said(awkward: Path) -> None:
    put_numbers(awkward, "slices")
    (awkward / "labels.csv").write_text(IDS)
    table = open_table(awkward)
    assert (table.format, table.classes.names, table.class_ids.tolist()) == ("csv", ("0", "1"), [0, 1] * 6)
    assert list(table.names) == [f"slices/{number:03}.png" for number in range(12)]
    (notice,) = table.rejected
    assert (notice.path, notice.kind) == ("labels.csv", "assumed")
    assert "by their number: 12, such as 0, which is not there; slices/000.png is" in notice.reason


def test_a_short_list_of_numbered_classes_is_no_table_of_numbered_photos(awkward: Path) -> None:
    put_numbers(awkward, "x", "y")
    (awkward / "classes.csv").write_text("id,class\n0,cat\n1,dog\n")
    assert open_table(awkward).format == "folders"


@pytest.mark.parametrize("text", [IDS, "a table without"])
def test_a_table_beside_folders_that_are_called_classes_is_named(text: str, awkward: Path) -> None:
    put_numbers(awkward, "set/fotos_todas", "examples")
    (awkward / "set" / "labels.csv").write_text(IDS if text == IDS else BLANKS.replace("fotos/", "fotos_todas/"))
    remedy = "--format csv reads it" if text == IDS else "write file,class into a first line"
    with pytest.raises(LinceError) as caught:
        open_table(awkward)
    assert re.search(rf"set/labels\.csv: a table .*\({remedy}", caught.value.problem)
    for path in (awkward, awkward / "set"):
        (notice,) = [item for item in open_table(path, "folders").rejected if item.kind == "unread-labels"]
        assert notice.path.endswith("labels.csv")
        assert remedy in notice.reason
    if text == IDS:
        assert open_table(awkward, "csv").format == "csv"


def test_tables_that_cannot_be_read_as_classes_are_counted_with_what_they_lack(awkward: Path) -> None:
    put_numbers(awkward, "set/fotos", "doc")
    (awkward / "set" / "labels.csv").write_text(BLANKS)
    (awkward / "set" / "sizes.csv").write_text("width,height\n3,4\n5,6\n")
    (awkward / "set" / "gone.csv").write_text("file,class\nzebra.png,x\n")
    with pytest.raises(LinceError) as caught:
        open_table(awkward, "csv")
    said = str(caught.value)
    assert "contains 3 CSV files" in said
    assert "set/labels.csv: no comma, semicolon, tab or bar separates columns in its first line: fotos/000.png" in said
    assert "set/sizes.csv: no column for the file, such as filename, among width, height" in said
    assert "set/gone.csv: no such file: zebra.png" in said
    with pytest.raises(LinceError, match="commas between the columns"):
        open_table(awkward / "set" / "labels.csv")


def test_photos_of_a_folder_that_is_no_class_are_counted_one_by_one(awkward: Path) -> None:
    put_numbers(awkward, "cat", "dog", "images")
    left_out = [item for item in open_table(awkward, "folders").rejected if item.kind == "unlabelled"]
    assert [item.path for item in left_out] == [f"images/{number:03}.png" for number in range(12)]


def test_a_table_in_a_folder_names_the_photos_beside_it_first(awkward: Path) -> None:
    put_numbers(awkward, "set/images", "copy/part/images")
    rows = "".join(f"images/{number:03}.png,{'ab'[number % 2]}\n" for number in range(12))
    (awkward / "set" / "labels.csv").write_text("file,class\n" + rows)
    assert list(open_table(awkward).names) == [f"set/images/{number:03}.png" for number in range(12)]


def test_a_spreadsheet_named_alone_is_told_to_be_saved_as_csv(awkward: Path) -> None:
    put_numbers(awkward, "fotos")
    for name in ("labels.xlsx", "notas.xls", "otra.ods"):
        (awkward / name).write_bytes(b"PK")
        with pytest.raises(LinceError, match=rf"{name}: a spreadsheet \(save it as CSV\)"):
            open_table(awkward / name)


def test_a_table_of_ones_own_that_is_called_splits_is_named_and_read_under_the_name_that_is_told(awkward: Path) -> None:
    (awkward / "a.png").write_bytes(PHOTO)
    (awkward / "splits.csv").write_text("filename,class\na.png,cat\n")
    with pytest.raises(LinceError, match=r"splits\.csv: a table called as .*\(rename it to labels\.csv to read it\)"):
        open_table(awkward)
    (awkward / "splits.csv").rename(awkward / "labels.csv")
    assert open_table(awkward).classes.names == ("cat",)


# One row that is damaged does not make another format of a set.

DAMAGED = {
    "a word for a number": ("0 0.3 o.4 0.4 0.25\n", "a coordinate is not a number: o.4"),
    "a number too few": ("0 0.3 0.375 0.4\n", "4 numbers: too few for a box"),
    "commas": ("0,0.3,0.375,0.4,0.25\n", "numbers separated by commas"),
    "a name for a class": ("gato 0.3 0.375 0.4 0.25\n", "'gato' is not a class id"),
    "words": ("hello there\n", "2 numbers: too few for a box"),
    "a bad row first, then a good one": ("0 0.3 x 0.4 0.25\n0 0.3 0.375 0.4 0.25\n", "a coordinate is not a number: x"),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("damaged", ["a", "b"])
@pytest.mark.parametrize("folder", ["labels", "images"])
def test_a_bad_row_in_one_of_two_yolo_files_is_named_by_file_and_line(
    name: str, damaged: str, folder: str, tmp_path: Path
) -> None:
    text, reason = DAMAGED[name]
    if (name, folder) == ("words", "images"):
        pytest.skip("beside photos, words may be a description")
    write_files(tmp_path, {f"images/{stem}.png": PHOTO for stem in "ab"})
    write_files(tmp_path, {f"{folder}/{stem}.txt": text if stem == damaged else YOLO for stem in "ab"})
    table = open_table(tmp_path)
    assert table.format == "yolo"
    (refused,) = [item for item in table.rejected if item.line]
    assert (refused.path, refused.line) == (f"{folder}/{damaged}.txt", 1)
    assert reason in refused.reason


def test_a_single_yolo_file_of_damaged_rows_is_named_and_not_called_a_folder_of_masks(tmp_path: Path) -> None:
    write_files(tmp_path, {"images/a.png": PHOTO, "images/b.png": PHOTO, "labels/a.txt": "\n0,0.3,0.375,0.4,0.25\n"})
    with pytest.raises(LinceError, match=r"labels/a\.txt: line 2 is not a row of labels: 0,0\.3,0\.375") as caught:
        open_table(tmp_path)
    assert "masks" not in caught.value.problem


def test_text_beside_photos_in_class_folders_changes_nothing(tmp_path: Path) -> None:
    texts = {f"{name}/{n}.txt": f"a photo of {name}\n" for name in ("gato", "perro") for n in range(3)}
    write_files(tmp_path, texts | {name.replace(".txt", ".png"): PHOTO for name in texts})
    assert open_table(tmp_path).format == "folders"


LISTS = {
    "t.csv": ("csv-boxes", ["a.png,8,10,40,20,gato\n"] * 2 + ["b.png,8,10,40,20,gato\n"], "a.png,8,ten,40,20,gato\n"),
    "u.csv": ("csv-boxes", ["a.png,8,10,40,20,gato\n"] * 2 + ["b.png,8,10,40,20,gato\n"], "a.png,8,10\n"),
    "v.txt": ("keras-yolo", ["a.png 8,10,40,20,0\n", "b.png 8,10,40,20,0\n"], "hello there\n"),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("place", [0, 1])
def test_a_bad_row_anywhere_in_a_list_of_boxes_is_named_by_its_line(name: str, place: int, tmp_path: Path) -> None:
    form, rows, damaged = LISTS[name]
    write_files(tmp_path, {"a.png": PHOTO, "b.png": PHOTO, name: "".join([*rows[:place], damaged, *rows[place:]])})
    table = open_table(tmp_path)
    assert (table.format, len(table.names)) == (form, 2)
    assert [(item.path, item.line) for item in table.rejected if item.line] == [(name, place + 1)]


def test_a_table_with_a_header_of_other_words_is_not_read_without_one(tmp_path: Path) -> None:
    text = "picture,a,b,c,d,kind\na.png,8,10,40,20,gato\nb.png,8,10,40,20,gato\n"
    write_files(tmp_path, {"a.png": PHOTO, "b.png": PHOTO, "t.csv": text})
    with pytest.raises(LinceError, match="picture"):
        open_table(tmp_path)
