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
from lince.i18n import _
from lince.models.blocks import FreezableNetwork
from lince.progress import Progress, ProgressStage
from lince.training import checkpoint, malloc
from lince.training.checkpoint import TrainingState
from lince.training.objective import BatchLoader, Objective
from lince.training.optim import ModelEMA, build_optimizer, set_learning_rate
from lince.training.plan import TrainingPlan, compute_lr_factor

_FABRIC_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
BEST_CHECKPOINT, LAST_CHECKPOINT = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class TrainingSetup:
    """What the loop runs over: a network, its batches, its goal, the plan, where checkpoints go, and who listens."""

    network: FreezableNetwork
    train_loader: BatchLoader
    objective: Objective
    plan: TrainingPlan
    checkpoint_folder: Path
    device: str
    precision: str
    progress: Progress


def run_training_loop(course: TrainingSetup) -> TrainingState:
    """Train ``course.network`` to the end of its plan and leave it with the best weights, on the CPU, in eval mode.

    Goes on from ``last.safetensors`` where there is one. Raises ``DivergedError`` when the loss is not a number
    even in fp32, ``TrainingError`` when a checkpoint cannot be read or written.
    """
    if course.device == "cpu":
        malloc.keep_freed_memory()
    loop = _TrainingLoop(course)
    while not loop.is_over():
        loop.run_epoch()
    return loop.finish()


class _TrainingLoop:
    def __init__(self, course: TrainingSetup) -> None:
        self.setup, self.plan = course, course.plan
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        self.fabric = Fabric(accelerator=course.device, devices=1, precision=_FABRIC_PRECISIONS[course.precision])  # type: ignore[arg-type]
        network = course.network.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = ModelEMA(network, self.plan.ema)
        self.network, self.optimizer = self.fabric.setup(network, build_optimizer(network, self.plan))
        if course.objective.forward_method != "forward":
            self.network.mark_forward_method(course.objective.forward_method)
        self.state = self._restore_state()
        self.total_steps = len(course.train_loader) * self.plan.epochs
        self.last_saved_at = self.started = time.monotonic()

    def is_over(self) -> bool:
        state = self.state
        waited = state.best and len(state.history) - state.best >= self.plan.patience
        return state.finished or state.epoch >= self.plan.epochs or bool(waited)

    def run_epoch(self) -> None:
        course, state = self.setup, self.state
        name = _("Epoch {number} of {count}").format(number=state.epoch + 1, count=self.plan.epochs)
        began = time.monotonic()
        with course.progress.open_stage(name, len(course.train_loader)) as stage:
            stage.advance(state.batch)
            for batch in course.train_loader.iter_batches(state.epoch, state.batch):
                self._train_step(batch, stage)
        self._end_epoch(time.monotonic() - began)

    def finish(self) -> TrainingState:
        tensors, _record = checkpoint.read_tensor_file(self.setup.checkpoint_folder / BEST_CHECKPOINT)
        network = self.setup.network
        network.load_state_dict(tensors)
        network.cpu().eval()
        self.state.finished = True
        return self.state

    def _train_step(self, batch: Any, stage: ProgressStage) -> None:
        state = self.state
        number = state.epoch * len(self.setup.train_loader) + state.batch
        set_learning_rate(
            self.optimizer, self.plan.rate * compute_lr_factor(number, self.total_steps, self.plan.warmup)
        )
        figures = self._backpropagate_with_retry(batch, number)
        self.optimizer.step()
        self.ema.update(self.setup.network, number)
        for name, value in figures.items():
            state.sums[name] = state.sums.get(name, 0.0) + value * len(batch)
        state.seen += len(batch)
        state.batch += 1
        stage.advance(note=_("loss {loss:.3f}").format(loss=state.sums["loss"] / state.seen))
        if time.monotonic() - self.last_saved_at >= self.plan.checkpoint_seconds:
            self._save_checkpoint()

    def _backpropagate_with_retry(self, batch: Any, number: int) -> dict[str, float]:
        """Put the gradients of ``batch`` in place and return its figures; a bad step is tried again in fp32."""
        for network in (self.network, self.network.module):
            torch.manual_seed(_step_seed(self.plan.seed, number))
            figures = self._backpropagate(network, batch)
            if math.isfinite(figures["loss"]):
                return figures
            self.setup.progress.show_message(
                _("Step {step}: the loss is not a number; trying the step again in fp32.").format(step=number + 1)
            )
        raise DivergedError(
            _("At step {step} (epoch {epoch}) the loss is not a number, in fp32 either.").format(
                step=number + 1, epoch=self.state.epoch + 1
            ),
            _("The learning rate was {rate:.2g}.").format(rate=self.optimizer.param_groups[0]["lr"]),
            _("Train again with a lower one, such as --rate {rate:.2g}.").format(rate=self.plan.rate / 5),
        )

    def _backpropagate(self, network: nn.Module, batch: Any) -> dict[str, float]:
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss, figures = self.setup.objective.compute_loss(
            network, batch, self.fabric.device, self.plan.is_mixing_off(self.state.epoch)
        )
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.network, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
        )
        good = norm is None or bool(torch.isfinite(norm))
        return {"loss": float(loss.detach()) if good else math.nan, **figures}

    def _end_epoch(self, seconds: float) -> None:
        state, plan = self.state, self.plan
        learnt = {f"train_{name}": value / max(1, state.seen) for name, value in state.sums.items()}
        judged = self.setup.objective.validate(self.ema.network, self.fabric.device)
        state.seconds += seconds
        rate = plan.rate * compute_lr_factor(
            (state.epoch + 1) * len(self.setup.train_loader) - 1, self.total_steps, plan.warmup
        )
        state.history.append({"epoch": state.epoch + 1, **learnt, **judged, "rate": rate, "seconds": seconds})
        state.epoch, state.batch = state.epoch + 1, 0
        state.sums, state.seen = {}, 0
        self.setup.progress.show_message(
            _("Epoch {epoch}/{epochs}: {figures}; {seconds:.0f} s").format(
                epoch=state.epoch,
                epochs=plan.epochs,
                figures=self.setup.objective.describe_epoch(state.history[-1]),
                seconds=seconds,
            )
        )
        if find_best_epoch(state.history, plan.monitor) == state.epoch:
            state.best = state.epoch
            weights = dict(self.ema.network.state_dict())
            checkpoint.write_tensor_file(
                self.setup.checkpoint_folder / BEST_CHECKPOINT, weights, {"epoch": state.epoch}
            )
        self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        path = self.setup.checkpoint_folder / LAST_CHECKPOINT
        checkpoint.save_checkpoint(path, self.state, self.setup.network, self.ema.network, self.optimizer)
        self.last_saved_at = time.monotonic()

    def _restore_state(self) -> TrainingState:
        path = self.setup.checkpoint_folder / LAST_CHECKPOINT
        if not path.exists():
            return TrainingState()
        return checkpoint.load_checkpoint(path, self.setup.network, self.ema.network, self.optimizer)


def measure_step_seconds(course: TrainingSetup, steps: int) -> float:
    """Return the median seconds of a training step, image preparation included; the network is left as it was."""
    copy = deepcopy(course.network).to(course.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    times: list[float] = []
    began = time.perf_counter()
    for batch, _number in zip(course.train_loader.iter_batches(), range(steps), strict=False):
        loss, _figures = course.objective.compute_loss(copy, batch, torch.device(course.device), False)
        torch.autograd.backward(loss)
        times.append(time.perf_counter() - began)
        began = time.perf_counter()
    return float(np.median(times[1:] or times))


def find_best_epoch(history: list[dict[str, Any]], monitor: str) -> int:
    """Return the number (from 1) of the best epoch by ``monitor``; the last where it was never measured.

    Of a loss the lowest is best, of anything else the highest.
    """
    values = [entry[monitor] if monitor.endswith("loss") else -entry[monitor] for entry in history]
    return 1 + int(np.nanargmin(values)) if not np.isnan(values).all() else len(history)


def _step_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> 1)
