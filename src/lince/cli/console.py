"""Output of the command line: results on stdout; progress and messages on stderr.

So ``lince predict ... > file`` and ``--json`` get only results. Progress is a bar on a terminal and plain lines
elsewhere.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lince.errors import LinceError
from lince.fileio import is_unicode_stream
from lince.i18n import _
from lince.progress import ProgressStage

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_REPORT_INTERVAL = 10.0  # seconds between two lines of progress


class Console:
    """The ``Progress`` receiver of the command line; it also prints results and errors.

    ``as_json`` is ``--json``; ``started_at`` is the ``time.monotonic()`` at which the command began.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.started_at = time.monotonic()
        self._progress: Progress | None = None

    def show_message(self, text: str) -> None:
        """Show a line on stderr, above the progress bars where there are any."""
        if self._progress is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[ProgressStage]:
        """Open a stage of ``total`` steps: a progress bar on a terminal, else a line every ten seconds.

        A stage inside another one gets a bar of its own below it.
        """
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
        """Print the result on stdout: with ``--json`` the ``document``, else the ``lines``."""
        print(format_json(document) if self.as_json else "\n".join(lines), flush=True)

    def print_error(self, error: LinceError) -> None:
        """Print problem, expectation and remedy on stderr.

        With ``--json`` also print an object ``error`` on stdout, with ``kind`` (the class of the error), ``found``,
        ``expected`` and ``remedy``.
        """
        headline = _("Error: {found}").format(found=error.problem)
        for line in filter(None, (headline, error.expected, error.remedy)):
            print(line, file=sys.stderr, flush=True)
        if self.as_json:
            record = {"found": error.problem, "expected": error.expected, "remedy": error.remedy}
            print(format_json({"error": {"kind": type(error).__name__, **record}}))


def format_json(document: dict[str, Any], indent: int | None = 2) -> str:
    """Return ``document`` as JSON for stdout; characters beyond ASCII are escaped where stdout cannot hold them all."""
    return json.dumps(document, indent=indent, ensure_ascii=not is_unicode_stream(sys.stdout))


def paint_warning(text: str) -> str:
    """Return ``text`` in red where stdout is a terminal that shows colours, else unchanged."""
    plain = not text or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain or not sys.stdout.isatty() else f"\x1b[1;31m{text}\x1b[0m"


class _ProgressBar:
    """A stage that is shown as a progress bar."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._progress, self._task = bars, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the bar by ``steps``, and show ``note`` beside it."""
        if note:
            self._progress.update(self._task, advance=steps, note=note)
        else:
            self._progress.update(self._task, advance=steps)


class _ProgressLines:
    """A stage that is shown as lines, one every ten seconds; a shorter stage is not widgets."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done, self.note = name, total, 0, ""
        self._reported_steps, self._last_report_time = 0, time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps``, and print a line when ten seconds have passed."""
        self.done += steps
        self.note = note or self.note
        if time.monotonic() - self._last_report_time >= _REPORT_INTERVAL:
            self._last_report_time = time.monotonic()
            self._print_line()

    def finish(self) -> None:
        """Print the final line, if there was a line before and steps were made since."""
        if 0 < self._reported_steps < self.done:
            self._print_line()

    def _print_line(self) -> None:
        """Print the name of the stage with the steps done, the total and the last note."""
        self._reported_steps = self.done
        text = _("{name}: {done:,} of {total:,}").format(name=self.name, done=self.done, total=self.total)
        print(f"{text}  {self.note}".rstrip(), file=sys.stderr, flush=True)


def _plain_stage(name: str, total: int) -> Iterator[ProgressStage]:
    """Yield a stage that is shown as lines."""
    line = _ProgressLines(name, total)
    yield line
    line.finish()


@contextmanager
def _open_progress() -> Iterator[Progress]:
    """Yield the progress bars of ``rich``, which disappear at the end."""
    # Imported only where there is a terminal: it takes longer to load than the rest of the command line.
    import rich.console  # noqa: PLC0415
    import rich.progress as widgets  # noqa: PLC0415

    columns = (
        widgets.TextColumn("{task.description}", markup=False),
        widgets.BarColumn(bar_width=30),
        widgets.MofNCompleteColumn(),
        widgets.TimeRemainingColumn(elapsed_when_finished=True),
        widgets.TextColumn("{task.fields[note]}", markup=False),
    )
    screen = rich.console.Console(stderr=True)
    with widgets.Progress(
        *columns, console=screen, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bars:
        yield bars
