"""Trains a classifier: from a request to a finished run."""

from __future__ import annotations

from lince.config import TrainConfig
from lince.evaluation.report import Report
from lince.models.classification import registry as classification_registry
from lince.training.classification.finalise import ClassificationClosing
from lince.training.image_run import train_image_model
from lince.training.request import TrainingRequest
from lince.training.run_folder import TrainingRun


def train_classifier(request: TrainingRequest, run: TrainingRun) -> Report:
    """Train a classifier as ``request`` asks, write model and report into ``run``, and return the report.

    See ``train_image_model``, also for what it raises.
    """
    return train_image_model(request, run, ClassificationClosing())


def adapt_config(config: TrainConfig, recipe: str) -> TrainConfig:
    """Return the configuration of one ``recipe`` of ``--recipe all``.

    From scratch, the small default CNN is trained unless the model is one that is declared layer by layer.
    """
    entry = classification_registry.get_model_entry(config.model or classification_registry.DEFAULT_MODEL)
    if recipe == "scratch" and entry.architecture != classification_registry.CNN:
        return config.with_changes(recipe=recipe, model=classification_registry.CNN, from_layer=None)
    return config.with_changes(recipe=recipe)
