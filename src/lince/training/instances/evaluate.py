"""Evaluates a model that gives each object a mask on a labelled dataset, without torch."""

from __future__ import annotations

from lince.datasets import Dataset
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.inference.detection.predictor import DetectionPredictor
from lince.progress import SILENT, Progress
from lince.training.detection.evaluate import evaluate_on_objects
from lince.training.instances.kind import MASKS


def evaluate_instances(
    predictor: DetectionPredictor, dataset: Dataset, progress: Progress = SILENT
) -> tuple[DetectionPredictions, DetectionMetrics]:
    """Return the detections of ``predictor`` on every image of ``dataset``, and their metrics, masks first."""
    return evaluate_on_objects(predictor, dataset, progress, MASKS)
