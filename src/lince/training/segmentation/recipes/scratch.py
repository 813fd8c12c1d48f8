"""The recipe ``scratch`` of segmentation: trains a network from random weights."""

from __future__ import annotations

from lince.models.weights_source import WeightsSource
from lince.training import plan_runner
from lince.training.recipe import RecipeContext
from lince.training.segmentation import defaults
from lince.training.segmentation.network_recipe import (
    export_result,
    make_augmentation,
    prepare_network,
    train_all_layers,
)
from lince.training.segmentation.trained_segmenter import TrainedSegmenter


def train_from_scratch(context: RecipeContext, source: WeightsSource) -> TrainedSegmenter:
    """Train the network of ``context`` from random weights."""
    training = prepare_network(context, source)
    state = train_all_layers(context, training, defaults.plan_from_scratch)
    augmentation = make_augmentation(context, plan_runner.load_plan(context))
    return export_result(context, "scratch", training, state.history, augmentation)
