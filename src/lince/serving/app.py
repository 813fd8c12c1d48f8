"""The web application: routes, limits and refusals put together around the models."""

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
from lince.serving.http_errors import ApiError, client_error, json_response
from lince.serving.middleware import SecurityMiddleware
from lince.serving.model_registry import ModelRegistry
from lince.serving.routes import corrections, health, predictions, try_page
from lince.serving.settings import ServerSettings
from lince.serving.state import MemoryBudget, ServerState
from lince.version import __version__


def create_app(models: ModelRegistry, settings: ServerSettings) -> FastAPI:
    """Return the application that answers with ``models`` within what ``settings`` allow."""
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
    for part in (predictions, health, openapi, try_page, corrections):
        app.include_router(part.router)
    app.add_exception_handler(ApiError, _handle_api_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(Exception, _handle_unexpected_error)
    app.add_middleware(SecurityMiddleware, shared=shared)
    app.openapi = lambda: openapi.build_openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Look for changed models meanwhile; let the threads end afterwards."""
    shared: ServerState = app.state.lince
    watching = None
    if shared.settings.reload_interval:
        watching = asyncio.create_task(
            ModelReloader(shared.models, shared.metrics, shared.settings.reload_interval).watch()
        )
    yield
    if watching is not None:
        watching.cancel()
    shared.models.close()


async def _handle_api_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return error.to_response()


async def _handle_http_exception(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code, text = {
        404: ("not-found", _("There is nothing at this address.")),
        405: ("wrong-method", _("This address does not take this method.")),
    }.get(error.status_code, ("refused", _("The request is refused.")))
    refusal = client_error(code, text, error.status_code)
    refusal.headers.update(error.headers or {})
    return refusal.to_response()


async def _handle_unexpected_error(request: Request, _error: Exception) -> Response:
    """Tell of an error that nobody expected by the number under which the log tells more."""
    number = state.get_request_context(request.scope).request_id
    message = _("The server made a mistake. Its log tells more under the number {number}.").format(number=number)
    headers = {"X-Request-Id": number, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return json_response({"error": {"code": "internal", "message": message, "id": number}}, 500, headers)
