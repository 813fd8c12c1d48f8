"""The result of a model that gives each object a mask, for one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lince.inference.detection.result import DetectionResult


@dataclass(frozen=True, eq=False, repr=False)
class InstancesResult(DetectionResult):
    """The objects on one image, each with its mask."""

    task: ClassVar[str] = "instances"
    gives_masks: ClassVar[bool] = True
