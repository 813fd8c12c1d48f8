"""How far the photos that are being added are, for the page to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class IntakeProgress:
    """Keeps the stage that runs now; the latest one, where several people add photos at once."""

    def __init__(self) -> None:
        self._stage: _Stage | None = None

    def show_message(self, text: str) -> None:
        """Do nothing: what was rejected is in the answer."""

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[_Stage]:
        """Yield a stage whose steps the page can ask for."""
        stage = self._stage = _Stage(name, total)
        try:
            yield stage
        finally:
            if self._stage is stage:
                self._stage = None

    def describe(self) -> dict[str, Any] | None:
        """Return name, steps done and total of the stage that runs, ``None`` where none does."""
        stage = self._stage
        return None if stage is None else {"name": stage.name, "done": stage.done, "total": stage.total}


class _Stage:
    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done = name, total, 0

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
