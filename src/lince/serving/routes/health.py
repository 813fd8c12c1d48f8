"""Endpoints for operation: liveness, readiness, the list of models, and Prometheus metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from lince.serving import schemas, state
from lince.serving.openapi import error_responses
from lince.web.json_response import json_response

router = APIRouter()
_METRICS_RESPONSE: dict[str, Any] = {
    "content": {"text/plain": {"schema": {"type": "string"}}},
    "description": "The metrics, one line each.",
}
_NO_AUTH: dict[str, Any] = {"security": []}  # OpenAPI: no token needed (see ``middleware.PUBLIC_PATHS``)


@router.get(
    "/healthz", responses={200: {"model": schemas.HealthStatus}, **error_responses(421, 500)}, openapi_extra=_NO_AUTH
)
async def healthz() -> Response:
    """Return 200 while the process runs, also while it shuts down: the liveness probe.

    No token is needed, and nothing is computed.
    """
    return json_response({"status": "alive"})


@router.get(
    "/readyz",
    responses={200: {"model": schemas.HealthStatus}, 503: {"model": schemas.HealthStatus}, **error_responses(421, 500)},
    openapi_extra=_NO_AUTH,
)
async def readyz(request: Request) -> Response:
    """Return 200 while requests are accepted, 503 once the server is shutting down: the readiness probe.

    No token is needed. All models are loaded and benchmarked before the server accepts connections.
    """
    if state.get_server_state(request).stopping:
        return json_response({"status": "stopping"}, 503)
    return json_response({"status": "ready"})


@router.get("/v1/models", responses={200: {"model": schemas.ModelList}, **error_responses(401, 421, 429, 500, 503)})
async def list_models(request: Request) -> Response:
    """Return the served models with their tasks, classes, inputs, licences and metrics.

    They are in the order in which they were given to the server. A model that was reloaded is described as it is now.
    """
    return json_response({"models": [served.describe() for served in state.get_server_state(request).models]})


@router.get("/metrics", response_class=Response, responses={200: _METRICS_RESPONSE, **error_responses(401, 421, 500)})
async def get_metrics(request: Request) -> Response:
    """Return the metrics in Prometheus's text format.

    They count requests, images, batches and reloads since the server started, with those of the process.
    """
    return Response(
        state.get_server_state(request).metrics.render_text(), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
