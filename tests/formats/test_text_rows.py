"""KITTI and DOTA: rows, notes, what is not used, and damaged files; counts as the lines themselves say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.mutated_bytes import draw_mutated

from lince import images
from lince.annotations import DIFFICULT, OCCLUDED, TRUNCATED
from lince.errors import LinceError
from lince.formats import FORMATS, LabelTable, ReadOptions, open_table
from lince.progress import SILENT
from lince.splits import TRAIN, UNASSIGNED
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))
REST = "1.5 1.6 3.9 1.0 1.5 20.0 -1.5"
KITTI = f"Car 0.00 0 -1.57 10.00 20.00 40.00 30.50 {REST}\n"
DOTA = "10 10 50 12 48 40.5 8 38 plane 0\n"


def put(root: Path, texts: dict[str, str], *photos: str) -> Path:
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    for name in photos:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)
    return root


def faults(table: LabelTable) -> list[tuple[str, int | None, str]]:
    return [(item.path, item.line, item.kind) for item in table.rejected]


def test_kitti_with_notes_and_regions_that_nobody_labelled(awkward: Path) -> None:
    rows = [
        KITTI,
        f"Pedestrian 0.30 2 -10 1 2 3 4 {REST} 0.9\n",
        f"DontCare -1 -1 -10 5 6 7 8 {'-1 ' * 7}\n",
        f"Car 0 3 0 1 2 x 4 {REST}\n",
        "Car 0 0 0 1 2 3 4\n",
    ]
    texts = {"training/label_2/0 ñ.txt": "".join(rows), "training/label_2/1.txt": "", "LEEME.txt": "hola\n",
             "training/label_2/2.txt": KITTI + KITTI}  # fmt: skip
    photos = ["training/image_2/0 ñ.png", "training/image_2/1.png", "testing/image_2/5.png"]
    table = open_table(put(awkward, texts, *photos))
    assert (table.format, table.classes.names) == ("kitti", ("Car", "Pedestrian"))
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == dict.fromkeys(photos[:2], TRAIN)
    assert table.objects is not None
    assert table.objects.boxes.tolist() == [[10, 20, 40, 30.5], [1, 2, 3, 4]]
    assert table.objects.flags.tolist() == [0, TRUNCATED | OCCLUDED]
    name = "training/label_2/0 ñ.txt"
    assert sorted(faults(table), key=repr) == sorted([
        ("LEEME.txt", None, "other-labels"), (name, 4, "row"), (name, 5, "row"),
        ("training/label_2/2.txt", None, "no-image"), (name, None, "reduced"), (photos[2], None, "unlabelled"),
    ], key=repr)  # fmt: skip
    assert any("2 annotations" in item.reason for item in table.rejected)


def test_calibration_beside_the_labels_of_kitti_is_no_label(awkward: Path) -> None:
    calibration = f"P0: {'7.2e+02 ' * 12}\nR0_rect: {'0.1 ' * 9}\n"
    labels = {"training/label_2/7.txt": KITTI, "training/label_2/8.txt": "Car 0 0\n"}
    texts = {"training/calib/7.txt": calibration, **labels}
    table = open_table(put(awkward, texts, "training/image_2/7.png", "training/image_2/8.png"))
    assert table.objects is not None
    assert list(table.names) == ["training/image_2/7.png"]
    assert table.objects.boxes.tolist() == [[10, 20, 40, 30.5]]
    assert [fault[:2] for fault in faults(table) if fault[2] in ("other-labels", "row")] == [
        ("training/calib/7.txt", None), ("training/label_2/8.txt", 1),
    ]  # fmt: skip


def test_dota_is_read_as_outlines(awkward: Path) -> None:
    text = f"imagesource:GoogleEarth\ngsd:0.5\n{DOTA}0.5 0.5 9 1 9 9 1 9 large-vehicle 1\n1 1 2 2 3 plane 0\n"
    table = open_table(put(awkward, {"labelTxt/P0.txt": text}, "images/P0.png"))
    assert (table.format, table.classes.names) == ("dota", ("large-vehicle", "plane"))
    assert table.splits.tolist() == [UNASSIGNED]
    assert table.objects is not None
    assert table.objects.boxes.tolist() == [[8, 10, 50, 40.5], [0.5, 0.5, 9, 9]]
    assert table.objects.get_polygons(0)[0].tolist() == [[10, 10], [50, 12], [48, 40.5], [8, 38]]
    assert table.objects.flags.tolist() == [0, DIFFICULT]
    assert faults(table) == [("labelTxt/P0.txt", 5, "row")]


@pytest.mark.parametrize(("kind", "row"), [("kitti", KITTI), ("dota", DOTA)])
def test_one_file_beside_the_photos(kind: str, row: str, awkward: Path) -> None:
    put(awkward, {"a.txt": row * 3, "b.txt": row}, "a.png", "b.png")
    table = open_table(awkward / "a.txt")
    assert (table.format, list(table.names), table.rejected) == (kind, ["a.png"], ())
    assert table.objects is not None
    assert len(table.objects) == 3


@pytest.mark.parametrize("kind", ["kitti", "dota"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.data())
def test_every_line_is_used_or_named(kind: str, seed: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    real = (KITTI * 2 if kind == "kitti" else f"gsd:null\n{DOTA * 2}").encode()
    data = seed.draw(st.one_of(st.binary(max_size=60), *[draw_mutated(real)] * 3))
    root = put(tmp_path_factory.getbasetemp() / f"damaged-{kind}", {}, "a.png")
    (root / "a.txt").write_bytes(data)
    FORMATS[kind].detect(resolve_location(root))
    try:
        table = FORMATS[kind].read(resolve_location(root), ReadOptions(), SILENT)
    except LinceError:
        return
    assert table.objects is not None
    rows = [line for line in data.split(b"\n") if line.strip() and not line.strip().lower().startswith(b"gsd")]
    assert len(table.objects) >= len(rows) or table.rejected
