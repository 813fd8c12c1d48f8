"""Turns the first Ctrl+C into a request to stop, so that the frame in progress and the files are finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_interrupt(enabled: bool) -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl+C (SIGINT) sets; the second one raises ``KeyboardInterrupt`` as usual.

    Without ``enabled``, and outside the main thread, where Python allows no signal handlers, nothing sets the event.
    The previous handler is restored at the end.
    """
    stop_requested = threading.Event()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield stop_requested
        return

    def handle_signal(_number: int, _frame: object) -> None:
        if stop_requested.is_set():
            raise KeyboardInterrupt
        stop_requested.set()

    previous = signal.signal(signal.SIGINT, handle_signal)
    try:
        yield stop_requested
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if previous is None else previous)
