"""The recipes that train a detector whole: from nothing, or from weights that know other objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lince.augmentation import Policy
from lince.i18n import _
from lince.models import weights
from lince.models.detection import builders
from lince.models.detection.detector import Detector
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec
from lince.training import network_fit
from lince.training.checkpoint import TrainingState
from lince.training.detection import defaults
from lince.training.detection.loader import DetectionAugmentation, DetectionLoader
from lince.training.detection.objective import DetectionObjective
from lince.training.detection.samples import DetectionSamples, repeat_rare_classes
from lince.training.loop import TrainingSetup
from lince.training.network_fit import HardwareChoice
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext

VAL_BATCH_SIZE = 8  # images a batch when nothing is learnt


@dataclass(frozen=True)
class TrainedDetector:
    """A trained detector: its network with its best weights, the input that it reads, and how it came about."""

    recipe: str
    network: Detector
    spec: PreprocessSpec
    samples: DetectionSamples
    state: TrainingState
    augmentation: DetectionAugmentation
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()


def train_from_scratch(job: RecipeContext, source: WeightsSource) -> TrainedDetector:
    """Train the detector of ``job`` from random weights."""
    return _train_all_layers(job, source, "scratch", defaults.plan_from_scratch)


def fine_tune_network(job: RecipeContext, source: WeightsSource) -> TrainedDetector:
    """Train the detector of ``source`` on; ``--from-layer`` leaves the blocks before it as they are."""
    return _train_all_layers(job, source, "finetune", defaults.plan_fine_tuning)


def build_with_weights(job: RecipeContext, source: WeightsSource) -> tuple[Detector, dict[str, Any]]:
    """Return the network of ``source`` for the job's classes, and what the report tells of it.

    Raises ``WeightsError`` when the weights do not fit.
    """
    entry = source.entry
    network = builders.build_detector(entry, len(job.dataset.classes), job.spec, job.config.seed)  # type: ignore[arg-type]
    report = weights.load_detector_weights(network, source)
    facts = {
        "name": entry.identifier if source.kind != "file" else entry.name_without_tag,
        "source": source.provenance,
        "licence": entry.licence if entry.copyleft_notice else source.licence,
        "params": sum(one.numel() for one in network.parameters()),
        "trainable": sum(one.numel() for one in network.parameters() if one.requires_grad),
        "macs": entry.macs or 0,
        "layers": [],
    }
    for line in report.format_lines():
        job.progress.show_message(line)
    return network, facts


def _train_all_layers(
    job: RecipeContext, source: WeightsSource, recipe: str, make: defaults.DetectionPlanFactory
) -> TrainedDetector:
    network, facts = build_with_weights(job, source)
    if job.config.from_layer is not None:
        network.freeze_before(job.config.from_layer)
    samples = DetectionSamples.from_dataset(job.dataset)
    rows = repeat_rare_classes(samples, job.train_rows, job.config.seed)
    if len(rows) > len(job.train_rows):
        job.progress.show_message(
            _("Images with rare classes are seen more often: {count:,} an epoch instead of {all:,}.").format(
                count=len(rows), all=len(job.train_rows)
            )
        )

    def course(plan: TrainingPlan, machine: HardwareChoice) -> TrainingSetup:
        spec = apply_planned_size(job.spec, plan)
        learnt = DetectionLoader(
            samples, rows, spec, plan.batch, plan.seed, make_augmentation(job, plan), machine.workers, job.progress
        )
        goal = DetectionObjective(DetectionLoader(samples, job.val_rows, spec, VAL_BATCH_SIZE, workers=machine.workers))
        return TrainingSetup(
            network, learnt, goal, plan, job.folder / "checkpoints", *machine.device_and_precision, job.progress
        )

    state = network_fit.plan_and_train(job, course, lambda seconds: make(job, len(rows), seconds))
    plan = network_fit.load_plan(job)
    return TrainedDetector(
        recipe, network, apply_planned_size(job.spec, plan), samples, state, make_augmentation(job, plan), facts
    )


def apply_planned_size(spec: PreprocessSpec, plan: TrainingPlan) -> PreprocessSpec:
    """Return ``spec`` at the side of ``plan``, where a budget made it smaller."""
    return replace(spec, height=plan.side, width=plan.side) if plan.side else spec


def make_augmentation(job: RecipeContext, plan: TrainingPlan) -> DetectionAugmentation:
    """Return how the training images of ``job`` are altered under ``plan``."""
    return DetectionAugmentation(
        Policy.parse(job.config.augment or defaults.DEFAULT_POLICY),
        plan.mosaic,
        defaults.MIXUP_PROBABILITY if job.config.mix == "mixup" else 0.0,
        plan.epochs - plan.plain,
        job.config.scales or 0.0,
    )
