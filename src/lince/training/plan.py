"""All that the training loop needs to know, decided before it starts and kept in the run, so that resuming agrees."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from lince import fileio
from lince.errors import TrainingError
from lince.i18n import _


@dataclass(frozen=True)
class TrainingPlan:
    """The numbers of one fit. ``rate`` is the peak learning rate; ``warmup`` the share of the steps that rise to it.

    ``decay`` is AdamW's weight decay, ``depth_decay`` the factor of the rate from one block to the one below it,
    ``ema`` the decay of the averaged weights (0: none), ``clip`` the largest norm of the gradients, ``patience``
    epochs without a better ``monitor``; ``reasons`` say why these epochs, this batch and this rate. For detectors,
    ``plain`` is how many epochs at the end leave images unmixed, ``mosaic`` the share that is mixed before, ``side``
    the input's in pixels where a budget made it smaller (0: as asked).
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
    checkpoint_seconds: float = 120.0
    plain: int = 0
    mosaic: float = 0.0
    side: int = 0
    reasons: tuple[str, ...] = ("", "", "")

    def is_mixing_off(self, epoch: int) -> bool:
        """Return whether ``epoch`` (from 0) is one of the last, in which images are no longer mixed."""
        return epoch >= self.epochs - self.plain

    def save(self, path: Path) -> None:
        """Write the plan to ``path`` as JSON."""
        fileio.write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> TrainingPlan:
        """Read a plan; raise ``TrainingError`` when it is missing or broken."""
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
    """Return the share of the peak rate at ``step`` of ``steps``: a straight rise, then half a cosine to zero.

    Loshchilov and Hutter 2017; the rise as in Goyal et al. 2017.
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1.0 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
