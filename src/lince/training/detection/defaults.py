"""How long, at which rate and on how much a detector trains, when nobody said: each choice with its reason."""

from __future__ import annotations

import time
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
DEFAULT_MONITOR = "val_map50_95"
DEFAULT_BATCH_SIZE = 8
SCRATCH_RATE, TRANSFER_RATE, FINETUNE_RATE = 2e-3, 2e-3, 1e-3
SCRATCH_STEPS, TRANSFER_STEPS, FINETUNE_STEPS = 12_000, 330, 600  # of a batch of eight
MIN_EPOCHS, SIZE_STEP, MIN_SIDE = 8, 32, 224
BUDGET_SHARE = 0.85  # of a budget: the rest is for judging, the model file and the report


def plan_from_scratch(job: RecipeContext, images: int, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the plan for a training from nothing on ``images`` images an epoch."""
    epochs = int(np.clip(SCRATCH_STEPS * DEFAULT_BATCH_SIZE // max(images, 1), 30, 300))
    return _make_plan(job, (epochs, SCRATCH_RATE, 0.75), epoch_seconds)


def plan_fine_tuning(job: RecipeContext, images: int, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the plan for going on from published weights on ``images`` images an epoch."""
    epochs = int(np.clip(FINETUNE_STEPS * DEFAULT_BATCH_SIZE // max(images, 1), 6, 60))
    return _make_plan(job, (epochs, FINETUNE_RATE, 0.5), epoch_seconds)


def plan_transfer(job: RecipeContext, images: int, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the plan for the head alone, on cached maps of ``images`` images an epoch."""
    epochs = int(np.clip(TRANSFER_STEPS * DEFAULT_BATCH_SIZE // max(images, 1), 6, 100))
    plan = _make_plan(job, (epochs, TRANSFER_RATE, 0.0), epoch_seconds)
    return replace(plan, side=0, plain=max(1, round(0.4 * plan.epochs)))


def _make_plan(job: RecipeContext, usual: tuple[int, float, float], epoch_seconds: float | None) -> TrainingPlan:
    config = job.config
    share = job.entry.rate if isinstance(job.entry, DetectorEntry) else 1.0
    epochs, why_epochs = (usual[0], _("suits {count:,} images").format(count=len(job.train_rows)))
    side = 0
    if config.epochs is not None:
        epochs, why_epochs = config.epochs, _("as asked")
    if config.budget is not None and epoch_seconds:
        left = BUDGET_SHARE * config.budget - (time.monotonic() - job.started_at)
        epochs, side = choose_epochs_and_side(left / epoch_seconds, config.epochs or 300, _candidate_sides(job))
        why_epochs = _("{seconds:.0f} s each, in the budget").format(
            seconds=epoch_seconds * ((side / job.spec.height) ** 2 if side else 1)
        )
    mosaic = usual[2] if config.mosaic is None else config.mosaic
    return TrainingPlan(
        epochs=epochs,
        batch=config.batch or DEFAULT_BATCH_SIZE,
        rate=config.rate or usual[1] * share,
        seed=config.seed,
        decay=0.05,
        ema=0.998,
        clip=10.0,
        monitor=config.monitor or DEFAULT_MONITOR,
        patience=config.patience or epochs,
        plain=max(1, round(0.4 * epochs)) if mosaic else epochs,
        mosaic=mosaic,
        side=side,
        reasons=(
            why_epochs,
            _("as asked") if config.batch else _("suits small sets"),
            _("as asked") if config.rate else _("suits the recipe"),
        ),
    )


def choose_epochs_and_side(epochs: float, most: int, sides: list[int]) -> tuple[int, int]:
    """Return (epochs, side) that a budget affords, which pays for ``epochs`` at the first of ``sides``, largest first.

    A smaller side is taken where the first would leave too few epochs; 0 stands for the first one.
    """
    for side in sides:
        count = epochs * (sides[0] / side) ** 2
        if count >= MIN_EPOCHS:
            return min(most, int(count)), 0 if side == sides[0] else side
    count = epochs * (sides[0] / sides[-1]) ** 2
    return max(1, min(most, int(count))), 0 if len(sides) == 1 else sides[-1]


def _candidate_sides(job: RecipeContext) -> list[int]:
    """Return the sides that may be tried, largest first: only the one asked for, if one was."""
    whole = job.spec.height
    if job.config.size is not None or job.spec.width != whole:
        return [whole]
    return [whole, *range((whole - 1) // SIZE_STEP * SIZE_STEP, min(MIN_SIDE, whole) - 1, -SIZE_STEP)]
