"""Assembles the FastAPI application: routes, middleware and error handlers around the loaded models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lince.i18n import _
from lince.serving import openapi, state
from lince.serving.hot_reload import ModelReloader
from lince.serving.middleware import SecurityMiddleware
from lince.serving.model_registry import ModelRegistry
from lince.serving.routes import (
    corrections,
    health,
    predictions,
    try_page,
)
from lince.serving.settings import ServerSettings
from lince.serving.state import MemoryBudget, ServerState
from lince.version import __version__
from lince.web.http_errors import ApiError, client_error
from lince.web.json_response import json_response


def create_app(models: ModelRegistry, settings: ServerSettings) -> FastAPI:
    """Return the ASGI application that serves ``models`` with ``settings``.

    FastAPI's own documentation pages are off, since they load scripts from a CDN; ``/docs`` is lince's own page.
    The application closes ``models`` when it shuts down.
    """
    shared = ServerState(models, settings, models.metrics, MemoryBudget(settings.limits.memory))
    models.metrics.track_active_requests(lambda: shared.active_requests)
    app = FastAPI(
        title="lince",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.lince = shared
    for module in (
        predictions,
        health,
        openapi,
        try_page,
        corrections,
    ):
        app.include_router(module.router)
    app.add_exception_handler(ApiError, _handle_api_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(Exception, _handle_unexpected_error)
    app.add_middleware(SecurityMiddleware, shared=shared)
    app.openapi = lambda: openapi.build_openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the model reloader while the application is up; release the models' threads afterwards."""
    shared: ServerState = app.state.lince
    reload_task = None
    if shared.settings.reload_interval:
        reload_task = asyncio.create_task(
            ModelReloader(shared.models, shared.metrics, shared.settings.reload_interval).watch()
        )
    yield
    if reload_task is not None:
        reload_task.cancel()
    shared.models.close()


async def _handle_api_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return error.to_response()


async def _handle_http_exception(_request: Request, error: Exception) -> Response:
    """Return Starlette's own errors (no such route, wrong method) in the format of ``ApiError``."""
    if not isinstance(error, HTTPException):
        raise error
    code, text = {
        404: ("not-found", _("There is nothing at this address.")),
        405: ("wrong-method", _("This address does not accept this method.")),
    }.get(error.status_code, ("refused", _("The request was rejected.")))
    api_error = client_error(code, text, error.status_code)
    api_error.headers.update(error.headers or {})
    return api_error.to_response()


async def _handle_unexpected_error(request: Request, _error: Exception) -> Response:
    """Return status 500 with the request id under which the log has the traceback, and no details.

    It is sent outside the middleware, so the security headers are set here.
    """
    number = state.get_request_context(request.scope).request_id
    message = _("Internal server error. Details are in the server log under the number {number}.").format(number=number)
    headers = {"X-Request-Id": number, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return json_response({"error": {"code": "internal", "message": message, "id": number}}, 500, headers)
