"""The web application: routes, limits and refusals put together around the models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lince.messages import _
from lince.serving import corrections, health, openapi, predicting, state, trying
from lince.serving.guard import Guard
from lince.serving.models import Models
from lince.serving.refusals import RefusedError, as_json, bad
from lince.serving.reloading import Reloader
from lince.serving.settings import Settings
from lince.serving.state import Bodies, State
from lince.version import __version__


def create_app(models: Models, settings: Settings) -> FastAPI:
    """Return the application that answers with ``models`` within what ``settings`` allow."""
    shared = State(models, settings, models.metrics, Bodies(settings.limits.memory))
    models.metrics.watch_requests(lambda: shared.under_way)
    app = FastAPI(
        title="lince",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_while_running,
    )
    app.state.lince = shared
    for part in (predicting, health, openapi, trying, corrections):
        app.include_router(part.router)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _not_here)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Guard, shared=shared)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _while_running(app: FastAPI) -> AsyncIterator[None]:
    """Look for changed models meanwhile; let the threads end afterwards."""
    shared: State = app.state.lince
    watching = None
    if shared.settings.reload:
        watching = asyncio.create_task(Reloader(shared.models, shared.metrics, shared.settings.reload).watch())
    yield
    if watching is not None:
        watching.cancel()
    shared.models.close()


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return error.response()


async def _not_here(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code, text = {
        404: ("not-found", _("There is nothing at this address.")),
        405: ("wrong-method", _("This address does not take this method.")),
    }.get(error.status_code, ("refused", _("The request is refused.")))
    refusal = bad(code, text, error.status_code)
    refusal.headers.update(error.headers or {})
    return refusal.response()


async def _failed(request: Request, _error: Exception) -> Response:
    """Tell of an error that nobody expected by the number under which the log tells more."""
    number = state.exchange(request.scope).number
    message = _("The server made a mistake. Its log tells more under the number {number}.").format(number=number)
    headers = {"X-Request-Id": number, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return as_json({"error": {"code": "internal", "message": message, "id": number}}, 500, headers)
