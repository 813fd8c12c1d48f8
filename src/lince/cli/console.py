"""What a person sees while lince works: bars with the time left on a terminal, plain lines anywhere else.

Progress goes to stderr and results to stdout, so that ``lince predict ... > file`` and ``--json`` stay clean.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lince.errors import LinceError
from lince.messages import _
from lince.progress import Stage

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_EVERY_SECONDS = 10.0


class Console:
    """The listener that the command line gives to a verb, and where its results are printed."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._bars: Progress | None = None

    def say(self, text: str) -> None:
        """Show one line of plain words, above the bars if there are any."""
        if self._bars is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Open a stage of ``total`` steps: a bar on a terminal, else a line every ten seconds."""
        if not sys.stderr.isatty():
            yield from _plain(name, total)
        elif self._bars is not None:
            yield _Bar(self._bars, self._bars.add_task(name, total=total, note=""))
        else:
            with _bars() as bars:
                self._bars = bars
                try:
                    yield _Bar(bars, bars.add_task(name, total=total, note=""))
                finally:
                    self._bars = None

    def result(self, document: dict[str, Any], lines: list[str]) -> None:
        """Print what came out: ``document`` when programs listen (``--json``), else ``lines``."""
        print(json.dumps(document, indent=2, ensure_ascii=False) if self.as_json else "\n".join(lines), flush=True)

    def error(self, error: LinceError) -> None:
        """Show what was found, what was expected and what to do next; as JSON too when programs listen."""
        found = _("Error: {found}").format(found=error.found)
        for line in filter(None, (found, error.expected, error.remedy)):
            print(line, file=sys.stderr, flush=True)
        if self.as_json:
            record = {"found": error.found, "expected": error.expected, "remedy": error.remedy}
            print(json.dumps({"error": {"kind": type(error).__name__, **record}}, indent=2, ensure_ascii=False))


class _Bar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the bar, with ``note`` beside it."""
        if note:
            self._bars.update(self._task, advance=steps, note=note)
        else:
            self._bars.update(self._task, advance=steps)


class _Line:
    """A stage told in lines, one every ten seconds: a short stage is not told at all."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done, self.note = name, total, 0, ""
        self._told, self._last = 0, time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count, and tell once in a while."""
        self.done += steps
        self.note = note or self.note
        if time.monotonic() - self._last >= _EVERY_SECONDS:
            self._last = time.monotonic()
            self._tell()

    def end(self) -> None:
        """Tell where it ended, if it was told of before and has gone on since."""
        if 0 < self._told < self.done:
            self._tell()

    def _tell(self) -> None:
        self._told = self.done
        text = _("{name}: {done:,} of {total:,}").format(name=self.name, done=self.done, total=self.total)
        print(f"{text}  {self.note}".rstrip(), file=sys.stderr, flush=True)


def _plain(name: str, total: int) -> Iterator[Stage]:
    line = _Line(name, total)
    yield line
    line.end()


@contextmanager
def _bars() -> Iterator[Progress]:
    # Loaded where there is a terminal to draw on; it takes longer than the rest of the command line.
    import rich.console  # noqa: PLC0415
    import rich.progress as shown  # noqa: PLC0415

    columns = (
        shown.TextColumn("{task.description}", markup=False),
        shown.BarColumn(bar_width=30),
        shown.MofNCompleteColumn(),
        shown.TimeRemainingColumn(elapsed_when_finished=True),
        shown.TextColumn("{task.fields[note]}", markup=False),
    )
    screen = rich.console.Console(stderr=True)
    with shown.Progress(*columns, console=screen, transient=True, redirect_stdout=False, redirect_stderr=False) as bars:
        yield bars
