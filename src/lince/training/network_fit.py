"""From a plan to a trained network, whatever it is trained towards: decided once, told, and run to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lince.i18n import _
from lince.training import hardware, loop
from lince.training.checkpoint import TrainingState
from lince.training.loop import TrainingSetup
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext

PLAN_FILE = "plan.json"
_TIMED_STEPS = 6  # steps


@dataclass(frozen=True)
class HardwareChoice:
    """What a training runs on; ``reasons`` tells why this device, this precision and so many ``workers``."""

    device: str
    precision: str
    workers: int
    reasons: tuple[str, str, str]

    @classmethod
    def choose(cls, job: RecipeContext) -> HardwareChoice:
        """Return what the choices of ``job`` ask for, or what suits this machine."""
        device, why_device = hardware.choose_device(job.config.device)
        precision, why_precision = hardware.choose_precision(job.config.precision, device)
        workers, why_workers = hardware.choose_workers(job.config.workers)
        return cls(device, precision, workers, (why_device, why_precision, why_workers))

    @property
    def device_and_precision(self) -> tuple[str, str]:
        """The device and the precision."""
        return self.device, self.precision


PlanFactory = Callable[[float | None], TrainingPlan]
SetupFactory = Callable[[TrainingPlan, HardwareChoice], TrainingSetup]


def plan_and_train(job: RecipeContext, make_setup: SetupFactory, make_plan: PlanFactory) -> TrainingState:
    """Run the ``course`` of the plan that ``decide`` makes, and leave its network with its best weights.

    ``decide`` is given the seconds that one epoch takes here when there is a budget; a run that is resumed keeps the
    plan that it started with.
    """
    machine = HardwareChoice.choose(job)
    path = job.folder / PLAN_FILE
    if path.exists():
        plan = TrainingPlan.load(path)
    else:
        plan = make_plan(None)
        if job.config.budget is not None:
            first = make_setup(plan, machine)
            plan = make_plan(loop.measure_step_seconds(first, _TIMED_STEPS) * len(first.train_loader))
        plan.save(path)
    for line in describe_plan(plan, machine):
        job.progress.show_message(line)
    return loop.run_training_loop(make_setup(plan, machine))


def load_plan(job: RecipeContext) -> TrainingPlan:
    """Return the plan that the training of ``job`` followed."""
    return TrainingPlan.load(job.folder / PLAN_FILE)


def describe_plan(plan: TrainingPlan, machine: HardwareChoice) -> list[str]:
    """Return what was chosen for a training, each with its reason."""
    device, precision, workers = machine.reasons
    epochs, batch, rate = plan.reasons
    return [
        _("Device: {device} ({reason})").format(device=machine.device, reason=device),
        _("Precision: {precision} ({reason})").format(precision=machine.precision, reason=precision),
        _("Threads that prepare images: {count} ({reason})").format(count=machine.workers, reason=workers),
        _("Epochs: at most {count} ({reason})").format(count=plan.epochs, reason=epochs),
        _("Images a step: {count} ({reason})").format(count=plan.batch, reason=batch),
        _("Peak learning rate: {rate:.1e} ({reason})").format(rate=plan.rate, reason=rate),
    ]
