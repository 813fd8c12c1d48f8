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
from lince.i18n import _
from lince.progress import ProgressStage

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_REPORT_INTERVAL = 10.0


class Console:
    """The listener that the command line gives to a verb, and where its results are printed."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._progress: Progress | None = None

    def show_message(self, text: str) -> None:
        """Show one line of plain words, above the bars if there are any."""
        if self._progress is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[ProgressStage]:
        """Open a stage of ``total`` steps: a bar on a terminal, else a line every ten seconds."""
        if not sys.stderr.isatty():
            yield from _plain_stage(name, total)
        elif self._progress is not None:
            yield _ProgressBar(self._progress, self._progress.add_task(name, total=total, note=""))
        else:
            with _open_progress() as bars:
                self._progress = bars
                try:
                    yield _ProgressBar(bars, bars.add_task(name, total=total, note=""))
                finally:
                    self._progress = None

    def print_result(self, document: dict[str, Any], lines: list[str]) -> None:
        """Print what came out: ``document`` when programs listen (``--json``), else ``lines``."""
        print(json.dumps(document, indent=2, ensure_ascii=False) if self.as_json else "\n".join(lines), flush=True)

    def print_error(self, error: LinceError) -> None:
        """Show what was found, what was expected and what to do next; as JSON too when programs listen."""
        found = _("Error: {found}").format(found=error.problem)
        for line in filter(None, (found, error.expected, error.remedy)):
            print(line, file=sys.stderr, flush=True)
        if self.as_json:
            record = {"found": error.problem, "expected": error.expected, "remedy": error.remedy}
            print(json.dumps({"error": {"kind": type(error).__name__, **record}}, indent=2, ensure_ascii=False))


class _ProgressBar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._progress, self._task = bars, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the bar, with ``note`` beside it."""
        if note:
            self._progress.update(self._task, advance=steps, note=note)
        else:
            self._progress.update(self._task, advance=steps)


class _ProgressLines:
    """A stage told in lines, one every ten seconds: a short stage is not told at all."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done, self.note = name, total, 0, ""
        self._reported_steps, self._last_report_time = 0, time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count, and tell once in a while."""
        self.done += steps
        self.note = note or self.note
        if time.monotonic() - self._last_report_time >= _REPORT_INTERVAL:
            self._last_report_time = time.monotonic()
            self._print_line()

    def finish(self) -> None:
        """Tell where it ended, if it was told of before and has gone on since."""
        if 0 < self._reported_steps < self.done:
            self._print_line()

    def _print_line(self) -> None:
        self._reported_steps = self.done
        text = _("{name}: {done:,} of {total:,}").format(name=self.name, done=self.done, total=self.total)
        print(f"{text}  {self.note}".rstrip(), file=sys.stderr, flush=True)


def _plain_stage(name: str, total: int) -> Iterator[ProgressStage]:
    line = _ProgressLines(name, total)
    yield line
    line.finish()


@contextmanager
def _open_progress() -> Iterator[Progress]:
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
