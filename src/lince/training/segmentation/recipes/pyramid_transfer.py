"""The recipe ``transfer`` with torch: a light feature pyramid on the feature maps of a frozen body."""

from __future__ import annotations

from lince.models.weights_source import WeightsSource
from lince.training.augmented_loader import TrainingAugmentation
from lince.training.recipe import RecipeContext
from lince.training.segmentation.network_recipe import choose_policy, export_result, prepare_network, train_head
from lince.training.segmentation.trained_segmenter import TrainedSegmenter


def train_pyramid_head(context: RecipeContext, source: WeightsSource) -> TrainedSegmenter:
    """Train the head of the network of ``source`` on cached maps of the images and of augmented views."""
    training = prepare_network(context, source)
    state = train_head(context, source, training)
    return export_result(context, "transfer", training, state.history, TrainingAugmentation(choose_policy(context)))
