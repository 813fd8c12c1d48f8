"""Trains a model that gives each object a mask: from a request to a finished run."""

from __future__ import annotations

from lince.evaluation.report import DetectionReport
from lince.training.detection.train import train_on_objects
from lince.training.instances.kind import MASKS
from lince.training.request import TrainingRequest
from lince.training.run_folder import TrainingRun


def train_instances(request: TrainingRequest, run: TrainingRun) -> DetectionReport:
    """Train a detector with masks as ``train_on_objects`` does."""
    return train_on_objects(request, run, MASKS)
