"""Object detection in the HTTP API: the schema of its records, and how its predictions are corrected.

This module is the ``http`` part of the task; ``Record`` and the names after it are what the server uses of it. The
docstrings of schemas are part of the OpenAPI document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from lince.annotations import Classes
from lince.i18n import _
from lince.model_card import ModelCard
from lince.serving.api_schema import ApiSchema
from lince.serving.correction_store import CorrectedBoxes, CorrectionStore, require_known_class
from lince.serving.digit_image import are_numbers
from lince.web.http_errors import ApiError, client_error

PREDICT_OPTIONS = ("threshold",)  # the options of a prediction request that the task understands
# The fields of a correction, besides image and model, with their JSON schemas:
CORRECTION_FIELDS = {
    "objects": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": 'For a detection model: all objects, [{"class": NAME, "box": [left, top, right, bottom]}, ...].',
    }
}
MAX_OBJECTS = 1000  # of one correction


class DetectedObject(BaseModel):
    """An object that was found: its class, its score (0..1), and its bounding box.

    The box is [left, top, right, bottom] in pixels of the upright image (turned as its EXIF orientation says), from the
    top left corner; fractions of a pixel count.
    """

    model_config = ConfigDict(frozen=True)
    class_: str = Field(alias="class")
    score: float
    box: tuple[float, float, float, float]


class DetectionRecord(ApiSchema):
    """The prediction of a detection model for one image.

    ``file`` is the name of the image in the request, "image-N" where it has none; ``width`` and ``height`` are those of
    the upright image in pixels. ``objects`` are sorted by score, from the highest; those below the threshold of their
    class, or below the option ``threshold``, are left out. ``counts`` is their number by class.
    """

    file: str
    width: int
    height: int
    counts: dict[str, int]
    objects: tuple[DetectedObject, ...]


Record = DetectionRecord


def list_thresholds(card: ModelCard) -> list[float] | None:
    """Return the score thresholds (0..1) of a model for its description, one per class in their order."""
    thresholds = card.detection_filter.get_thresholds(np.arange(len(card.classes), dtype=np.int32))
    return [float(value) for value in thresholds.tolist()]


def save_correction(
    store: CorrectionStore, image: bytes, fields: Mapping[str, str], classes: Classes, size: tuple[int, int]
) -> bool:
    """Save ``image``, an image file, with all objects in ``fields["objects"]``; return whether it is new.

    The field is JSON: [{"class": NAME, "box": [left, top, right, bottom]}, ...], an empty list for an image without
    objects. ``size`` is the (height, width) of the upright image, to which boxes are clipped. Raises ``ApiError`` for
    anything else, a class that the model does not have or more than ``MAX_OBJECTS`` objects (422), a store of a model
    with other classes (409), and a full store (507).
    """
    boxes, class_ids = _parse_objects(fields.get("objects", ""), classes, size)
    return store.save_objects(image, CorrectedBoxes(boxes, class_ids, size), classes)


def _parse_objects(text: str, classes: Classes, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return the boxes (K, 4), clipped to ``size``, and the class ids (K,) of a JSON list of objects."""
    try:
        objects = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad_objects_error() from None
    if not isinstance(objects, list) or len(objects) > MAX_OBJECTS:
        raise _bad_objects_error()
    if not all(isinstance(item, dict) for item in objects):
        raise _bad_objects_error()
    class_ids = [classes.index(require_known_class(str(item.get("class", "")), classes)) for item in objects]
    boxes = [_parse_box(item.get("box"), size) for item in objects]
    return np.array(boxes, np.float64).reshape(-1, 4), np.array(class_ids, np.int32)


def _parse_box(value: object, size: tuple[int, int]) -> Sequence[float]:
    """Return left, top, right, bottom of a box, clipped to ``size`` (height, width).

    Raises ``ApiError`` (422) unless it is a list of 4 finite numbers of which a box of positive area is left.
    """
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
    """Return the 422 for a field ``objects`` of another form; the message shows an example."""
    message = _('Expected objects: JSON such as [{{"class": "{name}", "box": [left, top, right, bottom]}}].')
    return client_error("bad-objects", message.format(name="cat"), 422)
