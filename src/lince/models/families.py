"""Who builds which detector: one line for each family of ``detectors.DetectorEntry``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch

from lince.models.classifier import devices
from lince.models.detector import Detector
from lince.models.detectors import DetectorEntry
from lince.preprocess import Preprocess

Create = Callable[[DetectorEntry, int, int, int], Detector]
# The modules with a function ``create``, loaded when asked for: some bring libraries that take seconds to load.
FAMILIES = {
    "yolox": "lince.models.yolox",
    "fasterrcnn": "lince.models.fasterrcnn",
    "dfine": "lince.models.detr",
    "deimv2": "lince.models.deimv2",
    "rtdetr": "lince.models.detr",
    "rfdetr": "lince.models.rfdetr",
    "ultralytics": "lince.models.ultralytics",
}


def build(entry: DetectorEntry, classes: int, spec: Preprocess, seed: int = 0) -> Detector:
    """Return the detector of ``entry`` for ``classes`` and inputs of ``spec``, at random weights drawn from ``seed``.

    The caller's random state is left as it was. Raises ``UsageError`` when it cannot read inputs of that size.
    """
    create: Create = import_module(FAMILIES[entry.family]).create
    with torch.random.fork_rng(devices=devices()):
        torch.manual_seed(seed)
        return create(entry, classes, spec.height, spec.width)
