"""What lince wrote among the photos is not read as data: runs, models, answers, tables, pictures, printed JSON.

By the command line alone, so that every version of lince can be asked: see ``tests/support/command.py``.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support import command
from tests.support.command import FIXTURES, Finished, bring_run, read_files, read_rows

COUNT = 36  # photos of the set
SCRATCH = ("--recipe", "scratch", "--model", "cnn: conv 8 3, pool, flatten", "--size", "16", "--epochs", "1")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of photos in class folders; beside it is a ``run``."""
    bring_run(tmp_path)
    return tmp_path / "shapes"


def run_lince(folder: Path, *words: str | Path) -> Finished:
    """Run ``lince`` in a folder of photos; its cache is beside that."""
    return command.run_lince(folder, *words, LINCE_CACHE=str(folder.parent / "cache"))


def read_count(done: Finished) -> tuple[int, str]:
    """Return how many photos a check used, and the format that it read."""
    assert done.code == 0, done.said
    return done.document["used"], done.document["read_as"]


# What is written among the photos, by commands that run in their folder, and what is named as left out afterwards.
WRITTEN = {
    "answers": (["predict ../run aro --save out"], "out"),
    "answers of a folder of its own": (["predict ../run aro --save results/out"], "results/out"),
    "a table of answers": (["predict ../run aro/*.png --csv answers.csv"], "answers.csv"),
    "figures": (["evaluate ../run . --out ../figures --include-seen", "move ../figures figures"], "figures"),
    "a sheet": (["show lince:digits --out sheet.png"], "sheet.png"),
    "photos that are alike": (["similar ../run aro/*0.png barra --save alike.png"], "alike.png"),
    "a model": (["export ../run --out exported"], "exported"),
    "a run": (["move ../run run"], "run"),
    "runs": (["move ../run runs/train", "move ../run runs/train2"], "runs/train, runs/train2"),
    "printed checks": (["check . --out ../page.html --json > check.json"], ""),
    "printed answers": (["predict ../run . --json > answers.json"], ""),
    "printed photos that are alike": (["similar ../run aro/*0.png . --json > similar.json"], ""),
    "a printed conversion": (["convert . ../out --to huggingface --json > convert.json"], ""),
    "a page": (["check . --out check.html"], ""),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_lince_wrote_among_the_photos_is_not_read(photos: Path, name: str) -> None:
    commands, left_out = WRITTEN[name]
    before = read_count(run_lince(photos, "check", ".", "--json", "--out", "../before.html"))
    for line in commands:
        write(photos, line)
    done = run_lince(photos, "check", ".", "--json", "--out", "../after.html")
    assert read_count(done) == before == (COUNT, "folders"), done.err
    told = [line for line in done.err.splitlines() if line.startswith("Not read as data")]
    assert told == ([f"Not read as data, since lince wrote it: {left_out}"] if left_out else [])
    found = [item for item in done.document["findings"] if item["code"] == "own-output"]
    assert [item["severity"] for item in found] == (["note"] if left_out else [])


def write(folder: Path, line: str) -> None:
    """Run a line of ``WRITTEN`` in ``folder``: a command, maybe into a file, or ``move`` of what lies elsewhere."""
    line, _sign, target = line.partition(" > ")
    words = [name for word in line.split() for name in (sorted(map(str, folder.glob(word))) if "*" in word else [word])]
    if words[0] == "move":
        shutil.copytree(folder / words[1], folder / words[-1], dirs_exist_ok=True)
        return
    done = run_lince(folder, *words)
    assert done.code == 0, done.said
    if target:
        (folder / target).write_text(done.out, "utf-8")


def test_a_second_training_takes_the_photos_that_are_new(photos: Path) -> None:
    pytest.importorskip("torch")
    for count in (COUNT, COUNT + 3):
        done = run_lince(photos, "train", ".", *SCRATCH)
        assert done.code == 0, done.said
        run = photos / "runs" / ("train" if count == COUNT else "train2")
        assert len(read_rows(run / "split.csv")) == count, "a run was taken for the labels"
        for number, name in enumerate(("aro", "barra", "cruz")):
            pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(photos / name / "new.png")
    assert "runs/train" in done.err


def test_every_command_leaves_out_the_same(photos: Path) -> None:
    write(photos, "move ../run runs/train")
    write(photos, "predict ../run aro --save out")
    for words in ("split . ../split.csv", "convert . ../out --to huggingface", "augment . --out ../sheet.png",
                  "evaluate ../run . --include-seen", "show . --out ../show.png"):  # fmt: skip
        done = run_lince(photos, *words.split())
        assert done.code == 0, done.said
        assert "Not read as data, since lince wrote it: out, runs/train" in done.err, words
    assert len(read_rows(photos.parent / "split.csv")) == COUNT
    assert len(list((photos.parent / "out").rglob("*.png"))) == COUNT


def test_predict_does_not_predict_what_lince_wrote_but_names_it(photos: Path) -> None:
    write(photos, "move ../run runs/train")
    write(photos, "predict ../run aro --save out")
    done = run_lince(photos, "predict", "../run", ".", "--json")
    assert len(done.document["predictions"]) == COUNT
    assert sorted(item["file"] for item in done.document["rejected"]) == ["out", "runs/train"]


def test_what_lince_wrote_is_read_when_it_is_given(photos: Path) -> None:
    write(photos, "predict ../run aro/foto*.png --csv answers.csv")
    done = run_lince(photos, "check", "answers.csv", "--json", "--out", "../page.html")
    assert read_count(done)[1] == "csv"
    assert "since lince wrote it" not in done.said
    for name in ("aro", "barra", "cruz"):
        write(photos, f"move ../shapes/{name} ../runs/train/photos/{name}")
    write(photos, "move ../run ../runs/train")
    for given in (photos / "../runs/train/photos", "../runs/train/photos"):
        done = run_lince(photos, "check", given, "--json", "--out", "../page.html")
        assert read_count(done) == (COUNT, "folders")


def test_a_table_of_answers_that_was_corrected_is_somebodys_own(photos: Path) -> None:
    write(photos, "predict ../run aro/*.png --csv answers.csv")
    table = photos / "answers.csv"
    table.write_text(table.read_text("utf-8").replace(",barra,", ",cruz,").replace(",aro,", ",cruz,", 1), "utf-8")
    done = run_lince(photos, "check", ".", "--json", "--out", "../page.html")
    assert "since lince wrote it" not in done.err
    assert done.document["read_as"] == "csv"


def test_an_archive_leaves_out_the_same(photos: Path) -> None:
    write(photos, "move ../run runs/train")
    write(photos, "predict ../run aro --save out")
    archive = photos.parent / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in read_files(photos):
            packed.write(photos / name, f"photos/{name}")
    done = run_lince(photos.parent, "check", archive, "--json")
    assert read_count(done) == (COUNT, "folders")
    assert "since lince wrote it: out, runs/train" in done.err


def test_a_folder_of_runs_alone_says_why_it_holds_nothing(photos: Path) -> None:
    write(photos, "move ../run runs/train")
    done = run_lince(photos, "check", "runs")
    assert done.code == 2
    assert "since lince wrote it: train" in done.err


def test_files_of_the_same_names_that_are_no_run_are_read(photos: Path) -> None:
    boxes = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    inner = photos / "inner"
    inner.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 40), (number * 40, 9, 9)).save(inner / f"{number}.png")
        boxes["images"].append({"id": number, "file_name": f"{number}.png", "width": 40, "height": 40})
        boxes["annotations"].append({"id": number, "image_id": number, "category_id": 1, "bbox": [1, 1, 9, 9]})
    (inner / "data.json").write_text(json.dumps(boxes), "utf-8")
    (inner / "config.toml").write_text("[tool]\n", "utf-8")
    done = run_lince(photos, "check", ".", "--json", "--format", "coco", "--out", "../page.html")
    assert done.document["read_as"] == "coco"


def test_a_detectors_answers_are_not_read(tmp_path: Path) -> None:
    for number in range(4):
        for name in ("gato", "perro"):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    shutil.copytree(FIXTURES / "detection-model", tmp_path / "model")
    write(tmp_path / "data", "predict ../model gato --save out --threshold 0.01 --to yolo")
    done = run_lince(tmp_path / "data", "check", ".", "--json", "--out", "../page.html")
    assert read_count(done) == (8, "folders")
    assert "since lince wrote it: out" in done.err
