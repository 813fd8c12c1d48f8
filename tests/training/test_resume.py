"""Starts that are refused leave nothing; runs go on after a move of their data, with more epochs, and one at a time."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lince.errors import DataError, LinceError, TrainingError, UsageError
from lince.training import run_folder
from lince.training.run_lock import LOCK_FILE, hold_run_lock

pytest.importorskip("torch")

from tests.support.class_photos import folders

import lince
from lince.cli.main import main

CNN = "cnn: conv 8 3, norm, pool, conv 16 3, norm, gap"
SCRATCH = {"recipe": "scratch", "model": CNN, "size": 16, "epochs": 2, "batch": 8}
HOLDER = """
import sys, time
from pathlib import Path
from lince.training.run_lock import hold_run_lock
with hold_run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


class Interrupting:
    """A listener that interrupts the training when an epoch has ended."""

    def __init__(self) -> None:
        from lince.progress import SILENT

        self.open_stage = SILENT.open_stage

    def show_message(self, text: str) -> None:
        if text.startswith("Epoch 1/"):
            raise KeyboardInterrupt


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folders(tmp_path / "fotos", each=8)


def unreadable(*_arguments, **_options):
    pytest.fail("the data was read before the start was refused")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--device", "mps"], "mps"),
        (["--augment", "strng"], "strng"),
        (["--augment", "rotation x"], "rotation"),
        (["--out", "full"], "never overwritten"),
        (["--out", "full/mine.txt"], "never overwritten"),
        (["--recipe", "magic"], "magic"),
    ],
)
def test_what_needs_no_data_is_refused_before_the_data_is_read(photos, monkeypatch, capsys, options, told):
    monkeypatch.chdir(photos.parent)
    (photos.parent / "full").mkdir()
    (photos.parent / "full" / "mine.txt").write_text("mine")
    monkeypatch.setattr("lince.api.data_source.open_dataset", unreadable)
    before = sorted(photos.parent.rglob("*"))
    assert main(["train", str(photos), *options]) == 2
    assert told in capsys.readouterr().err
    assert sorted(photos.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "options",
    [
        {"weights": "nowhere.safetensors"},
        {"model": "no_such_network"},
        {"val": 0.0, "test": 0.0},
        {"recipe": "all", "model": "mobilenetv3_small_050", "weights": "nowhere.safetensors"},
        {"recipe": "scratch", "from_layer": "nowhere", "model": "no_such_network"},
        {"recipe": "transfer", "weights": "none", "model": "mobilenetv3_small_050", "size": 32, "test": 0.0},
    ],
)
def test_a_start_that_was_refused_leaves_no_run(photos, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LinceError):
        lince.train(photos, **{**({} if "recipe" in options or "weights" in options else SCRATCH), **options})
    with pytest.raises(LinceError):
        lince.train(photos, out="mine", **{"recipe": "transfer", **options})
    assert [path for path in sorted(tmp_path.rglob("*")) if ".lince" not in path.parts] == before


def test_too_few_photos_leave_no_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = folders(tmp_path / "fotos", each=1)
    with pytest.raises(DataError):
        lince.train(data, **SCRATCH)
    assert not (tmp_path / "runs").exists()


def test_other_runs_stay_when_a_start_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    data = folders(tmp_path / "fotos", each=1)
    with pytest.raises(DataError):
        lince.train(data, **SCRATCH)
    assert os.listdir("runs") == ["mine"]


def interrupt(photos: Path, out: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        lince.train(photos, out=out, progress=Interrupting(), **SCRATCH)
    assert not (out / LOCK_FILE).exists()
    return out


def test_a_run_goes_on_after_its_data_was_moved(photos, tmp_path, capsys):
    whole = lince.train(photos, out=tmp_path / "whole", **SCRATCH)
    run = interrupt(photos, tmp_path / "run")
    photos.rename(tmp_path / "moved")
    assert main(["train", "--resume", str(run)]) != 0
    assert main(["train", "--resume", str(run), "--data", str(tmp_path / "moved")]) == 0
    assert json.loads((run / "data.json").read_text("utf-8"))["path"] == str(tmp_path / "moved")
    assert (run / "predictions.csv").read_bytes() == (whole.folder / "predictions.csv").read_bytes()


def test_the_photo_that_changed_is_named(photos, tmp_path):
    run = interrupt(photos, tmp_path / "run")
    with open(run / "split.csv", newline="", encoding="utf-8") as stream:
        names = [row["name"] for row in csv.DictReader(stream)]
    shutil.copytree(photos, tmp_path / "other")
    (tmp_path / "other" / names[3]).write_bytes((photos / names[4]).read_bytes())
    (tmp_path / "other" / names[6]).unlink()
    recorded = (run / "data.json").read_bytes()
    with pytest.raises(TrainingError) as caught:
        lince.resume(run, tmp_path / "other")
    assert f"{names[3]}: other content" in caught.value.problem
    assert f"{names[6]}: missing" in caught.value.problem
    assert names[0] not in caught.value.problem
    assert (run / "data.json").read_bytes() == recorded
    assert lince.resume(run).is_finished


def test_a_finished_run_goes_on_with_more_epochs(photos, tmp_path):
    longer = lince.train(photos, out=tmp_path / "longer", **{**SCRATCH, "epochs": 4})
    run = lince.train(photos, out=tmp_path / "run", **SCRATCH)
    first = run.report["history"]
    again = lince.resume(run.folder, epochs=4)
    assert [row["epoch"] for row in again.report["history"]] == [1, 2, 3, 4]
    assert again.report["history"][:2] == first
    assert again.config.epochs == 4
    assert again.is_finished
    # The rate goes on as in a run that was planned so.
    rates = [[row["rate"] for row in one.report["history"][2:]] for one in (again, longer)]
    assert rates[0] == rates[1]
    with pytest.raises(UsageError, match="4 epochs already"):
        lince.resume(run.folder, epochs=4)


def test_a_run_that_goes_on_can_be_interrupted_and_keeps_its_model_meanwhile(photos, tmp_path):
    class InterruptingLater(Interrupting):
        def show_message(self, text: str) -> None:
            if text.startswith("Epoch 3/"):
                raise KeyboardInterrupt

    whole = lince.train(photos, out=tmp_path / "whole", **SCRATCH)
    run = lince.train(photos, out=tmp_path / "run", **SCRATCH)
    model = (run.model_folder / "model.onnx").read_bytes()
    lince.resume(whole.folder, epochs=5)
    with pytest.raises(KeyboardInterrupt):
        lince.resume(run.folder, epochs=5, progress=InterruptingLater())
    assert (run.model_folder / "model.onnx").read_bytes() == model
    assert not run.is_finished
    assert lince.resume(run.folder).is_finished
    assert (run.folder / "predictions.csv").read_bytes() == (whole.folder / "predictions.csv").read_bytes()


def test_patience_does_not_end_a_run_that_was_asked_for_more(photos, tmp_path):
    run = lince.train(photos, out=tmp_path / "run", patience=1, **{**SCRATCH, "epochs": 1, "rate": 1e-8})
    assert len(lince.resume(run.folder, epochs=3).report["history"]) > 1


def test_a_recipe_without_epochs_does_not_go_on(photos, tmp_path):
    run = lince.train(photos, out=tmp_path / "run", model="mobilenetv3_small_050", weights="none", size=32)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="transfer"):
        lince.resume(run.folder, epochs=50)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


def test_two_processes_do_not_train_one_run_and_a_killed_one_is_no_obstacle(photos, tmp_path, capsys):
    run = interrupt(photos, tmp_path / "run")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(run)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert main(["train", "--resume", str(run)]) == 1
        told = capsys.readouterr().err
        assert "Another process is training" in told
        assert str(holder.pid) in told
    finally:
        holder.kill()
        holder.communicate()
    assert (run / LOCK_FILE).exists()  # nobody could delete it
    assert lince.resume(run).is_finished
    assert not (run / LOCK_FILE).exists()


def test_a_lock_is_free_again_when_it_is_let_go(tmp_path):
    with hold_run_lock(tmp_path):
        with pytest.raises(TrainingError), hold_run_lock(tmp_path):
            pass
        assert (tmp_path / LOCK_FILE).exists()
    with hold_run_lock(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_run_with_checkpoints_is_not_discarded(tmp_path):
    run = run_folder.create_run(tmp_path / "run")
    (run.checkpoint_folder).mkdir()
    (run.checkpoint_folder / "last.safetensors").write_bytes(b"")
    run_folder.discard_unstarted(run)
    assert run.checkpoint_folder.is_dir()
