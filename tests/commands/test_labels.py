"""Labels are read as they are meant, and each loss is named (points 4 to 6 and 20): parts, rows, photos, folders.

By the command line alone, so that every version of lince can be asked: see ``tests/support/command.py``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.command import run_lince
from tests.support.label_files import (
    GOOD,
    VOC,
    VOC_BOX,
    coco,
    labelme,
    read_boxes,
    read_classes,
    save_photos,
    write,
)

PARTS = {
    "Spanish": ("entrenamiento", "validación", "prueba"),
    "Spanish without accents, in capitals": ("ENTRENAMIENTO", "VALIDACION", "PRUEBA"),
    "Portuguese": ("treino", "validação", "teste"),
    "suffixes": ("training_set", "validation_set", "test_set"),
    "prefixes": ("seg_train", "seg_val", "seg_test"),
    "doubled": ("train/train", "valid/valid", "test/test"),
    "below another folder": ("Datos/Entrenamiento", "Datos/Validación", "Datos/Prueba"),
}


# 4: parts are no classes.


@pytest.mark.parametrize("kind", PARTS)
def test_4_parts_are_read_as_parts(tmp_path: Path, kind: str) -> None:
    for part in PARTS[kind]:
        save_photos(
            tmp_path / "data", *(f"{part}/{name}/{part[:2]}{i}.png" for name in ("gato", "perro") for i in "12")
        )
    done, rows = read_classes(tmp_path, "data")
    assert done.code == 0, done.err
    assert {row["class"] for row in rows} == {"gato", "perro"}, "parts were taken for classes"
    assert {row.get("split", "") for row in rows} == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("photos", "labels"),
    [
        (("train_images/1.png", "train_images/2.png", "test_images/3.png"),
         {"train.csv": "image_id,label\n1.png,0\n2.png,1\n"}),
        (("train_images/1.png", "train_masks/1.png"), {}),
        (("norte/gato/1.png", "norte/perro/2.png", "sur/gato/3.png", "sur/perro/4.png"), {}),
        (("training/image_2/1.png", "testing/image_2/2.png"),
         {"training/label_2/1.txt": f"Car 0.00 0 -1.57 1.00 1.00 9.00 9.00{' 1.5' * 7}\n"}),
        (("ds0/img/1.png", "ds1/img/2.png"),
         {f"ds{i}/ann/{i + 1}.png.json": '{"size": {"height": 40, "width": 80}, "objects": []}' for i in (0, 1)}
         | {"meta.json": '{"classes": []}'}),
    ],
)  # fmt: skip
def test_4_folders_with_labels_beside_or_alike_are_no_classes(tmp_path: Path, photos: tuple, labels: dict) -> None:
    write(save_photos(tmp_path / "data", *photos), labels)
    done, rows = read_classes(tmp_path, "data")
    folders = {part for photo in photos for part in Path(photo).parts[:-1]} - {"gato", "perro"}
    assert not folders & {row["class"] for row in rows}, "folders of another meaning were taken for classes"
    assert "--format folders" not in done.err or done.code != 0


# 5: each lost label is named.

TABLE = ["file,class,split", "a.png,x,train", "b.png,y,val", "e.png,y,train"]
BACKBONE = ("--model", "mobilenetv3_small_050", "--weights", "none", "--size", "32")
LOST = {
    "without a file": (["gone1.png,x,train", "gone2.png,x,train"], ["t.csv:5", "gone1.png"]),
    "without a class": (["c.png,,train", "d.png,,train"], ["t.csv:5"]),
    "with two classes": (["c.png,x,train", "c.png,y,train"], ["t.csv:5", "c.png"]),
    "of an unknown part": (["c.png,x,mañana", "d.png,y,mañana"], ["t.csv:5", "mañana"]),
}


@pytest.mark.parametrize(
    ("kind", "command"),
    [*((kind, "check") for kind in LOST), ("with two classes", "convert"), ("without a class", "train")],
)
def test_5_a_lost_row_is_named_by_every_command(tmp_path: Path, kind: str, command: str) -> None:
    rows, told = LOST[kind]
    if command == "train":
        pytest.importorskip("torch")
    data = save_photos(tmp_path / "data", *(f"images/{name}.png" for name in "abcde"))
    write(data, {"t.csv": "\n".join([*TABLE, *rows, ""])})
    options = {"convert": ("out", "--to", "csv"), "train": BACKBONE}
    done = run_lince(tmp_path, command, "data", *options.get(command, ()))
    assert command == "check" or done.code != 0, "lost labels stop nothing"
    assert "no photos" not in done.said
    assert command != "check" or "ERROR" in lines_about(done.said, told[0]), "lost labels are a note"
    assert all(word in done.said for word in told), done.said


def lines_about(said: str, word: str) -> str:
    """Return the paragraphs of ``said`` in which ``word`` stands."""
    return "\n".join(part for part in re.split(r"\n\s*\n", said) if word in part)


@pytest.mark.parametrize("ending", ["HEIC", "avif", "cr2", "ppm"])
def test_5_photos_of_formats_that_are_not_read_are_counted_as_lost_photos(tmp_path: Path, ending: str) -> None:
    data = save_photos(tmp_path / "data", *(f"{name}/{i}.png" for name in "xy" for i in range(3)))
    write(data, {f"x/IMG_{i}.{ending}": b"\0\0\0\x18ftypnone" for i in range(20)})
    done = run_lince(tmp_path, "check", "data")
    assert "ERROR" in lines_about(done.out, f"IMG_0.{ending}"), "20 of 26 photos are no loss"
    assert "(20)" in done.out
    assert run_lince(tmp_path, "convert", "data", "out", "--to", "csv").code != 0


def test_5_photos_and_boxes_are_not_added_up(tmp_path: Path) -> None:
    data = save_photos(tmp_path / "data", "images/a.png", "images/b.png")
    write(
        data,
        {"labels/a.txt": "0 .5 .5 .2 .2\n0 .2 .2 .1 .1\n", "labels/b.txt": "0 .5 .5 .2 .2\n", "classes.txt": "x\n"},
    )
    done, boxes = read_boxes(tmp_path, "data")
    assert sum(map(len, boxes.values())) == 3
    assert not re.search(r"\b5 of 5\b|\b2 of 5\b", done.said), "photos and boxes are one number"
    assert re.search(r"2 (photos|images)\b.*\b3 (objects|boxes)", done.said), done.said


# 6: a photo whose rows were all refused is left out, and said.

REFUSED = {
    "yolo": {"labels/a.txt": "0 .5 .5 1.9 .2\n", "labels/b.txt": "0 .5 .5 .2 .2\n", "classes.txt": "x\n"},
    "coco": {"l.json": coco([{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 0, 4]}, GOOD])},
    "voc": {"a.xml": VOC.format("a", VOC_BOX.format("1,5")), "b.xml": VOC.format("b", VOC_BOX.format("1"))},
    "csv-boxes": {"l.csv": "filename,class,xmin,ymin,xmax,ymax\na.png,x,10,2,5,9\nb.png,x,1,2,5,9\n"},
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_6_a_photo_whose_labels_were_refused_is_no_photo_of_nothing(tmp_path: Path, kind: str) -> None:
    write(save_photos(tmp_path / "data", "images/a.png", "images/b.png"), REFUSED[kind])
    assert read_boxes(tmp_path, "data")[0].code != 0, "refused labels are dropped without a question"
    done, boxes = read_boxes(tmp_path, "data", "--allow-unusable")
    assert done.code == 0, done.said
    assert sorted(boxes) == ["b.png"], "a photo without its labels became a photo of nothing"
    assert "a." in done.said


# 20: written labels win over folders, and what they leave out is told.

LABELS = {
    "yolo": {"labels/1.txt": "0 .0625 .1375 .1 .175\n", "classes.txt": "x\n"},
    "voc": {"annotations/1.xml": VOC.format("1", VOC_BOX.format("1"))},
    "labelme": {"images/1.json": labelme("x", "1.png", [[1, 2], [9, 9]])},
    "csv-boxes": {"l.csv": "filename,class,xmin,ymin,xmax,ymax\n1.png,x,1,2,9,9\n"},
    "createml": {"l.json": json.dumps([{
        "image": "1.png", "annotations": [{"label": "x", "coordinates": {"x": 5, "y": 5.5, "width": 8, "height": 7}}],
    }])},
    "cvat": {"l.xml": '<annotations><image id="0" name="1.png" width="80" height="40">'
        '<box label="x" xtl="1" ytl="2" xbr="9" ybr="9" occluded="0"/></image></annotations>'},
    "labelstudio": {"l.json": json.dumps([{"id": 1, "data": {"image": "1.png"}, "annotations": [{"result": [{
        "type": "rectanglelabels", "original_width": 80, "original_height": 40, "from_name": "l", "to_name": "image",
        "value": {"x": 1.25, "y": 5, "width": 10, "height": 17.5, "rotation": 0, "rectanglelabels": ["x"]},
    }]}]}])},
}  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "kind"), [*((name, "yolo") for name in ("doc", "runs", "translate", "data_samples")),
                         *(("doc", kind) for kind in LABELS if kind != "yolo")],
)  # fmt: skip
def test_20_folders_yield_to_written_labels(tmp_path: Path, folder: str, kind: str) -> None:
    write(save_photos(tmp_path / "data", "images/1.png", f"{folder}/logo.png", f"{folder}/plot.png"), LABELS[kind])
    done, boxes = read_boxes(tmp_path, "data")
    assert boxes == {"1.png": [["x", 1, 2, 8, 7]]}, f"not read: {done.err}"
    assert f"{folder}/logo.png" in run_lince(tmp_path, "check", "data").said, "left out in silence"


@pytest.mark.parametrize("kind", ["coco", "classes", "csv-boxes", "createml", "cvat", "labelstudio"])
def test_20_photos_that_no_row_names_are_told(tmp_path: Path, kind: str) -> None:
    data = save_photos(tmp_path / "data", *(f"images/{name}.png" for name in ("a", "b", "1", "extra")))
    rows = [{**GOOD, "id": i, "image_id": i} for i in (1, 2)]
    own = {"coco": {"l.json": coco(rows)}, "classes": {"t.csv": "file,class\na.png,x\nb.png,y\n"}}
    write(data, own.get(kind) or LABELS[kind])
    assert "extra.png" in run_lince(tmp_path, "check", "data").said, "left out in silence"


@pytest.mark.parametrize(("photos", "masks"), [("image", "label"), ("imgs", "masks"), ("train/image", "train/label")])
def test_20_masks_lie_in_folders_of_other_names_and_have_class_names(tmp_path: Path, photos: str, masks: str) -> None:
    data = save_photos(tmp_path / "data", f"{photos}/a.png")
    mask = np.zeros((40, 80), np.uint8)
    mask[5:9, 7:20] = 1
    (data / masks).mkdir(parents=True)
    Image.fromarray(mask).save(data / masks / "a.png")
    write(data, {"data.yaml": "names: {0: background, 1: grieta}\n"})
    done, boxes = read_boxes(tmp_path, "data")
    assert boxes == {"a.png": [["grieta", 7, 5, 13, 4]]}, done.said


def test_20_rounding_is_no_finding(tmp_path: Path) -> None:
    boxes = ([10, 2, 70.0000000000002, 9], [-2e-13, 2, 60, 9], [1, 5, 9, 35.0000000000002])
    rows = [{"id": i, "image_id": 1, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)]
    write(save_photos(tmp_path / "data", "images/a.png", "images/b.png"), {"l.json": coco(rows)})
    done = run_lince(tmp_path, "check", "data")
    assert "outside" not in done.said, "a finding of 2e-13 pixels"
    assert "beyond" not in done.said, "a finding of 2e-13 pixels"


def test_20_many_rare_classes_are_no_endless_line(tmp_path: Path) -> None:
    save_photos(tmp_path / "data", *(f"clase {number:02}/1.png" for number in range(75)))
    done = run_lince(tmp_path, "check", "data", COLUMNS="100000")
    assert max(map(len, done.out.splitlines())) < 400, "75 names on one line"


def test_20_what_was_kept_speaks_the_language_of_who_reads(tmp_path: Path) -> None:
    """The labels of large sets are kept: of 20,000 boxes and more, in files that have lain for some seconds."""
    rows = [{"id": i, "image_id": 2, "category_id": 1, "bbox": [i % 70, i / 700, 5, 5]} for i in range(20_000)]
    rows.append({"id": 20_000, "image_id": 1, "category_id": 1, "bbox": [1, 2, 0, 4]})
    data = write(save_photos(tmp_path / "data", "images/a.png", "images/b.png"), {"l.json": coco(rows)})
    for path in (*data.rglob("*"), data):
        os.utime(path, (1e9, 1e9))
    told = []
    for number, language in enumerate(("en", "es")):
        done = run_lince(tmp_path, "convert", "data", f"out{number}", "--to", "yolo", LINCE_LANG=language)
        assert done.code == 0, done.said
        told += [line for line in done.said.splitlines() if "annotations/20000" in line]
    assert len(told) == 2
    assert told[0] != told[1], "a sentence of the other language was kept"


def test_20_paths_may_stand_around_options(tmp_path: Path) -> None:
    write(save_photos(tmp_path / "data", "a.png"), {"a.xml": VOC.format("a", VOC_BOX.format("1"))})
    done = run_lince(tmp_path, "convert", "data", "--format", "voc", "out", "--to", "coco")
    assert done.code == 0, done.err
