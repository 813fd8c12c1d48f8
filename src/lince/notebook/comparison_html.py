"""Shows a comparison of runs in a notebook: what it says, the figures, and bars of the metric of each run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lince.i18n import _
from lince.notebook.examples import is_same_image, reopen_run_data, shorten_table
from lince.notebook.picture import MAX_PICTURES, draw_photo, make_picture
from lince.notebook.shown_object import Bar, Gallery, ShownObject
from lince.number_format import format_count, format_percent, format_percent_range
from lince.tasks import load_predictions
from lince.training.run_folder import PREDICTIONS_FILE, TrainingRun

_MAX_CLASSES, _PER_CHANGE = 12, 4


def render_comparison(comparison: Any) -> str:
    """Return ``comparison``, of any task, as HTML in the current language."""
    view = comparison.build_view()
    names = [row[0] for row in view.runs.rows]
    bars: list[Bar] = [
        (name, f"{format_percent(figure.value)} ({format_percent_range(figure.low, figure.high)})", figure.value)
        for name, figure in zip(names, view.intervals, strict=True)
    ]
    return ShownObject(
        kind=_("Comparison of training runs"),
        lines=[_("On the same {n} test images").format(n=format_count(comparison.count)), *view.outcomes],
        bars=[(view.metric_name, bars)],
        tables=[("", view.runs), (view.classes_title, shorten_table(view.classes, _MAX_CLASSES))],
        galleries=_draw_changes(comparison, view.changed_runs),
    ).render()


def _draw_changes(comparison: Any, changed_runs: Sequence[Any]) -> list[Gallery]:
    """Return photos that one run classifies correctly and the first does not, or the other way round, with titles.

    They come from the data of the first run, where it is still there; of other tasks there are none.
    """
    first = comparison.runs[0].name
    run = TrainingRun(comparison.folders.get(first, Path()))
    dataset = reopen_run_data(run) if changed_runs else None
    path = run.folder / PREDICTIONS_FILE
    if dataset is None or not path.is_file():
        return []
    predictions = load_predictions(path)[1]
    keys = dict(zip(predictions.names, predictions.keys, strict=True))
    rows = {dataset.images.get_name(row): row for row in range(len(dataset))}
    galleries: list[Gallery] = []
    for other in changed_runs:
        difference, title = (
            other.difference,
            _("What changed from {first} to {other}").format(first=first, other=other.name),
        )
        changes = [(change, "right") for change in difference.newly_correct[:_PER_CHANGE]]
        changes += [(change, "wrong") for change in difference.newly_wrong[:_PER_CHANGE]]
        pictures = []
        for change, mark in changes:
            row = rows.get(change.name)
            if row is not None and is_same_image(dataset, row, keys.get(change.name, "")):
                caption = f"{change.before} → {change.after} · {_('actual: {truth}').format(truth=change.truth)}"
                pictures.append(make_picture(draw_photo(dataset, row), caption, change.name, mark))
        galleries.append((title, pictures[: MAX_PICTURES // len(changed_runs)]))
    return galleries
