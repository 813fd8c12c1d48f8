"""A time budget is a limit: checked with a clock of the test's own, on machines that are slower than planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lince.training.plan import TrainingPlan
from lince.training.time_budget import ClosingTimes, TimeBudget, allot_evenly

torch = pytest.importorskip("torch")

from tests.support.class_photos import folders  # noqa: E402

import lince  # noqa: E402
from lince.progress import SILENT  # noqa: E402
from lince.training import loop  # noqa: E402
from lince.training.loop import BudgetedTraining, TrainingSetup  # noqa: E402


class Clock:
    """A clock that moves when it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, inputs: Any) -> Any:
        return self.layer(inputs)

    def list_blocks(self) -> list[Any]:
        return [("layer", self.layer)]


class Loader:
    """Ten batches an epoch, each of which takes ``seconds(step)`` of the clock to train on."""

    def __init__(self, clock: Clock, seconds: Any) -> None:
        self.clock, self.seconds, self.steps = clock, seconds, 0

    def __len__(self) -> int:
        return 10

    def iter_batches(self, epoch: int = 0, first_batch: int = 0):
        for _number in range(first_batch, 10):
            self.clock.now += self.seconds(self.steps)
            self.steps += 1
            yield np.ones((4, 1), np.float32)


class FakeObjective:
    """A loss that falls; a validation takes ``seconds`` of the clock."""

    forward_method = "forward"

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def compute_loss(self, network: Any, batch: Any, device: Any, mixing_off: bool) -> Any:
        loss = network(torch.from_numpy(batch)).square().mean()
        return loss, {}

    def validate(self, network: Any, device: Any) -> dict[str, float]:
        self.clock.now += self.seconds
        return {"val_loss": float(network.layer.weight.detach().square().sum())}

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        return ""


def train(
    tmp_path: Path, monkeypatch, *, seconds: Any, budget: float, plan: TrainingPlan, closing: float, validation=2.0
):
    """Train by a clock; return the seconds that all took with the closing, the state, and the adopted plans."""
    clock = Clock()
    monkeypatch.setattr(loop.time, "monotonic", clock)
    loader, objective = Loader(clock, seconds), FakeObjective(clock, validation)
    setup = TrainingSetup(Network(), loader, objective, plan, tmp_path / "checkpoints", "cpu", "fp32", SILENT)
    adopted: list[TrainingPlan] = []

    def adopt(corrected: TrainingPlan) -> Loader:
        adopted.append(corrected)
        return setup.train_loader

    times = TimeBudget(clock.now + budget, ClosingTimes(closing, validation), clock)
    state = loop.run_training_loop(setup, BudgetedTraining(times, adopt))
    return clock.now - 1000 + closing, state, adopted


PLAN = TrainingPlan(epochs=10, batch=4, rate=1e-2, patience=99, plain=4, mosaic=0.5, ema=0.5)


def test_a_machine_as_fast_as_planned_finishes_the_plan(tmp_path, monkeypatch):
    spent, state, adopted = train(tmp_path, monkeypatch, seconds=lambda _n: 0.5, budget=120, plan=PLAN, closing=10)
    assert len(state.history) == 10
    assert not adopted
    assert spent <= 120


@pytest.mark.parametrize("budget", [120, 300, 600])
@pytest.mark.parametrize("slowness", [1.5, 3.0, 10.0, 40.0])
def test_a_slower_machine_ends_in_time_with_weights(tmp_path, monkeypatch, budget, slowness):
    planned = budget / 150  # seconds of a step by which ten epochs fill the budget
    plan = PLAN
    spent, state, adopted = train(
        tmp_path, monkeypatch, seconds=lambda _n: planned * slowness, budget=budget, plan=plan, closing=10
    )
    assert spent <= 1.05 * budget
    assert spent > 0.6 * budget  # and does not give up early
    assert state.best
    assert (tmp_path / "checkpoints" / loop.BEST_CHECKPOINT).is_file()
    assert state.history[-1]["rate"] < 0.1 * PLAN.rate
    if adopted:
        last = adopted[-1]
        assert last.epochs == len(state.history)
        assert 1 <= last.plain < last.epochs or last.epochs == 1


@pytest.mark.parametrize("starts_at", [0.2, 0.5, 0.8])
def test_programs_that_start_meanwhile_make_it_shorter_not_later(tmp_path, monkeypatch, starts_at):
    spent, state, _adopted = train(
        tmp_path,
        monkeypatch,
        seconds=lambda number: 0.8 if number < 100 * starts_at else 2.4,
        budget=120,
        plan=PLAN,
        closing=10,
    )
    assert spent <= 1.05 * 120
    assert state.best


def test_a_closing_that_becomes_slower_with_the_steps_is_allowed_for():
    clock = Clock()
    times = TimeBudget(clock.now + 100, ClosingTimes(10, 0), clock)
    before = times.compute_seconds_left()
    for seconds in [1.0] * 8 + [3.0] * 40:
        times.record_step(seconds)
    assert before - times.compute_seconds_left() == pytest.approx(1.25 * 20, rel=0.01)
    for _ in range(60):
        times.record_step(0.5)
    assert times.compute_seconds_left() == pytest.approx(before)


def test_a_budget_that_is_over_before_training_still_gives_weights(tmp_path, monkeypatch):
    _spent, state, _adopted = train(tmp_path, monkeypatch, seconds=lambda _n: 5.0, budget=1, plan=PLAN, closing=10)
    assert len(state.history) == 1
    assert (tmp_path / "checkpoints" / loop.BEST_CHECKPOINT).is_file()


def test_a_resumed_run_has_the_rest_of_its_budget(tmp_path, monkeypatch):
    plan = TrainingPlan(epochs=100, batch=4, rate=1e-2, patience=99)
    spent, state, _adopted = train(tmp_path, monkeypatch, seconds=lambda _n: 1.0, budget=120, plan=plan, closing=10)
    again, resumed, _adopted = train(tmp_path, monkeypatch, seconds=lambda _n: 1.0, budget=200, plan=plan, closing=10)
    assert again < 200 - state.seconds + 10
    assert len(resumed.history) > len(state.history)
    assert spent <= 120


def test_recipes_share_what_is_left():
    clock = Clock()
    assert allot_evenly(1090.0, 3, clock) == 30.0
    clock.now += 6.0  # the first was quick
    assert allot_evenly(1090.0, 2, clock) == 42.0
    clock.now += 1000.0
    assert allot_evenly(1090.0, 1, clock) == 1.0


def test_the_budget_counts_from_the_command_and_not_from_the_first_step(tmp_path, monkeypatch):
    """Reading the data, timing steps and rehearsing the end are part of it."""
    seen: list[float] = []
    normal = TimeBudget.__init__

    def record(self, ends_at, closing_times, *args):
        normal(self, ends_at, closing_times, *args)
        seen.append(ends_at)
        assert closing_times.closing > 0

    monkeypatch.setattr(TimeBudget, "__init__", record)
    import time

    started_at = time.monotonic()
    photos = folders(tmp_path / "fotos", each=8)
    called_at = time.monotonic()
    run = lince.train(
        photos, out=tmp_path / "run", recipe="scratch", model="cnn: conv 8 3, norm, gap", size=16, batch=8, budget=20.0
    )
    assert started_at + 20 < seen[0] <= called_at + 20.5
    assert run.is_finished
