"""Training of multilabel models: all recipes, thresholds, reports in three languages, resuming to the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.tagged_photos import SHAPES, one_hot_table

import lince
from lince.errors import DataError, UsageError
from lince.evaluation.multilabel.predictions import MultilabelPredictions
from lince.i18n import use_language
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import ModelCard
from lince.postprocess import sigmoid

SCRATCH = {"recipe": "scratch", "model": "cnn: conv 8 3, norm, gap", "size": 24, "epochs": 3, "batch": 8, "seed": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return one_hot_table(tmp_path_factory.mktemp("Área") / "niño ç", 120)


@pytest.fixture(scope="module")
def transferred(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return lince.train(data, task="multilabel", val=0.3, out=tmp_path_factory.mktemp("run") / "t", size=96)


def test_transfer_tells_the_shapes_and_writes_what_it_used(transferred: Any) -> None:
    test = transferred.report["test"]
    assert test["map"]["value"] > 0.8
    assert test["map"]["low"] <= test["map"]["value"] <= test["map"]["high"]
    card = ModelCard.load(transferred.model_folder)
    assert (card.task, len(card.thresholds)) == ("multilabel", len(SHAPES))
    assert [row["threshold"] for row in test["classes"]] == list(card.thresholds)
    assert card.metrics["map"]["value"] == test["map"]["value"]
    predictions = MultilabelPredictions.load(transferred.folder / "predictions.csv")
    assert predictions.thresholds.tolist() == list(card.thresholds)
    assert predictions.compute_metrics().to_dict()["f1_macro"] == test["f1_macro"]


def test_the_file_answers_as_the_report_says(transferred: Any, data: Path) -> None:
    from lince.preprocess import preprocess_images

    predictions = MultilabelPredictions.load(transferred.folder / "predictions.csv")
    card = ModelCard.load(transferred.model_folder)
    dataset = lince.open(data)
    rows = [row for row in range(len(dataset)) if dataset.images.get_name(row) in predictions.names]
    inputs = preprocess_images([dataset.images.read_image(row) for row in rows], card.preprocess)
    logits = OnnxRuntimeBackend(transferred.model_folder / "model.onnx").run(inputs)[0]
    order = [predictions.names.index(dataset.images.get_name(row)) for row in rows]
    np.testing.assert_allclose(sigmoid(logits), predictions.probabilities[order], atol=1e-3)


def test_the_report_has_its_sections_in_three_languages(transferred: Any, data: Path, tmp_path: Path) -> None:
    for language, words in (("en", "Classes that go together"), ("es", "Clases"), ("pt", "Classes")):
        with use_language(language):
            run = lince.train(data, task="multilabel", val=0.3, out=tmp_path / language, size=96)
        page = (run.folder / "report.html").read_text("utf-8")
        text = (run.folder / "report.md").read_text("utf-8")
        assert words in page
        assert page.count("<section") >= 7
        assert text.count("\n## ") >= 6
        assert "<script" not in page
        for name in SHAPES:
            assert name in text
        assert run.report["test"] == transferred.report["test"]


def test_thresholds_of_transfer_come_from_images_that_no_head_saw(transferred: Any, data: Path) -> None:
    sizes = transferred.report["data"]["splits"]
    said = f"{sizes['val'] + sizes['train']} images: {sizes['val']} of validation, and {sizes['train']} of training"
    assert any(said in note for note in transferred.report["notes"])
    few = lince.train(data, task="multilabel", val=0.0, out=transferred.folder.parent / "few", size=96)
    assert any("0 of validation" in note for note in few.report["notes"])


def test_without_validation_the_thresholds_of_a_network_are_said_to_be_one_half(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    few = lince.train(data, task="multilabel", val=0.0, out=tmp_path / "few", **SCRATCH)
    assert [row["threshold"] for row in few.report["test"]["classes"]] == [0.5] * len(SHAPES)
    assert any("threshold is 0.5" in note for note in few.report["notes"])


def test_scratch_and_fine_tuning_learn_with_a_sigmoid_for_each_class(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    scratch = lince.train(data, task="multilabel", out=tmp_path / "scratch", monitor="val_map", **SCRATCH)
    epochs = scratch.report["history"]
    assert len(epochs) == 3
    assert all(0 <= epoch["val_map"] <= 1 and epoch["train_loss"] > 0 for epoch in epochs)
    options = {"recipe": "finetune", "size": 64, "epochs": 1, "batch": 16, "augment": "none", "seed": SCRATCH["seed"]}
    tuned = lince.train(data, task="multilabel", out=tmp_path / "tuned", **options)
    assert tuned.report["recipe"] == "finetune"
    assert tuned.report["val"]["map"] is not None
    comparison = lince.compare(scratch.folder, tuned.folder)
    assert comparison.runs[1].difference.outcome in ("better", "worse", "unclear")
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_the_loss_is_that_of_torch_and_has_no_smoothing(data: Path) -> None:
    torch = pytest.importorskip("torch")
    from lince.preprocess import PreprocessSpec
    from lince.tasks import get_task
    from lince.training.classification.loader import ClassificationLoader
    from lince.training.multilabel.labels import SetLabels
    from lince.training.multilabel.objective import MultilabelObjective

    dataset = get_task("multilabel").select_usable(lince.open(data))
    spec = PreprocessSpec(24, 24, mean=(0.0,) * 3, std=(255.0,) * 3)
    loader = ClassificationLoader(dataset, np.arange(10), spec, 10, labels=SetLabels())
    (batch,) = loader.iter_batches()
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24 * 24 * 3, 3))
    loss, _figures = MultilabelObjective(loader).compute_loss(network, batch, torch.device("cpu"), False)
    logits = network(torch.from_numpy(batch.inputs)).detach().numpy().astype(np.float64)
    truth = dataset.label_sets.to_matrix(3)[:10]
    expected = np.mean(np.logaddexp(0, logits) - truth * logits)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    figures = MultilabelObjective(loader).validate(network, torch.device("cpu"))
    assert figures["val_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_killed_run_is_resumed_to_the_same_bits(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    whole = lince.train(data, task="multilabel", out=tmp_path / "whole", **{**SCRATCH, "epochs": 6})
    command = [
        sys.executable,
        "-m",
        "lince",
        "train",
        str(data),
        "--task",
        "multilabel",
        "--out",
        str(tmp_path / "cut"),
    ]
    for name, value in {**SCRATCH, "epochs": 6}.items():
        command += [f"--{name}", str(value)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    checkpoint = tmp_path / "cut" / "checkpoints" / "last.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = lince.resume(tmp_path / "cut")
    for name in ("predictions.csv", "split.csv", "model/model.onnx"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_options_that_do_nothing_are_refused(data: Path, tmp_path: Path) -> None:
    for options in (
        {"head": "mlp"},
        {"recipe": "scratch", "mix": "mixup"},
        {"recipe": "scratch", "label_smoothing": 0.1},
    ):
        with pytest.raises(UsageError, match="does not use"):
            lince.train(data, task="multilabel", out=tmp_path / "run", **options)


def test_photos_without_any_class_cannot_teach_or_test(tmp_path: Path) -> None:
    root = one_hot_table(tmp_path / "d", 30)
    lines = (root / "labels.csv").read_text("utf-8").splitlines()
    empty = [line.rsplit(",", 3)[0] + ",0,0,0" for line in lines[2:]]
    (root / "labels.csv").write_text("\n".join([lines[0], lines[1].rsplit(",", 3)[0] + ",1,1,1", *empty]), "utf-8")
    with pytest.raises(DataError, match="With a class"):
        lince.train(root, task="multilabel", out=tmp_path / "run", size=64)
