"""The recipe ``finetune``: fine-tunes a pretrained detector."""

from __future__ import annotations

from lince.models.weights_source import WeightsSource
from lince.training.detection import defaults
from lince.training.detection.network_recipe import TrainedDetector, train_all_layers
from lince.training.recipe import RecipeContext


def fine_tune_network(context: RecipeContext, source: WeightsSource) -> TrainedDetector:
    """Train the detector of ``source`` from its weights; the blocks before ``--from-layer`` stay frozen."""
    return train_all_layers(context, source, "finetune", defaults.plan_fine_tuning)
