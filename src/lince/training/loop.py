"""The training loop: epochs of batches, periodic checkpoints, early stopping, and the best weights at the end.

Lightning Fabric handles the device and mixed precision. The loop itself is written here because an interrupted run that
is resumed must end with exactly the same weights as one that was not interrupted. Everything at a step is therefore a
function of the checkpointed state: the loader derives order and augmentation from the epoch, the learning rate follows
from the step number, and dropout's random generator is seeded again at every step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
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
from lince.training.time_budget import TimeBudget

_FABRIC_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
BEST_CHECKPOINT, LAST_CHECKPOINT = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class TrainingSetup:
    """Everything the loop runs with.

    ``checkpoint_folder`` receives ``last.safetensors`` (the full state) and ``best.safetensors`` (weights only).
    ``device`` is ``cpu``, ``cuda`` or ``mps``; ``precision`` is ``fp32`` or ``bf16``.
    """

    network: FreezableNetwork
    train_loader: BatchLoader
    objective: Objective
    plan: TrainingPlan
    checkpoint_folder: Path
    device: str
    precision: str
    progress: Progress


@dataclass(frozen=True)
class BudgetedTraining:
    """A time ``budget``, and what returns the loader for a plan that was corrected to keep it."""

    budget: TimeBudget
    adopt_plan: Callable[[TrainingPlan], BatchLoader]


def run_training_loop(setup: TrainingSetup, budgeted: BudgetedTraining | None = None) -> TrainingState:
    """Train ``setup.network`` to the end of its plan; leave it on the CPU, in evaluation mode, with the best weights.

    With a budget the training ends in time, in the middle of an epoch if need be, and the learning rate has fallen to
    zero by then. Resumes from ``last.safetensors`` where it exists. Raises ``DivergedError`` when the loss is not
    finite even in fp32, and ``TrainingError`` when a checkpoint cannot be read or written.
    """
    if setup.device == "cpu":
        malloc.keep_freed_memory()
    loop = _TrainingLoop(setup, budgeted)
    while not loop.is_over():
        loop.run_epoch()
    return loop.finish()


def require_deterministic_algorithms() -> None:
    """Make PyTorch choose operations that give the same bits each time, where there are such.

    By itself it then also fills fresh memory with NaN, so that reading it would show: the weights are the same
    without, and a step of MobileNetV2's upper half takes a tenth less.
    """
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


class _TrainingLoop:
    """State of a running training: network, averaged weights, optimiser and progress."""

    def __init__(self, setup: TrainingSetup, budgeted: BudgetedTraining | None = None) -> None:
        self.setup, self.plan = setup, setup.plan
        self.loader, self.budgeted = setup.train_loader, budgeted
        require_deterministic_algorithms()
        self.fabric = Fabric(
            accelerator=setup.device,
            devices=1,
            precision=_FABRIC_PRECISIONS[setup.precision],  # type: ignore[arg-type]
            plugins=LightningEnvironment(),  # else it looks for clusters, and warns where ``srun`` is on the PATH
        )
        network = setup.network.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = ModelEMA(network, self.plan.ema)
        self.network, self.optimizer = self.fabric.setup(network, build_optimizer(network, self.plan))
        if setup.objective.forward_method != "forward":
            self.network.mark_forward_method(setup.objective.forward_method)
        self.state = self._restore_state()
        self.total_steps = len(self.loader) * self.plan.epochs
        if budgeted is not None:
            budgeted.budget.subtract_earlier(self.state.seconds)
        self.last_saved_at = time.monotonic()

    def is_over(self) -> bool:
        """Return whether all epochs are done or ``patience`` epochs have passed since the best one."""
        state = self.state
        waited_from = max(state.best, self.plan.extended_at)
        out_of_patience = state.best and len(state.history) - waited_from >= self.plan.patience
        out_of_time = state.best and self._is_budget_spent()
        return state.finished or state.epoch >= self.plan.epochs or bool(out_of_patience or out_of_time)

    def run_epoch(self) -> None:
        """Train the rest of the current epoch, validate, and write the checkpoints."""
        state = self.state
        stage_name = _("Epoch {number} of {count}").format(number=state.epoch + 1, count=self.plan.epochs)
        started_at = time.monotonic()
        with self.setup.progress.open_stage(stage_name, len(self.loader)) as stage:
            stage.advance(state.batch)
            self._train_steps(self.loader.iter_batches(state.epoch, state.batch), stage)
        self._end_epoch(time.monotonic() - started_at)
        self._correct_plan()

    def finish(self) -> TrainingState:
        """Load the best weights into the network, on the CPU in evaluation mode, and return the final state."""
        tensors, _record = checkpoint.read_tensor_file(self.setup.checkpoint_folder / BEST_CHECKPOINT)
        network = self.setup.network
        network.load_state_dict(tensors)
        network.cpu().eval()
        self.state.finished = True
        return self.state

    def _train_steps(self, batches: Iterator[Any], stage: ProgressStage) -> None:
        """Train on ``batches`` until there are no more, or no more time; on at least one."""
        last = time.monotonic()
        for batch in batches:
            self._train_step(batch, stage)
            if self.budgeted is not None:
                now = time.monotonic()
                self.budgeted.budget.record_step(now - last)
                last = now
                if self._is_budget_spent():
                    break

    def _is_budget_spent(self) -> bool:
        """Return whether there is a time budget, and no time for another step."""
        return self.budgeted is not None and self.budgeted.budget.is_spent()

    def _correct_plan(self) -> None:
        """Let the plan have as many epochs as still fit into the time budget, if there is one."""
        if self.budgeted is None:
            return
        plan = self.budgeted.budget.correct_plan(self.plan, self.state.epoch, len(self.loader))
        if plan != self.plan:
            self.loader = self.budgeted.adopt_plan(plan)
            self.plan, self.total_steps = plan, len(self.loader) * plan.epochs

    def _compute_rate(self, step: int) -> float:
        """Return the learning rate of ``step`` (from 0), or of the step that the time spent stands for, if it is later.

        So the rate has fallen to zero when the time is over, however slow the steps became.
        """
        if self.budgeted is not None:
            step = max(step, round(self.budgeted.budget.compute_spent_share() * (self.total_steps - 1)))
        return self.plan.rate * compute_lr_factor(step, self.total_steps, self.plan.warmup)

    def _train_step(self, batch: Any, stage: ProgressStage) -> None:
        """Take one optimiser step on ``batch``, update average and running sums, and checkpoint when it is due."""
        state = self.state
        step = state.epoch * len(self.loader) + state.batch
        set_learning_rate(self.optimizer, self._compute_rate(step))
        losses = self._backpropagate_with_retry(batch, step)
        self.optimizer.step()
        self.ema.update(self.setup.network, step)
        for name, value in losses.items():
            state.sums[name] = state.sums.get(name, 0.0) + value * len(batch)
        state.seen += len(batch)
        state.batch += 1
        stage.advance(note=_("loss {loss:.3f}").format(loss=state.sums["loss"] / state.seen))
        if time.monotonic() - self.last_saved_at >= self.plan.checkpoint_seconds:
            self._save_checkpoint()

    def try_rate(self, batch: Any, rate: float, step: int) -> float:
        """Take one optimiser step on ``batch`` at the learning rate ``rate``; return the loss before it, or NaN."""
        set_learning_rate(self.optimizer, rate)
        torch.manual_seed(_step_seed(self.plan.seed, step))
        loss = self._backpropagate(self.network, batch)["loss"]
        if math.isfinite(loss):
            self.optimizer.step()
        return loss

    def _backpropagate_with_retry(self, batch: Any, step: int) -> dict[str, float]:
        """Compute the gradients of ``batch`` and return its figures; retry in fp32 when they are not finite.

        ``self.network`` runs in the configured precision, the module inside it in fp32. ``step`` is counted from 0 over
        the whole run. Raises ``DivergedError`` when the retry fails too.
        """
        for network in (self.network, self.network.module):
            torch.manual_seed(_step_seed(self.plan.seed, step))
            losses = self._backpropagate(network, batch)
            if math.isfinite(losses["loss"]):
                return losses
            self.setup.progress.show_message(
                _("Step {step}: the loss is NaN; retrying the step in fp32.").format(step=step + 1)
            )
        raise DivergedError(
            _("At step {step} (epoch {epoch}) the loss is NaN, even in fp32.").format(
                step=step + 1, epoch=self.state.epoch + 1
            ),
            _("Expected a finite loss; the learning rate was {rate:.2g}.").format(
                rate=self.optimizer.param_groups[0]["lr"]
            ),
            _("Train again with a lower learning rate, such as --lr {rate:.2g}.").format(rate=self.plan.rate / 5),
        )

    def _backpropagate(self, network: nn.Module, batch: Any) -> dict[str, float]:
        """Compute and clip the gradients of ``batch``; the loss is NaN where their norm is not finite."""
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss, losses = self.setup.objective.compute_loss(
            network, batch, self.fabric.device, self.plan.is_mixing_off(self.state.epoch)
        )
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.network, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
        )
        is_finite = norm is None or bool(torch.isfinite(norm))
        return {"loss": float(loss.detach()) if is_finite else math.nan, **losses}

    def _end_epoch(self, seconds: float) -> None:
        """Validate the averaged weights, append to the history, and write the checkpoints.

        ``seconds`` is the time spent in the epoch's training batches. ``best.safetensors`` is replaced when this epoch
        is the best so far.
        """
        state, plan = self.state, self.plan
        train_metrics = {f"train_{name}": value / max(1, state.seen) for name, value in state.sums.items()}
        started_at = time.monotonic()
        val_metrics = self.setup.objective.validate(self.ema.network, self.fabric.device)
        if self.budgeted is not None:
            self.budgeted.budget.record_validation(time.monotonic() - started_at)
        state.seconds += seconds
        rate = self._compute_rate((state.epoch + 1) * len(self.loader) - 1)
        state.history.append(
            {"epoch": state.epoch + 1, **train_metrics, **val_metrics, "rate": rate, "seconds": seconds}
        )
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
        if find_best_epoch(state.history, plan.monitor, plan.tolerance) == state.epoch:
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
        """Load ``last.safetensors`` where there is one, and return its state; a new state otherwise."""
        path = self.setup.checkpoint_folder / LAST_CHECKPOINT
        if not path.exists():
            return TrainingState()
        return checkpoint.load_checkpoint(path, self.setup.network, self.ema.network, self.optimizer)


def measure_losses(
    setup: TrainingSetup, rates: Sequence[float], is_enough: Callable[[Sequence[float]], bool]
) -> tuple[list[float], int]:
    """Train one step at each of ``rates`` and return the losses before each step, and how many images were drawn.

    It ends early where ``is_enough``, which gets the losses so far, says so; the loss that made it say so is left out
    where it is not finite. Epochs follow each other as in a training. The network is changed, and no checkpoint is
    written.
    """
    loop = _TrainingLoop(setup)
    losses: list[float] = []
    with setup.progress.open_stage(_("Trying learning rates"), len(rates)) as stage:
        for step, (batch, rate) in enumerate(zip(_iter_epochs(setup.train_loader), rates, strict=False)):
            losses.append(loop.try_rate(batch, rate, step))
            stage.advance(note=_("loss {loss:.3f}").format(loss=losses[-1]))
            loop.state.seen += len(batch)
            if is_enough(losses):
                break
    return [loss for loss in losses if math.isfinite(loss)], loop.state.seen


def _iter_epochs(loader: BatchLoader) -> Iterator[Any]:
    """Yield the batches of ``loader``, epoch after epoch, without an end."""
    for epoch in count():
        yield from loader.iter_batches(epoch)


def measure_step_seconds(setup: TrainingSetup, steps: int, max_seconds: float = math.inf) -> float:
    """Return the median seconds of a training step (batch preparation, forward and backward) over ``steps`` steps.

    It ends early, after two steps or more, when ``max_seconds`` have passed. The first step is left out as a warm-up
    when there are more. A copy of the network is used, so that its weights and statistics are not touched. No optimiser
    step is taken.
    """
    copy = deepcopy(setup.network).to(setup.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    times: list[float] = []
    started_at = time.perf_counter()
    for batch, _number in zip(setup.train_loader.iter_batches(), range(steps), strict=False):
        loss, _figures = setup.objective.compute_loss(copy, batch, torch.device(setup.device), False)
        torch.autograd.backward(loss)
        times.append(time.perf_counter() - started_at)
        started_at = time.perf_counter()
        if len(times) >= 2 and sum(times) > max_seconds:
            break
    return float(np.median(times[1:] or times))


def find_best_epoch(history: list[dict[str, Any]], monitor: str, tolerance: float = 0.0) -> int:
    """Return the number (from 1) of the best epoch by ``monitor``; the last epoch when it was never measured.

    The lowest value is best for names that end in ``loss``, the highest for all others; NaN is ignored. With a
    ``tolerance`` it is the last epoch that is worse than the best by at most that.
    """
    values = np.array([entry[monitor] if monitor.endswith("loss") else -entry[monitor] for entry in history])
    if np.isnan(values).all():
        return len(history)
    if not tolerance:
        return 1 + int(np.nanargmin(values))
    return 1 + int(np.flatnonzero(values <= np.nanmin(values) + tolerance)[-1])


def _step_seed(seed: int, step: int) -> int:
    """Return the seed of torch's generator for step number ``step``, a non-negative int64."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)
