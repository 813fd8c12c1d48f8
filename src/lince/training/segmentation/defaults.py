"""Default hyper-parameters of segmentation: epochs and learning rates, each with its reason."""

from __future__ import annotations

import numpy as np

from lince.evaluation.segmentation.metrics import MIOU_TOLERANCE
from lince.i18n import _
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext

DEFAULT_POLICY = "flip_x 0.5, zoom 0.2, shift_x 0.1, shift_y 0.1, brightness 0.2, contrast 0.2, saturation 0.2"
DEFAULT_MONITOR = "val_miou"
DEFAULT_BATCH_SIZE = 8
SCRATCH_RATE, TRANSFER_RATE, FINETUNE_RATE = 2e-3, 3e-3, 1e-4
SCRATCH_STEPS, TRANSFER_STEPS, FINETUNE_STEPS = 8_000, 500, 200  # training steps with a batch size of 8


def plan_from_scratch(context: RecipeContext, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the hyper-parameters for training from random weights.

    ``epoch_seconds`` is how long one epoch takes here; with a time budget it limits the epochs. The other plans take
    the same arguments.
    """
    mosaic = 0.3 if context.config.mosaic is None else context.config.mosaic
    return _make_plan(context, (SCRATCH_STEPS, 20, 200), SCRATCH_RATE, epoch_seconds, mosaic)


def plan_transfer(context: RecipeContext, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the hyper-parameters for training the head on cached feature maps."""
    return _make_plan(context, (TRANSFER_STEPS, 6, 100), TRANSFER_RATE, epoch_seconds)


def plan_fine_tuning(context: RecipeContext, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the hyper-parameters for training all layers from a trained head and a published body."""
    return _make_plan(context, (FINETUNE_STEPS, 4, 40), FINETUNE_RATE, epoch_seconds, context.config.mosaic or 0.0)


def _make_plan(
    context: RecipeContext,
    steps: tuple[int, int, int],
    rate: float,
    epoch_seconds: float | None,
    mosaic: float = 0.0,
) -> TrainingPlan:
    """Return the plan for ``context``; ``steps`` are the training steps, and the fewest and the most epochs.

    Configured values replace the others. With a time budget and ``epoch_seconds``, there are as many epochs as the
    remaining time allows.
    """
    config, images = context.config, len(context.train_rows)
    epochs = int(np.clip(steps[0] * DEFAULT_BATCH_SIZE // max(images, 1), *steps[1:]))
    reason = _("default for {count:,} images").format(count=images)
    if config.epochs is not None:
        epochs, reason = config.epochs, _("as requested")
    if config.budget is not None and epoch_seconds:
        affordable = int(context.estimate_training_seconds() / epoch_seconds)
        epochs = max(1, min(config.epochs or steps[2], affordable))
        reason = _("{seconds:.0f} s each, within the time budget").format(seconds=epoch_seconds)
    monitor = config.monitor or DEFAULT_MONITOR
    return TrainingPlan(
        epochs=epochs,
        batch=config.batch or DEFAULT_BATCH_SIZE,
        rate=config.rate or rate,
        seed=config.seed,
        decay=0.02,
        ema=0.99,
        clip=5.0,
        monitor=monitor,
        tolerance=MIOU_TOLERANCE if monitor == DEFAULT_MONITOR else 0.0,
        patience=config.patience or epochs,
        plain=max(1, round(0.3 * epochs)) if mosaic else epochs,
        mosaic=mosaic,
        reasons=(
            reason,
            _("as requested") if config.batch else _("default for small datasets"),
            _("as requested") if config.rate else _("default of the recipe"),
        ),
    )
