"""Shows progress in a notebook by itself: messages and bars in one output of the cell, without any widget library."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from lince.display import find_notebook_shell
from lince.i18n import _
from lince.number_format import format_count
from lince.option_phrases import reword_for_python
from lince.progress import SILENT, Progress, ProgressStage

_MIN_INTERVAL = 0.2  # seconds between two updates of a bar
_MAX_MESSAGES = 200  # lines of one cell; the first ones beyond are dropped, and counted


class AutomaticProgress:
    """The default receiver of the Python interface: shows progress in a notebook, and nothing anywhere else."""

    def __init__(self) -> None:
        self._display: _CellDisplay | None = None

    def show_message(self, text: str) -> None:
        """Show one line of text in the output of the cell that runs."""
        display = self._find_display()
        if display is not None:
            display.add_message(reword_for_python(text))

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[ProgressStage]:
        """Open a stage of ``total`` steps: a bar in the output of the cell, which disappears at its end."""
        display = self._find_display()
        if display is None:
            with SILENT.open_stage(name, total) as stage:
                yield stage
            return
        bar = _Bar(display, name, total)
        display.add_bar(bar)
        try:
            yield bar
        finally:
            display.remove_bar(bar)

    def _find_display(self) -> _CellDisplay | None:
        """Return the output of the cell that runs; ``None`` where there is no notebook."""
        shell = find_notebook_shell()
        if shell is None:
            return None
        cell = shell.execution_count
        if self._display is None or self._display.cell != cell:
            self._display = _CellDisplay(cell)
        return self._display


class _Bar:
    """A stage that is shown as a bar."""

    def __init__(self, display: _CellDisplay, name: str, total: int) -> None:
        self.name, self.total, self.done, self.note = name, total, 0, ""
        self._display = display

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the bar by ``steps``, and show ``note`` beside it."""
        self.done += steps
        self.note = note or self.note
        self._display.update()

    def format_html(self) -> str:
        """Return name, bar, count and note as HTML."""
        text = _("{done:,} of {total:,}").format(done=self.done, total=self.total)
        share = min(1.0, self.done / self.total) if self.total else 1.0
        note = f" · {escape(self.note)}" if self.note else ""
        return (
            '<div style="display:flex;flex-wrap:wrap;align-items:center;gap:.2em .7em;margin:.15em 0">'
            f'<span style="min-width:12em">{escape(self.name)}</span>'
            f'<span role="progressbar" aria-label="{escape(self.name)}" aria-valuemin="0" aria-valuemax="{self.total}"'
            f' aria-valuenow="{self.done}" style="display:inline-block;width:16em;max-width:60vw;height:.65em;'
            'border-radius:.4em;background:rgba(128,128,128,.3);overflow:hidden">'
            f'<span style="display:block;height:100%;width:{share:.1%};background:#2f7fd0"></span></span>'
            f'<span style="opacity:.75;font-variant-numeric:tabular-nums">{escape(text)}{note}</span></div>'
        )


class _CellDisplay:
    """The messages and bars of one cell, in one output that is updated in place. Safe to use from several threads."""

    def __init__(self, cell: int) -> None:
        self.cell = cell
        self._messages: list[str] = []
        self._dropped_count = 0
        self._bars: list[_Bar] = []
        self._handle: Any = None
        self._last_update = 0.0
        self._lock = threading.RLock()

    def add_message(self, text: str) -> None:
        """Add a line below the earlier ones."""
        with self._lock:
            self._messages.append(text)
            if len(self._messages) > _MAX_MESSAGES:
                del self._messages[0]
                self._dropped_count += 1
            self.update(at_once=True)

    def add_bar(self, bar: _Bar) -> None:
        """Add a bar below the others."""
        with self._lock:
            self._bars.append(bar)
            self.update(at_once=True)

    def remove_bar(self, bar: _Bar) -> None:
        """Take a bar away."""
        with self._lock:
            self._bars.remove(bar)
            self.update(at_once=True)

    def update(self, at_once: bool = False) -> None:
        """Show the current state, bars a few times a second at most unless ``at_once``."""
        now = time.monotonic()
        with self._lock:
            if not at_once and now - self._last_update < _MIN_INTERVAL:
                return
            self._last_update = now
            bundle = {"text/html": self._format_html(), "text/plain": self._format_text()}
            if self._handle is None:
                self._handle = sys.modules["IPython"].display.display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)

    def _list_lines(self) -> list[str]:
        """Return the messages, after a line that counts those that were dropped."""
        first = _("({count} earlier messages are not shown)").format(count=format_count(self._dropped_count))
        return [first, *self._messages] if self._dropped_count else self._messages

    def _format_html(self) -> str:
        lines = "".join(f"<div>{escape(text)}</div>" for text in self._list_lines())
        bars = "".join(bar.format_html() for bar in self._bars)
        return (
            '<div style="font-size:.92em;line-height:1.45;color:inherit">'
            f'<div style="white-space:pre-wrap;opacity:.85">{lines}</div>{bars}</div>'
        )

    def _format_text(self) -> str:
        bars = [f"{bar.name}: {bar.done}/{bar.total}" for bar in self._bars]
        return "\n".join([*self._list_lines(), *bars])


AUTOMATIC: Progress = AutomaticProgress()
