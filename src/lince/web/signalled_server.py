"""A server of uvicorn that ends with exit code 0 after a signal, so that what it holds is closed in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalledServer(uvicorn.Server):
    """A server that handles SIGINT and SIGTERM itself, by ``handle_exit``."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while the server runs, in the main thread only.

        Uvicorn's own version raises the signal again at the end; without that, the exit code is 0.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
