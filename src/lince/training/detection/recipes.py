"""The recipes that train a detector whole: from nothing, or from weights that know other objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lince.augmentation import Policy
from lince.messages import _
from lince.models import families, weights
from lince.models.detector import Detector
from lince.models.sources import Source
from lince.preprocess import Preprocess
from lince.training import learning
from lince.training.checkpoint import State
from lince.training.detection import plans
from lince.training.detection.finding import Finding
from lince.training.detection.loader import Loader, Mixing
from lince.training.detection.samples import Samples, balanced
from lince.training.job import Job
from lince.training.learning import Machine
from lince.training.loop import Course
from lince.training.plan import Plan

JUDGED = 8  # images a batch when nothing is learnt


@dataclass(frozen=True)
class Trained:
    """A trained detector: its network with its best weights, the input that it reads, and how it came about."""

    recipe: str
    network: Detector
    spec: Preprocess
    samples: Samples
    state: State
    mixing: Mixing
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()


def scratch(job: Job, source: Source) -> Trained:
    """Train the detector of ``job`` from random weights."""
    return _whole(job, source, "scratch", plans.scratch)


def finetune(job: Job, source: Source) -> Trained:
    """Train the detector of ``source`` on; ``--from-layer`` leaves the blocks before it as they are."""
    return _whole(job, source, "finetune", plans.finetune)


def built(job: Job, source: Source) -> tuple[Detector, dict[str, Any]]:
    """Return the network of ``source`` for the job's classes, and what the report tells of it.

    Raises ``WeightsError`` when the weights do not fit.
    """
    entry = source.entry
    network = families.build(entry, len(job.dataset.classes), job.spec, job.config.seed)  # type: ignore[arg-type]
    report = weights.load_detector(network, source)
    facts = {
        "name": entry.text if source.kind != "file" else entry.unpublished,
        "source": source.origin,
        "licence": entry.licence if entry.copyleft else source.licence,
        "params": sum(one.numel() for one in network.parameters()),
        "trainable": sum(one.numel() for one in network.parameters() if one.requires_grad),
        "macs": entry.macs or 0,
        "layers": [],
    }
    for line in report.lines():
        job.progress.say(line)
    return network, facts


def _whole(job: Job, source: Source, recipe: str, make: plans.Make) -> Trained:
    network, facts = built(job, source)
    if job.config.from_layer is not None:
        network.freeze_before(job.config.from_layer)
    samples = Samples.of(job.dataset)
    rows = balanced(samples, job.train, job.config.seed)
    if len(rows) > len(job.train):
        job.progress.say(
            _("Images with rare classes are seen more often: {count:,} an epoch instead of {all:,}.").format(
                count=len(rows), all=len(job.train)
            )
        )

    def course(plan: Plan, machine: Machine) -> Course:
        spec = sized(job.spec, plan)
        learnt = Loader(samples, rows, spec, plan.batch, plan.seed, mixing(job, plan), machine.workers, job.progress)
        goal = Finding(Loader(samples, job.val, spec, JUDGED, workers=machine.workers))
        return Course(network, learnt, goal, plan, job.folder / "checkpoints", *machine.arithmetic, job.progress)

    state = learning.learn(job, course, lambda seconds: make(job, len(rows), seconds))
    plan = learning.plan_of(job)
    return Trained(recipe, network, sized(job.spec, plan), samples, state, mixing(job, plan), facts)


def sized(spec: Preprocess, plan: Plan) -> Preprocess:
    """Return ``spec`` at the side of ``plan``, where a budget made it smaller."""
    return replace(spec, height=plan.side, width=plan.side) if plan.side else spec


def mixing(job: Job, plan: Plan) -> Mixing:
    """Return how the training images of ``job`` are altered under ``plan``."""
    return Mixing(
        Policy.parse(job.config.augment or plans.AUGMENT),
        plan.mosaic,
        plans.MIXUP if job.config.mix == "mixup" else 0.0,
        plan.epochs - plan.plain,
        job.config.scales or 0.0,
    )
