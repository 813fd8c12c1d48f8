"""The recipe ``scratch``: trains a detector from random weights."""

from __future__ import annotations

from lince.models.weights_source import WeightsSource
from lince.training.detection import defaults
from lince.training.detection.network_recipe import TrainedDetector, train_all_layers
from lince.training.recipe import RecipeContext


def train_from_scratch(context: RecipeContext, source: WeightsSource) -> TrainedDetector:
    """Train the detector of ``context`` from random weights."""
    return train_all_layers(context, source, "scratch", defaults.plan_from_scratch)
