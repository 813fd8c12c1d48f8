"""Whether the server lives and is ready, with which models, and what it has counted."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from lince.serving import schema, state
from lince.serving.openapi import refused
from lince.serving.refusals import as_json

router = APIRouter()
_COUNTERS: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Counters."}
_OPEN: dict[str, Any] = {"security": []}  # asked without a token, where there is one


@router.get("/healthz", responses={200: {"model": schema.State}, **refused(421, 500)}, openapi_extra=_OPEN)
async def healthz() -> Response:
    """Tell that the process lives."""
    return as_json({"status": "alive"})


@router.get(
    "/readyz",
    responses={200: {"model": schema.State}, 503: {"model": schema.State}, **refused(421, 500)},
    openapi_extra=_OPEN,
)
async def readyz(request: Request) -> Response:
    """Tell whether photos are taken in: the models are loaded, and the server is not being stopped."""
    if state.of(request).stopping:
        return as_json({"status": "stopping"}, 503)
    return as_json({"status": "ready"})


@router.get("/v1/models", responses={200: {"model": schema.ModelList}, **refused(401, 421, 429, 500, 503)})
async def models(request: Request) -> Response:
    """Tell which models answer."""
    return as_json({"models": [one.facts() for one in state.of(request).models]})


@router.get("/metrics", response_class=Response, responses={200: _COUNTERS, **refused(401, 421, 500)})
async def counters(request: Request) -> Response:
    """Tell the counters, as Prometheus reads them."""
    return Response(state.of(request).metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
