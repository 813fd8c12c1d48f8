"""Nothing of the user's is lost (points 12 to 14): outputs, refused and resumed runs, files that are held open.

By the command line alone, so that every version of lince can be asked: see ``tests/support/command.py``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.class_photos import SHAPES
from tests.support.command import FIXTURES, bring_run, prepare_environment, read_files, read_rows, run_lince

SCRATCH = ("--recipe", "scratch", "--model", "cnn: conv 8 3, pool, flatten", "--size", "16", "--epochs", "1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs, the photos ``shapes`` in class folders, loose ``photos``, and other files."""
    folder = tmp_path_factory.mktemp("made")
    bring_run(folder)
    bring_run(folder, "second")
    (folder / "photos").mkdir()
    for path in sorted((folder / "shapes").rglob("*.png"))[::5]:
        shutil.copy(path, folder / "photos" / f"{path.parent.name} {path.name}")
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    (folder / "mine.csv").write_text("file,class\nmine.png,precious\n", "utf-8")
    (folder / "mine.html").write_text("<p>precious</p>", "utf-8")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "work", symlinks=True))


# 12: an output never takes the place of what lince did not write as that output.

REPLACING = {
    "predict --csv, the pattern expanded": "predict run --csv photos/0.png photos/1.png photos/2.png",
    "predict --csv on a photo": "predict run photos --csv photos/0.png",
    "similar --save on a photo": "similar run photos/0.png photos --save photos/1.png",
    "augment --out on a photo": "augment shapes --out photos/1.png",
    "show --out on a photo": "show shapes --out photos/1.png",
    "show --out on a photo of the set": "show shapes --out shapes/aro/new.png",
    "check --out on a photo": "check shapes --out photos/0.png",
    "compare --out on a photo": "compare run second --out photos/0.png",
    "split on a photo": "split shapes photos/0.png",
    "predict --save in the run": "predict run photos --save run",
    "predict --save in the model": "predict run photos --save run/model",
    "evaluate --out in the run": "evaluate run shapes --out run",
    "predict --save in the photos": "predict run photos --save shapes",
    "evaluate --out in the photos": "evaluate run shapes --out photos",
    "predict --csv on a run's table": "predict run photos --csv run/predictions.csv",
    "predict --csv on a table of mine": "predict run photos --csv mine.csv",
    "split on a table of mine": "split shapes mine.csv",
    "check --out on a page of mine": "check shapes --out mine.html",
    "compare --out on a page of mine": "compare run second --out mine.html",
}


@pytest.mark.parametrize("name", REPLACING)
def test_12_an_output_replaces_nothing_of_mine(place: Path, name: str) -> None:
    before = read_files(place)
    done = run_lince(place, *REPLACING[name].split())
    changed = {path for path, digest in read_files(place).items() if before.get(path) != digest}
    lost = before.keys() - read_files(place).keys()
    assert (changed, lost) == (set(), set()), "replaced, added to mine, or lost"
    assert done.code == 2, done.said


def test_12_what_is_refused_can_be_replaced_on_demand_and_is_made_again_without_it(place: Path) -> None:
    done = run_lince(place, "predict", "run", "photos", "--csv", "mine.csv")
    assert "precious" in (place / "mine.csv").read_text("utf-8"), "replaced without a question"
    assert "--overwrite" in done.err
    for extra in (["--overwrite"], []):
        assert run_lince(place, "predict", "run", "photos", "--csv", "mine.csv", *extra).code == 0
    assert "precious" not in (place / "mine.csv").read_text("utf-8")


# 13: refused starts leave nothing; runs go on.

STARTS = {
    "no weights": "shapes --model mobilenetv3_small_050 --weights nowhere.safetensors --size 32",
    "no such device": f"shapes --device mps {' '.join(SCRATCH[:2])} --model cnn --size 32 --epochs 1",
    "no test": "shapes --model mobilenetv3_small_050 --weights none --size 32 --val 0 --test 0",
    "too few photos": "few --recipe scratch --model cnn --size 32 --epochs 1",
    "a layer that is none": "shapes --model mobilenetv3_small_050 --weights none --recipe finetune --from-layer x",
}
IMPORTING = {"no such device", "no test", "a layer that is none"}  # PyTorch, for seconds


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in IMPORTING else ()) for name in STARTS]
)
def test_13_a_refused_start_leaves_no_run(place: Path, name: str) -> None:
    for shape in SHAPES[:2]:
        (place / "few" / shape).mkdir(parents=True)
        shutil.copy(place / "shapes" / shape / "foto 00.png", place / "few" / shape)
    before = read_files(place)
    done = run_lince(place, "train", *STARTS[name].split(), "--out", "new")
    assert done.code != 0, done.said
    assert not (place / "new").exists(), sorted(path.name for path in (place / "new").rglob("*"))
    assert read_files(place) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--augment", "strng"), "strng"), (("--device", "mps"), "mps"), (("--out", "run"), "--out"),
        (("--recipe", "finetune", "--augment", "rotation x"), "rotation"),
    ],
)  # fmt: skip
def test_13_what_needs_no_data_is_checked_before_the_data(place: Path, options: tuple[str, ...], told: str) -> None:
    if "--device" in options:
        pytest.importorskip("torch")
    (place / "empty").mkdir()
    recipe = () if "--recipe" in options else SCRATCH
    done = run_lince(place, "train", "empty", *recipe, *options)
    assert done.code == 2
    assert told in done.err, "the data was read first"


@pytest.fixture
def interrupted(place: Path) -> Path:
    """Return a run that was killed after some of its 40 epochs; its photos are ``shapes``."""
    pytest.importorskip("torch")
    run = Path(shutil.copytree(FIXTURES / "interrupted-run", place / "killed"))
    record = json.loads((run / "data.json").read_text("utf-8"))
    (run / "data.json").write_text(json.dumps(record | {"path": str(place / "shapes")}), "utf-8")
    return run


@pytest.mark.slow
def test_13_a_run_whose_photos_were_moved_goes_on(place: Path, interrupted: Path) -> None:
    (place / "shapes").rename(place / "moved")
    assert run_lince(place, "train", "--resume", interrupted).code != 0
    done = run_lince(place, "train", "--resume", interrupted, "--data", "moved")
    assert (interrupted / "report.json").is_file(), f"there is no way to go on: {done.err}"


def test_13_the_photo_that_changed_is_named(place: Path, interrupted: Path) -> None:
    shutil.copy(place / "shapes" / "cruz" / "foto 01.png", place / "shapes" / "aro" / "foto 03.png")
    done = run_lince(place, "train", "--resume", interrupted)
    assert done.code != 0
    assert "aro/foto 03.png" in done.err, "not named"
    assert "aro/foto 04.png" not in done.err


@pytest.mark.slow
def test_13_a_finished_run_goes_on_with_more_epochs(place: Path) -> None:
    pytest.importorskip("torch")
    done = run_lince(place, "train", "--resume", "run", "--epochs", "3")
    history = json.loads((place / "run" / "report.json").read_text("utf-8"))["history"]
    assert len(history) == 3, f"nothing was trained: {done.said}"


@pytest.mark.slow
def test_13_of_two_that_go_on_with_one_run_the_second_is_refused(place: Path, interrupted: Path) -> None:
    command = [sys.executable, "-m", "lince", "train", "--resume", str(interrupted)]
    both = [
        subprocess.Popen(command, cwd=place, env=prepare_environment(place), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=280)[1] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes[0] == 0, told
    assert codes[1] != 0, "both trained the same run"
    assert len(read_rows(interrupted / "split.csv")) == 36


# 14: a file that another program holds, as on Windows.

HELD = """
import os
left = [int(os.environ["HELD_TIMES"])]
def hold(original):
    def act(source, target, *others, **options):
        if os.path.basename(os.fspath(target)) == os.environ["HELD_NAME"] and left[0]:
            left[0] -= 1
            raise PermissionError(13, "The process cannot access the file because it is used by another process")
        return original(source, target, *others, **options)
    return act
os.replace, os.rename = hold(os.replace), hold(os.rename)
"""
WRITING = {
    "predict --csv": ("predict run photos --csv held.csv", "held.csv"),
    "predict --save": ("predict run photos --save held", "predictions.csv"),
    "check": ("check shapes --out held.html", "held.html"),
    "split": ("split shapes", "splits.csv"),
    "convert": ("convert shapes held --to csv", "held"),
    "show": ("show shapes --out held.png", "held.png"),
}


def write_held(place: Path, command: str, name: str, times: int) -> tuple[int, str]:
    (place / "hold").mkdir()
    (place / "hold" / "sitecustomize.py").write_text(HELD, "utf-8")
    environment = {"PYTHONPATH": str(place / "hold"), "HELD_NAME": name, "HELD_TIMES": str(times)}
    done = run_lince(place, *command.split(), **environment)
    return done.code, done.said


@pytest.mark.parametrize("name", WRITING)
def test_14_a_file_that_is_held_for_a_moment_is_written(place: Path, name: str) -> None:
    code, said = write_held(place, *WRITING[name], times=2)
    assert code in (0, 1 if name == "check" else 0), said
    assert [path for path in place.rglob(WRITING[name][1]) if "run" not in path.parts], "not written"


def test_14_a_file_that_stays_open_is_kept_and_the_programs_to_look_for_are_said(place: Path) -> None:
    assert run_lince(place, "predict", "run", "photos", "--csv", "held.csv").code == 0
    (place / "photos" / "0.png").unlink()
    before = read_files(place)
    code, said = write_held(place, *WRITING["predict --csv"], times=10**6)
    assert code != 0
    assert "Excel" in said, "who may hold it is not said"
    assert "held.csv" in said
    assert read_files(place, "hold") == before
