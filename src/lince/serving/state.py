"""State shared by all routes of a running server, and the context of one request."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from lince.serving.model_registry import ModelRegistry
from lince.serving.prometheus import ServerMetrics
from lince.serving.settings import ServerSettings
from lince.web.http_errors import server_busy_error

_CONTEXT_KEY = "lince.exchange"  # in the ASGI scope


class MemoryBudget:
    """Counts the bytes of all request bodies held at one time and keeps them below ``limit``.

    Used in the event loop only, so it needs no lock.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used_bytes = limit, 0

    def reserve(self, count: int) -> None:
        """Add ``count`` bytes; raise ``ApiError`` (429) instead when they exceed the limit."""
        if self.used_bytes + count > self.limit:
            raise server_busy_error(1)
        self.used_bytes += count

    def release(self, count: int) -> None:
        """Give back ``count`` reserved bytes."""
        self.used_bytes -= count


@dataclass(eq=False)
class RequestContext:
    """What is known about one request, for log and metrics.

    ``request_id`` is random, 16 hex digits, and is sent as ``X-Request-Id``. ``status`` is that of the response, 0
    before it begins. ``held_bytes`` of ``received_bytes`` are reserved in the memory budget.
    """

    request_id: str = field(default_factory=lambda: secrets.token_hex(8))
    start_time: float = field(default_factory=time.monotonic)
    status: int = 0
    image_count: int = 0
    received_bytes: int = 0
    held_bytes: int = 0


@dataclass(eq=False)
class ServerState:
    """The state of the server; ``stopping`` is set when a shutdown begins and never reset."""

    models: ModelRegistry
    settings: ServerSettings
    metrics: ServerMetrics
    memory_budget: MemoryBudget
    active_requests: int = 0
    stopping: bool = False


def get_server_state(request: Request) -> ServerState:
    """Return the state of the server that received ``request``."""
    state: ServerState = request.app.state.lince
    return state


def start_request(scope: Scope) -> RequestContext:
    """Create the context of a request, store it in its ASGI ``scope`` and return it."""
    context = RequestContext()
    scope[_CONTEXT_KEY] = context
    return context


def get_request_context(scope: Scope | Any) -> RequestContext:
    """Return the context stored in ``scope``, created where the middleware has not done so."""
    context = scope.get(_CONTEXT_KEY)
    return context if isinstance(context, RequestContext) else start_request(scope)
