"""The shapes of what the server takes and gives, frozen: they check JSON that comes in, and document the rest."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


# What the options may be is told here and checked for all kinds of bodies together, with words of their own.
_TopOption = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 999999})]
_ThresholdOption = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]


class EncodedImage(_FrozenModel):
    """A photo in JSON: the bytes of its file in base64 (a data URL fits too), and a name for the answer."""

    data: str
    name: str = ""


class PredictRequestBody(_FrozenModel):
    """A request in JSON."""

    images: tuple[EncodedImage | str, ...] = Field(min_length=1)
    model: str | None = None
    top: _TopOption | None = None
    threshold: _ThresholdOption | None = None


class ErrorDetail(_FrozenModel):
    """Why something was refused: a code for programs, and a sentence in the client's language."""

    code: str
    message: str
    id: str | None = None


class ErrorResponse(_FrozenModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


class ClassProbability(_FrozenModel):
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


class DetectedObject(BaseModel):
    """One object: its class, how sure the model is, and left, top, right, bottom in pixels of the upright photo."""

    model_config = ConfigDict(frozen=True)
    class_: str = Field(alias="class")
    score: float
    box: tuple[float, float, float, float]


class DetectionRecord(_FrozenModel):
    """What a detector found on one photo."""

    file: str
    width: int
    height: int
    counts: dict[str, int]
    objects: tuple[DetectedObject, ...]


class ErrorRecord(_FrozenModel):
    """A photo that could not be answered, beside others that were."""

    file: str
    error: ErrorDetail


class PredictResponse(_FrozenModel):
    """The answer: a record for each photo, in the order in which they were sent."""

    model: str
    predictions: tuple[ClassificationRecord | DetectionRecord | ErrorRecord, ...]


class CorrectionResponse(_FrozenModel):
    """What became of a correction: whether it is new, and was kept."""

    saved: bool


class ModelInput(_FrozenModel):
    """What the network reads: height and width in pixels, and channels: rgb, bgr or grey."""

    height: int
    width: int
    channels: str
    resize: str


class ModelInfo(_FrozenModel):
    """A model that is served."""

    name: str
    task: str
    classes: tuple[str, ...]
    colours: tuple[str, ...]
    input: ModelInput
    thresholds: tuple[float, ...] | None
    network: str
    licence: str
    source: str
    metrics: dict[str, Any]
    target: str
    precision: str
    loaded: str
    bound_seconds: float
    batch: int
    trouble: str | None


class ModelList(_FrozenModel):
    """The models that are served."""

    models: tuple[ModelInfo, ...]


class HealthStatus(_FrozenModel):
    """How the server is."""

    status: str
