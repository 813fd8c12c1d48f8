"""Chooses the hardware, keeps the plan of hyper-parameters, and runs the training loop by it (for any task)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lince.errors import DivergedError
from lince.evaluation.rate_test import RateTest, is_diverging, make_test_rates
from lince.i18n import _
from lince.models.blocks import FreezableNetwork
from lince.training import hardware, loop, malloc, run_folder
from lince.training.checkpoint import TrainingState
from lince.training.loop import BudgetedTraining, TrainingSetup
from lince.training.objective import BatchLoader, Objective
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext
from lince.training.request import RateTestFinished
from lince.training.run_folder import TrainingRun
from lince.training.time_budget import ClosingTimes, TimeBudget

_TIMED_SHARE = 0.05  # of a time budget, at most about, for timing steps
_TIMED_STEPS = 6  # training steps timed to estimate the length of an epoch


@dataclass(frozen=True)
class HardwareChoice:
    """Device, precision and number of data-loading threads, with the reason for each, in this order."""

    device: str
    precision: str
    workers: int
    reasons: tuple[str, str, str]

    @classmethod
    def choose(cls, context: RecipeContext) -> HardwareChoice:
        """Return what the configuration of ``context`` requests, and what suits this machine for the rest."""
        device, device_reason = hardware.choose_device(context.config.device)
        precision, precision_reason = hardware.choose_precision(context.config.precision, device)
        workers, workers_reason = hardware.choose_workers(context.config.workers)
        return cls(device, precision, workers, (device_reason, precision_reason, workers_reason))

    @property
    def device_and_precision(self) -> tuple[str, str]:
        """The device and the precision, as ``TrainingSetup`` takes them."""
        return self.device, self.precision


def make_training_setup(
    context: RecipeContext,
    network: FreezableNetwork,
    train_loader: BatchLoader,
    objective: Objective,
    plan: TrainingPlan,
    hardware: HardwareChoice,
) -> TrainingSetup:
    """Return what the training loop runs with; checkpoints go to the folder of the run of ``context``."""
    return TrainingSetup(
        network,
        train_loader,
        objective,
        plan,
        TrainingRun(context.folder).checkpoint_folder,
        *hardware.device_and_precision,
        context.progress,
    )


PlanFactory = Callable[[float | None], TrainingPlan]
SetupFactory = Callable[[TrainingPlan, HardwareChoice], TrainingSetup]


def plan_and_train(
    context: RecipeContext,
    make_setup: SetupFactory,
    make_plan: PlanFactory,
    rehearse_closing: Callable[[], ClosingTimes],
) -> TrainingState:
    """Train to the end of the plan, leave the network with its best weights and return the final state.

    ``make_plan`` returns the plan. When there is a time budget it is called twice: with ``None``, to time a few steps
    with that plan, and then with the seconds that one epoch takes here; and the training ends in time for what follows,
    which ``rehearse_closing`` estimates. ``make_setup`` builds the network's training setup for a plan. A run that
    already has a plan file (one that is resumed) keeps that plan.

    Raises ``RateTestFinished`` where ``context`` asks for a test of learning rates, which takes the training's place.
    """
    hardware_choice = HardwareChoice.choose(context)
    if context.is_rate_test:
        raise RateTestFinished(_test_rates(context, make_setup(make_plan(None), hardware_choice)))
    path = context.folder / run_folder.PLAN_FILE
    if path.exists():
        plan = TrainingPlan.load(path)
    else:
        plan = make_plan(None)
        if context.config.budget is not None:
            trial_setup = make_setup(plan, hardware_choice)
            step_seconds = loop.measure_step_seconds(trial_setup, _TIMED_STEPS, _TIMED_SHARE * context.config.budget)
            plan = make_plan(step_seconds * len(trial_setup.train_loader))
            # The time that is left after whole epochs goes to one more, which ends in its middle.
            plan = plan.scale(min(plan.epochs + 1, context.config.epochs or plan.epochs + 1))
        plan.save(path)
    for line in describe_plan(plan, hardware_choice):
        context.progress.show_message(line)
    setup = make_setup(plan, hardware_choice)
    if context.config.budget is None:
        return loop.run_training_loop(setup)

    def adopt_plan(corrected: TrainingPlan) -> BatchLoader:
        corrected.save(path)
        context.progress.show_message(
            _("Epochs: at most {count} ({reason})").format(count=corrected.epochs, reason=_("by the time that is left"))
        )
        return make_setup(corrected, hardware_choice).train_loader

    budget = TimeBudget(context.started_at + context.config.budget, rehearse_closing())
    return loop.run_training_loop(setup, BudgetedTraining(budget, adopt_plan))


def _test_rates(context: RecipeContext, setup: TrainingSetup) -> RateTest:
    """Try rising learning rates with the network and the batches that a training would have, and return the losses."""
    if setup.device == "cpu":
        malloc.keep_freed_memory()
    rates = make_test_rates()
    losses, drawn_count = loop.measure_losses(setup, rates, is_diverging)
    if not losses:
        raise DivergedError(
            _("The loss of the first batch is NaN, before anything was learned."),
            _("Expected a finite loss."),
            _("Try --precision fp32, or other weights."),
        )
    return RateTest(
        context.config.recipe,
        tuple(rates[: len(losses)]),
        tuple(losses),
        setup.plan.rate,
        setup.plan.batch,
        drawn_count,
        len(context.train_rows),
        setup.plan.seed,
    )


def load_plan(context: RecipeContext) -> TrainingPlan:
    """Return the plan that the run of ``context`` was trained with; raise ``TrainingError`` when it has none."""
    return TrainingPlan.load(context.folder / run_folder.PLAN_FILE)


def describe_plan(plan: TrainingPlan, choice: HardwareChoice) -> list[str]:
    """Return one translated line for each choice of hardware and hyper-parameters, with its reason."""
    device_reason, precision_reason, workers_reason = choice.reasons
    epochs_reason, batch_reason, rate_reason = plan.reasons
    return [
        _("Device: {device} ({reason})").format(device=choice.device, reason=device_reason),
        _("Numerical precision: {precision} ({reason})").format(precision=choice.precision, reason=precision_reason),
        _("Data-loading threads (workers): {count} ({reason})").format(count=choice.workers, reason=workers_reason),
        _("Epochs: at most {count} ({reason})").format(count=plan.epochs, reason=epochs_reason),
        _("Batch size: {count} ({reason})").format(count=plan.batch, reason=batch_reason),
        _("Peak learning rate: {rate:.1e} ({reason})").format(rate=plan.rate, reason=rate_reason),
    ]
