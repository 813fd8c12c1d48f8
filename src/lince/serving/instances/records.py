"""Objects with masks in the HTTP API: the schema of its records; corrections and options are those of detection.

This module is the ``http`` part of the task; ``Record`` and the names after it are what the server uses of it. The
docstrings of schemas are part of the OpenAPI document.
"""

from __future__ import annotations

from lince.serving.api_schema import ApiSchema
from lince.serving.detection.records import (
    CORRECTION_FIELDS,
    PREDICT_OPTIONS,
    DetectedObject,
    DetectionRecord,
    list_thresholds,
    save_correction,
)

__all__ = ["CORRECTION_FIELDS", "PREDICT_OPTIONS", "Record", "list_thresholds", "save_correction"]


class ObjectMask(ApiSchema):
    """The pixels of an object in the upright image, as COCO's compressed run lengths.

    ``size`` is [height, width] of the image; ``counts`` is what pycocotools decodes.
    """

    size: tuple[int, int]
    counts: str


class MaskedObject(DetectedObject):
    """An object that was found, as of a detection model, with its mask.

    ``area`` is the number of its pixels, ``share`` their part of the image (0..1); ``mask`` is null for an object
    without one.
    """

    area: int
    share: float
    mask: ObjectMask | None


class InstancesRecord(DetectionRecord):
    """The prediction of a model of objects with masks (instance segmentation) for one image.

    The fields are those of a detection model; each of ``objects`` also has its mask.
    """

    objects: tuple[MaskedObject, ...]


Record = InstancesRecord
