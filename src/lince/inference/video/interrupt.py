"""Ctrl+C as a wish to end: what is under way is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_interrupt(enabled: bool) -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl+C sets, where it is ``heeded``; the second one interrupts as ever.

    Outside of the main thread, which alone hears of signals, nothing sets it.
    """
    wished = threading.Event()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield wished
        return

    def hear(_number: int, _frame: object) -> None:
        if wished.is_set():
            raise KeyboardInterrupt
        wished.set()

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield wished
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
