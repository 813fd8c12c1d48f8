"""The records of a detector in the HTTP API, and how its detections are corrected."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lince.annotations import Classes
from lince.i18n import _
from lince.model_card import ModelCard
from lince.serving.correction_store import CorrectedBoxes, CorrectionStore, require_known_class
from lince.serving.digit_image import are_numbers
from lince.serving.frozen_model import FrozenModel
from lince.serving.http_errors import ApiError, client_error

PREDICT_OPTIONS = ("threshold",)  # of the options of a request, those that a detector understands
CORRECTION_FIELDS = ("objects",)
MAX_OBJECTS = 1000


class DetectedObject(BaseModel):
    """One object: its class, how sure the model is, and left, top, right, bottom in pixels of the upright photo."""

    model_config = ConfigDict(frozen=True)
    class_: str = Field(alias="class")
    score: float
    box: tuple[float, float, float, float]


class DetectionRecord(FrozenModel):
    """What a detector found on one photo."""

    file: str
    width: int
    height: int
    counts: dict[str, int]
    objects: tuple[DetectedObject, ...]


Record = DetectionRecord


def list_thresholds(card: ModelCard) -> list[float] | None:
    """Return the score threshold of each class, 0 to 1."""
    thresholds = card.detection_filter.get_thresholds(np.arange(len(card.classes), dtype=np.int32))
    return [float(value) for value in thresholds.tolist()]


def save_correction(
    store: CorrectionStore, image: bytes, fields: Mapping[str, str], classes: Classes, size: tuple[int, int]
) -> bool:
    """Keep ``image`` of ``size`` (height, width) with the boxes in ``fields["objects"]``; return whether it is new.

    Raises ``ApiError`` when they are no list of objects with known classes and boxes.
    """
    boxes, class_ids = _parse_objects(fields.get("objects", ""), classes, size)
    return store.save_objects(image, CorrectedBoxes(boxes, class_ids, size), classes)


def _parse_objects(text: str, classes: Classes, size: tuple[int, int]) -> tuple[Any, Any]:
    try:
        sent = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad_objects_error() from None
    if not isinstance(sent, list) or len(sent) > MAX_OBJECTS or not all(isinstance(one, dict) for one in sent):
        raise _bad_objects_error()
    class_ids = [classes.index(require_known_class(str(one.get("class", "")), classes)) for one in sent]
    boxes = [_parse_box(one.get("box"), size) for one in sent]
    return np.array(boxes, np.float64).reshape(-1, 4), np.array(class_ids, np.int32)


def _parse_box(value: object, size: tuple[int, int]) -> Sequence[float]:
    if not (isinstance(value, list) and are_numbers(value)):
        raise _bad_objects_error()
    try:
        box = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _bad_objects_error() from None
    if box.shape != (4,) or not np.isfinite(box).all():
        raise _bad_objects_error()
    height, width = size
    left, top, right, bottom = np.clip(box, 0, [width, height, width, height]).tolist()
    if right <= left or bottom <= top:
        raise _bad_objects_error()
    return left, top, right, bottom


def _bad_objects_error() -> ApiError:
    message = _('Expected objects: JSON such as [{{"class": "{name}", "box": [left, top, right, bottom]}}].')
    return client_error("bad-objects", message.format(name="cat"), 422)
