"""What the recipes of detectors share: network, result, and training of all layers for ``scratch`` and ``finetune``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.augmentation import Policy
from lince.export.torch_to_onnx import export_detector
from lince.i18n import _
from lince.models.detection import builders
from lince.models.detection.detector import Detector
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec
from lince.training import plan_runner, rehearsal
from lince.training.augmented_loader import TrainingAugmentation
from lince.training.checkpoint import TrainingState
from lince.training.detection import defaults
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.network_outputs import predict_with_backend
from lince.training.detection.objective import DetectionObjective, predict_detections
from lince.training.detection.samples import DetectionSamples, repeat_rare_classes
from lince.training.loop import TrainingSetup
from lince.training.plan import TrainingPlan
from lince.training.plan_runner import HardwareChoice
from lince.training.pretrained import load_pretrained
from lince.training.recipe import RecipeContext
from lince.training.time_budget import ClosingTimes

VAL_BATCH_SIZE = 8  # images per batch in validation


@dataclass(frozen=True)
class TrainedDetector:
    """Result of a detection recipe.

    ``network`` has its best weights; ``spec`` is the input that it was trained for; ``state`` holds the history;
    ``facts`` feed the report's model section (JSON); ``notes`` are lines for the report.
    """

    recipe: str
    network: Detector
    spec: PreprocessSpec
    samples: DetectionSamples
    state: TrainingState
    augmentation: TrainingAugmentation
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()


def build_with_weights(context: RecipeContext, source: WeightsSource) -> tuple[Detector, dict[str, Any]]:
    """Return the network of ``source`` for the dataset's classes, and its facts for the report (JSON).

    Reports how the weights were loaded. Raises ``WeightsError`` when they do not fit the network.
    """
    entry = source.entry
    network = builders.build_detector(entry, len(context.dataset.classes), context.spec, context.config.seed)  # type: ignore[arg-type]
    return network, load_pretrained(network, source, entry.macs or 0, context.progress)


def train_all_layers(
    context: RecipeContext, source: WeightsSource, recipe: str, make_plan: defaults.DetectionPlanFactory
) -> TrainedDetector:
    """Train the detector of ``source`` by the plan of ``make_plan`` and return the result under the name ``recipe``."""
    network, facts = build_with_weights(context, source)
    if context.config.from_layer is not None:
        network.freeze_before(context.config.from_layer)
    samples = DetectionSamples.from_dataset(context.dataset, network.learns_masks)
    rows = repeat_rare_classes(samples, context.train_rows, context.config.seed)
    if len(rows) > len(context.train_rows):
        context.progress.show_message(
            _("Images with rare classes are oversampled: {count:,} per epoch instead of {all:,}.").format(
                count=len(rows), all=len(context.train_rows)
            )
        )

    def make_setup(plan: TrainingPlan, hardware: HardwareChoice) -> TrainingSetup:
        spec = apply_planned_size(context.spec, plan)
        train_loader = DetectionLoader(
            samples,
            rows,
            spec,
            plan.batch,
            plan.seed,
            make_augmentation(context, plan),
            hardware.workers,
            context.progress,
        )
        objective = DetectionObjective(
            DetectionLoader(samples, context.val_rows, spec, VAL_BATCH_SIZE, workers=hardware.workers)
        )
        return plan_runner.make_training_setup(context, network, train_loader, objective, plan, hardware)

    state = plan_runner.plan_and_train(
        context,
        make_setup,
        lambda epoch_seconds: make_plan(context, len(rows), epoch_seconds),
        lambda: rehearse_closing(context, network, samples),
    )
    plan = plan_runner.load_plan(context)
    return TrainedDetector(
        recipe, network, apply_planned_size(context.spec, plan), samples, state, make_augmentation(context, plan), facts
    )


def rehearse_closing(context: RecipeContext, network: Detector, samples: DetectionSamples) -> ClosingTimes:
    """Return about how many seconds export, evaluation and report of ``network`` will take."""
    spec = apply_planned_size(context.spec, plan_runner.load_plan(context))

    def make_loader(rows: NDArray[np.int64]) -> DetectionLoader:
        return DetectionLoader(samples, rows, spec, VAL_BATCH_SIZE)

    return rehearsal.rehearse_closing(
        context,
        lambda path: export_detector(network, spec, path),
        lambda backend, rows: predict_with_backend(backend, network.decoder_name, make_loader(rows)),
        lambda rows: predict_detections(network, make_loader(rows)),
    )


def apply_planned_size(spec: PreprocessSpec, plan: TrainingPlan) -> PreprocessSpec:
    """Return ``spec`` with the input side of ``plan``, where a time budget reduced it."""
    return replace(spec, height=plan.side, width=plan.side) if plan.side else spec


def make_augmentation(context: RecipeContext, plan: TrainingPlan) -> TrainingAugmentation:
    """Return how the training images of ``context`` are augmented and mixed under ``plan``."""
    return TrainingAugmentation(
        Policy.parse(context.config.augment or defaults.DEFAULT_POLICY),
        plan.mosaic,
        defaults.MIXUP_PROBABILITY if context.config.mix == "mixup" else 0.0,
        plan.epochs - plan.plain,
        context.config.scales or 0.0,
    )
