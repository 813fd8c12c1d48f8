"""Multilabel classification in the HTTP API: the schema of its records, and how its predictions are corrected.

This module is the ``http`` part of the task; ``Record`` and the names after it are what the server uses of it. The
docstrings of schemas are part of the OpenAPI document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from lince.annotations import Classes
from lince.i18n import _
from lince.model_card import ModelCard
from lince.postprocess import DEFAULT_THRESHOLD
from lince.serving.api_schema import ApiSchema
from lince.serving.correction_store import CorrectionStore, require_known_class
from lince.web.http_errors import client_error

PREDICT_OPTIONS = ("top", "threshold")  # the options of a prediction request that the task understands
# The fields of a correction, besides image and model, with their JSON schemas:
CORRECTION_FIELDS = {
    "labels": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": 'For a multilabel model: all classes of the image, such as ["cat", "dog"]; [] for none.',
    }
}


class LabelProbability(ApiSchema):
    """A class with its predicted probability, 0..1, and the threshold from which on the image is said to have it."""

    name: str
    probability: float
    threshold: float
    said: bool


class MultilabelRecord(ApiSchema):
    """The prediction of a multilabel model for one image.

    ``file`` is the name of the image in the request, "image-N" where it has none. ``said`` are the classes that the
    image is said to have, the most probable first: those whose probability is at or above their threshold, or the
    option ``threshold``; there may be none. ``classes`` are sorted by probability, from the highest: all of them, or as
    many as the option ``top`` says. The probabilities are those of each class by itself and need not sum to 1.
    """

    file: str
    said: tuple[str, ...]
    classes: tuple[LabelProbability, ...]


Record = MultilabelRecord


def list_thresholds(card: ModelCard) -> list[float] | None:
    """Return the thresholds (0..1) of a model for its description, one per class in their order."""
    return list(card.thresholds) or [DEFAULT_THRESHOLD] * len(card.classes)


def save_correction(
    store: CorrectionStore, image: bytes, fields: Mapping[str, str], classes: Classes, size: tuple[int, int]
) -> bool:
    """Save ``image``, an image file, with all classes in ``fields["labels"]``; return whether it is new.

    The field is a JSON list of class names, empty for an image of none. ``size`` is not needed. Raises ``ApiError`` for
    anything else, a class that the model does not have, or names that no table can have (422), a store of a model with
    other classes (409), and a full store (507).
    """
    del size
    try:
        names = json.loads(fields.get("labels", ""))
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        message = _('Expected labels: JSON such as ["{name}", "{other}"], or [] for none.')
        raise client_error("bad-labels", message.format(name="cat", other="dog"), 422)
    class_ids = sorted({classes.index(require_known_class(name, classes)) for name in names})
    return store.save_label_set(image, class_ids, classes)
