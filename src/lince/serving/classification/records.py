"""Image classification in the HTTP API: the schema of its records, and how its predictions are corrected.

This module is the ``http`` part of the task; ``Record`` and the names after it are what the server uses of it. The
docstrings of schemas are part of the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from lince.annotations import Classes
from lince.model_card import ModelCard
from lince.serving.api_schema import ApiSchema
from lince.serving.correction_store import CorrectionStore, require_known_class

PREDICT_OPTIONS = ("top",)  # the options of a prediction request that the task understands
# The fields of a correction, besides image and model, with their JSON schemas:
CORRECTION_FIELDS = {"label": {"type": "string", "description": "For a classification model: the correct class."}}


class ClassProbability(ApiSchema):
    """A class with its predicted probability, 0..1."""

    name: str
    probability: float


class ClassificationRecord(BaseModel):
    """The prediction of a classification model for one image.

    ``file`` is the name of the image in the request, "image-N" where it has none. ``class`` and ``probability`` are
    those of the most probable class. ``classes`` are sorted by probability, from the highest: all of them, or as many
    as the option ``top`` says.
    """

    model_config = ConfigDict(frozen=True, json_schema_extra={"title": "ClassificationRecord"})
    file: str
    class_: str = Field(alias="class")
    probability: float
    classes: tuple[ClassProbability, ...]


Record = ClassificationRecord


def list_thresholds(card: ModelCard) -> list[float] | None:
    """Return the score thresholds of a model for its description, which are ``None``: the task has none."""
    del card
    return None


def save_correction(
    store: CorrectionStore, image: bytes, fields: Mapping[str, str], classes: Classes, size: tuple[int, int]
) -> bool:
    """Save ``image``, an image file, as one of the class in ``fields["label"]``; return whether it is new.

    ``size`` is not needed for a class. Raises ``ApiError`` for a class that the model does not have (422), a class
    whose name cannot be that of a folder (422), and a full store (507).
    """
    del size
    return store.save_label(image, require_known_class(fields.get("label", ""), classes), classes)
