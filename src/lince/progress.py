"""How long work reports on itself without printing: the rooms speak, whoever called decides what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class ProgressStage(Protocol):
    """One piece of work under way."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Tell that ``steps`` more are done; ``note`` is a short text beside the bar (a loss, say)."""


class Progress(Protocol):
    """The listener that a verb passes down; the CLI draws bars, a library user hears nothing by default."""

    def show_message(self, text: str) -> None:
        """Show one line of plain words."""

    def open_stage(self, name: str, total: int) -> AbstractContextManager[ProgressStage]:
        """Open a stage of ``total`` steps, to be used in a ``with`` statement."""


class _SilentStage:
    def advance(self, steps: int = 1, note: str = "") -> None:
        """Hear it and say nothing."""


class SilentProgress:
    """The default listener: it hears everything and shows nothing."""

    def show_message(self, text: str) -> None:
        """Hear it and say nothing."""

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[ProgressStage]:
        """Open a stage that shows nothing."""
        yield _SilentStage()


SILENT: Progress = SilentProgress()
