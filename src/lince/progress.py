"""Protocol by which library code reports progress; the caller decides what to display."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class ProgressStage(Protocol):
    """A piece of work in progress, with a known number of steps."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Report that ``steps`` more are done; ``note`` is a short text to show beside the bar, such as the loss."""


class Progress(Protocol):
    """Receiver of progress reports. The command line draws progress bars; library users get none by default."""

    def show_message(self, text: str) -> None:
        """Show one line of text to the user."""

    def open_stage(self, name: str, total: int) -> AbstractContextManager[ProgressStage]:
        """Return a context manager that gives a stage of ``total`` steps, called ``name``."""


class _SilentStage:
    """The stage of ``SilentProgress``."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Do nothing."""


class SilentProgress:
    """The default receiver, which shows nothing."""

    def show_message(self, text: str) -> None:
        """Do nothing."""

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[ProgressStage]:
        """Yield a stage that shows nothing."""
        yield _SilentStage()


SILENT: Progress = SilentProgress()
