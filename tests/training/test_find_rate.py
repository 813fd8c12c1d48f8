"""Finding a learning rate: by seed alone, leaving nothing behind, and worth more than a rate 100 times as high."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.support.box_photos import yolo  # noqa: E402
from tests.support.class_photos import folders  # noqa: E402

import lince  # noqa: E402
from lince.cli.main import main  # noqa: E402
from lince.errors import UsageError  # noqa: E402
from lince.evaluation import rate_test  # noqa: E402
from lince.training import checkpoint  # noqa: E402

CNN = "cnn: conv 8 3, norm, pool, conv 16 3, norm, gap"
SCRATCH = {"recipe": "scratch", "model": CNN, "size": 16, "batch": 8, "seed": 2}
BACKBONE = {"model": "mobilenetv3_small_050", "weights": "none", "size": 32}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("Área de Trabalho") / "niño ç", each=24)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_the_seed_decides_everything(photos):
    one, two = (lince.find_rate(photos, **SCRATCH) for _number in range(2))
    assert one == two
    other = lince.lr_find(photos, **{**SCRATCH, "seed": 3})
    assert other.tests[0].losses != one.tests[0].losses


def test_a_training_afterwards_is_the_same(photos, tmp_path):
    options = {**SCRATCH, "epochs": 2}
    before = lince.train(photos, out=tmp_path / "before", **options)
    entries = {path.name for path in tmp_path.iterdir()}
    search = lince.find_rate(photos, **options)
    assert {path.name for path in tmp_path.iterdir()} == entries  # no run, no page
    after = lince.train(photos, out=tmp_path / "after", **options)
    weights = [
        checkpoint.read_tensor_file(run.folder / "checkpoints" / "best.safetensors")[0] for run in (before, after)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    (test,) = search.tests
    assert test.planned_rate == json.loads((before.folder / "plan.json").read_text("utf-8"))["rate"]
    assert test.train_count == before.report["data"]["splits"]["train"]
    assert test.drawn_count <= len(test.rates) * test.batch_size


def test_the_suggestion_trains_better_than_a_hundred_times_as_much(photos, tmp_path):
    rate = lince.find_rate(photos, **SCRATCH).rate
    assert rate is not None
    losses = []
    for name, value in (("suggested", rate), ("high", 100 * rate)):
        run = lince.train(photos, out=tmp_path / name, epochs=6, rate=value, **SCRATCH)
        with (run.folder / "metrics.csv").open(encoding="utf-8") as file:
            losses.append(min(float(epoch["val_loss"]) for epoch in csv.DictReader(file)))
    assert losses[0] < losses[1]


def test_each_recipe_with_a_rate_is_tested(photos, monkeypatch):
    monkeypatch.setattr(rate_test, "STEP_COUNT", 15)
    search = lince.find_rate(photos, recipe="all", epochs=1, batch=8, **BACKBONE)
    assert [test.recipe for test in search.tests] == ["scratch", "finetune"]
    assert search.tests[0].losses != search.tests[1].losses


@pytest.mark.parametrize("recipe", ["scratch", "transfer", "finetune"])
def test_detectors_are_tested_too(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(rate_test, "STEP_COUNT", 8)
    boxes = yolo(tmp_path / "boxes", {"train": 10, "val": 4, "test": 4})
    search = lince.find_rate(boxes, recipe=recipe, model="yolox-nano", weights="none", size=64, batch=4)
    (test,) = search.tests
    assert test.recipe == recipe
    assert test.train_count == 10
    assert test.losses[0] > 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "--recipe scratch or --recipe finetune"),  # the head of transfer is fitted without a rate
        ({"recipe": "scratch", "rate": 0.1}, "--lr"),
        ({"recipe": "scratch", "patience": 3}, "--patience"),
        ({"recipe": "scratch", "budget": 60.0}, "--budget"),
    ],
)
def test_what_makes_no_sense_is_refused(photos, options, word):
    with pytest.raises(UsageError) as caught:
        lince.find_rate(photos, lince.TrainConfig(**options))
    assert word in f"{caught.value.problem} {caught.value.remedy}"


def test_the_command_writes_a_page_and_says_what_it_found(photos, tmp_path, capsys):
    words = ["train", str(photos), "--recipe", "scratch", "--model", CNN, "--size", "16", "--batch", "8"]
    assert main([*words, "--lr-find"]) == 0
    printed = capsys.readouterr().out
    assert "rate.html" in printed
    assert "training photos" in printed
    assert "<svg " in (tmp_path / "rate.html").read_text("utf-8")
    assert not (tmp_path / "runs").exists()
    assert main([*words, "--find-rate", "--out", str(tmp_path / "other.html"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["page"] == str(tmp_path / "other.html")
    assert len(document["tests"][0]["rates"]) == len(document["tests"][0]["losses"])
    assert main([*words, "--lr-find", "--lr", "0.1"]) == 2
    assert main([*words, "--lr-find", "--out", "run"]) == 2
    assert main(["train", "--resume", "runs/train", "--lr-find"]) == 2
