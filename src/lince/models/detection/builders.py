"""Who builds which detector: one line for each family of ``detectors.DetectorEntry``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch

from lince.models.classification.classifier import list_cuda_devices
from lince.models.detection.detector import Detector
from lince.models.detection.registry import DetectorEntry
from lince.preprocess import PreprocessSpec

CreateFunction = Callable[[DetectorEntry, int, int, int], Detector]
# The modules with a function ``create``, loaded when asked for: some bring libraries that take seconds to load.
DETECTOR_MODULES = {
    "yolox": "lince.models.yolox.model",
    "fasterrcnn": "lince.models.faster_rcnn.model",
    "dfine": "lince.models.detr.model",
    "deimv2": "lince.models.detr.deimv2",
    "rtdetr": "lince.models.detr.model",
    "rfdetr": "lince.models.detr.rfdetr",
    "ultralytics": "lince.models.ultralytics_model",
}


def build_detector(entry: DetectorEntry, classes: int, spec: PreprocessSpec, seed: int = 0) -> Detector:
    """Return the detector of ``entry`` for ``classes`` and inputs of ``spec``, at random weights drawn from ``seed``.

    The caller's random state is left as it was. Raises ``UsageError`` when it cannot read inputs of that size.
    """
    create: CreateFunction = import_module(DETECTOR_MODULES[entry.family]).create_detector
    with torch.random.fork_rng(devices=list_cuda_devices()):
        torch.manual_seed(seed)
        return create(entry, classes, spec.height, spec.width)
