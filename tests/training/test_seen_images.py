"""What a run has seen is left out where it is measured: by content, for evaluation, prediction, comparison, export."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.support.box_photos import yolo
from tests.support.class_photos import folders

import lince
from lince.cli.main import main
from lince.errors import DataError
from lince.splits import TEST
from lince.training.run_folder import TrainingRun

SCRATCH = {"recipe": "scratch", "model": "cnn: conv 8 3, norm, pool, gap", "size": 16, "epochs": 2, "batch": 8}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("datos") / "niño ç", each=20)


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return lince.train(photos, out=tmp_path_factory.mktemp("runs") / "run", **SCRATCH)


def read_split(run: TrainingRun) -> dict[str, str]:
    with open(run.folder / "split.csv", newline="", encoding="utf-8") as stream:
        return {row["name"]: row["split"] for row in csv.DictReader(stream)}


def copy_parts(run: TrainingRun, photos: Path, target: Path, *parts: str) -> int:
    """Copy the photos of ``parts`` under new names and return their number."""
    names = [name for name, part in read_split(run).items() if part in parts]
    for number, name in enumerate(names):
        path = target / Path(name).parent / f"otra {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / name, path)
    return len(names)


def ask(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, object]:
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_training_then_evaluating_the_same_folder_measures_the_test_photos_alone(run, photos, capsys, tmp_path):
    splits = list(read_split(run).values())
    document = ask(capsys, "evaluate", run.folder, photos, "--out", tmp_path)
    assert document["accuracy"] == run.report["test"]["accuracy"]
    assert (document["part"], document["count"]) == ("unseen", splits.count("test"))
    seen = document["seen"]
    assert (seen["total"], seen["trained"], seen["validated"]) == (60, splits.count("train"), splits.count("val"))
    assert (tmp_path / "predictions.csv").read_bytes() == (run.folder / "predictions.csv").read_bytes()
    assert main(["evaluate", str(run.folder), str(photos)]) == 0
    assert f"{seen['trained']} of 60 photos trained this model" in capsys.readouterr().out


def test_a_seen_photo_is_known_by_its_content_in_the_run_its_model_and_its_exports(run, photos, tmp_path):
    tested = copy_parts(run, photos, tmp_path / "mix", "train", "test")
    for model in (run.folder, run.model_folder, lince.export(run.folder, out=run.folder / "exports" / "x").path):
        assert lince.evaluate(model, tmp_path / "mix").seen.trained == tested - run.report["test"]["count"]


def test_where_every_photo_was_seen_evaluation_refuses_and_measures_only_on_demand(run, photos, capsys, tmp_path):
    count = copy_parts(run, photos, tmp_path / "seen", "train", "val")
    with pytest.raises(DataError, match=f"seen all {count} photos"):
        lince.evaluate(run.folder, tmp_path / "seen")
    assert main(["evaluate", str(run.folder), str(tmp_path / "seen")]) != 0
    assert "--include-seen" in capsys.readouterr().err
    assert main(["evaluate", str(run.folder), str(tmp_path / "seen"), "--include-seen"]) == 0
    assert "Warning:" in capsys.readouterr().out
    result = lince.evaluate(run.folder, tmp_path / "seen", include_seen=True)
    assert (result.split, result.metrics.count, result.seen.seen) == ("all", count, count)
    assert "too good" in result.seen.warning


def test_a_warning_is_red_on_a_terminal_alone(monkeypatch):
    from lince.cli.console import paint_warning

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint_warning("ay") == "ay"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert paint_warning("ay") == "\x1b[1;31may\x1b[0m"


def test_a_model_away_from_its_run_says_that_nothing_is_recorded(run, photos, tmp_path, capsys):
    shutil.copytree(run.model_folder, tmp_path / "a" / "b" / "c" / "model")
    result = lince.evaluate(tmp_path / "a" / "b" / "c" / "model", photos)
    assert (result.split, result.metrics.count, result.seen.is_recorded) == ("all", 60, False)
    assert "split.csv" in result.seen.warning


def test_a_test_split_of_the_data_loses_what_the_run_has_seen(run, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "datos")
    lince.split(tmp_path / "datos", val=0.1, test=0.5, seed=7)
    result = lince.evaluate(run.folder, tmp_path / "datos")
    dataset = lince.open(tmp_path / "datos")
    drawn = {dataset.images.get_name(int(row)) for row in dataset.get_split_indices(TEST)}
    new = {name for name, part in read_split(run).items() if part == "test"}
    assert result.split == "test"
    assert set(result.predictions.names) == drawn & new


def test_that_seen_photos_of_other_splits_are_not_added_is_said(run, photos, tmp_path, capsys):
    shutil.copytree(photos, tmp_path / "datos")
    lince.split(tmp_path / "datos", val=0.1, test=0.5, seed=7)
    count = len(lince.open(tmp_path / "datos").get_split_indices(TEST))
    for extra, is_said in (["--include-seen"], True), ([], False):
        assert main(["evaluate", str(run.folder), str(tmp_path / "datos"), *extra]) == 0
        said = capsys.readouterr().err
        assert (f"only its {count} photos are measured" in said) is is_said
    assert main(["evaluate", str(run.folder), str(photos), "--include-seen"]) == 0
    assert "adds nothing" not in capsys.readouterr().err


def test_predictions_on_seen_photos_do_not_count_as_right_or_wrong(run, photos, capsys, tmp_path):
    document = ask(capsys, "predict", run.folder, photos, "--save", tmp_path / "answers")
    correct = round(run.report["test"]["accuracy"]["value"] * run.report["test"]["count"])
    assert (document["right"], document["known"]) == (correct, run.report["test"]["count"])
    assert document["seen"] == 60 - document["known"]
    saved = json.loads((tmp_path / "answers" / "predictions.json").read_text("utf-8"))
    assert (saved["right"], saved["known"], saved["seen"]) == (correct, document["known"], document["seen"])
    assert main(["predict", str(run.folder), str(photos)]) == 0
    assert f"{document['seen']} that trained this model" in capsys.readouterr().out


def test_python_marks_what_the_run_has_seen_as_the_command_line_does(run, photos, tmp_path):
    results = list(lince.load(run.folder).predict_many(photos))
    seen = {result.name for result in results if result.was_seen}
    lines = (run.folder / "split.csv").read_text("utf-8").splitlines()[1:]
    assert seen == {line.split(",")[0] for line in lines if line.rsplit(",", 1)[1] != "test"}
    assert all(result.was_seen is not None for result in results)
    for model in (lince.load(run.folder).with_threads(1), lince.load(run.folder / "model")):
        assert {result.name for result in model.predict_many(photos) if result.was_seen} == seen
    shutil.copytree(run.folder / "model", tmp_path / "alone")
    assert {result.was_seen for result in lince.load(tmp_path / "alone").predict_many(photos)} == {None}
    assert {result.was_seen for result in lince.load(run.folder).predict_many(photos, truth="none")} == {None}


def test_a_comparison_leaves_out_what_one_of_the_runs_has_seen(run, photos, capsys, tmp_path):
    for name in ("one", "two"):
        assert main(["evaluate", str(run.folder), str(photos), "--include-seen", "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    document = ask(capsys, "compare", tmp_path / "one", tmp_path / "two")
    assert (document["count"], document["seen"]) == (run.report["test"]["count"], 60 - run.report["test"]["count"])
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "two")]) == 0
    assert f"{document['seen']} common test images trained one of the runs" in capsys.readouterr().out


def test_a_comparison_on_seen_images_alone_is_refused(run, photos, tmp_path):
    copy_parts(run, photos, tmp_path / "seen", "train")
    out = ["--include-seen", "--out", str(tmp_path / "figures")]
    assert main(["evaluate", str(run.folder), str(tmp_path / "seen"), *out]) == 0
    with pytest.raises(DataError, match="trained one of the runs"):
        lince.compare([tmp_path / "figures", tmp_path / "figures"])


def test_an_export_is_validated_on_unseen_photos_where_there_are_any(run, photos, tmp_path):
    found = lince.export(run.folder, out=tmp_path / "one", data=photos).validation
    assert (found.split, found.count) == ("unseen", run.report["test"]["count"])
    copy_parts(run, photos, tmp_path / "seen", "train")
    found = lince.export(run.folder, out=tmp_path / "two", data=tmp_path / "seen").validation
    assert found.split == "seen"


def test_detectors_leave_out_what_trained_them(tmp_path, capsys):
    given = yolo(tmp_path / "given", {"train": 12, "val": 3, "test": 4})
    config = {"recipe": "scratch", "model": "yolox-nano", "size": 64, "epochs": 1, "batch": 4}
    run = lince.train(given, out=tmp_path / "run", **config)
    loose = tmp_path / "loose"
    for kind in ("images", "labels"):
        (loose / kind).mkdir(parents=True)
        for path in sorted((given / kind).rglob("*.*")):
            shutil.copy(path, loose / kind / path.name)
    (loose / "data.yaml").write_text("train: images\nnames: [caja, bola]\n", "utf-8")
    document = ask(capsys, "evaluate", run.folder, loose)
    assert (document["part"], document["count"]) == ("unseen", 4)
    assert (document["seen"]["trained"], document["seen"]["validated"]) == (12, 3)
    assert np.isclose(document["map50"]["value"], run.report["test"]["map50"]["value"])
