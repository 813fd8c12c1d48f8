"""``POST /v1/predict``: photos in, the records of the predictor out."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.serving import openapi, request_reader, state
from lince.serving.batcher import ModelReplacedError, Outcome, find_unexpected_error
from lince.serving.http_errors import ApiError, client_disconnected_error, json_response
from lince.serving.model_registry import ModelRegistry, ServedModel
from lince.serving.request_reader import PredictRequest

router = APIRouter()


@router.post("/v1/predict", responses=openapi.PREDICT_RESPONSES, openapi_extra=openapi.PREDICT_REQUEST)
async def predict(request: Request) -> Response:
    """Say what is on the photos of the request."""
    models = state.get_server_state(request).models
    if len(models) == 1:  # the answer is no, whatever the body holds: no need to read it
        models.find(None).batcher.refuse_if_full()
    asked = await request_reader.read_request(request)
    served = models.find(asked.options.model)
    served.check_options(asked.options)
    outcomes = await _cancel_on_disconnect(request, predict_images(models, served, asked))
    return _build_response(served, asked, outcomes, request_reader.is_raw_image(request))


async def predict_images(models: ModelRegistry, served: ServedModel, asked: PredictRequest) -> list[Outcome]:
    """Return what became of each photo, from the version of the model that is the newest when they are taken in."""
    while True:
        try:
            return await served.batcher.predict(asked.images, asked.options.threshold)
        except ModelReplacedError:
            served = models.find(served.name)


async def _cancel_on_disconnect(request: Request, work: Any) -> Any:
    """Return what ``work`` gives; when the client goes away first, ``work`` is given up."""
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise client_disconnected_error()
        return task.result()
    finally:
        left.cancel()
        task.cancel()


def _build_response(served: ServedModel, asked: PredictRequest, outcomes: list[Outcome], raw: bool) -> Response:
    fault = find_unexpected_error(outcomes)
    if fault is not None:
        raise fault
    late = next((one for one in outcomes if isinstance(one, ApiError) and one.status == 429), None)
    if late is not None:
        raise late
    if raw and isinstance(outcomes[0], ApiError):
        raise outcomes[0]
    records = [
        _prediction_record(photo.name, outcome, asked.options.top)
        for photo, outcome in zip(asked.images, outcomes, strict=True)
    ]
    return json_response({"model": served.name, "predictions": records})


def _prediction_record(name: str, outcome: Outcome, top: int | None) -> dict[str, Any]:
    if isinstance(outcome, ApiError):
        return {"file": name, "error": outcome.to_dict()}
    record: dict[str, Any] = outcome.to_dict(top)
    return record
