"""CSV tables of boxes: every layout is read, faults are refused by line, and written files read back."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lince import images
from lince.annotations import GROUP, OCCLUDED, TRUNCATED, Classes, ObjectTable, StringColumn
from lince.errors import AmbiguousError, DataError, LinceError, UsageError
from lince.formats import FORMATS, LabelTable, ReadOptions, WriteRequest, csv_text, open_table
from lince.formats.csv_boxes import reader as csv_boxes_reader
from lince.progress import SILENT
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location

HEIGHT, WIDTH = 40, 80
PHOTO = images.encode_png(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
BOX = [30.0, 10.0, 50.0, 30.0]
HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"
ROW = "a.png,80,40,casco,30,10,50,30"


def photos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)
    return root


def table_of(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def found(table: LabelTable) -> dict[str, list[tuple[str, list[float]]]]:
    objects = table.objects
    assert objects is not None
    kinds = [table.classes.names[i] for i in objects.class_ids]
    marks = list(zip(kinds, objects.boxes.tolist(), strict=True))
    return {name: marks[objects.slice_of_image(i)] for i, name in enumerate(table.names)}


def splits(table: LabelTable) -> dict[str, int]:
    return dict(zip(table.names, table.splits.tolist(), strict=True))


def faults(table: LabelTable) -> list[tuple[str, int | None, str]]:
    return [(refusal.path, refusal.line, refusal.kind) for refusal in table.rejected]


@pytest.mark.parametrize(
    "lines",
    [
        (HEADER, ROW),
        (f"{HEADER},split", f"{ROW},"),
        ("image,label,x_min,y_min,x_max,y_max", "images\\a.png,casco,30,10,50,30"),
        ("class;file_name;xmin;ymin;xmax;ymax", "casco;a.png;30,0;10;50;30,0"),
        ("Image Path\tX1\tY1\tX2\tY2\tLabel", "./images/a.png\t30\t10\t50\t30\tcasco"),
        ("label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height",
         "casco,30,10,20,20,a.png,80,40"),
        ("file,x,y,width,height,label", "a.png,30,10,20,20,casco"),
        ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded", "a,x,casco,1,0.375,0.625,0.25,0.75,0"),
        ("filename,class,xmin,ymin,xmax,ymax", "a.png,casco,0.375,0.25,0.625,0.75"),
        ("casco,30,10,20,20,a.png,80,40",),
        ("/home/ana/images/a.png,30,10,50,30,casco",),
        ('"filename","class","xmin","ymin","xmax","ymax"', '"a.png","casco","30","10","50","30"'),
        ("sep=;", "archivo;clase;xmin;ymin;xmax;ymax", "a.png;casco;30,0;10,00;50;30,0"),
        ("imagem\tclasse\tesquerda\ttopo\tlargura\taltura", "a.png\tcasco\t30,0\t10\t20\t20"),
        ("foto;categoría;izquierda;arriba;derecha;abajo", "a.png;casco;30;10;50;30"),
        (",filename,class,xmin,ymin,xmax,ymax", "0,a.png,casco,30,10,50,30"),
        ("0,a.png,30,10,50,30,casco",),
        ("a.png,casco,30,10,50,30",),
        ("7,a.png,80,40,casco,30,10,50,30",),
        ("image_id,class,bbox", 'a,casco,"[30, 10, 20, 20]"'),
        ("image_id;clase;caja", "a;casco;30 10 20.0 20"),
        ("imagem\tclasse\tcaixa", "a\tcasco\t[30,0; 10,0; 20,0; 20,0]"),
        ("image_id,class,bbox,width,height", 'a,casco,"(30.0, 10.0, 20.0, 20.0)",80,40'),
        ("image_id,class,bbox", 'a,casco,"[0.375, 0.25, 0.25, 0.5]"'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_columns(lines: tuple[str, ...], encoding: str, awkward: Path) -> None:
    photos(awkward, "images/a.png")
    path = table_of(awkward / "labels.csv", *lines, encoding=encoding)
    for named in (awkward, path):
        table = open_table(named)
        assert table.format == "csv-boxes"
        assert found(table) == {"images/a.png": [("casco", BOX)]}
        assert table.rejected == ()


@pytest.mark.parametrize(
    ("cells", "boxes", "told"),
    [
        (["[30, 10, 20, 20]"], [BOX], False),  # right of left, but below nothing: sides alone
        (["[1, 2, 30, 20]"], [[1, 2, 31, 22]], True),
        (["[1, 2, 30, 20]", "[40, 10, 50, 30]"], [[1, 2, 30, 20], [40, 10, 50, 30]], False),
        (["[1, 2, 30, 20]", "[30, 10, 20, 20]"], [[1, 2, 31, 22], BOX], False),
        (
            ["[1, 2, 30, 20]", "[40, 10, 50, 30]", "[2, 2, 2, 2]"],
            [[1, 2, 31, 22], [40, 10, 90, 40], [2, 2, 4, 4]],
            True,
        ),
    ],
)
@pytest.mark.parametrize("size", ["", ",80,40"])
def test_four_numbers_in_one_cell(
    cells: list[str], boxes: list[list[float]], told: bool, size: str, awkward: Path
) -> None:
    photos(awkward, "a.png")
    rows = [f'a.png,"{cell}"{size}' for cell in cells]
    table = open_table(
        table_of(awkward / "x.csv", "file,bbox" + (",width,height" if size else ""), *rows, f'a.png,""{size}')
    )
    assert table.objects is not None
    fitting = [box for box in boxes if not size or box[2] <= WIDTH]  # others are refused where the size is stated
    assert table.objects.boxes.tolist() == fitting
    assert table.classes.names == ("object",)
    notices = [item.reason for item in table.rejected if item.kind == "assumed"]
    assert any("left, top, width and height" in reason for reason in notices) == told
    assert any("class object" in reason for reason in notices)


def test_a_cell_that_is_no_box_is_named(awkward: Path) -> None:
    photos(awkward, "a.png")
    cells = ['"[30, 10, 20, 20]"', '"[1, 2, 3]"', '"[1, 2, 3, 4, 5]"', "x", '"[1e999, 2, 3, 4]"']
    table = open_table(table_of(awkward / "x.csv", "file,class,bbox", *(f"a.png,x,{cell}" for cell in cells)))
    assert [(line, kind) for _path, line, kind in faults(table)] == [
        (3, "number"),
        (4, "number"),
        (5, "number"),
        (6, "number"),
    ]
    assert found(table) == {"a.png": [("x", BOX)]}


def test_stated_sizes_are_used(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png", "c.png")
    rows = [ROW, ROW.replace("a.png", "b.png"), "b.png,81,40,casco,1,1,9,9", "c.png,,,casco,1,1,9,9"]
    table = open_table(table_of(awkward / "x.csv", HEADER, *rows))
    assert table.sizes is not None
    assert table.sizes.tolist() == [[40, 80], [0, 0], [0, 0]]


def test_photos_lie_in_the_folder_beside(awkward: Path) -> None:
    photos(awkward, "images/a.png")
    table = open_table(table_of(awkward / "data" / "labels.csv", HEADER, ROW))
    assert (list(table.names), table.root.name) == (["images/a.png"], awkward.name)


def test_parts_by_the_names_of_tables_folders_and_a_column(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png", "c.png", "d.png")
    table_of(awkward / "train_labels.csv", HEADER, ROW)
    table_of(awkward / "test" / "x.csv", HEADER, ROW.replace("a.png", "b.png"))
    table_of(
        awkward / "x.csv", f"{HEADER},set", f"{ROW.replace('a.png', 'c.png')},Valid", ROW.replace("a.", "d.") + ","
    )
    assert splits(open_table(awkward)) == {"a.png": TRAIN, "b.png": TEST, "c.png": VAL, "d.png": UNASSIGNED}


def test_tables_that_repeat_each_other_are_refused(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png")
    other = ROW.replace("a.png", "b.png")
    table_of(awkward / "all_labels.csv", HEADER, ROW, other)
    table_of(awkward / "train_labels.csv", HEADER, ROW)
    table_of(awkward / "test_labels.csv", HEADER, other)
    with pytest.raises(AmbiguousError, match=r"all_labels\.csv, test_labels\.csv, train_labels\.csv"):
        open_table(awkward)
    assert len(open_table(awkward / "all_labels.csv").names) == 2


def test_a_photo_in_two_tables_is_named(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png")
    table_of(awkward / "test.csv", HEADER, ROW, "b.png,80,40,casco,1,1,9,9")
    table_of(awkward / "train.csv", HEADER, "a.png,80,40,casco,1,1,9,9", "a.png,80,40,casco,1,1,8,8")
    table = open_table(awkward)
    assert faults(table) == [("train.csv", 2, "double")]
    assert "(2 rows)" in table.rejected[0].reason
    assert splits(table) == {"a.png": TEST, "b.png": TEST}


def test_photos_that_show_nothing(awkward: Path) -> None:
    photos(awkward, "a.png", "b.png")
    assert found(open_table(table_of(awkward / "x.csv", HEADER, "b.png,80,40,,,,,", ROW)))["b.png"] == []
    table = open_table(table_of(awkward / "x.csv", "b.png,,,,,", "a.png,30,10,50,30,casco"))
    assert found(table) == {"b.png": [], "a.png": [("casco", BOX)]}


def test_open_images(awkward: Path) -> None:
    photos(awkward, "validation/0001eeaf4aed83f9.png")
    table_of(awkward / "class-descriptions-boxable.csv", "/m/0cmf2,Airplane", "/m/01g317,Person")
    flags = "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
    table_of(
        awkward / "validation-annotations-bbox.csv",
        f"ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,{flags}",
        "0001eeaf4aed83f9,xclick,/m/0cmf2,1,0.375,0.625,0.25,0.75,0,0,0,0,0",
        "0001eeaf4aed83f9,xclick,/m/01g317,1,0,1,0,1,1,1,1,0,-1",
        "0004886b7d043cfd,xclick,/m/01g317,1,0,1,0,1,-1,-1,-1,-1,-1",
    )
    table = open_table(awkward)
    name = "validation/0001eeaf4aed83f9.png"
    assert found(table) == {name: [("Airplane", BOX), ("Person", [0, 0, WIDTH, HEIGHT])]}
    assert table.objects is not None
    assert table.objects.flags.tolist() == [0, OCCLUDED | TRUNCATED | GROUP]
    assert splits(table) == {name: VAL}
    assert faults(table) == [("validation-annotations-bbox.csv", 4, "no-image")]


ROWS = {
    "a.png,80,40,casco,30,10,50": ("row", "7 columns instead of 8"),
    ",80,40,casco,30,10,50,30": ("row", "no file"),
    "a.png,80,40,,30,10,50,30": ("no-class", "no class"),
    "a.png,80,40,casco,,,,": ("row", "a class without a box"),
    "a.png,80,40,casco,30,,50,30": ("number", "empty"),
    "a.png,80,40,casco,x,10,50,30": ("number", "not a number: x"),
    "a.png,80,40,casco,1_0,10,50,30": ("number", "1_0"),
    "a.png,80,40,casco,nan,10,50,30": ("number", "not a number"),
    "a.png,80,40,casco,50,10,30,30": ("inverted", "swapped corners"),
    "a.png,80,40,casco,30,10,30,30": ("empty", "no area"),
    "a.png,80,40,casco,30,10,90,30": ("outside", "by 10 px"),
    "a.png,80.5,40,casco,30,10,50,30": ("number", "80.5 pixels"),
    "a.png,-1,40,casco,30,10,50,30": ("number", "-1 pixels"),
    "a.png,9999999999,40,casco,30,10,50,30": ("number", "9999999999 pixels"),
    "gone.png,80,40,casco,30,10,50,30": ("no-image", "gone.png (1 rows)"),
}


@pytest.mark.parametrize("row", list(ROWS))
def test_rows_that_cannot_be_used_are_named_with_their_line(row: str, awkward: Path) -> None:
    photos(awkward, "a.png")
    table = open_table(table_of(awkward / "x.csv", HEADER, ROW, "", row, ROW.replace("30,10", "29,10")))
    (refusal,) = table.rejected
    fault, words = ROWS[row]
    assert (refusal.path, refusal.line, refusal.kind) == ("x.csv", 4, fault)
    assert words in refusal.reason
    assert refusal.remedy
    assert found(table) == {"a.png": [("casco", BOX), ("casco", [29, 10, 50, 30])]}


def test_parts_that_contradict_or_are_unknown(awkward: Path) -> None:
    photos(awkward, "a.png")
    rows = (f"{ROW},train", f"{ROW},test", f"{ROW},mañana")
    table = open_table(table_of(awkward / "x.csv", f"{HEADER},split", *rows))
    assert faults(table) == [("x.csv", 4, "split"), ("x.csv", 3, "split")]


def test_two_columns_for_one_thing_are_refused(awkward: Path) -> None:
    photos(awkward, "a.png")
    path = table_of(awkward / "x.csv", f"{HEADER},label", f"{ROW},x")
    with pytest.raises(AmbiguousError, match=r"x\.csv.*class, label"):
        open_table(path)


def test_a_table_of_boxes_without_classes_says_what_it_lacks(awkward: Path) -> None:
    photos(awkward, "a.png")
    with pytest.raises(UsageError, match="table of boxes"):
        open_table(table_of(awkward / "x.csv", "filename,xmin,ymin,xmax,ymax", "a.png,1,1,2,2"))
    with pytest.raises(DataError, match="not a table of boxes"):
        open_table(table_of(awkward / "x.csv", "a,b"), "csv-boxes")


@pytest.mark.parametrize(
    "lines",
    [
        ("filename,class", "a.png,x"),
        ("file,class,split", "a.png,x,train"),
        ("a.png,x",),
        ("1,2,3,4,5,6",),
        ("casco,30,10,20,20,a,80,40",),
        ("name,left,top", "a.png,1,2"),
        ("",),
        ("\0\1",),
    ],
)
def test_other_tables_are_not_taken_for_it(lines: tuple[str, ...], awkward: Path) -> None:
    photos(awkward, "a.png")
    assert csv_boxes_reader.detect(resolve_location(table_of(awkward / "x.csv", *lines))) is None


def test_what_is_written(awkward: Path) -> None:
    third = 1 / 3
    objects = ObjectTable(
        starts=np.array([0, 2, 2]),
        class_ids=np.array([1, 0], np.int32),
        boxes=np.array([BOX, [third, 1e-9, 79.1, 40.0]]),
        flags=np.zeros(2, np.uint8),
        ring_starts=np.zeros(3, np.int64),
        point_starts=np.zeros(1, np.int64),
        points=np.empty((0, 2)),
        masks=StringColumn.from_strings(["", ""]),
    )
    names = ["images/a.png", 'images/ñ, "1".png']
    table = LabelTable(
        root=awkward,
        format="made",
        names=StringColumn.from_strings(names),
        classes=Classes(("a, b", "casco")),
        objects=objects,
        class_ids=np.full(2, -1, np.int32),
        splits=np.array([TRAIN, UNASSIGNED], np.int8),
    )
    csv_boxes_reader.write(WriteRequest(table, names, np.array([[40, 80]] * 2, np.int32), lambda row: PHOTO), awkward)
    assert (awkward / "labels.csv").read_text(encoding="utf-8").splitlines() == [
        f"{HEADER},split",
        "images/a.png,80,40,casco,30,10,50,30,train",
        f'images/a.png,80,40,"a, b",{third!r},1e-09,79.1,40,train',
        '"images/ñ, ""1"".png",80,40,,,,,,',
    ]
    again = open_table(photos(awkward, *names))
    assert found(again) == {names[0]: [("casco", BOX), ("a, b", objects.boxes[1].tolist())], names[1]: []}
    assert again.splits.tolist() == [TRAIN, UNASSIGNED]


# Hostile input

REAL = f"{HEADER}\n{ROW}\n{ROW.replace('a.png', 'b.png')}\nb.png,80,40,,,,,\n".encode()


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    def change(parts: tuple[int, int, bytes, int]) -> bytes:
        start, length, new, times = parts
        start %= len(data)
        piece = data[start : start + length]
        return data[:start] + new + piece * times + data[start + length :]

    return st.tuples(st.integers(0, 300), st.integers(0, 30), st.binary(max_size=6), st.integers(0, 4)).map(change)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.one_of(st.binary(max_size=60), mutated(REAL), mutated(REAL)))
@example(data=REAL)
@example(data=f'{HEADER}\n"{"x" * 200_000}'.encode())
@example(data=f"{HEADER}\na.png,1e400,40,x,1,1,2,2\na.png,80,40,x,1e308,1,2,2\na.png,80,inf,x,1,1,2,2\n".encode())
@example(data=b"x,1e308,0.1,1e308,1e308,a.png,1,1\n")
@example(data=f"{HEADER}\na\0.png,80,40,x,1,1,2,2\n".encode())
@example(data=f'{HEADER}\n"a.png\n",80,40,x,1,1,2,2\n'.encode())
def test_strange_tables_are_refused_or_their_rows_are(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = photos(tmp_path_factory.getbasetemp() / "strange-boxes", "a.png", "b.png")
    (root / "x.csv").write_bytes(data)
    csv_boxes_reader.detect(resolve_location(root))
    try:
        table = FORMATS["csv-boxes"].read(resolve_location(root / "x.csv"), ReadOptions(), SILENT)
    except LinceError:
        return
    assert table.objects is not None
    if data.startswith(HEADER.encode() + b"\n"):
        lines = csv.reader(io.StringIO(csv_text.decode_text(data), newline=""))
        rows = [cells for cells in lines if any(cell.strip() for cell in cells)][1:]
        empty = sum(len(cells) == 8 and not any(cell.strip() for cell in cells[3:]) for cells in rows)
        if any("quotation mark" in refusal.reason for refusal in table.rejected):
            return  # rows that csv.reader takes for one are read each for itself
        kept = [refusal for refusal in table.rejected if refusal.kind != "lost"]
        counts = [re.search(r"\((\d+) rows\)$", refusal.reason) for refusal in kept]
        used = len(table.objects) + sum(int(count[1]) if count else 1 for count in counts)
        assert used <= len(rows) <= used + empty


# Real photos


def test_raccoons(shared: Path) -> None:
    data = shared / "data" / "raccoon"
    table = open_table(data / "data" / "raccoon_labels.csv")
    voc = open_table(data, "voc")
    assert table.objects is not None
    assert (len(table.names), len(table.objects), table.rejected) == (200, 217, ())
    assert {name: sorted(marks) for name, marks in found(table).items()} == {
        name: sorted(marks) for name, marks in found(voc).items()
    }
    assert table.sizes is not None
    assert voc.sizes is not None
    assert dict(zip(table.names, table.sizes.tolist(), strict=True)) == dict(
        zip(voc.names, voc.sizes.tolist(), strict=True)
    )


def test_raccoons_in_three_tables_are_refused(shared: Path) -> None:
    with pytest.raises(AmbiguousError, match=r"raccoon_labels\.csv, test_labels\.csv, train_labels\.csv"):
        open_table(shared / "data" / "raccoon" / "data", "csv-boxes")
    table = open_table(shared / "data" / "raccoon" / "data" / "test_labels.csv")
    assert (len(table.names), set(table.splits.tolist())) == (40, {TEST})
