"""``POST /v1/predict``: runs inference on the images of a request and returns one record per image."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.serving import openapi, request_reader, state
from lince.serving.batcher import ModelReplacedError, Outcome, find_unexpected_error
from lince.serving.model_registry import ModelRegistry, ServedModel
from lince.serving.request_options import PredictOptions
from lince.serving.request_reader import PredictRequest
from lince.web.http_errors import ApiError, client_disconnected_error
from lince.web.json_response import json_response

router = APIRouter()


@router.post("/v1/predict", responses=openapi.PREDICT_RESPONSES, openapi_extra=openapi.PREDICT_REQUEST)
async def predict(request: Request) -> Response:
    """Run inference on the images of the request and return one record for each, in their order.

    An image that cannot be read gets a record with an error, unless it is the whole body: then the error is the
    response. The response is 429 with ``Retry-After`` when the images cannot be predicted within the latency bound.
    """
    models = state.get_server_state(request).models
    if len(models) == 1:  # refused whatever the body holds, so it need not be received
        models.find(None).batcher.refuse_if_full()
    predict_request = await request_reader.read_request(request)
    served = models.find(predict_request.options.model)
    served.check_options(predict_request.options)
    outcomes = await _cancel_on_disconnect(request, predict_images(models, served, predict_request))
    build = partial(_build_response, served, predict_request, outcomes, request_reader.is_raw_image(request))
    if not hasattr(served.http, "build_record"):
        return build()
    # Records with pictures take time, so that the pool of predictions makes them.
    return await asyncio.get_running_loop().run_in_executor(models.decoder_pool, partial(copy_context().run, build))


async def predict_images(models: ModelRegistry, served: ServedModel, request: PredictRequest) -> list[Outcome]:
    """Return the outcome of each image: a prediction result, or the exception that it raised.

    All images are predicted by one version of the model, the newest when they are accepted: where the version of
    ``served`` is replaced before that, they go to its successor. Raises ``ApiError`` (429) when the queue is full.
    """
    while True:
        try:
            return await served.batcher.predict(request.images, request.options.threshold)
        except ModelReplacedError:
            served = models.find(served.name)


async def _cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, list[Outcome]]) -> list[Outcome]:
    """Return the result of ``work``; cancel it and raise ``ApiError`` (499) when the client disconnects first.

    The body has been received before, so the next message of the client can only be its disconnection.
    """
    task = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise client_disconnected_error()
        return task.result()
    finally:
        disconnect.cancel()
        task.cancel()


def _build_response(
    served: ServedModel, request: PredictRequest, outcomes: list[Outcome], is_raw_image: bool
) -> Response:
    """Return the response with a record per outcome, or raise the error that concerns the request as a whole.

    Those are, in this order: an unexpected exception (500), an image that missed its deadline (429, since the client
    should send all of them again), and the error of the only image where the body is that image.
    """
    unexpected_error = find_unexpected_error(outcomes)
    if unexpected_error is not None:
        raise unexpected_error
    overload_error = next((error for error in outcomes if isinstance(error, ApiError) and error.status == 429), None)
    if overload_error is not None:
        raise overload_error
    if is_raw_image and isinstance(outcomes[0], ApiError):
        raise outcomes[0]
    records = [
        _prediction_record(served, image.name, outcome, request.options)
        for image, outcome in zip(request.images, outcomes, strict=True)
    ]
    return json_response({"model": served.name, "predictions": records})


def _prediction_record(served: ServedModel, name: str, outcome: Outcome, options: PredictOptions) -> dict[str, Any]:
    """Return the record of an image called ``name``, as JSON values: the task's ``Record`` or an ``ErrorRecord``."""
    if isinstance(outcome, ApiError):
        return {"file": name, "error": outcome.to_dict()}
    build_record = getattr(served.http, "build_record", None)
    record: dict[str, Any] = build_record(outcome, options) if build_record else outcome.to_dict(options.top)
    return record
