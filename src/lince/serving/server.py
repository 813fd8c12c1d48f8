"""Runs the application with uvicorn: opens the socket, reports the URL, and shuts down gracefully."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from lince.serving import json_logs
from lince.serving.http_protocol import BoundedProtocol
from lince.serving.settings import ServerSettings
from lince.serving.state import ServerState
from lince.web.listener import format_url, open_listener
from lince.web.signalled_server import SignalledServer

_BACKLOG = 1024
_MIN_DRAIN_SECONDS = 0.2  # so that requests that have arrived but are not read yet get a 503, not a reset connection


class _GracefulServer(SignalledServer):
    """A server that, after the first SIGINT or SIGTERM, finishes active requests and answers new ones with 503.

    It keeps listening for ``drain_timeout``, so that a load balancer can notice ``/readyz`` and send requests
    elsewhere, and ends when no request is active, after ``shutdown_timeout`` at the latest (or ``drain_timeout``, if
    that is longer). A second signal ends it at once.
    """

    def __init__(self, config: uvicorn.Config, state: ServerState, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self.state, self.on_started = state, on_started
        self.stop_requested_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call ``on_started``."""
        await super().startup(sockets)
        self.on_started()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to exit; uvicorn calls this ten times a second."""
        should_exit = await super().on_tick(counter)
        return should_exit or self._is_drained()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal: begin the shutdown, or exit at once if it has begun."""
        if self.stop_requested_at is not None:
            self.should_exit = self.force_exit = True
            return
        self.stop_requested_at = time.monotonic()
        self.state.stopping = True

    def _is_drained(self) -> bool:
        """Return whether a shutdown has begun and is over: nothing is active, or the time is up."""
        if self.stop_requested_at is None:
            return False
        settings, seconds = self.state.settings, time.monotonic() - self.stop_requested_at
        return seconds >= max(settings.drain_timeout, _MIN_DRAIN_SECONDS) and (
            not self.state.active_requests or seconds >= settings.shutdown_timeout
        )


def run(app: FastAPI, settings: ServerSettings, on_started: Callable[[str], None]) -> None:
    """Serve ``app`` until a signal ends the process; ``on_started`` is called once with the URL.

    Logs JSON lines to stderr. Raises ``UsageError`` when the port cannot be opened.
    """
    json_logs.configure_logging()
    with open_listener(settings.host, settings.port) as listener:
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=1,
        )
        url = format_url(listener)
        server = _GracefulServer(config, app.state.lince, lambda: on_started(url))
        server.run([listener])
        json_logs.log_event("ended")
