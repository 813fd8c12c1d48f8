"""What the recipes that train a segmentation network by torch share: building, training its head or all, exporting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.augmentation import Policy
from lince.export.torch_to_onnx import export_segmenter
from lince.model_card import NETWORK_FILE
from lince.models.layer_summary import summarise_network
from lince.models.segmentation.segmenter import Segmenter, build_segmenter
from lince.models.weights_source import WeightsSource
from lince.preprocess import preprocess_images
from lince.training import plan_runner, rehearsal
from lince.training.augmented_loader import TrainingAugmentation
from lince.training.checkpoint import TrainingState
from lince.training.feature_maps import FeatureMapLoader, cache_feature_maps
from lince.training.loop import LAST_CHECKPOINT, TrainingSetup
from lince.training.plan import TrainingPlan
from lince.training.plan_runner import HardwareChoice
from lince.training.pretrained_weights import load_pretrained
from lince.training.recipe import RecipeContext
from lince.training.run_folder import TrainingRun
from lince.training.segmentation import defaults
from lince.training.segmentation.frozen_body import prepare_pyramid_body
from lince.training.segmentation.loader import SegmentationLoader
from lince.training.segmentation.objective import (
    VAL_BATCH_SIZE,
    FeatureMapObjective,
    SegmentationObjective,
    predict_logits,
)
from lince.training.segmentation.pixel_evaluation import predict_pixels
from lince.training.segmentation.pixel_head import fit_pixel_head
from lince.training.segmentation.samples import SegmentationSamples, SegmentationViews
from lince.training.segmentation.trained_segmenter import TrainedSegmenter
from lince.training.time_budget import ClosingTimes

PlanFactory = Callable[[RecipeContext, float | None], TrainingPlan]


@dataclass(frozen=True)
class NetworkInTraining:
    """A network with the samples that it learns from, and its facts for the report (JSON)."""

    network: Segmenter
    samples: SegmentationSamples
    facts: dict[str, Any]


def prepare_network(context: RecipeContext, source: WeightsSource) -> NetworkInTraining:
    """Return the network of ``source`` for the dataset's classes, and the samples of the dataset.

    Reports how the weights were loaded. Raises ``WeightsError`` when they do not fit the network.
    """
    network = build_segmenter(source.entry, len(context.dataset.classes), context.spec, context.config.seed)
    macs = summarise_network(network, context.spec).macs
    facts = load_pretrained(network, source, macs, context.progress)
    return NetworkInTraining(network, SegmentationSamples.from_dataset(context.dataset), facts)


def train_head(context: RecipeContext, source: WeightsSource, training: NetworkInTraining) -> TrainingState:
    """Train the head of the network on cached maps of its frozen body; all that is below stays as it was loaded.

    Its linear part is fitted first (``pixel_head``), which a feature pyramid then refines.
    """
    network, samples, policy = training.network, training.samples, choose_policy(context)
    network.freeze_before("head")
    feature_maps, view_count = cache_feature_maps(context, prepare_pyramid_body(context, source).path, policy)
    views = SegmentationViews(samples, feature_maps)
    if not (TrainingRun(context.folder).checkpoint_folder / LAST_CHECKPOINT).is_file():
        items = [(int(row), view) for row in context.train_rows for view in range(view_count)]
        head = fit_pixel_head(views, items, network.num_classes, context.config.seed, context.progress)
        network.head.linear.adopt(head.weights, head.scene, head.bias)
    network.head.linear.requires_grad_(False)

    def make_setup(plan: TrainingPlan, hardware: HardwareChoice) -> TrainingSetup:
        loader = FeatureMapLoader(
            feature_maps, views.make_target, context.train_rows, view_count, plan.batch, plan.seed
        )
        objective = FeatureMapObjective(views, context.val_rows)
        return plan_runner.make_training_setup(context, network, loader, objective, plan, hardware)

    state = plan_runner.plan_and_train(
        context,
        make_setup,
        lambda epoch_seconds: defaults.plan_transfer(context, epoch_seconds),
        lambda: rehearse_closing(context, network, samples),
    )
    network.head.linear.requires_grad_(True)  # it was learned, too
    return state


def train_all_layers(context: RecipeContext, training: NetworkInTraining, make_plan: PlanFactory) -> TrainingState:
    """Train the network on augmented images by the plan of ``make_plan``, and leave it with its best weights."""
    network, samples = training.network, training.samples

    def make_setup(plan: TrainingPlan, hardware: HardwareChoice) -> TrainingSetup:
        train_loader = SegmentationLoader(
            samples,
            context.train_rows,
            context.spec,
            plan.batch,
            plan.seed,
            make_augmentation(context, plan),
            hardware.workers,
            context.progress,
        )
        val_loader = SegmentationLoader(
            samples, context.val_rows, context.spec, VAL_BATCH_SIZE, workers=hardware.workers
        )
        objective = SegmentationObjective(val_loader)
        return plan_runner.make_training_setup(context, network, train_loader, objective, plan, hardware)

    return plan_runner.plan_and_train(
        context,
        make_setup,
        lambda epoch_seconds: make_plan(context, epoch_seconds),
        lambda: rehearse_closing(context, network, samples),
    )


def make_augmentation(context: RecipeContext, plan: TrainingPlan) -> TrainingAugmentation:
    """Return how the training images of ``context`` are augmented and mixed under ``plan``."""
    return TrainingAugmentation(choose_policy(context), plan.mosaic, mixing_off_epoch=plan.epochs - plan.plain)


def choose_policy(context: RecipeContext) -> Policy:
    """Return the augmentation policy that is configured, or the default."""
    return Policy.parse(context.config.augment or defaults.DEFAULT_POLICY)


def export_result(
    context: RecipeContext,
    recipe: str,
    training: NetworkInTraining,
    history: list[dict[str, Any]],
    augmentation: TrainingAugmentation,
    notes: Sequence[str] = (),
) -> TrainedSegmenter:
    """Write ``model.onnx`` and return the recipe's result."""
    network = training.network
    export_segmenter(network, context.spec, TrainingRun(context.folder).model_folder / NETWORK_FILE)
    trainable = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return TrainedSegmenter(
        recipe=recipe,
        facts={**training.facts, "trainable": trainable},
        history=history,
        notes=list(notes),
        policy=str(augmentation.policy),
        samples=training.samples,
        reference_predict=lambda inputs: predict_logits(network, inputs),
        augmentation=augmentation,
    )


def rehearse_closing(context: RecipeContext, network: Segmenter, samples: SegmentationSamples) -> ClosingTimes:
    """Return about how many seconds export, evaluation and report of ``network`` will take."""

    def predict_trained(rows: NDArray[np.int64]) -> None:
        size = (context.spec.height, context.spec.width)
        images = [context.dataset.images.read_image(int(row), size) for row in rows]
        if images:
            predict_logits(network, preprocess_images(images, context.spec))

    return rehearsal.rehearse_closing(
        context,
        lambda path: export_segmenter(network, context.spec, path),
        lambda backend, rows: predict_pixels(backend, samples, rows, context.spec),
        predict_trained,
    )
