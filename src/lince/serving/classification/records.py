"""The records of a classifier in the HTTP API, and how its predictions are corrected."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from lince.annotations import Classes
from lince.model_card import ModelCard
from lince.serving.correction_store import CorrectionStore, require_known_class
from lince.serving.frozen_model import FrozenModel

PREDICT_OPTIONS = ("top",)  # of the options of a request, those that a classifier understands
CORRECTION_FIELDS = ("label",)


class ClassProbability(FrozenModel):
    """One class, and how probable it is."""

    name: str
    probability: float


class ClassificationRecord(BaseModel):
    """What a classifier says of one photo, the most probable classes first."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"title": "ClassificationRecord"})
    file: str
    class_: str = Field(alias="class")
    probability: float
    classes: tuple[ClassProbability, ...]


Record = ClassificationRecord


def list_thresholds(card: ModelCard) -> list[float] | None:
    """Return ``None``: a classifier has no score threshold."""
    del card
    return None


def save_correction(
    store: CorrectionStore, image: bytes, fields: Mapping[str, str], classes: Classes, size: tuple[int, int]
) -> bool:
    """Keep ``image`` with the class in ``fields["label"]``; return whether it is new. Raises ``ApiError``."""
    del size
    return store.save_label(image, require_known_class(fields.get("label", ""), classes), classes)
