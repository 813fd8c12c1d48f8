"""Defines the hyper-parameters of a training run, fixed before it starts and saved so that a resumed run keeps them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lince import fileio
from lince.errors import TrainingError
from lince.i18n import _


@dataclass(frozen=True)
class TrainingPlan:
    """Hyper-parameters of one training run, saved as ``plan.json`` under these names.

    - ``rate``: the peak learning rate; ``warmup``: the fraction of the steps over which it rises.
    - ``decay``: AdamW's weight decay; ``depth_decay``: the factor of the rate from one block to the one below it.
    - ``ema``: the decay of the averaged weights (0: no average); ``clip``: the largest norm of the gradients.
    - ``monitor``: the validation metric that decides which epoch is best; ``patience``: the number of epochs without a
      better one after which training stops.
    - ``tolerance``: by how much a later epoch may be worse than the best one and still be kept in its place, where the
      figure is that noisy and the averaged weights get better to the end.
    - ``checkpoint_seconds``: the seconds between checkpoints within an epoch.
    - ``reasons``: why these ``epochs``, this ``batch`` size and this ``rate``, as translated phrases.

    - ``extended_at``: the number of epochs after which a run was asked for more; patience counts from there (0: never).

    For detectors only: ``plain`` is the number of epochs at the end without mosaic and mixup, ``mosaic`` the fraction
    of the images that are mosaics before that, ``side`` the input side in pixels that a time budget imposed (0: as
    configured).
    """

    epochs: int
    batch: int
    rate: float
    seed: int = 0
    warmup: float = 0.1
    decay: float = 0.02
    depth_decay: float = 1.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    clip: float = 1.0
    monitor: str = "val_loss"
    patience: int = 5
    tolerance: float = 0.0
    checkpoint_seconds: float = 120.0
    plain: int = 0
    mosaic: float = 0.0
    side: int = 0
    extended_at: int = 0
    reasons: tuple[str, ...] = ("", "", "")

    def is_mixing_off(self, epoch: int) -> bool:
        """Return whether ``epoch`` (from 0) is one of the last ``plain`` epochs, without mosaic and mixup."""
        return epoch >= self.epochs - self.plain

    def extend(self, epochs: int, done: int) -> TrainingPlan:
        """Return the plan that goes on to ``epochs`` epochs after ``done`` of them.

        The learning rate goes on as if the run had been planned so; the same fraction of the epochs stays unmixed.
        """
        reasons = (_("as requested"), *self.reasons[1:])
        return replace(self.scale(epochs), extended_at=done, reasons=reasons)

    def scale(self, epochs: int) -> TrainingPlan:
        """Return the plan with another number of ``epochs``, of which the same fraction stays unmixed."""
        plain = epochs if self.plain >= self.epochs else round(self.plain / self.epochs * epochs)
        return replace(self, epochs=epochs, plain=min(epochs, max(plain, min(1, self.plain))))

    def save(self, path: Path) -> None:
        """Write the plan to ``path`` as JSON."""
        fileio.write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> TrainingPlan:
        """Read a plan that ``save`` wrote; raise ``TrainingError`` when the file is missing or is not a plan."""
        try:
            record = json.loads(path.read_text("utf-8"))
            return cls(**{**record, "reasons": tuple(record["reasons"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TrainingError(
                _("The plan of the run cannot be read from {path}: {error}.").format(path=path, error=error),
                _("Expected the file that training wrote when it started."),
                _("Train again in a new folder."),
            ) from error


def compute_lr_factor(step: int, steps: int, warmup: float) -> float:
    """Return the fraction of the peak learning rate at ``step`` (from 0) of ``steps``.

    It rises linearly over the first ``warmup`` of the steps, at least one (Goyal et al. 2017), then falls to zero along
    half a cosine (Loshchilov and Hutter 2017): 0.5 (1 + cos(pi t)), t from 0 to 1.
    """
    warmup_steps = max(1, round(warmup * steps))
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))
