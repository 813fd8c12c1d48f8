"""The training loop: epochs of batches, a checkpoint whenever it is due, the best weights at the end.

Lightning Fabric places the network and chooses the arithmetic; the loop itself is ours, because an interrupted fit
must end with the same bits as one that ran through. So all that happens at a step is a function of the state on
disk: the order and the augmentation come from the loader, the rate from the step's number, and the random numbers
of dropout from a seed set anew at each step.
"""

from __future__ import annotations

import math
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from lince.errors import DivergedError
from lince.messages import _
from lince.models.blocks import Layered
from lince.progress import Progress, Stage
from lince.training import checkpoint, memory
from lince.training.checkpoint import State
from lince.training.goal import Batches, Goal
from lince.training.optim import Average, optimiser, set_rate
from lince.training.plan import Plan, rate_at

_FABRIC = {"fp32": "32-true", "bf16": "bf16-mixed"}
BEST, LAST = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Course:
    """What the loop runs over: a network, its batches, its goal, the plan, where checkpoints go, and who listens."""

    network: Layered
    train: Batches
    goal: Goal
    plan: Plan
    checkpoints: Path
    device: str
    precision: str
    progress: Progress


def run(course: Course) -> State:
    """Train ``course.network`` to the end of its plan and leave it with the best weights, on the CPU, in eval mode.

    Goes on from ``last.safetensors`` where there is one. Raises ``DivergedError`` when the loss is not a number
    even in fp32, ``TrainingError`` when a checkpoint cannot be read or written.
    """
    if course.device == "cpu":
        memory.keep()
    loop = _Loop(course)
    while not loop.is_over():
        loop.epoch()
    return loop.finish()


class _Loop:
    def __init__(self, course: Course) -> None:
        self.course, self.plan = course, course.plan
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        self.fabric = Fabric(accelerator=course.device, devices=1, precision=_FABRIC[course.precision])  # type: ignore[arg-type]
        network = course.network.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = Average(network, self.plan.ema)
        self.network, self.optimizer = self.fabric.setup(network, optimiser(network, self.plan))
        if course.goal.call != "forward":
            self.network.mark_forward_method(course.goal.call)
        self.state = self._restored()
        self.steps = len(course.train) * self.plan.epochs
        self.saved = self.started = time.monotonic()

    def is_over(self) -> bool:
        state = self.state
        waited = state.best and len(state.history) - state.best >= self.plan.patience
        return state.finished or state.epoch >= self.plan.epochs or bool(waited)

    def epoch(self) -> None:
        course, state = self.course, self.state
        name = _("Epoch {number} of {count}").format(number=state.epoch + 1, count=self.plan.epochs)
        began = time.monotonic()
        with course.progress.stage(name, len(course.train)) as stage:
            stage.advance(state.batch)
            for batch in course.train.batches(state.epoch, state.batch):
                self._step(batch, stage)
        self._close(time.monotonic() - began)

    def finish(self) -> State:
        tensors, _record = checkpoint.read(self.course.checkpoints / BEST)
        network = self.course.network
        network.load_state_dict(tensors)
        network.cpu().eval()
        self.state.finished = True
        return self.state

    def _step(self, batch: Any, stage: Stage) -> None:
        state = self.state
        number = state.epoch * len(self.course.train) + state.batch
        set_rate(self.optimizer, self.plan.rate * rate_at(number, self.steps, self.plan.warmup))
        figures = self._learn(batch, number)
        self.optimizer.step()
        self.average.update(self.course.network, number)
        for name, value in figures.items():
            state.sums[name] = state.sums.get(name, 0.0) + value * len(batch)
        state.seen += len(batch)
        state.batch += 1
        stage.advance(note=_("loss {loss:.3f}").format(loss=state.sums["loss"] / state.seen))
        if time.monotonic() - self.saved >= self.plan.checkpoint_seconds:
            self._save()

    def _learn(self, batch: Any, number: int) -> dict[str, float]:
        """Put the gradients of ``batch`` in place and return its figures; a bad step is tried again in fp32."""
        for network in (self.network, self.network.module):
            torch.manual_seed(_step_seed(self.plan.seed, number))
            figures = self._gradients(network, batch)
            if math.isfinite(figures["loss"]):
                return figures
            self.course.progress.say(
                _("Step {step}: the loss is not a number; trying the step again in fp32.").format(step=number + 1)
            )
        raise DivergedError(
            _("At step {step} (epoch {epoch}) the loss is not a number, in fp32 either.").format(
                step=number + 1, epoch=self.state.epoch + 1
            ),
            _("The learning rate was {rate:.2g}.").format(rate=self.optimizer.param_groups[0]["lr"]),
            _("Train again with a lower one, such as --rate {rate:.2g}.").format(rate=self.plan.rate / 5),
        )

    def _gradients(self, network: nn.Module, batch: Any) -> dict[str, float]:
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss, figures = self.course.goal.loss(network, batch, self.fabric.device, self.plan.is_plain(self.state.epoch))
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.network, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
        )
        good = norm is None or bool(torch.isfinite(norm))
        return {"loss": float(loss.detach()) if good else math.nan, **figures}

    def _close(self, seconds: float) -> None:
        state, plan = self.state, self.plan
        learnt = {f"train_{name}": value / max(1, state.seen) for name, value in state.sums.items()}
        judged = self.course.goal.judge(self.average.network, self.fabric.device)
        state.seconds += seconds
        rate = plan.rate * rate_at((state.epoch + 1) * len(self.course.train) - 1, self.steps, plan.warmup)
        state.history.append({"epoch": state.epoch + 1, **learnt, **judged, "rate": rate, "seconds": seconds})
        state.epoch, state.batch = state.epoch + 1, 0
        state.sums, state.seen = {}, 0
        self.course.progress.say(
            _("Epoch {epoch}/{epochs}: {figures}; {seconds:.0f} s").format(
                epoch=state.epoch,
                epochs=plan.epochs,
                figures=self.course.goal.told(state.history[-1]),
                seconds=seconds,
            )
        )
        if best_epoch(state.history, plan.monitor) == state.epoch:
            state.best = state.epoch
            weights = dict(self.average.network.state_dict())
            checkpoint.write(self.course.checkpoints / BEST, weights, {"epoch": state.epoch})
        self._save()

    def _save(self) -> None:
        path = self.course.checkpoints / LAST
        checkpoint.save(path, self.state, self.course.network, self.average.network, self.optimizer)
        self.saved = time.monotonic()

    def _restored(self) -> State:
        path = self.course.checkpoints / LAST
        if not path.exists():
            return State()
        return checkpoint.load(path, self.course.network, self.average.network, self.optimizer)


def time_steps(course: Course, steps: int) -> float:
    """Return the median seconds of a training step, image preparation included; the network is left as it was."""
    copy = deepcopy(course.network).to(course.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    times: list[float] = []
    began = time.perf_counter()
    for batch, _number in zip(course.train.batches(), range(steps), strict=False):
        loss, _figures = course.goal.loss(copy, batch, torch.device(course.device), False)
        torch.autograd.backward(loss)
        times.append(time.perf_counter() - began)
        began = time.perf_counter()
    return float(np.median(times[1:] or times))


def best_epoch(history: list[dict[str, Any]], monitor: str) -> int:
    """Return the number (from 1) of the best epoch by ``monitor``; the last where it was never measured.

    Of a loss the lowest is best, of anything else the highest.
    """
    values = [entry[monitor] if monitor.endswith("loss") else -entry[monitor] for entry in history]
    return 1 + int(np.nanargmin(values)) if not np.isnan(values).all() else len(history)


def _step_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> 1)
