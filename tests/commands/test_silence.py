"""What is not understood is not dropped in silence, and a video is read whole or said to be cut off (points 7 and 9).

By the command line alone, so that every version of lince can be asked: see ``tests/support/command.py``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.support.command import FIXTURES, read_rows, run_lince
from tests.support.label_files import coco, labelme, read_boxes, read_classes, save_photos, write

# 7: what is not understood is not dropped in silence.


@pytest.mark.parametrize("header", ["x_center,y_center,width,height", "cx,cy,w,h", "x_centre,y_centre,w,h"])
def test_7_columns_of_boxes_are_read_or_named(tmp_path: Path, header: str) -> None:
    write(save_photos(tmp_path / "data", "a.png"), {"t.csv": f"file,class,{header}\na.png,x,0.5,0.5,0.25,0.5\n"})
    done, boxes = read_boxes(tmp_path, "data")
    assert boxes.get("a.png") == [["x", 30, 10, 20, 20]] or (done.code != 0 and header[:4] in done.err), "dropped"


@pytest.mark.parametrize("annotation", [0, 1])
def test_7_key_points_of_any_annotation_are_told(tmp_path: Path, annotation: int) -> None:
    rows = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 2, 3, 4]} for i in (1, 2)]
    rows[annotation]["keypoints"] = [1, 2, 2]
    write(save_photos(tmp_path / "data", "images/a.png", "images/b.png"), {"l.json": coco(rows)})
    done = run_lince(tmp_path, "check", "data")
    assert "key points" in done.said.lower(), "dropped in silence"
    assert len(read_boxes(tmp_path, "data", "--allow-unusable", "--lossy")[1]) == 2


@pytest.mark.parametrize(("position", "column"), [(0, 0), (2, 1), (11, 0), (19, 1)])
def test_7_an_open_quotation_mark_costs_its_row_alone(tmp_path: Path, position: int, column: int) -> None:
    cells = [[f"{i}.png", "xy"[i % 2]] for i in range(20)]
    cells[position][column] = '"' + cells[position][column]
    data = save_photos(tmp_path / "data", *(f"{i}.png" for i in range(20)))
    write(data, {"t.csv": "\n".join(["file,class", *(",".join(row) for row in cells), ""])})
    done, rows = read_classes(tmp_path, "data", "--allow-unusable")
    assert done.code == 0, done.said
    assert len(rows) == 19, "it swallowed the rows after it"
    assert f"t.csv:{position + 2}" in done.said, "where it opens is not said"


@pytest.mark.parametrize("label", ["", " ", "__ignore__"])
def test_7_a_label_without_a_name_is_no_class(tmp_path: Path, label: str) -> None:
    write(save_photos(tmp_path / "data", "a.png", "b.png"), {"a.json": labelme(label), "b.json": labelme("x", "b.png")})
    _done, boxes = read_boxes(tmp_path, "data", "--allow-unusable", "--lossy")
    assert {row[0] for rows in boxes.values() for row in rows} <= {"x"}, "a class without a meaning"
    assert "a.json" in run_lince(tmp_path, "check", "data").said, "dropped in silence"


def test_7_the_project_of_an_export_in_parts_is_no_class(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "hats", "supercategory": "none"}, {"id": 1, "name": "x", "supercategory": "hats"}]
    for part in ("train", "valid"):
        photo = {"id": 1, "file_name": f"{part}.png", "width": 80, "height": 40}
        rows = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]
        text = json.dumps({"images": [photo], "categories": categories, "annotations": rows})
        write(save_photos(tmp_path / "data", f"{part}/{part}.png"), {f"{part}/_annotations.coco.json": text})
    assert run_lince(tmp_path, "convert", "data", "out", "--to", "yolo").code == 0
    assert "hats" not in (tmp_path / "out" / "data.yaml").read_text("utf-8"), "the project became a class"


class OldEntry(zipfile.ZipInfo):
    """An entry whose name is written in an encoding of before Unicode, as Windows does, without saying so."""

    encoding = "cp932"

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(self.encoding), self.flag_bits & ~0x800


@pytest.mark.parametrize(("encoding", "classes"), [("cp932", ("新", "ソ犬")), ("cp850", ("niño", "año"))])
def test_7_names_in_archives_of_other_encodings(tmp_path: Path, encoding: str, classes: tuple[str, str]) -> None:
    save_photos(tmp_path, "1.png", "2.png")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name in classes:
            for photo in ("1.png", "2.png"):
                entry = OldEntry(f"{name}/{photo}")
                entry.encoding = encoding
                archive.writestr(entry, (tmp_path / photo).read_bytes() + name.encode())
    done, rows = read_classes(tmp_path, "data.zip")
    assert {row["class"] for row in rows} == set(classes) or (done.code != 0 and "encoding" in done.err), (
        "garbled names"
    )


def test_7_links_are_followed_alike(tmp_path: Path) -> None:
    save_photos(tmp_path, "data/x/1.png", "elsewhere/2.png", "elsewhere/3.png")
    (tmp_path / "data" / "y").symlink_to(tmp_path / "elsewhere")
    shutil.copytree(FIXTURES / "classification-run", tmp_path / "run")
    done = run_lince(tmp_path, "predict", "run", "data", "--csv", "found.csv")
    assert done.code == 0, done.said
    _done, rows = read_classes(tmp_path, "data")
    assert len(read_rows(tmp_path / "found.csv")) == len(rows) == 3, "predict skips what convert follows"


# 9: videos that were cut off.


@pytest.fixture(scope="module")
def detector() -> Path:
    pytest.importorskip("av")
    pytest.importorskip("scipy")
    return FIXTURES / "detection-model"


def film(path: Path, *options: str) -> Path:
    import av

    with av.open(str(path), "w", options=dict(part.split("=") for part in options)) as container:
        stream = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        rng = np.random.default_rng(0)
        for _number in range(50):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mkv", ()), ("a.avi", ()), ("a.ts", ()), ("a.mp4", ("movflags=faststart",)),
     ("b.mp4", ("movflags=frag_keyframe+empty_moov",))],
)  # fmt: skip
def test_9_a_video_that_was_cut_off_is_told(
    tmp_path: Path, detector: Path, name: str, options: tuple[str, ...]
) -> None:
    path = film(tmp_path / name, *options)
    whole = run_lince(tmp_path, "predict", detector, name)
    os.truncate(path, path.stat().st_size // 2)
    cut = run_lince(tmp_path, "predict", detector, name)
    frames = [int(re.search(r"(\d+) frames", done.said)[1]) for done in (whole, cut)]  # type: ignore[index]
    assert frames[0] == 50
    assert 5 < frames[1] < 50
    assert name == "a.ts" or not re.search(r"cut off|incomplete|missing|damaged", whole.said), whole.said
    assert re.search(r"cut off|incomplete|missing|damaged|cannot be told", cut.said), "cut off, and no word"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_9_a_start_beyond_the_end_writes_nothing(tmp_path: Path, detector: Path, name: str) -> None:
    film(tmp_path / name)
    done = run_lince(tmp_path, "predict", detector, name, "--from", "60s", "--save", "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == [], "a video of nothing"
    assert done.code != 0
