"""Options of training: what a recipe does not use is refused, what it uses changes the run, the report tells which."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.support.box_photos import yolo
from tests.support.class_photos import folders

import lince
from lince import images
from lince.cli.main import main
from lince.config import TrainConfig
from lince.errors import UsageError
from lince.option_aliases import describe_option
from lince.tasks import get_task
from lince.training.recipe_options import RECIPES, list_unused_options

CNN = "cnn: conv 8 3, norm, pool, conv 16 3, norm, gap"
NETWORKS = {"scratch": {"model": CNN}}
BACKBONE = {"model": "mobilenetv3_small_050", "weights": "none"}
LOOP = {"epochs": 1, "batch": 8}
# A value of each option that is neither its default nor one that asks for nothing.
VALUES = {
    "model": "yolox-tiny",
    "weights": "somewhere.safetensors",
    "size": 48,
    "resize": "letterbox",
    "standardise": "samplewise",
    "head": "mlp",
    "from_layer": "2",
    "epochs": 2,
    "batch": 5,
    "rate": 0.5,
    "label_smoothing": 0.3,
    "augment": "strong",
    "mix": "mixup",
    "mosaic": 0.7,
    "scales": 0.3,
    "monitor": "val_loss",
    "patience": 3,
    "budget": 60.0,
    "seed": 9,
    "val": 0.25,
    "test": 0.3,
    "device": "cuda",
    "precision": "bf16",
    "workers": 1,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("datos") / "fotos", each=14)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return yolo(tmp_path_factory.mktemp("datos") / "cajas", {"train": 6, "val": 2, "test": 2})


def test_every_option_has_a_value_here():
    assert set(VALUES) == {field.name for field in dataclasses.fields(TrainConfig)} - {"recipe", "task"}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("task", ["classify", "detect"])
@pytest.mark.parametrize("option", VALUES)
def test_an_option_that_a_recipe_does_not_use_is_refused_with_what_does(
    option, task, recipe, photos, boxes, tmp_path, monkeypatch
):
    if get_task(task).uses_option(recipe, option):
        assert list_unused_options(get_task(task), TrainConfig(recipe=recipe, **{option: VALUES[option]})) == []
        return
    monkeypatch.chdir(tmp_path)
    flag = f"--{option.replace('_', '-')}"
    with pytest.raises(UsageError) as caught:
        lince.train(photos if task == "classify" else boxes, task=task, recipe=recipe, **{option: VALUES[option]})
    assert not (tmp_path / "runs").exists()
    if option == "device" and "no device" in caught.value.problem:  # what this machine lacks is said first
        return
    assert f"does not use {describe_option(option)}." in caught.value.problem
    assert re.search(rf"{flag} (with --recipe|for )", caught.value.remedy)


def test_the_default_recipe_refuses_what_it_would_ignore(photos, tmp_path, capsys):
    asked = ["--epochs", "50", "--augment", "strong", "--rate", "0.5", "--batch", "7"]
    assert main(["train", str(photos), *asked, "--out", str(tmp_path / "run")]) != 0
    told = capsys.readouterr().err
    assert all(flag in told for flag in asked[::2])
    assert "--recipe finetune" in told
    assert not (tmp_path / "run").exists()


def test_an_option_is_refused_from_a_file_of_settings_and_when_its_default_is_typed(photos, tmp_path):
    (tmp_path / "my.toml").write_text('recipe = "transfer"\nepochs = 50\n', "utf-8")
    with pytest.raises(UsageError, match="does not use epochs"):
        lince.train(photos, TrainConfig.load(tmp_path / "my.toml"), out=tmp_path / "run")
    with pytest.raises(UsageError, match="does not use head"):
        lince.train(photos, recipe="scratch", head="linear", out=tmp_path / "run")


def test_what_asks_for_nothing_is_accepted_and_not_reported(photos, tmp_path):
    nothing = {"weights": "none", "mosaic": 0.0, "scales": 0.0, "device": "cpu", "precision": "fp32"}
    run = lince.train(photos, recipe="scratch", model=CNN, size=16, **LOOP, **nothing, out=tmp_path / "run")
    config = run.report["config"]
    assert not {"weights", "head", "mosaic", "scales", "from_layer"} & set(config)
    assert (config["epochs"], config["batch"], config["device"]) == (1, 8, "cpu")
    assert config["rate"] > 0
    assert "crop" in config["augment"] or "rotation" in config["augment"]


def test_a_run_that_an_earlier_version_started_goes_on_and_reports_what_it_used(photos, tmp_path):
    run = lince.train(photos, size=32, **BACKBONE, out=tmp_path / "run")
    run.config.with_changes(epochs=50, augment="strong").save(run.folder / "config.toml")
    (run.folder / "report.json").unlink()
    lines: list[str] = []
    report = lince.resume(run.folder, progress=Listener(lines)).report
    assert any("--epochs, --augment" in line for line in lines)
    assert not {"epochs", "augment"} & set(report["config"])


class Listener:
    """A receiver of progress that keeps the messages."""

    def __init__(self, lines: list[str]) -> None:
        from lince.progress import SILENT

        self.show_message, self.open_stage = lines.append, SILENT.open_stage


def test_all_recipes_take_an_option_of_any_and_each_reports_its_own(photos, tmp_path):
    run = lince.train(photos, recipe="all", size=32, **BACKBONE, **LOOP, out=tmp_path / "run")
    configs = {name: json.loads((run.folder / name / "report.json").read_text("utf-8"))["config"] for name in RECIPES}
    assert ["epochs" in configs[name] for name in RECIPES] == [True, False, True]
    assert ["weights" in configs[name] for name in RECIPES] == [False, True, True]
    with pytest.raises(UsageError, match="mosaic"):
        lince.train(photos, recipe="all", mosaic=0.5, out=tmp_path / "other")


@pytest.mark.parametrize(("option", "split"), [("val", "val"), ("test", "test")])
def test_a_fraction_for_a_split_that_the_data_brings_is_refused(boxes, tmp_path, option, split):
    with pytest.raises(UsageError, match=f"own split '{split}' \\(2 images\\)"):
        lince.train(boxes, recipe="scratch", model="yolox-nano", out=tmp_path / "run", **{option: 0.2})


@pytest.mark.parametrize("choice", [{"patience": 3}, {"monitor": "val_accuracy"}])
def test_watching_validation_without_validation_images_is_refused(photos, tmp_path, choice):
    with pytest.raises(UsageError, match="Without validation images"):
        lince.train(photos, recipe="scratch", model=CNN, val=0.0, out=tmp_path / "run", **choice)


@pytest.fixture(scope="module")
def wide_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return photos that are wider than high, so that the way of resizing matters."""
    root = folders(tmp_path_factory.mktemp("datos") / "anchas", each=7)
    for path in root.rglob("*.png"):
        path.write_bytes(images.encode_png(images.read_image(path)[4:26]))
    return root


# The others choose among results, or how fast they come.
RESULT_OPTIONS = {
    "scratch": ("size", "resize", "standardise", "epochs", "batch", "rate", "label_smoothing", "augment", "mix", "seed",
                "val", "test"),
    "transfer": ("size", "resize", "head", "seed", "val", "test"),
    "finetune": ("epochs", "batch", "rate", "label_smoothing", "augment", "mix", "head", "from_layer"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("recipe", RECIPES)
def test_an_option_that_a_recipe_uses_changes_the_predictions(recipe, wide_photos, tmp_path):
    base = {"recipe": recipe, "size": 32, **NETWORKS.get(recipe, BACKBONE)}
    base |= LOOP if recipe != "transfer" else {}
    if recipe == "finetune":
        base |= {"val": 0.0, "from_layer": "4"}  # without validation the fine-tuned network is kept
    figures = predict(wide_photos, tmp_path / "base", base)
    same = [
        name
        for name in RESULT_OPTIONS[recipe]
        if np.array_equal(predict(wide_photos, tmp_path / name, {**base, name: VALUES[name]}), figures)
    ]
    assert same == []


def predict(photos: Path, out: Path, choices: dict) -> np.ndarray:
    """Return the probabilities of a new run for all photos."""
    run = lince.train(photos, out=out, **choices)
    return np.stack([result.label.probabilities for result in lince.load(run.folder).predict_many(photos)])
