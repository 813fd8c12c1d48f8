"""Objects with masks in the HTTP API: the schema of its records; corrections are those of detection.

This module is the ``http`` part of the task; ``Record`` and the names after it are what the server uses of it. The
docstrings of schemas are part of the OpenAPI document.
"""

from __future__ import annotations

from typing import Any

from lince import rle
from lince.inference.instances.result import InstancesResult
from lince.serving import mask_records
from lince.serving.detection.records import (
    CORRECTION_FIELDS,
    DetectedObject,
    DetectionRecord,
    list_thresholds,
    save_correction,
)
from lince.serving.mask_records import Outline, RunLengthMask
from lince.serving.request_options import PredictOptions

__all__ = ["CORRECTION_FIELDS", "PREDICT_OPTIONS", "Record", "build_record", "list_thresholds", "save_correction"]

PREDICT_OPTIONS = ("threshold", "outline")  # the options of a prediction request that the task understands


class MaskedObject(DetectedObject):
    """An object that was found, as of a detection model, with its mask.

    ``area`` is the number of its pixels, ``share`` their part of the image (0..1). ``mask`` has the pixels; with the
    option ``outline=1`` they are rings of points [x, y] along the edges of pixels instead, one for each connected part.
    """

    area: int
    share: float
    mask: RunLengthMask | None = None
    outline: Outline | None = None


class InstancesRecord(DetectionRecord):
    """The prediction of a model of objects with masks (instance segmentation) for one image.

    The fields are those of a detection model; each of ``objects`` also has its mask.
    """

    objects: tuple[MaskedObject, ...]


Record = InstancesRecord


def build_record(result: InstancesResult, options: PredictOptions) -> dict[str, Any]:
    """Return the JSON values of ``Record``."""
    record = result.to_dict()
    if options.outline:
        for values, text in zip(record["objects"], result.detections.masks, strict=True):
            del values["mask"]
            values["outline"] = mask_records.build_outline(rle.decode(text, *result.size)) if text else None
    return record
