"""From a plan to a trained network, whatever it is trained towards: decided once, told, and run to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lince.messages import _
from lince.training import hardware, loop
from lince.training.checkpoint import State
from lince.training.job import Job
from lince.training.loop import Course
from lince.training.plan import Plan

PLAN = "plan.json"
_TIMED = 6  # steps


@dataclass(frozen=True)
class Machine:
    """What a training runs on; ``reasons`` tells why this device, this precision and so many ``workers``."""

    device: str
    precision: str
    workers: int
    reasons: tuple[str, str, str]

    @classmethod
    def choose(cls, job: Job) -> Machine:
        """Return what the choices of ``job`` ask for, or what suits this machine."""
        device, why_device = hardware.choose_device(job.config.device)
        precision, why_precision = hardware.choose_precision(job.config.precision, device)
        workers, why_workers = hardware.choose_workers(job.config.workers)
        return cls(device, precision, workers, (why_device, why_precision, why_workers))

    @property
    def arithmetic(self) -> tuple[str, str]:
        """The device and the precision."""
        return self.device, self.precision


Make = Callable[[float | None], Plan]
MakeCourse = Callable[[Plan, Machine], Course]


def learn(job: Job, course: MakeCourse, decide: Make) -> State:
    """Run the ``course`` of the plan that ``decide`` makes, and leave its network with its best weights.

    ``decide`` is given the seconds that one epoch takes here when there is a budget; a run that is resumed keeps the
    plan that it started with.
    """
    machine = Machine.choose(job)
    path = job.folder / PLAN
    if path.exists():
        plan = Plan.load(path)
    else:
        plan = decide(None)
        if job.config.budget is not None:
            first = course(plan, machine)
            plan = decide(loop.time_steps(first, _TIMED) * len(first.train))
        plan.save(path)
    for line in told(plan, machine):
        job.progress.say(line)
    return loop.run(course(plan, machine))


def plan_of(job: Job) -> Plan:
    """Return the plan that the training of ``job`` followed."""
    return Plan.load(job.folder / PLAN)


def told(plan: Plan, machine: Machine) -> list[str]:
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
