"""The training loop: epochs of batches, a checkpoint whenever it is due, the best weights at the end.

Lightning Fabric places the network and chooses the arithmetic; the loop itself is ours, because an interrupted fit
must end with the same bits as one that ran through. So all that happens at a step is a function of the state on
disk: the order and the augmentation come from the loader, the rate from the step's number, and the random numbers
of dropout from a seed set anew at each step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from lince.errors import DivergedError
from lince.messages import _
from lince.models.classifier import Classifier
from lince.progress import Progress, Stage
from lince.training import checkpoint, memory
from lince.training.checkpoint import State
from lince.training.loader import Batch, Loader
from lince.training.optim import Average, optimiser, set_rate
from lince.training.plan import Plan, rate_at

_FABRIC = {"fp32": "32-true", "bf16": "bf16-mixed"}
BEST, LAST = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Course:
    """What the loop runs over: a network, its batches, the plan, where checkpoints go, and who listens."""

    network: Classifier
    train: Loader
    val: Loader
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

    def _step(self, batch: Batch, stage: Stage) -> None:
        state = self.state
        number = state.epoch * len(self.course.train) + state.batch
        set_rate(self.optimizer, self.plan.rate * rate_at(number, self.steps, self.plan.warmup))
        loss, logits = self._learn(batch, number)
        self.optimizer.step()
        self.average.update(self.course.network, number)
        state.loss_sum += loss * len(batch.labels)
        state.right += int((logits.argmax(1).cpu().numpy() == batch.labels).sum())
        state.seen += len(batch.labels)
        state.batch += 1
        stage.advance(note=_("loss {loss:.3f}").format(loss=state.loss_sum / state.seen))
        if time.monotonic() - self.saved >= self.plan.checkpoint_seconds:
            self._save()

    def _learn(self, batch: Batch, number: int) -> tuple[float, Tensor]:
        """Put the gradients of ``batch`` in place and return its loss and logits; a bad step is tried again in fp32."""
        for forward in (self.network, self.network.module):
            torch.manual_seed(_step_seed(self.plan.seed, number))
            loss, logits = self._gradients(forward, batch)
            if math.isfinite(loss):
                return loss, logits
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

    def _gradients(self, forward: Callable[[Tensor], Tensor], batch: Batch) -> tuple[float, Tensor]:
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        logits = forward(self._tensor(batch.inputs)).float()
        targets = torch.from_numpy(batch.targets).to(logits.device)
        loss = functional.cross_entropy(logits, targets, label_smoothing=self.plan.label_smoothing)
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.network, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
        )
        good = norm is None or bool(torch.isfinite(norm))
        return (float(loss.detach()) if good else math.nan), logits.detach()

    def _close(self, seconds: float) -> None:
        state, plan = self.state, self.plan
        loss, accuracy = evaluate(self.average.network, self.course.val, self.fabric.device)
        state.seconds += seconds
        state.history.append(
            {
                "epoch": state.epoch + 1,
                "train_loss": state.loss_sum / max(1, state.seen),
                "train_accuracy": state.right / max(1, state.seen),
                "val_loss": loss,
                "val_accuracy": accuracy,
                "rate": plan.rate * rate_at((state.epoch + 1) * len(self.course.train) - 1, self.steps, plan.warmup),
                "seconds": seconds,
            }
        )
        state.epoch, state.batch = state.epoch + 1, 0
        state.loss_sum, state.right, state.seen = 0.0, 0, 0
        self.course.progress.say(_told(state.history[-1], plan.epochs))
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

    def _tensor(self, inputs: np.ndarray[Any, Any]) -> Tensor:
        # A copy into torch's own aligned memory: the same bits must come out wherever numpy put the batch.
        tensor = torch.empty(inputs.shape, memory_format=torch.channels_last)
        return tensor.copy_(torch.from_numpy(inputs)).to(self.fabric.device)


def time_steps(network: Classifier, train: Loader, device: str, steps: int) -> float:
    """Return the median seconds of a training step, image preparation included; ``network`` is left as it was."""
    copy = deepcopy(network).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    times: list[float] = []
    began = time.perf_counter()
    for batch, _number in zip(train.batches(), range(steps), strict=False):
        loss = functional.cross_entropy(
            copy(torch.from_numpy(batch.inputs).to(device)), torch.from_numpy(batch.targets).to(device)
        )
        torch.autograd.backward(loss)
        times.append(time.perf_counter() - began)
        began = time.perf_counter()
    return float(np.median(times[1:] or times))


def best_epoch(history: list[dict[str, Any]], monitor: str) -> int:
    """Return the number (from 1) of the best epoch by ``val_loss`` or ``val_accuracy``; the last without validation."""
    values = [entry[monitor] if monitor == "val_loss" else -entry[monitor] for entry in history]
    return 1 + int(np.nanargmin(values)) if not np.isnan(values).all() else len(history)


def logits(network: torch.nn.Module, loader: Loader, device: torch.device | str = "cpu") -> np.ndarray[Any, Any]:
    """Return the logits (N, K) float32 of ``network``, in evaluation mode, for the rows of ``loader`` in order."""
    return np.concatenate([answers(network, batch.inputs, device) for batch in loader.batches()])


@torch.inference_mode()
def answers(
    network: torch.nn.Module, inputs: np.ndarray[Any, Any], device: torch.device | str = "cpu"
) -> np.ndarray[Any, Any]:
    """Return the logits (N, K) float32 of ``network``, in evaluation mode, for ``inputs`` (N, C, H, W)."""
    network.eval()
    return np.asarray(network(torch.from_numpy(inputs).to(device)).float().cpu().numpy(), np.float32)


def evaluate(network: torch.nn.Module, loader: Loader, device: torch.device | str = "cpu") -> tuple[float, float]:
    """Return the mean log loss and the accuracy of ``network`` on the rows of ``loader``; NaN when it has none."""
    if not len(loader.rows):
        return math.nan, math.nan
    answers = torch.from_numpy(logits(network, loader, device))
    labels = torch.from_numpy(loader.dataset.class_ids[loader.rows].astype(np.int64))
    loss = functional.cross_entropy(answers, labels)
    return float(loss), float((answers.argmax(1) == labels).float().mean())


def _step_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> 1)


def _told(entry: dict[str, Any], epochs: int) -> str:
    return _(
        "Epoch {epoch}/{epochs}: loss {loss:.3f}, accuracy {accuracy:.1%}; validation loss {val_loss:.3f}, "
        "accuracy {val_accuracy:.1%}; {seconds:.0f} s"
    ).format(epochs=epochs, loss=entry["train_loss"], accuracy=entry["train_accuracy"], **entry)
