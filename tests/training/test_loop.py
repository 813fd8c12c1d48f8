"""Training loop: each step depends only on the state on disk, so kill -9 changes nothing."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.support.class_photos import SHAPES, folders  # noqa: E402

import lince  # noqa: E402
from lince.augmentation import Policy  # noqa: E402
from lince.config import TrainConfig  # noqa: E402
from lince.datasets import open_dataset  # noqa: E402
from lince.errors import DivergedError, TrainingError  # noqa: E402
from lince.models.classification.classifier import build_classifier  # noqa: E402
from lince.preprocess import PreprocessSpec  # noqa: E402
from lince.progress import SILENT  # noqa: E402
from lince.training import checkpoint, loop  # noqa: E402
from lince.training.classification import objective  # noqa: E402
from lince.training.classification.loader import ClassificationLoader  # noqa: E402
from lince.training.classification.objective import ClassificationObjective  # noqa: E402
from lince.training.plan import TrainingPlan, compute_lr_factor  # noqa: E402

CNN = "cnn: conv 8 3, norm, pool, conv 16 3, norm, gap, dropout 0.3"
CONFIG = TrainConfig(recipe="scratch", model=CNN, size=16, epochs=3, batch=8, workers=2, augment="light", seed=3)
SPEC = PreprocessSpec(16, 16)
TRAIN = """
import sys, lince
from dataclasses import replace
from lince.training.classification.recipes import scratch
plan = scratch.plan_from_scratch
scratch.plan_from_scratch = lambda *a: replace(plan(*a), checkpoint_seconds=0.0, patience=99)
what, folder = sys.argv[1:3]
lince.resume(folder) if what == "resume" else lince.train(what, lince.TrainConfig.load(sys.argv[3]), out=folder)
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("Área de Trabalho") / "niño ç")


@pytest.fixture
def data(photos):
    return open_dataset(photos)


def course(data, folder: Path, plan: TrainingPlan, policy: str = "light") -> loop.TrainingSetup:
    rows = np.arange(len(data))
    train = ClassificationLoader(data, rows[::2], SPEC, plan.batch, plan.seed, Policy.parse(policy), workers=2)
    val = ClassificationLoader(data, rows[1::2], SPEC, plan.batch)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    network = build_classifier(CNN, len(SHAPES), SPEC, seed=plan.seed)
    return loop.TrainingSetup(
        network,
        train,
        ClassificationObjective(val, plan.label_smoothing),
        plan,
        folder / "checkpoints",
        "cpu",
        "fp32",
        SILENT,
    )


def same_weights(one: Path, two: Path) -> bool:
    first, _ = checkpoint.read_tensor_file(one / "checkpoints" / "best.safetensors")
    second, _ = checkpoint.read_tensor_file(two / "checkpoints" / "best.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def figures(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def test_batches_do_not_depend_on_the_number_of_threads_or_on_where_one_starts(data):
    loaders = [
        ClassificationLoader(data, np.arange(len(data)), SPEC, 8, 5, Policy.parse("strong"), "mixup", workers=n)
        for n in (1, 4)
    ]
    one, four = (list(loader.iter_batches(epoch=2)) for loader in loaders)
    late = list(loaders[0].iter_batches(epoch=2, first_batch=3))
    assert [len(batch.labels) for batch in one] == loaders[0].compute_batch_sizes()
    for a, b in zip(one, four, strict=True):
        assert np.array_equal(a.inputs, b.inputs)
        assert np.array_equal(a.targets, b.targets)
    for a, b in zip(one[3:], late, strict=True):
        assert np.array_equal(a.inputs, b.inputs)


def test_every_row_comes_once_an_epoch_and_the_order_changes(data):
    loader = ClassificationLoader(data, np.arange(len(data)), SPEC, 8, 5, Policy.parse("light"))
    assert sorted(loader.order_rows(0)) == sorted(loader.order_rows(1)) == list(range(len(data)))
    assert not np.array_equal(loader.order_rows(0), loader.order_rows(1))


def test_a_last_batch_of_one_image_is_left_out_of_training_but_not_of_evaluation(data):
    rows = np.arange(9)
    assert ClassificationLoader(data, rows, SPEC, 8, 0, Policy.parse("light")).compute_batch_sizes() == [8]
    assert ClassificationLoader(data, rows, SPEC, 8).compute_batch_sizes() == [8, 1]


def test_the_rate_rises_and_falls_to_nothing():
    rates = [compute_lr_factor(step, 100, 0.1) for step in range(100)]
    assert rates[9] == 1.0
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


def test_a_network_learns_and_ends_with_its_best_weights(data, tmp_path):
    plan = TrainingPlan(epochs=12, batch=8, rate=2e-2, seed=1, patience=99)
    it = course(data, tmp_path, plan)
    state = loop.run_training_loop(it)
    losses = [entry["val_loss"] for entry in state.history]
    assert losses[-1] < 0.7 * losses[0]
    loss, _accuracy = objective.evaluate_network(it.network, it.objective.val_loader)
    assert loss == pytest.approx(min(losses), rel=1e-4)


def test_fresh_memory_that_is_not_filled_changes_no_bit(data, tmp_path, monkeypatch):
    plan = TrainingPlan(epochs=2, batch=8, rate=2e-2, seed=1, patience=99)
    states = []
    choose = loop.require_deterministic_algorithms

    def choose_and_fill() -> None:
        choose()
        torch.utils.deterministic.fill_uninitialized_memory = True

    for folder, function in (("plain", choose), ("filled", choose_and_fill)):
        monkeypatch.setattr(loop, "require_deterministic_algorithms", function)
        loop.run_training_loop(course(data, tmp_path / folder, plan))
        states.append(torch.utils.deterministic.fill_uninitialized_memory)
    assert states == [False, True]
    assert same_weights(tmp_path / "plain", tmp_path / "filled")
    choose()
    assert torch.are_deterministic_algorithms_enabled()


def test_training_stops_when_validation_has_not_improved_for_long(data, tmp_path):
    plan = TrainingPlan(epochs=50, batch=8, rate=1e-8, decay=0.0, patience=2, monitor="val_accuracy")
    state = loop.run_training_loop(course(data, tmp_path, plan))
    assert len(state.history) == state.best + 2


def test_interrupted_between_any_two_steps_the_bits_are_the_same(data, tmp_path):
    plan = TrainingPlan(epochs=3, batch=4, rate=1e-2, seed=2, ema=0.9, checkpoint_seconds=0.0, patience=99)
    straight = loop.run_training_loop(course(data, tmp_path / "a", plan))

    class Cut(Exception):
        pass

    for step in (2, 3, 4):

        def stop(self, batch, stage, original=loop._TrainingLoop._train_step, left=[step]):  # noqa: B006
            original(self, batch, stage)
            left[0] -= 1
            if left[0] == 0:
                raise Cut

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop._TrainingLoop, "_train_step", stop)
            with pytest.raises(Cut):
                loop.run_training_loop(course(data, tmp_path / "b", plan))
    resumed = loop.run_training_loop(course(data, tmp_path / "b", plan))
    assert same_weights(tmp_path / "a", tmp_path / "b")
    drop = [{k: v for k, v in entry.items() if k != "seconds"} for entry in straight.history]
    assert drop == [{k: v for k, v in entry.items() if k != "seconds"} for entry in resumed.history]


def test_a_loss_that_is_not_a_number_is_tried_in_fp32_and_then_said(data, tmp_path, monkeypatch):
    said: list[str] = []

    class Listener(type(SILENT)):
        def show_message(self, text: str) -> None:
            said.append(text)

    it = replace(course(data, tmp_path, TrainingPlan(epochs=1, batch=8, rate=1e-2)), progress=Listener())
    normal = loop._TrainingLoop._backpropagate
    calls: list[int] = []

    def spoilt(self, forward, batch):
        figures = normal(self, forward, batch)
        calls.append(1)
        return {**figures, "loss": float("nan")} if len(calls) == 1 else figures

    monkeypatch.setattr(loop._TrainingLoop, "_backpropagate", spoilt)
    loop.run_training_loop(it)
    assert len(calls) == len(it.train_loader) + 1
    assert any("fp32" in text for text in said)


def test_a_diverged_training_ends_with_advice_and_valid_weights(data, tmp_path):
    it = course(data, tmp_path, TrainingPlan(epochs=1, batch=8, rate=1e-2))
    with torch.no_grad():
        it.network.head.weight.fill_(float("inf"))
    with pytest.raises(DivergedError, match="lr="):
        loop.run_training_loop(it)


def test_a_full_disk_leaves_the_last_checkpoint_whole(data, tmp_path, monkeypatch):
    plan = TrainingPlan(epochs=2, batch=8, rate=1e-2, patience=99)
    normal, count = checkpoint.save_file, []

    def full(*args, **kwargs):
        count.append(1)
        if len(count) == 4:  # the second epoch's state, after its best weights
            Path(args[1]).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        normal(*args, **kwargs)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TrainingError, match="No space left"):
        loop.run_training_loop(course(data, tmp_path / "b", plan))
    monkeypatch.undo()
    assert sorted(path.name for path in (tmp_path / "b" / "checkpoints").iterdir()) == [
        loop.BEST_CHECKPOINT,
        loop.LAST_CHECKPOINT,
    ]
    loop.run_training_loop(course(data, tmp_path / "b", plan))
    loop.run_training_loop(course(data, tmp_path / "a", plan))
    assert same_weights(tmp_path / "a", tmp_path / "b")


def test_a_cut_off_checkpoint_says_so(data, tmp_path):
    plan = TrainingPlan(epochs=1, batch=8, rate=1e-2)
    loop.run_training_loop(course(data, tmp_path, plan))
    last = tmp_path / "checkpoints" / loop.LAST_CHECKPOINT
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="cannot be read"):
        loop.run_training_loop(course(data, tmp_path, plan))


def start(what: str, folder: Path, config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", TRAIN, what, str(folder), str(config)], env={**os.environ})


def test_killed_three_times_the_run_ends_with_the_bits_of_one_that_ran_through(photos, tmp_path, chance):
    config = tmp_path / "config.toml"
    CONFIG.save(config)
    assert start(str(photos), tmp_path / "a", config).wait(120) == 0
    what, last = str(photos), tmp_path / "b" / "checkpoints" / "last.safetensors"
    for _ in range(3):
        process = start(what, tmp_path / "b", config)
        before = last.stat().st_mtime_ns if last.exists() else 0
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if last.exists() and last.stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.4))
        process.kill()
        process.wait()
        what = "resume"
    assert start("resume", tmp_path / "b", config).wait(120) == 0
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert figures(tmp_path / "a") == figures(tmp_path / "b")
    assert (tmp_path / "a" / "predictions.csv").read_bytes() == (tmp_path / "b" / "predictions.csv").read_bytes()
    assert (tmp_path / "a" / "split.csv").read_bytes() == (tmp_path / "b" / "split.csv").read_bytes()


def test_resuming_on_other_photos_is_refused(photos, tmp_path):
    copy = folders(tmp_path / "fotos", each=5, seed=4)
    run = lince.train(copy, CONFIG.with_changes(epochs=1), out=tmp_path / "run")
    (run.folder / "report.json").unlink()
    (copy / "aro" / "foto 00.png").unlink()
    with pytest.raises(TrainingError, match="have changed"):
        lince.resume(run.folder)


@pytest.mark.skipif(os.name == "nt", reason="a program of sh")
def test_a_cluster_nearby_changes_nothing(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SLURM's ``srun`` is on the PATH, the library that places networks would warn, and a warning is an error."""
    (tmp_path / "srun").write_text("#!/bin/sh\nexit 1\n", "utf-8")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    plan = TrainingPlan(epochs=1, batch=8, rate=1e-3, seed=1)
    loop.run_training_loop(course(data, tmp_path, plan))
    assert (tmp_path / "checkpoints" / "best.safetensors").is_file()
