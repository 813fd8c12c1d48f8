"""The shapes of what the server takes and gives, frozen: they check JSON that comes in, and document the rest."""

from __future__ import annotations

from functools import reduce
from operator import or_
from types import GenericAlias
from typing import Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema, create_model

from lince.serving import request_options
from lince.serving.frozen_model import FrozenModel
from lince.tasks import list_tasks

# Ranges are only documented here: ``PredictOptions.from_strings`` checks them, alike for all kinds of bodies.
_TopOption = Annotated[int, WithJsonSchema(request_options.TOP.schema)]
_ThresholdOption = Annotated[float, WithJsonSchema(request_options.THRESHOLD.schema)]


class EncodedImage(FrozenModel):
    """A photo in JSON: the bytes of its file in base64 (a data URL fits too), and a name for the answer."""

    data: str
    name: str = ""


class PredictRequestBody(FrozenModel):
    """A request in JSON."""

    images: tuple[EncodedImage | str, ...] = Field(min_length=1)
    model: str | None = None
    top: _TopOption | None = None
    threshold: _ThresholdOption | None = None


class ErrorDetail(FrozenModel):
    """Why something was refused: a code for programs, and a sentence in the client's language."""

    code: str
    message: str
    id: str | None = None


class ErrorResponse(FrozenModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


class ErrorRecord(FrozenModel):
    """A photo that could not be answered, beside others that were."""

    file: str
    error: ErrorDetail


def make_predict_response() -> type[BaseModel]:
    """Return the schema of the answer to a prediction: a record for each image, in the order they were sent.

    A record is one of those of the tasks, or an ``ErrorRecord``.
    """
    records = [task.load_part("http").Record for task in list_tasks() if task.has_part("http")]
    item: Any = reduce(or_, [*records, ErrorRecord])
    predictions: Any = GenericAlias(tuple, (item, ...))
    response: type[BaseModel] = create_model(
        "PredictResponse",
        __base__=FrozenModel,
        __doc__="The answer: a record for each image, in the order in which they were sent.",
        model=(str, ...),
        predictions=(predictions, ...),
    )
    return response


class CorrectionResponse(FrozenModel):
    """What became of a correction: whether it is new, and was kept."""

    saved: bool


class ModelInput(FrozenModel):
    """What the network reads: height and width in pixels, and channels: rgb, bgr or grey."""

    height: int
    width: int
    channels: str
    resize: str


class ModelInfo(FrozenModel):
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


class ModelList(FrozenModel):
    """The models that are served."""

    models: tuple[ModelInfo, ...]


class HealthStatus(FrozenModel):
    """How the server is."""

    status: str
