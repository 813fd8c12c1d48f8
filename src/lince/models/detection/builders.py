"""Builds detectors: one row in ``DETECTOR_MODULES`` for each family of ``DetectorEntry``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch

from lince.models.classification.classifier import list_cuda_devices
from lince.models.detection.detector import Detector
from lince.models.detection.registry import DetectorEntry
from lince.preprocess import PreprocessSpec

CreateFunction = Callable[[DetectorEntry, int, int, int], Detector]
# Modules with a function ``create_detector``, imported on demand: some import libraries that take seconds to load.
DETECTOR_MODULES = {
    "yolox": "lince.models.yolox.model",
    "fasterrcnn": "lince.models.faster_rcnn.model",
    "dfine": "lince.models.detr.model",
    "deimv2": "lince.models.detr.deimv2",
    "rtdetr": "lince.models.detr.model",
    "rfdetr": "lince.models.detr.rfdetr",
    "ultralytics": "lince.models.ultralytics_model",
}


def build_detector(entry: DetectorEntry, num_classes: int, spec: PreprocessSpec, seed: int = 0) -> Detector:
    """Return the detector of ``entry`` for ``num_classes`` classes and inputs of ``spec``, with random weights.

    The weights are drawn from ``seed``; torch's global random state is restored. Raises ``UsageError`` when the
    detector cannot process inputs of that size, or the package of its family is not one that lince knows.
    """
    create: CreateFunction = import_module(DETECTOR_MODULES[entry.family]).create_detector
    with torch.random.fork_rng(devices=list_cuda_devices()):
        torch.manual_seed(seed)
        return create(entry, num_classes, spec.height, spec.width)
