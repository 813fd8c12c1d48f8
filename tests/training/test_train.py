"""Training runs on small photos: every recipe writes a model, a card, a report and consistent results."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.support.class_photos import SHAPES, folders  # noqa: E402

import lince  # noqa: E402
from lince import images  # noqa: E402
from lince.augmentation import Policy  # noqa: E402
from lince.cli.run_summary import describe_run  # noqa: E402
from lince.errors import DataError, ModelError, UsageError  # noqa: E402
from lince.evaluation.report.texts import translate_recipe  # noqa: E402
from lince.training import run_folder  # noqa: E402
from lince.training.classification import defaults  # noqa: E402
from lince.training.classification.recipes import finetune  # noqa: E402

CNN = "cnn: conv 8 3, norm, pool, conv 16 3, norm, gap"
BACKBONE = {"model": "mobilenetv3_small_050", "weights": "none", "size": 32}
SCRATCH = {"recipe": "scratch", "model": CNN, "size": 16, "epochs": 2, "batch": 8}


class Listener:
    def __init__(self) -> None:
        from lince.progress import SILENT

        self.lines: list[str] = []
        self.open_stage = SILENT.open_stage

    def show_message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("Área de Trabalho") / "niño ç", each=14)


@pytest.fixture(scope="module")
def runs(photos, tmp_path_factory):
    """Return one finished run of every recipe."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINCE_CACHE", str(out / "cache"))
        return {
            "scratch": lince.train(photos, out=out / "scratch", **SCRATCH),
            "transfer": lince.train(photos, out=out / "transfer", **BACKBONE),
            "mlp": lince.train(photos, out=out / "mlp", head="mlp", **BACKBONE),
            "finetune": lince.train(photos, out=out / "finetune", recipe="finetune", epochs=1, batch=8, **BACKBONE),
        }


RECIPES = ("scratch", "transfer", "mlp", "finetune")


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_explains_itself(runs, name):
    folder = runs[name].folder
    for part in ("config.toml", "data.json", "split.csv", "metrics.csv", "predictions.csv", "report.html", "report.md"):
        assert (folder / part).is_file()
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["task"] == "classify"
    assert set(report["test"]["accuracy"]) >= {"value", "low", "high"}
    assert [entry["name"] for entry in report["test"]["classes"]] == list(SHAPES)
    assert all(entry["support"] > 0 for entry in report["test"]["classes"])
    assert report["data"]["used"] == 42
    assert report["data"]["left_out"] == 0
    assert report["timings"]["total"] > 0
    assert report["environment"]["packages"]["torch"]


@pytest.mark.parametrize("name", RECIPES)
def test_the_model_folder_answers_as_the_report_says(runs, name, photos):
    folder = runs[name].folder
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    predictor = lince.load(folder)
    assert rows
    for row in rows:
        prediction = predictor.predict(photos / row["name"])
        expected = [float(row[f"p:{shape}"]) for shape in SHAPES]
        assert np.allclose(prediction.label.probabilities, expected, atol=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_saliency_has_the_size_of_a_map_and_is_between_nothing_and_one(runs, name):
    page = (runs[name].folder / "report.html").read_text("utf-8")
    assert page.count("data:image/jpeg;base64") >= 4


def test_recipes_on_one_seed_share_the_split(runs):
    splits = {(runs[name].folder / "split.csv").read_bytes() for name in RECIPES}
    assert len(splits) == 1


def test_no_test_image_is_trained_on_even_as_a_copy_of_the_split(runs):
    with open(runs["scratch"].folder / "split.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    parts = {part: {row["key"] for row in rows if row["split"] == part} for part in ("train", "val", "test")}
    assert all(parts.values())
    for one, other in (("train", "test"), ("val", "test"), ("train", "val")):
        assert not parts[one] & parts[other]


def test_evaluating_the_run_on_its_test_images_gives_its_figures(runs, photos, tmp_path):
    folder = runs["transfer"].folder
    with open(folder / "split.csv", newline="", encoding="utf-8") as stream:
        tested = [row["name"] for row in csv.DictReader(stream) if row["split"] == "test"]
    for name in tested:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((photos / name).read_bytes())
    found = lince.evaluate(folder, tmp_path)
    assert found.metrics.accuracy.value == runs["transfer"].report["test"]["accuracy"]["value"]


def test_runs_are_compared_on_their_common_test_set(runs):
    comparison = lince.compare([runs["scratch"].folder, runs["transfer"].folder])
    assert [one.name for one in comparison.runs] == ["scratch", "transfer"]
    assert comparison.count == runs["scratch"].report["data"]["splits"]["test"]
    assert comparison.runs[1].difference is not None


def test_recipe_all_trains_every_recipe_and_keeps_the_best(photos, tmp_path):
    choices = {**BACKBONE, "epochs": 1, "batch": 8}
    done = lince.train(photos, out=tmp_path / "all", recipe="all", **choices)
    table = done.report["recipes"]
    assert [row["name"] for row in table] == ["scratch", "transfer", "finetune"]
    (best,) = [row for row in table if row["chosen"]]
    assert best["val"] == max(row["val"] for row in table)
    assert (done.model_folder / "model.onnx").read_bytes() == (
        done.folder / best["name"] / "model" / "model.onnx"
    ).read_bytes()
    lines = describe_run(done)[1]  # the table that lince train prints
    for row in table:
        (line,) = [line for line in lines if line.startswith(translate_recipe(row["name"]) + " ")]
        assert f"{row['val']:.1%}" in line.replace("\N{NARROW NO-BREAK SPACE}", "")
    assert f"Kept: {translate_recipe(best['name'])}" in lines
    assert not any(
        line.startswith("Kept: ") for line in describe_run(run_folder.TrainingRun(done.folder / "scratch"))[1]
    )


def test_fine_tuning_that_does_not_improve_is_discarded(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "DEFAULT_LEARNING_RATE", 1e-9)
    listener = Listener()
    tuned = lince.train(
        photos, out=tmp_path / "tuned", recipe="finetune", epochs=1, batch=8, progress=listener, **BACKBONE
    )
    plain = lince.train(photos, out=tmp_path / "plain", **BACKBONE)
    assert any("did not improve on transfer" in line for line in listener.lines)
    assert (tuned.folder / "predictions.csv").read_bytes() == (plain.folder / "predictions.csv").read_bytes()


def test_the_second_transfer_computes_no_feature_and_gives_the_same_answers(photos, tmp_path):
    first, second = (lince.train(photos, out=tmp_path / name, **BACKBONE) for name in "ab")
    assert (first.folder / "predictions.csv").read_bytes() == (second.folder / "predictions.csv").read_bytes()


def test_choices_that_suit_the_images_are_said_with_their_reasons(photos, tmp_path):
    listener = Listener()
    lince.train(photos, out=tmp_path / "run", recipe="scratch", epochs=1, progress=listener)
    told = "\n".join(listener.lines)
    for word in (
        "Model: cnn",
        "Input size: 32",
        "Device: cpu",
        "Numerical precision",
        "Batch size: 32",
        "learning rate",
        "Data-loading threads",
    ):
        assert word in told


def test_every_default_policy_can_be_read_and_alters_photos():
    for text in (defaults.PHOTO_POLICY, defaults.SHORT_PHOTO_POLICY, defaults.DIGIT_POLICY, finetune.DEFAULT_POLICY):
        assert len(Policy.parse(text)) >= 4


def test_a_run_is_never_overwritten(runs, photos):
    with pytest.raises(UsageError, match="never overwritten"):
        lince.train(photos, out=runs["scratch"].folder, **SCRATCH)


def test_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [run_folder.create_run(None).folder.name for _ in range(3)] == ["train", "train2", "train3"]


def test_resuming_a_finished_run_says_so(runs):
    listener = Listener()
    assert lince.resume(runs["scratch"].folder, progress=listener).folder == runs["scratch"].folder
    assert "finished already" in listener.lines[0]


def test_many_broken_photos_stop_the_run_unless_allowed(tmp_path):
    data = folders(tmp_path / "fotos", each=10)
    broken = data / "aro" / "foto 03.png"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DataError, match="foto 03"):
        lince.train(data, out=tmp_path / "a", **SCRATCH)
    done = lince.train(data, out=tmp_path / "b", allow_unusable=True, **SCRATCH)
    assert done.report["data"]["left_out"] == 1
    assert done.report["data"]["rejected"][0]["path"] == "aro/foto 03.png"


def test_one_class_is_not_enough(tmp_path):
    (tmp_path / "fotos" / "solo").mkdir(parents=True)
    for number in range(8):
        photo = images.encode_png(np.full((16, 16, 3), 20 * number, np.uint8))
        (tmp_path / "fotos" / "solo" / f"{number}.png").write_bytes(photo)
    with pytest.raises(DataError, match="two classes"):
        lince.train(tmp_path / "fotos", out=tmp_path / "run", format="folders", **SCRATCH)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"recipe": "transfer", "model": CNN}, "no pretrained weights"),
        ({"recipe": "transfer", "standardise": "samplewise", **BACKBONE}, "preprocessing that they were trained with"),
        ({"recipe": "magic"}, "scratch, transfer"),
        ({"epochs": 0}, "from 1 to"),
    ],
)
def test_choices_that_cannot_be_are_refused_before_anything_runs(photos, tmp_path, choices, told):
    with pytest.raises(UsageError, match=told):
        lince.train(photos, out=tmp_path / "run", **choices)


@pytest.mark.parametrize("how", ["featurewise", "samplewise"])
def test_standardised_images_are_prepared_alike_when_predicting(photos, tmp_path, how):
    done = lince.train(photos, out=tmp_path / "run", standardise=how, **SCRATCH)
    assert lince.load(done.folder).card.preprocess.standardise == how
    if how == "featurewise":
        assert 20 < lince.load(done.folder).card.preprocess.mean[0] < 120


def test_an_export_with_other_results_is_refused(photos, tmp_path, monkeypatch):
    from lince.training.classification import network_recipe

    normal = network_recipe.export_classifier

    def swapped(network, spec, path):
        with torch.no_grad():
            network.head.weight.mul_(-3)
            normal(network, spec, path)
            network.head.weight.div_(-3)

    monkeypatch.setattr(network_recipe, "export_classifier", swapped)
    with pytest.raises(ModelError, match="differs from the trained"):
        lince.train(photos, out=tmp_path / "run", **{**SCRATCH, "rate": 0.05, "epochs": 6})
    assert not (tmp_path / "run" / "report.json").exists()


def test_a_budget_decides_the_epochs(photos, tmp_path):
    done = lince.train(photos, out=tmp_path / "run", budget=3.0, **{**SCRATCH, "epochs": None})
    assert 1 <= len(done.report["history"]) <= 1000
    assert "budget" in json.loads((done.folder / "plan.json").read_text())["reasons"][0]
