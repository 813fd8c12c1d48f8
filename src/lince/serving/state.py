"""What all routes of a running server share, and what is known of one request while it is under way."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from lince.serving.http_errors import server_busy_error
from lince.serving.model_registry import ModelRegistry
from lince.serving.prometheus import ServerMetrics
from lince.serving.settings import ServerSettings

_CONTEXT_KEY = "lince.exchange"


class MemoryBudget:
    """The bytes of all bodies that are held at one time, which stay under a limit."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used_bytes = limit, 0

    def reserve(self, count: int) -> None:
        """Hold ``count`` bytes more; raise ``RefusedError`` (429) when that is too much."""
        if self.used_bytes + count > self.limit:
            raise server_busy_error(1)
        self.used_bytes += count

    def release(self, count: int) -> None:
        """Hold ``count`` bytes less."""
        self.used_bytes -= count


@dataclass(eq=False)
class RequestContext:
    """One request: its number for the log, its answer's status (0: none yet), and how much came with it."""

    request_id: str = field(default_factory=lambda: secrets.token_hex(8))
    start_time: float = field(default_factory=time.monotonic)
    status: int = 0
    image_count: int = 0
    received_bytes: int = 0
    held_bytes: int = 0


@dataclass(eq=False)
class ServerState:
    """The server: models, choices, counters, and whether it is being stopped."""

    models: ModelRegistry
    settings: ServerSettings
    metrics: ServerMetrics
    memory_budget: MemoryBudget
    active_requests: int = 0
    stopping: bool = False


def get_server_state(request: Request) -> ServerState:
    """Return the state of the server that ``request`` reached."""
    state: ServerState = request.app.state.lince
    return state


def start_request(scope: Scope) -> RequestContext:
    """Note that a request begins; return what is known of it."""
    exchange = RequestContext()
    scope[_CONTEXT_KEY] = exchange
    return exchange


def get_request_context(scope: Scope | Any) -> RequestContext:
    """Return what is known of the request of ``scope``."""
    found = scope.get(_CONTEXT_KEY)
    return found if isinstance(found, RequestContext) else start_request(scope)
