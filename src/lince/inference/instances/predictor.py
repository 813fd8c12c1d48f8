"""Predictor of models that give each object a mask, without torch."""

from __future__ import annotations

from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.instances.result import InstancesResult


class InstancesPredictor(DetectionPredictor):
    """A detector whose detections have masks, ready for inference."""

    task = "instances"
    result_class = InstancesResult
