"""Default hyper-parameters of detection: epochs, learning rate, mosaic and input size, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lince.i18n import _
from lince.models.detection.registry import DetectorEntry
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext

DetectionPlanFactory = Callable[[RecipeContext, int, float | None], TrainingPlan]
DEFAULT_POLICY = "flip_x 0.5, zoom 0.2, shift_x 0.1, shift_y 0.1, brightness 0.2, contrast 0.2, saturation 0.2"
MIXUP_PROBABILITY = 0.3
DEFAULT_MONITOR, MASK_MONITOR = "val_map50_95", "val_segm_map50_95"
DEFAULT_BATCH_SIZE = 8
SCRATCH_RATE, TRANSFER_RATE, FINETUNE_RATE = 2e-3, 2e-3, 1e-3
SCRATCH_STEPS, TRANSFER_STEPS, FINETUNE_STEPS = 12_000, 330, 600  # training steps with a batch size of 8
MIN_EPOCHS, SIZE_STEP, MIN_SIDE = 8, 32, 224


def plan_from_scratch(context: RecipeContext, images: int, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the hyper-parameters for training from random weights, with ``images`` images per epoch.

    ``epoch_seconds`` is how long one epoch takes here at the input size of ``context``; with a time budget it limits
    epochs and input size. The other plans take the same arguments.
    """
    epochs = int(np.clip(SCRATCH_STEPS * DEFAULT_BATCH_SIZE // max(images, 1), 30, 300))
    return _make_plan(context, (epochs, SCRATCH_RATE, 0.75), epoch_seconds)


def plan_fine_tuning(context: RecipeContext, images: int, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the hyper-parameters for training all layers from published weights, with ``images`` images per epoch."""
    epochs = int(np.clip(FINETUNE_STEPS * DEFAULT_BATCH_SIZE // max(images, 1), 6, 60))
    return _make_plan(context, (epochs, FINETUNE_RATE, 0.5), epoch_seconds)


def plan_transfer(context: RecipeContext, images: int, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the hyper-parameters for training the head on cached feature maps of ``images`` images per epoch.

    The maps have a fixed size, so the input size is never reduced and there is no mosaic.
    """
    epochs = int(np.clip(TRANSFER_STEPS * DEFAULT_BATCH_SIZE // max(images, 1), 6, 100))
    plan = _make_plan(context, (epochs, TRANSFER_RATE, 0.0), epoch_seconds)
    return replace(plan, side=0, plain=max(1, round(0.4 * plan.epochs)))


def _make_plan(context: RecipeContext, base: tuple[int, float, float], epoch_seconds: float | None) -> TrainingPlan:
    """Return the plan for ``context``, starting from ``base`` = (epochs, learning rate, mosaic fraction).

    Configured values replace those of ``base``; its learning rate is multiplied by the detector's own factor,
    ``entry.rate``. With a time budget and ``epoch_seconds``, epochs and input size are what the remaining time allows.
    """
    config = context.config
    rate_factor = context.entry.rate if isinstance(context.entry, DetectorEntry) else 1.0
    epochs, epochs_reason = (base[0], _("default for {count:,} images").format(count=len(context.train_rows)))
    side = 0
    if config.epochs is not None:
        epochs, epochs_reason = config.epochs, _("as requested")
    if config.budget is not None and epoch_seconds:
        affordable = context.estimate_training_seconds() / epoch_seconds
        epochs, side = choose_epochs_and_side(affordable, config.epochs or 300, _candidate_sides(context))
        epochs_reason = _("{seconds:.0f} s each, within the time budget").format(
            seconds=epoch_seconds * ((side / context.spec.height) ** 2 if side else 1)
        )
    mosaic = base[2] if config.mosaic is None else config.mosaic
    return TrainingPlan(
        epochs=epochs,
        batch=config.batch or DEFAULT_BATCH_SIZE,
        rate=config.rate or base[1] * rate_factor,
        seed=config.seed,
        decay=0.05,
        ema=0.998,
        clip=10.0,
        monitor=config.monitor or _choose_monitor(context),
        patience=config.patience or epochs,
        plain=max(1, round(0.4 * epochs)) if mosaic else epochs,
        mosaic=mosaic,
        side=side,
        reasons=(
            epochs_reason,
            _("as requested") if config.batch else _("default for small datasets"),
            _("as requested") if config.rate else _("default of the recipe"),
        ),
    )


def _choose_monitor(context: RecipeContext) -> str:
    """Return the figure by which the best epoch is chosen: of the masks where the network learns any."""
    learns_masks = isinstance(context.entry, DetectorEntry) and context.entry.prototypes
    return MASK_MONITOR if learns_masks else DEFAULT_MONITOR


def choose_epochs_and_side(epochs: float, max_epochs: int, sides: list[int]) -> tuple[int, int]:
    """Return (epochs, input side in pixels) that a time budget allows; side 0 stands for the first of ``sides``.

    ``epochs`` is how many epochs at the first of ``sides`` (largest first) fit in the budget; an epoch's time is taken
    as proportional to the input's area. The largest side that leaves at least ``MIN_EPOCHS`` epochs is chosen, else the
    smallest one. The result is at least 1 epoch and at most ``max_epochs``.
    """
    for side in sides:
        affordable = epochs * (sides[0] / side) ** 2
        if affordable >= MIN_EPOCHS:
            return min(max_epochs, int(affordable)), 0 if side == sides[0] else side
    affordable = epochs * (sides[0] / sides[-1]) ** 2
    return max(1, min(max_epochs, int(affordable))), 0 if len(sides) == 1 else sides[-1]


def _candidate_sides(context: RecipeContext) -> list[int]:
    """Return the input sides in pixels that may be tried, largest first, in steps of ``SIZE_STEP``.

    Only the current side when the size was configured or the input is not square.
    """
    full_side = context.spec.height
    if context.config.size is not None or context.spec.width != full_side:
        return [full_side]
    return [full_side, *range((full_side - 1) // SIZE_STEP * SIZE_STEP, min(MIN_SIDE, full_side) - 1, -SIZE_STEP)]
