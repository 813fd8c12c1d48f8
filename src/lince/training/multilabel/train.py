"""Trains a multilabel model: from a request to a finished run."""

from __future__ import annotations

from lince.evaluation.report import Report
from lince.training.image_run import train_image_model
from lince.training.multilabel.finalise import MultilabelClosing
from lince.training.request import TrainingRequest
from lince.training.run_folder import TrainingRun


def train_multilabel(request: TrainingRequest, run: TrainingRun) -> Report:
    """Train a multilabel model as ``request`` asks, write model and report into ``run``, and return the report.

    See ``train_image_model``, also for what it raises.
    """
    return train_image_model(request, run, MultilabelClosing())
