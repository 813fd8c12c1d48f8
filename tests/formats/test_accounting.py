"""Every row and photo is used or named: each kind of loss has its own name, count, severity and remedy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lince import images
from lince.checks.check_context import CheckContext
from lince.checks.rejected_labels import check_rejected_labels
from lince.datasets import open_dataset
from lince.datasets.conversion import ConvertOptions, convert_dataset
from lince.datasets.dataset import Dataset
from lince.datasets.image_sizes import measure_image_sizes
from lince.datasets.verification import require_usable_dataset
from lince.errors import DataError
from lince.findings import Severity
from lince.formats.csv_text import read_records
from lince.tasks import get_task, resolve_task

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def table_of(root: Path, *rows: str, header: str = "file,class,split", photos: str = "abcd") -> Path:
    return put(root, {f"images/{name}.png": PHOTO for name in photos} | {"t.csv": "\n".join([header, *rows, ""])})


def findings(dataset: Dataset) -> dict[str, tuple[int, Severity]]:
    context = CheckContext(dataset, None)  # type: ignore[arg-type]
    return {found.code: (found.count, found.severity) for found in check_rejected_labels(context)}


GOOD = ("a.png,x,train", "b.png,y,val")
LOSSES = {
    "a row without a file": ("z.png,x,train", "no-image", ERROR),
    "a row without a class": ("c.png,,train", "no-class", ERROR),
    "what pandas writes for no class": ("c.png,NaN,train", "no-class", ERROR),
    "a row of an unknown part": ("c.png,x,mañana", "split", ERROR),
    "a photo that is there twice": ("a.png,x,train", "double", ERROR),
    "too few cells": ("c.png", "row", ERROR),
    "an open quotation mark": ('"c.png,x,train', "row", ERROR),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_of_a_table_has_its_kind(awkward: Path, name: str) -> None:
    row, kind, severity = LOSSES[name]
    dataset = open_dataset(table_of(awkward, *GOOD, row, "d.png,y,train"))
    assert [dataset.images.get_name(i) for i in range(len(dataset))] == ["a.png", "b.png", "d.png"]
    found = findings(dataset)
    assert found[kind] == (1, severity)
    assert found.keys() - {kind} <= {"unlabelled"}  # c.png, where its row is lost
    with pytest.raises(DataError, match=r"t\.csv:4"):
        convert_dataset(dataset, awkward / "out", "coco", ConvertOptions(lossy=True))
    with pytest.raises(DataError, match=r"t\.csv:4"):
        require_usable_dataset(get_task("classify").select_usable(dataset))


def test_a_photo_with_two_classes_loses_both_rows(awkward: Path) -> None:
    assert findings(open_dataset(table_of(awkward, *GOOD, "b.png,x,val"))) == {
        "several-classes": (2, ERROR), "unlabelled": (2, WARNING),
    }  # fmt: skip


def test_photos_that_no_row_names_are_told_and_do_not_stop(awkward: Path) -> None:
    dataset = open_dataset(table_of(awkward, *GOOD))
    assert findings(dataset) == {"unlabelled": (2, WARNING)}
    require_usable_dataset(dataset)
    task = resolve_task(dataset)
    assert "c.png, d.png" in task.describe_unlabelled(task.select_usable(dataset))


def test_photos_in_another_folder_that_no_row_names_are_told(awkward: Path) -> None:
    names = [f"set/used/{name}.png" for name in "ab"] + [f"set/imagens/x{number}.png" for number in range(3)]
    put(awkward, dict.fromkeys(names, PHOTO) | {"set/labels.csv": "image,breed\nused/a.png,uno\nused/b.png,dos\n"})
    dataset = open_dataset(awkward, format="csv")
    assert (len(dataset), findings(dataset)) == (2, {"unlabelled": (3, WARNING)})


def test_photos_that_no_entry_of_a_coco_file_names_are_told(awkward: Path) -> None:
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 80, "height": 40}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    put(awkward, {"images/a.png": PHOTO, "images/b.png": PHOTO, "a.json": json.dumps(document)})
    dataset = open_dataset(awkward)
    assert (len(dataset), findings(dataset)) == (1, {"unlabelled": (1, WARNING)})


def test_photos_in_other_formats_are_no_note(awkward: Path) -> None:
    put(awkward, {"x/a.png": PHOTO, "y/b.png": PHOTO, "x/notes.mat": b"1"})
    put(awkward, {f"y/IMG_{i}.HEIC": b"heic" for i in range(3)} | {"x/c.avif": b"avif"})
    dataset = open_dataset(awkward)
    assert findings(dataset) == {"unsupported": (4, ERROR), "other-file": (1, NOTE)}


def test_files_that_are_no_photos_by_name_stop_nothing(awkward: Path) -> None:
    put(awkward, {f"{name}/{number}.png": PHOTO for name in "xy" for number in range(10)})
    put(awkward, {"x/README.md": b"x", "y/LICENSE": b"y", "y/notes.txt": b"z", "scripts/a.py": b"1"})
    dataset = open_dataset(awkward)
    assert findings(dataset) == {"other-file": (4, NOTE)}
    require_usable_dataset(dataset)
    put(awkward, {"y/scan.dcm": b"DICM"})
    with pytest.raises(DataError, match=r"1 of 25 .*\n  y/scan\.dcm"):
        require_usable_dataset(open_dataset(awkward))
    (awkward / "y" / "scan.dcm").rename(awkward / "y" / "broken.jpg")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        require_usable_dataset(open_dataset(awkward))


@pytest.mark.parametrize("place", ["first", "in the middle", "last"])
@pytest.mark.parametrize("column", [0, 1])
def test_an_open_quotation_mark_costs_its_line_alone(place: str, column: int) -> None:
    lines = [[f"{i}.png", "cat" if i % 2 else "dog"] for i in range(20)]
    position = {"first": 0, "in the middle": 7, "last": 19}[place]
    lines[position][column] = '"' + lines[position][column]
    text = "\n".join(["file,class", *(",".join(cells) for cells in lines)]) + "\n"
    records = list(read_records(Path("t.csv"), text, ",", 2, (0, 1)))
    kept = [cells for _line, cells in records if cells is not None]
    assert (len(records), [line for line, cells in records if cells is None]) == (21, [position + 2])
    assert kept == [["file", "class"], *(cells for i, cells in enumerate(lines) if i != position)]


def test_a_quotation_mark_that_a_later_one_closes_is_found_too() -> None:
    text = 'file,class\n"a.png,x\nb.png,y\n"c.png",x\nd.png,"line\nbreak"\n'
    assert list(read_records(Path("t.csv"), text, ",", 2, (0, 1))) == [
        (1, ["file", "class"]), (2, None), (3, ["b.png", "y"]), (4, ["c.png", "x"]), (5, ["d.png", "line\nbreak"]),
    ]  # fmt: skip


def test_a_table_of_open_quotation_marks_is_an_error_in_time() -> None:
    text = "file,class\n" + '"a.png,x\n' * 5001
    with pytest.raises(DataError, match=r"t\.csv:\d+"):
        list(read_records(Path("t.csv"), text, ",", 2, (0, 1)))


# A photo whose labels were all refused


def coco(*boxes: list[float]) -> str:
    annotations = [{"id": i, "image_id": 1, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)]
    photos = [{"id": i, "file_name": f"images/{name}.png"} for i, name in enumerate("ab", 1)]
    return json.dumps({"images": photos, "categories": [{"id": 1, "name": "x"}], "annotations": annotations})


def labelme(name: str, *labels: str) -> str:
    points = [[1, 2], [30, 20]]
    shapes = [{"label": label, "points": points, "shape_type": "rectangle", "flags": {}} for label in labels]
    return json.dumps({"version": "5", "flags": {}, "shapes": shapes, "imagePath": f"images/{name}.png"})


VOC = "<annotation><filename>{}.png</filename>{}</annotation>"
VOC_BOX = "<object><name>x</name><bndbox><xmin>1,5</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
ONE_REFUSED: dict[str, dict[str, str | bytes]] = {
    "yolo": {"labels/a.txt": "0 0,5 0.5 0.2 0.2\n", "labels/b.txt": "", "classes.txt": "x\n"},
    "coco": {"l.json": coco([1, 2, float("nan"), 4])},
    "labelme": {"a.json": labelme("a", ""), "b.json": labelme("b")},
    "voc": {"a.xml": VOC.format("a", VOC_BOX), "b.xml": VOC.format("b", "")},
    "csv-boxes": {"l.csv": "filename,class,xmin,ymin,xmax,ymax\na.png,x,10,2,5,9\nb.png,,,,,\n"},
    "createml": {
        "l.json": json.dumps([
            {"image": "a.png", "annotations": [{"label": "x", "coordinates": {"x": 1}}]},
            {"image": "b.png", "annotations": []},
        ])
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_REFUSED)
def test_a_photo_whose_labels_were_all_refused_is_no_photo_of_nothing(awkward: Path, name: str) -> None:
    put(awkward, {"images/a.png": PHOTO, "images/b.png": PHOTO, **ONE_REFUSED[name]})
    dataset = open_dataset(awkward, format=name)
    assert [dataset.images.get_name(i) for i in range(len(dataset))] == ["images/b.png"]
    found = findings(dataset)
    assert found.pop("lost") == (1, ERROR)
    assert [count for count, severity in found.values() if severity is ERROR] == [1]


def test_a_photo_keeps_the_labels_that_are_left(awkward: Path) -> None:
    files: dict[str, str | bytes] = {"images/a.png": PHOTO, "labels/a.txt": "0 0.5 0.5 0.2 0.2\n0 x 0.5 0.2 0.2\n"}
    dataset = open_dataset(put(awkward, {**files, "classes.txt": "x\n"}))
    assert dataset.objects is not None
    assert (len(dataset), len(dataset.objects), findings(dataset)) == (1, 1, {"number": (1, ERROR)})


def test_a_photo_that_loses_all_boxes_by_its_real_size_is_left_out(awkward: Path) -> None:
    document = json.loads(coco([70, 30, 60, 60]))
    for image in document["images"]:
        image.update(width=800, height=400)
    put(awkward, {"images/a.png": PHOTO, "images/b.png": PHOTO, "l.json": json.dumps(document)})
    measured, misstated = measure_image_sizes(open_dataset(awkward))
    assert ([measured.images.get_name(i) for i in range(len(measured))], misstated) == (["images/b.png"], 2)
    assert [item.kind for item in measured.rejected] == ["outside", "lost"]


def test_what_is_used_in_part_is_no_loss(awkward: Path) -> None:
    row = "0 0.5 0.5 0.2 0.2 0.4 0.4 2\n"
    yaml = "train: images\nval: images\nkpt_shape: [1, 3]\nnames: [x]\n"
    dataset = open_dataset(put(awkward, {"images/a.png": PHOTO, "labels/a.txt": row, "data.yaml": yaml}))
    assert dataset.summarise() == "used 1 photo with 1 object; left out: 0"
    assert findings(dataset) == {"reduced": (1, WARNING), "overlap": (1, WARNING)}
    require_usable_dataset(dataset)
