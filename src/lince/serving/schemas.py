"""Schemas of the HTTP API (pydantic).

``PredictRequestBody`` validates JSON from clients. The others document responses in OpenAPI and build none: responses
are written from plain dicts, which the tests validate with these schemas. Docstrings are part of the document.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from types import GenericAlias
from typing import Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema, create_model

from lince.serving import request_options
from lince.serving.api_schema import ApiSchema
from lince.tasks import list_tasks

# Ranges are only documented here: ``PredictOptions.from_strings`` checks them, for all kinds of bodies alike.
_TopOption = Annotated[int, WithJsonSchema(request_options.TOP.schema)]
_ThresholdOption = Annotated[float, WithJsonSchema(request_options.THRESHOLD.schema)]
_OutlineOption = Annotated[int, WithJsonSchema(request_options.OUTLINE.schema)]


class EncodedImage(ApiSchema):
    """An image in a JSON request.

    ``data`` is the content of an image file in base64 or as a base64 data URL; ``name`` comes back in its record.
    """

    data: str
    name: str = ""


class PredictRequestBody(ApiSchema):
    """The JSON body of a prediction request.

    ``images`` has at least one image: an object with a name, or the base64 data alone. ``model`` is the name of a
    served model, needed where there are several. ``top`` is the number of classes in each record where the task ranks
    them, ``threshold`` the lowest score (0..1) of the objects in each record of a detection model, or probability of
    the classes that a multilabel model says. ``outline`` is 1 for areas as outlines, 0 for areas as run lengths.
    """

    images: tuple[EncodedImage | str, ...] = Field(min_length=1)
    model: str | None = None
    top: _TopOption | None = None
    threshold: _ThresholdOption | None = None
    outline: _OutlineOption | None = None


class ErrorDetail(ApiSchema):
    """An error: ``code`` is stable, for programs; ``message`` is a sentence in the client's language.

    ``id`` is in errors of the server (500) alone: the number under which its log has the details.
    """

    code: str
    message: str
    id: str | None = None


class ErrorResponse(ApiSchema):
    """The body of every response whose status is 400 or more."""

    error: ErrorDetail


class ErrorRecord(ApiSchema):
    """The record of an image that could not be read, among the records of others.

    ``file`` is its name, as in the other records.
    """

    file: str
    error: ErrorDetail


def make_predict_response() -> type[BaseModel]:
    """Return the schema of the response to a prediction request.

    It is made of the registered tasks: a record is the ``Record`` of the ``http`` part of one of them, or an
    ``ErrorRecord``. Tasks without that part cannot be served and are left out.
    """
    records = [task.load_part("http").Record for task in list_tasks() if task.has_part("http")]
    item: Any = reduce(or_, [*records, ErrorRecord])
    predictions: Any = GenericAlias(tuple, (item, ...))
    response: type[BaseModel] = create_model(
        "PredictResponse",
        __base__=ApiSchema,
        __doc__="The response: the name of the model, and a record for each image, in the order of the request.",
        model=(str, ...),
        predictions=(predictions, ...),
    )
    return response


class CorrectionResponse(ApiSchema):
    """The response to a correction: ``saved`` is false when the image was saved with the same labels before."""

    saved: bool


class ModelInput(ApiSchema):
    """The input of a network: ``height`` and ``width`` in pixels, ``channels`` "rgb", "bgr" or "grey".

    ``resize`` is how an image of another shape becomes one of this: "squash", "crop", "letterbox" or "corner".
    """

    height: int
    width: int
    channels: str
    resize: str


class ModelInfo(ApiSchema):
    """A served model.

    ``classes`` are in the order of the network's outputs, ``colours`` (#rrggbb) are theirs in pictures.
    ``thresholds`` are the default score thresholds of the classes, 0..1, null for a task that has none. ``metrics``
    are those of the evaluation on the test images, by name. ``network`` is the architecture; ``licence`` and ``source``
    are those of its pretrained weights. ``target`` and ``precision`` tell the format of the network, such as "onnx" and
    "fp32". ``loaded`` is when the version was loaded (UTC, ISO 8601), ``bound_seconds`` its latency bound, ``batch``
    the largest number of images in one call of the network. ``trouble`` says that a newer version of the files could
    not be loaded, null otherwise.
    """

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


class ModelList(ApiSchema):
    """The served models, in the order in which they were given to the server."""

    models: tuple[ModelInfo, ...]


class HealthStatus(ApiSchema):
    """The state of the server: "alive", "ready" or "stopping"."""

    status: str
