"""What is not understood is said: columns of boxes, key points, ids of two forms, names of categories, encodings."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lince import images
from lince.cli.main import main
from lince.datasets import open_dataset
from lince.errors import DataError, UsageError
from lince.formats.format_detector import open_table
from lince.formats.masks import png
from lince.inference.sources import find_images
from lince.splits import TRAIN, UNASSIGNED, VAL
from lince.storage.archive_names import find_name_encoding

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def coco(annotations: list[dict[str, Any]], categories: Any = None, **photo: Any) -> str:
    named = [{"id": 1, "file_name": "a.png", **photo}]
    whole = [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 20], **item} for item in annotations]
    found = [{"id": 1, "name": "x"}] if categories is None else categories
    return json.dumps({"images": named, "categories": found, "annotations": whole})


def boxes(table: Any) -> list[list[float]]:
    return [] if table.objects is None else table.objects.boxes.tolist()


# Tables


@pytest.mark.parametrize("header", ["x_center,y_center,width,height", "cx,cy,w,h", "xc,yc,bbox_width,bbox_height"])
def test_boxes_by_their_centre(awkward: Path, header: str) -> None:
    table = open_table(put(awkward, {"a.png": PHOTO, "t.csv": f"file,class,{header}\na.png,x,0.5,0.5,0.25,0.5\n"}))
    assert (table.format, boxes(table)) == ("csv-boxes", [[30, 10, 50, 30]])


@pytest.mark.parametrize("column", ["x_center", "bbox", "polygon", "encodedpixels", "xmin", "caja"])
def test_a_table_with_a_part_of_a_box_is_no_table_of_classes(awkward: Path, column: str) -> None:
    put(awkward, {"a.png": PHOTO, "t.csv": f"file,class,{column}\na.png,x,1\n"})
    with pytest.raises(UsageError, match=column):
        open_table(awkward / "t.csv")


@pytest.mark.parametrize(
    ("header", "cell", "told"),
    [
        ("archivo;clase", "a.png", ""), ("arquivo;categoria", "A.PNG", "spelling"), ("image_id;label", "a", ""),
        ("image;level", "a", ""), ("id;target", "a", ""), ("name;label", "otro/a.png", "folder"),
        ("Nombre de archivo;Categoría", "C:\\fotos\\a.png", "folder"), ("file;class", "a.jpg", "extension"),
        ("file;class", "/content/drive/MyDrive/train/a.png", ""), ("file;class", "0fdb2623-a.png", "upload"),
        ("foto;raza", "a.png", ""), ("id;breed", "a", ""),
    ],
)  # fmt: skip
def test_tables_as_people_write_them(awkward: Path, header: str, cell: str, told: str) -> None:
    table = open_table(put(awkward, {"train/a.png": PHOTO, "t.csv": f"{header}\n{cell};gato\n"}))
    assert (table.format, list(table.names), table.classes.names) == ("csv", ["train/a.png"], ("gato",))
    assert [item.kind for item in table.rejected] == (["assumed"] if told else [])
    assert all(told in item.reason and "train/a.png" in item.reason for item in table.rejected)


def test_photos_of_two_parts_keep_them(awkward: Path) -> None:
    files: dict[str, str | bytes] = {"train/a.png": PHOTO, "validación/b.png": PHOTO}
    table = open_table(put(awkward, {**files, "t.csv": "file,class\na.png,x\nb.png,y\n"}))
    assert table.splits.tolist() == [TRAIN, VAL]


def test_a_name_that_several_photos_have_is_not_guessed(awkward: Path) -> None:
    put(awkward, {"1/a.png": PHOTO, "2/a.png": PHOTO, "b.png": PHOTO, "t.csv": "file,class\na.png,x\nb.png,y\n"})
    table = open_table(awkward / "t.csv")
    assert list(table.names) == ["b.png"]
    assert table.rejected[0].kind == "no-image"


# COCO


def test_key_points_of_any_annotation_are_told(awkward: Path) -> None:
    annotations = [{"id": 1}, {"id": 2, "keypoints": [1, 2, 2]}, {"id": 3, "keypoints": [1, 2, 2]}]
    table = open_table(put(awkward, {"a.png": PHOTO, "l.json": coco(annotations)}))
    assert len(boxes(table)) == 3
    [item] = table.rejected
    assert (item.path, item.kind) == ("l.json", "reduced")
    assert item.reason.startswith("2 annotations")


def test_boxes_of_a_file_of_key_points_are_used_where_no_other_has_them(awkward: Path) -> None:
    put(awkward, {"a.png": PHOTO, "person_keypoints.json": coco([{"id": 1, "keypoints": [1, 2, 2]}])})
    assert len(boxes(open_table(awkward))) == 1
    put(awkward, {"instances.json": coco([{"id": 1}])})
    table = open_table(awkward)
    assert len(boxes(table)) == 1
    assert [(item.path, item.kind) for item in table.rejected] == [("person_keypoints.json", "other-labels")]


def test_ids_as_texts_and_as_numbers_are_one(awkward: Path) -> None:
    categories = [{"id": "1", "name": "x"}]
    table = open_table(put(awkward, {"a.png": PHOTO, "l.json": coco([{"id": 1}], categories, id="1")}))
    assert len(boxes(table)) == 1


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("A.PNG", "spelling"), ("a.jpg", "extension"), ("images/0fdb2623-a.png", "upload"), ("otra/a.png", "folder"),
        ("a.png", ""), ("C:\\x\\fotos\\a.png", ""),
    ],
)  # fmt: skip
def test_photos_that_a_coco_file_calls_otherwise_are_told(awkward: Path, reference: str, told: str) -> None:
    table = open_table(put(awkward, {"fotos/a.png": PHOTO, "l.json": coco([{"id": 1}], file_name=reference)}))
    assert list(table.names) == ["fotos/a.png"]
    assert [item.kind for item in table.rejected] == (["assumed"] if told else [])
    assert all(told in item.reason and ": 1, such as" in item.reason for item in table.rejected)


def test_an_outline_in_one_list_is_one_ring(awkward: Path) -> None:
    outline = [10, 5, 40, 5, 40, 25]
    for segmentation in (outline, [outline]):
        table = open_table(put(awkward, {"a.png": PHOTO, "l.json": coco([{"id": 1, "segmentation": segmentation}])}))
        assert table.objects is not None
        assert [ring.tolist() for ring in table.objects.get_polygons(0)] == [[[10, 5], [40, 5], [40, 25]]]
    for wrong in ([1, 2, 3, 4], [1, 2, 3, 4, 5, "6"], [1, 2, 3, 4, 5]):
        with pytest.raises(UsageError, match=r"l\.json#/annotations/0"):
            open_table(put(awkward, {"l.json": coco([{"id": 1, "segmentation": wrong}])}))


def test_two_categories_of_one_name_are_one_class(awkward: Path) -> None:
    categories = [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}, {"id": 3, "name": "x"}]
    table = open_table(
        put(awkward, {"a.png": PHOTO, "l.json": coco([{"id": 1}, {"id": 2, "category_id": 3}], categories)})
    )
    assert table.classes.names == ("x", "y")
    assert table.objects is not None
    assert table.objects.class_ids.tolist() == [0, 0]


@pytest.mark.parametrize("used_in", [None, "train", "valid"])
def test_the_project_of_several_parts_is_a_class_only_where_it_is_used(awkward: Path, used_in: str | None) -> None:
    categories = [{"id": 0, "name": "hats", "supercategory": "none"}, {"id": 1, "name": "x", "supercategory": "hats"}]
    for part in ("train", "valid"):
        annotations = [{"id": 1}, *([{"id": 2, "category_id": 0}] if part == used_in else [])]
        text = coco(annotations, categories, file_name=f"{part}.png")
        put(awkward, {f"{part}/{part}.png": PHOTO, f"{part}/_annotations.coco.json": text})
    table = open_table(awkward)
    assert set(table.classes.names) == ({"x"} if used_in is None else {"x", "hats"})
    assert len(boxes(table)) == (2 if used_in is None else 3)


def test_a_list_of_categories_alone_is_no_coco_file(awkward: Path) -> None:
    notes = json.dumps({"categories": [{"id": 0, "name": "x"}], "info": {"contributor": "Label Studio"}})
    put(awkward, {"images/a.png": PHOTO, "labels/a.txt": "0 .5 .5 .2 .2\n", "classes.txt": "x\n", "notes.json": notes})
    assert open_table(awkward).format == "yolo"


# YOLO, LabelMe, masks


def test_yolo_in_utf_16(awkward: Path) -> None:
    put(awkward, {"images/a.png": PHOTO, "classes.txt": "x\n", "labels/a.txt": "0 .5 .5 .2 .2\n".encode("utf-16")})
    table = open_table(awkward, "yolo")
    assert (len(boxes(table)), table.rejected) == (1, ())


def test_texts_beside_yolo_labels_are_no_labels(awkward: Path) -> None:
    put(awkward, {"images/a.png": PHOTO, "labels/a.txt": "0 .5 .5 .2 .2\n", "classes.txt": "x\n"})
    put(awkward, {"LEEME.txt": "Hola\n", "notas.txt": "0 gatos hoy\n", "train.txt": "images/a.png\n"})
    table = open_table(awkward)
    assert (table.format, len(boxes(table))) == ("yolo", 1)
    assert {item.kind for item in table.rejected} == {"other-labels"}


def test_rows_with_commas_are_named_as_such(awkward: Path) -> None:
    put(awkward, {"images/a.png": PHOTO, "labels/a.txt": "0,.5,.5,.2,.2\n", "data.yaml": "train: images\nnames: [x]\n"})
    with pytest.raises(UsageError) as caught:
        open_table(awkward)
    assert "labels/a.txt:1: numbers separated by commas" in caught.value.expected


def test_labelme_marks_what_to_ignore(awkward: Path) -> None:
    shapes = [
        {"label": label, "points": [[1, 2], [30, 20]], "shape_type": "rectangle"} for label in ("__ignore__", "x")
    ]
    document = {"version": "5", "flags": {}, "shapes": shapes, "imagePath": "a.png"}
    table = open_table(put(awkward, {"a.png": PHOTO, "a.json": json.dumps(document)}))
    assert (table.classes.names, [item.kind for item in table.rejected]) == (("x",), ["reduced"])


MASK = np.zeros((40, 80), np.uint8)
MASK[5:9, 7:20] = 1


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("image/a.png", "label/a.png"), ("train_images/a.png", "train_masks/a.png"), ("img/a.png", "gt/a.png"),
        ("train/image/a.png", "train/label/a.png"), ("images_train/a.png", "labels_train/a.png"),
    ],
)  # fmt: skip
def test_masks_lie_in_folders_of_many_names(awkward: Path, photo: str, mask: str) -> None:
    palette = np.zeros((256, 3), np.uint8)
    files: dict[str, str | bytes] = {photo: PHOTO, mask: png.encode_mask_png(MASK, palette)}
    table = open_table(put(awkward, {**files, "data.yaml": "names: {0: background, 1: grieta}\n"}))
    assert (table.format, list(table.names), table.classes.names) == ("masks", [photo], ("grieta",))
    assert boxes(table) == [[7, 5, 20, 9]]


# Names in archives, links, split files, the command line


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["ソ犬/ソ0.jpg", "猫/1.jpg"], "cp932"), (["猫/a.jpg"], "cp932"), (["テスト画像 (1).png"], "cp932"),
        (["niño/año 1.jpg", "AÑO/x.png"], "cp850"), (["maçã/ação.jpg"], "cp850"), (["Über #1/é.png"], "cp850"),
        (["camión/café.jpg"], "cp1252"), (["ação/é.png"], "cp1252"),
    ],
)  # fmt: skip
def test_the_encoding_of_names_in_archives(tmp_path: Path, names: list[str], encoding: str) -> None:
    raw = [name.encode(encoding) for name in names]
    assert [name.decode(find_name_encoding(raw)) for name in raw] == names


def test_an_archive_whose_names_are_not_clear_is_refused(tmp_path: Path) -> None:
    assert find_name_encoding([name.encode("cp866") for name in ("Кошка/фото.jpg", "собака/1.jpg")]) == ""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("Кошка/1.png", "Собака/1.png"):
            archive.writestr(_OldEntry(name), PHOTO)
    with pytest.raises(DataError, match="encoding that is not clear"):
        open_table(tmp_path / "x.zip")


class _OldEntry(zipfile.ZipInfo):
    """An entry whose name is written in Russian DOS's encoding, without saying so."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp866"), self.flag_bits & ~0x800


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_followed_in_datasets_and_in_folders_to_predict(awkward: Path) -> None:
    put(awkward, {"set/perro/1.png": PHOTO, "elsewhere/2.png": PHOTO})
    (awkward / "set/gato").symlink_to(awkward / "elsewhere")
    (awkward / "set/perro/again").symlink_to(awkward / "set")
    dataset = open_dataset(awkward / "set")
    read = sorted(dataset.images.get_name(i) for i in range(len(dataset)))
    assert sorted(item.name for item in find_images(awkward / "set")) == read == ["gato/2.png", "perro/1.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_no_photo_and_no_label(awkward: Path) -> None:
    put(awkward, {"set/gato/1.png": PHOTO, "set/perro/1.png": PHOTO})
    os.mkfifo(awkward / "set/gato/x.jpg")
    assert len(open_dataset(awkward / "set")) == len(find_images(awkward / "set")) == 2
    put(awkward, {"y/images/a.png": PHOTO, "y/images/b.png": PHOTO, "y/labels/a.txt": "0 .5 .5 .2 .2\n"})
    os.mkfifo(awkward / "y/labels/b.txt")
    assert len(open_dataset(awkward / "y")) == 1


def test_a_table_called_as_a_split_file_is_not_taken_for_one(awkward: Path) -> None:
    put(awkward, {"gato/1.png": PHOTO, "perro/1.png": PHOTO})
    put(awkward, {"splits.csv": "filename,class,fold\ngato/1.png,gato,0\n"})
    assert len(open_dataset(awkward)) == 2
    for own in ("filename,split\ngato/1.png,train\n", "foto;raza\na;b\n", "file,split,class\na,train,x\n", "a,b,c\n"):
        put(awkward, {"splits.csv": own})
        dataset = open_dataset(awkward)
        assert (len(dataset), dataset.splits.tolist()) == (2, [UNASSIGNED] * 2)
        assert main(["split", str(awkward), "--test", "0.5", "--val", "0"]) == 2
        assert (awkward / "splits.csv").read_text() == own
    # Those of lince, saved by a spreadsheet or damaged, are not passed over.
    for damaged in ("file;split\ngato/1.png;train\n", "gato/1.png,train\n", "file,split\ngato/1.png\n"):
        put(awkward, {"splits.csv": damaged})
        with pytest.raises(DataError, match=r"splits\.csv:\d"):
            open_dataset(awkward)


def test_paths_may_stand_around_options(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(awkward, {"set/gato/1.png": PHOTO, "set/perro/1.png": PHOTO})
    words = ["convert", str(awkward / "set"), "--format", "folders", str(awkward / "out"), "--to", "csv"]
    assert main(words) == 0
    assert (awkward / "out/labels.csv").is_file()
    assert main(["check", str(awkward / "set"), "--out", str(awkward / "c.html"), "more"]) == 2
    assert "more" in capsys.readouterr().err
