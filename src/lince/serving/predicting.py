"""``POST /v1/predict``: photos in, the records of the predictor out."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.runtime.predictor import Prediction
from lince.serving import intake, openapi, state
from lince.serving.batching import Outcome, RetiredError, unexpected
from lince.serving.models import Models, Served
from lince.serving.photos import Asked
from lince.serving.refusals import RefusedError, as_json, gone

router = APIRouter()


@router.post("/v1/predict", responses=openapi.ANSWER, openapi_extra=openapi.PREDICT)
async def predict(request: Request) -> Response:
    """Say what is on the photos of the request."""
    models = state.of(request).models
    if len(models) == 1:  # the answer is no, whatever the body holds: no need to read it
        models.find(None).batcher.refuse_if_full()
    asked = await intake.read(request)
    served = models.find(asked.choices.model)
    served.check(asked.choices)
    outcomes = await _unless_gone(request, answered(models, served, asked))
    return _told(served, asked, outcomes, intake.is_raw(request))


async def answered(models: Models, served: Served, asked: Asked) -> list[Outcome]:
    """Return what became of each photo, from the version of the model that is the newest when they are taken in."""
    while True:
        try:
            return await served.batcher.ask(asked.photos, asked.choices.threshold)
        except RetiredError:
            served = models.find(served.name)


async def _unless_gone(request: Request, work: Any) -> Any:
    """Return what ``work`` gives; when the client goes away first, ``work`` is given up."""
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise gone()
        return task.result()
    finally:
        left.cancel()
        task.cancel()


def _told(served: Served, asked: Asked, outcomes: list[Outcome], raw: bool) -> Response:
    fault = unexpected(outcomes)
    if fault is not None:
        raise fault
    late = next((one for one in outcomes if isinstance(one, RefusedError) and one.status == 429), None)
    if late is not None:
        raise late
    if raw and isinstance(outcomes[0], RefusedError):
        raise outcomes[0]
    records = [
        _record(photo.name, outcome, asked.choices.top) for photo, outcome in zip(asked.photos, outcomes, strict=True)
    ]
    return as_json({"model": served.name, "predictions": records})


def _record(name: str, outcome: Outcome, top: int | None) -> dict[str, Any]:
    if isinstance(outcome, RefusedError):
        return {"file": name, "error": outcome.record()}
    record: dict[str, Any] = outcome.to_dict(top) if isinstance(outcome, Prediction) else outcome.to_dict()
    return record
