"""What all routes of a running server share, and what is known of one request while it is under way."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from lince.serving.metrics import Metrics
from lince.serving.models import Models
from lince.serving.refusals import busy
from lince.serving.settings import Settings

_EXCHANGE = "lince.exchange"


class Bodies:
    """The bytes of all bodies that are held at one time, which stay under a limit."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0

    def take(self, count: int) -> None:
        """Hold ``count`` bytes more; raise ``RefusedError`` (429) when that is too much."""
        if self.held + count > self.limit:
            raise busy(1)
        self.held += count

    def free(self, count: int) -> None:
        """Hold ``count`` bytes less."""
        self.held -= count


@dataclass(eq=False)
class Exchange:
    """One request: its number for the log, its answer's status (0: none yet), and how much came with it."""

    number: str = field(default_factory=lambda: secrets.token_hex(8))
    begun: float = field(default_factory=time.monotonic)
    status: int = 0
    images: int = 0
    received: int = 0
    held: int = 0


@dataclass(eq=False)
class State:
    """The server: models, choices, counters, and whether it is being stopped."""

    models: Models
    settings: Settings
    metrics: Metrics
    bodies: Bodies
    under_way: int = 0
    stopping: bool = False


def of(request: Request) -> State:
    """Return the state of the server that ``request`` reached."""
    state: State = request.app.state.lince
    return state


def begin(scope: Scope) -> Exchange:
    """Note that a request begins; return what is known of it."""
    exchange = Exchange()
    scope[_EXCHANGE] = exchange
    return exchange


def exchange(scope: Scope | Any) -> Exchange:
    """Return what is known of the request of ``scope``."""
    found = scope.get(_EXCHANGE)
    return found if isinstance(found, Exchange) else begin(scope)
