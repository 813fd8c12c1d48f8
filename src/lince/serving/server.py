"""Runs the application in this process: opens the port, tells the address, and ends gracefully."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from lince.errors import UsageError
from lince.i18n import _
from lince.serving import json_logs
from lince.serving.http_protocol import BoundedProtocol
from lince.serving.settings import ServerSettings
from lince.serving.state import ServerState

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BACKLOG = 1024
_MIN_DRAIN_SECONDS = 0.2  # seconds: requests that had arrived and were not yet read are told no


class _GracefulServer(uvicorn.Server):
    """Goes on answering those who are under way when it is told to end, and says no to everyone else."""

    def __init__(self, config: uvicorn.Config, state: ServerState, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self.state, self.on_started = state, tell
        self.stop_requested_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then tell so."""
        await super().startup(sockets)
        self.on_started()

    async def on_tick(self, counter: int) -> bool:
        """Tell whether it is time to end."""
        over = await super().on_tick(counter)
        return over or self._is_drained()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; the second time, end at once."""
        if self.stop_requested_at is not None:
            self.should_exit = self.force_exit = True
            return
        self.stop_requested_at = time.monotonic()
        self.state.stopping = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear signals meanwhile. Uvicorn would send itself the signal once more at the end: the exit code is 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _is_drained(self) -> bool:
        if self.stop_requested_at is None:
            return False
        settings, seconds = self.state.settings, time.monotonic() - self.stop_requested_at
        return seconds >= max(settings.drain_timeout, _MIN_DRAIN_SECONDS) and (
            not self.state.active_requests or seconds >= settings.shutdown_timeout
        )


def open_listener(settings: ServerSettings) -> socket.socket:
    """Return a socket that is bound to where ``settings`` say; raise ``UsageError`` when that cannot be."""
    try:
        family, kind, protocol, _name, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except OSError as error:
        raise UsageError(
            _("The server cannot listen at {host}, port {port}: {error}.").format(
                host=settings.host, port=settings.port, error=error.strerror or error
            ),
            remedy=_("Choose another port: --port 0 takes any that is free."),
        ) from error
    return listener


def format_url(listener: socket.socket, prefix: str = "") -> str:
    """Return the address that clients on this machine use."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}{prefix}" if ":" in host else f"http://{host}:{port}{prefix}"


def run(app: FastAPI, settings: ServerSettings, tell: Callable[[str], None]) -> None:
    """Answer until the process is told to end; ``tell`` hears the address as soon as it can be used."""
    json_logs.configure_logging()
    with open_listener(settings) as listener:
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
        place = format_url(listener)
        server = _GracefulServer(config, app.state.lince, lambda: tell(place))
        server.run([listener])
        json_logs.log_event("ended")
