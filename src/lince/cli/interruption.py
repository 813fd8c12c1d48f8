"""Ctrl+C: it ends a command as an interruption, whatever error a library makes of it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class InterruptWatch:
    """A block that ends with ``KeyboardInterrupt`` when Ctrl+C was typed and any error followed.

    A library that is interrupted while it is loaded raises ``ImportError`` instead, which would be shown as a library
    that is missing. Outside the main thread, and where another program has set how Ctrl+C is handled, the block changes
    nothing.
    """

    def __init__(self) -> None:
        self.has_come = False
        self._is_watching = False

    def __enter__(self) -> Self:
        """Handle Ctrl+C."""
        is_main_thread = threading.current_thread() is threading.main_thread()
        if is_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)
            self._is_watching = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise ``KeyboardInterrupt`` for an error that followed Ctrl+C."""
        if self._is_watching:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.has_come and isinstance(error, Exception):
            raise KeyboardInterrupt from error

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Note that Ctrl+C was typed, and raise ``KeyboardInterrupt``."""
        self.has_come = True
        signal.default_int_handler(number, frame)
