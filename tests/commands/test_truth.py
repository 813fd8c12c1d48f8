"""What is said is true (points 1 to 3, 8, 10, 11): reports to makers, figures, options that do nothing.

By the command line alone, so that every version of lince can be asked: see ``tests/support/command.py``.
"""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
import zipfile
from pathlib import Path

import pytest
from tests.support.box_photos import yolo
from tests.support.class_photos import folders
from tests.support.command import bring_run, prepare_environment, read_rows, run_lince
from tests.support.plain_digits import HANDS, draw_digit
from tests.support.server_process import server
from tests.support.system_calls import COMMAND, observe

BACKBONE = ("--model", "mobilenetv3_small_050", "--weights", "none", "--size", "32")
SCRATCH = ("--recipe", "scratch", "--model", "cnn: conv 8 3, pool, flatten", "--size", "16", "--epochs", "1")
DETECTOR = ("--recipe", "scratch", "--model", "yolox-nano", "--size", "64", "--epochs", "1", "--batch", "4")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run and the photos that it divided into parts."""
    folder = tmp_path_factory.mktemp("made")
    bring_run(folder)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "work"))


# 1: no library reports its use. ``tests/test_telemetry.py`` has serve, train and export.


@pytest.mark.parametrize(
    "words",
    ["predict run shapes/aro", "evaluate run shapes", "similar run {photo} shapes", "doctor --model run"],
)
def test_1_nobody_is_told(place: Path, words: str) -> None:
    photo = str(place / "shapes" / "aro" / "foto 00.png")
    home = place.parent / "home"
    given = [photo if word == "{photo}" else word for word in words.split()]
    given = [str(place / word) if (place / word).exists() else word for word in given]
    observed = observe(COMMAND, *given, home=home)
    assert observed.code == 0, observed.output
    assert observed.addresses == frozenset()
    assert observed.written_outside(home / ".cache" / "lince", home / "tmp") == []


# 2: photos that trained the model are not measured.


def list_part(place: Path, *parts: str) -> list[str]:
    return [row["name"] for row in read_rows(place / "run" / "split.csv") if row["split"] in parts]


def copy_photos(place: Path, names: list[str]) -> None:
    """Put photos under other names into class folders ``given``."""
    for number, name in enumerate(names):
        target = place / "given" / Path(name).parent / f"otra {number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place / "shapes" / name, target)


@pytest.mark.parametrize("kind", ["the folder that trained it", "renamed", "in an archive", "with a split of its own"])
def test_2_evaluate_measures_what_the_run_has_not_seen(place: Path, kind: str) -> None:
    names, expected = list_part(place, "train", "val", "test"), len(list_part(place, "test"))
    data = "given"
    copy_photos(place, names)
    if kind == "the folder that trained it":
        data = "shapes"
    elif kind == "in an archive":
        data = "given.zip"
        with zipfile.ZipFile(place / data, "w") as archive:
            for path in sorted((place / "given").rglob("*.png")):
                archive.write(path, path.relative_to(place / "given"))
    elif kind == "with a split of its own":  # half of the seen photos stand in its test
        tested = {path for number, path in enumerate(sorted((place / "given").rglob("*.png"))) if number % 2}
        rows = [(path, "test" if path in tested else "train") for path in (place / "given").rglob("*.png")]
        lines = [f"{path.relative_to(place / 'given').as_posix()},{part}" for path, part in rows]
        (place / "given" / "splits.csv").write_text("\n".join(["file,split", *lines, ""]), "utf-8")
        unseen = {(place / "shapes" / name).read_bytes() for name in list_part(place, "test")}
        expected = sum(path.read_bytes() in unseen for path in tested)
    done = run_lince(place, "evaluate", "run", data, "--json")
    assert done.document["count"] == expected, "photos that trained the model were measured"


def test_2_where_all_photos_were_seen_there_is_no_figure(place: Path) -> None:
    copy_photos(place, list_part(place, "train", "val"))
    done = run_lince(place, "evaluate", "run", "given")
    assert not re.search(r"\d%", done.out), done.out
    assert done.code != 0


def test_2_predict_counts_no_seen_photo_as_right_or_wrong(place: Path) -> None:
    done = run_lince(place, "predict", "run", "shapes")
    [(_right, total)] = re.findall(r"(\d+) of (\d+) (?:correct|right)", done.out)
    assert int(total) == len(list_part(place, "test")), done.out


@pytest.mark.slow
def test_2_a_detector_is_measured_on_what_it_has_not_seen(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    data = yolo(tmp_path / "boxes", {"train": 6, "val": 2, "test": 3})
    assert run_lince(tmp_path, "train", data, *DETECTOR, "--out", "run").code == 0
    for number, part in enumerate(("train", "val", "test")):  # as one set without parts, under other names
        for path in sorted((data / "images" / part).iterdir()):
            for kind, source in (("images", path), ("labels", data / "labels" / part / f"{path.stem}.txt")):
                (tmp_path / "given" / kind).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, tmp_path / "given" / kind / f"{number} {source.name}")
    (tmp_path / "given" / "classes.txt").write_text("caja\nbola\n", "utf-8")
    done = run_lince(tmp_path, "evaluate", "run", "given", "--json", "--out", "measured")
    assert done.code == 0, done.said
    measured = {row["name"] for row in read_rows(tmp_path / "measured" / "predictions.csv")} - {""}
    assert len(measured) == 3, "photos that trained the detector were measured"


# 3: options that do nothing.


@pytest.mark.parametrize(
    "option",
    [("--epochs", "50"), ("--augment", "strong"), ("--rate", "0.5"), ("--batch", "7"), ("--mix", "mixup"),
     ("--label-smoothing", "0.3"), ("--patience", "3")],
)  # fmt: skip
def test_3_an_option_that_the_recipe_does_not_use_is_refused(place: Path, option: tuple[str, str]) -> None:
    done = run_lince(place, "train", "shapes", *BACKBONE, *option, "--out", "new")
    assert done.code == 2, f"{option[0]} was taken and changes nothing"
    assert option[0] in done.err
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    "words",
    ["check shapes --size 96", "check shapes --model small", "check shapes --weights none",
     "predict run shapes --iou 0.3", "predict run shapes --threshold 0.3", "predict run shapes --track",
     "predict run shapes --every 3", "predict run shapes --line 0,0,5,5", "predict run shapes --to voc"],
)  # fmt: skip
def test_3_an_option_that_other_commands_do_not_use_is_refused(place: Path, words: str) -> None:
    done = run_lince(place, *words.split())
    assert done.code == 2, "taken, and changes nothing"
    assert words.split()[3 if words.startswith("predict") else 2] in done.err


def test_3_the_report_lists_what_was_used(place: Path) -> None:
    pytest.importorskip("torch")
    assert run_lince(place, "train", "shapes", *BACKBONE, "--out", "new").code == 0
    config = json.loads((place / "new" / "report.json").read_text("utf-8"))["config"]
    assert not {"epochs", "augment", "rate", "batch", "mix"} & set(config), "the report lists what was not used"
    assert "--augment" not in (place / "new" / "report.md").read_text("utf-8"), "advice that does not fit the recipe"


# 8: figures of nothing.


def train_scratch(place: Path, data: Path | str, *options: str) -> str:
    done = run_lince(place, "train", data, *SCRATCH, "--batch", "4", "--out", "new", *options)
    assert done.code == 0, done.said
    return done.said


def test_8_without_validation_photos_no_figure_is_made_up(place: Path) -> None:
    pytest.importorskip("torch")
    said = train_scratch(place, "shapes", "--val", "0")
    assert not re.search(r"\bnan\b", said.lower()), "a figure of nothing"
    assert "no validation" in said.partition("Epoch 1/")[0]


@pytest.mark.slow
def test_8_validation_without_boxes_makes_no_figure_up(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    data = yolo(tmp_path / "boxes", {"train": 6, "val": 2, "test": 2})
    for label in (data / "labels" / "val").iterdir():
        label.write_text("")
    done = run_lince(tmp_path, "train", data, *DETECTOR, "--out", "new")
    assert done.code == 0, done.said
    assert not re.search(r"\bnan\b", done.said.lower()), "a figure of nothing"


@pytest.mark.slow
def test_8_a_class_that_only_the_test_has_is_said_before_training(place: Path) -> None:
    pytest.importorskip("torch")
    folders(place / "parts" / "train", each=6)
    folders(place / "parts" / "test", each=3, seed=1)
    shutil.rmtree(place / "parts" / "train" / "cruz")
    before = train_scratch(place, "parts").partition("Epoch 1/")[0]
    assert re.search(r"cruz", before.partition("folders:")[2].partition("\n")[2]), "counted in silence"


def test_8_training_on_next_to_nothing_says_what_its_figure_is_worth(place: Path) -> None:
    pytest.importorskip("torch")
    for number in range(3):
        for shape in ("aro", "cruz") if number < 2 else ("aro",):
            target = place / "few" / shape / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place / "shapes" / shape / f"foto 0{number}.png", target)
    done = run_lince(place, "train", "few", *SCRATCH, "--batch", "4", "--val", "0", "--out", "new")
    assert done.code == 0, done.said
    assert re.search(r"\b2 test image", done.err.partition("Epoch 1/")[0]), "not said before"
    assert re.search(r"\b2 test image", done.out), "the figure stands alone"


# 10: the pad on the demo's model.


@pytest.mark.slow
def test_10_plain_digits_are_recognised(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert run_lince(tmp_path, "demo", "--out", "demo").code == 0
    environment = prepare_environment(tmp_path)
    right = dict.fromkeys(HANDS, 0)
    with server(next(tmp_path.rglob("model.onnx")).parents[1], **environment) as running:
        for hand, digit in ((hand, digit) for hand in HANDS for digit in range(10)):
            body = json.dumps({"strokes": draw_digit(digit, HANDS[hand])}).encode()
            drawn = ask(f"{running.url}/v1/drawing", body, "application/json")
            found = json.loads(ask(f"{running.url}/v1/predict", drawn, "image/png"))
            named = re.search(r'"(?:class|name)": "(\d)"', json.dumps(found))  # the most probable class comes first
            right[hand] += named is not None and named[1] == str(digit)
    assert min(right.values()) >= 9, right


def ask(url: str, body: bytes, kind: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with opener.open(request, timeout=30) as answer:
        return bytes(answer.read())


# 11: too few photos for a judgement.


@pytest.mark.slow
def test_11_an_export_on_three_photos_says_so_and_ends_well(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    data = folders(tmp_path / "fotos", each=3, side=64)
    options = ("--recipe", "scratch", "--model", "cnn", "--size", "64", "--epochs", "1", "--batch", "4")
    assert run_lince(tmp_path, "train", data, *options, "--val", "0.3", "--test", "0.3", "--out", "run").code == 0
    done = run_lince(tmp_path, "export", "run", "--int8", "--out", "small", "--max-drop", "100")
    assert done.code == 0, done.said
    assert "only 3 photos" in done.said, "the judgement stands alone"
    assert run_lince(tmp_path, "export", "run", "--self-contained", "--out", "one.onnx").code == 0
