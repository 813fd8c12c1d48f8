"""The presentation of a comparison of runs, for the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince.display import NotebookDisplay
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report.markdown import escape_markdown, render_table
from lince.evaluation.report.texts import TextTable, translate_recipe
from lince.i18n import _
from lince.number_format import MISSING_VALUE, format_count, format_decimal, format_duration, format_percent

_MINUS, _PLUS = "−", "+"


@dataclass(frozen=True)
class ComparisonView:
    """A comparison as tables and sentences.

    Attributes:
        runs: one row per run.
        classes: one row per class.
        classes_title: title of that table.
        outcomes: one sentence per run after the first, and before them one about images that were left out.
        metric_name: translated name of the headline metric.
        intervals: headline metric of each run.
        changed_runs: runs whose changed predictions the page lists; empty where the task does not compare image by
            image.
    """

    runs: TextTable
    classes: TextTable
    classes_title: str
    outcomes: tuple[str, ...]
    metric_name: str
    intervals: tuple[ConfidenceInterval, ...]
    changed_runs: tuple[Any, ...] = ()


@dataclass(frozen=True)
class ChangedPrediction:
    """An image that exactly one of two runs has right: its classes, and those predicted ``before`` and ``after``."""

    name: str
    truth: str
    before: str
    after: str


class ShownComparison(NotebookDisplay):
    """Base class of the comparisons of the tasks: how they show themselves.

    ``folders`` are those of the runs by name, where the comparison knows them: photos are shown from their data.
    """

    html_renderer = "lince.notebook.comparison_html:render_comparison"
    folders: Mapping[str, Path]

    def build_view(self) -> ComparisonView:
        """Return the comparison as tables and sentences."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "<Comparison: " + "\n".join(self.build_view().outcomes) + ">"


def render_comparison_markdown(comparison: Any) -> str:
    """Return ``comparison``, of any task, as Markdown in the current language."""
    view = comparison.build_view()
    parts = [
        "# " + _("Comparison of training runs"),
        _("On the same {n} test images").format(n=format_count(comparison.count)) + ".",
        *map(escape_markdown, view.outcomes),
        render_table(view.runs.header, view.runs.rows),
        *_render_details(comparison),
        "## " + view.classes_title,
        render_table(view.classes.header, view.classes.rows),
    ]
    return "\n\n".join(parts) + "\n"


def _render_details(comparison: Any) -> list[str]:
    """Return the section on how the runs were trained; none where nothing is known of it."""
    if not getattr(comparison, "details", None):
        return []
    table = build_details_table(comparison)
    return ["## " + _("How the runs were trained"), render_table(table.header, table.rows, left=3)]


def build_details_table(comparison: Any) -> TextTable:
    """Return one row per run: recipe, network, training images, epochs and time; dashes where there is no report."""
    header = (_("run"), _("recipe"), _("network"), _("training images"), _("epochs"), _("time"))
    rows = []
    for run in comparison.runs:
        details = comparison.details.get(run.name)
        if details is None:
            rows.append((run.name, *[MISSING_VALUE] * 5))
            continue
        rows.append(
            (
                run.name,
                translate_recipe(details.recipe) or MISSING_VALUE,
                details.model or MISSING_VALUE,
                MISSING_VALUE if details.train_images is None else format_count(details.train_images),
                format_count(len(details.history)) if details.history else MISSING_VALUE,
                MISSING_VALUE if details.seconds is None else format_duration(details.seconds),
            )
        )
    return TextTable(header, tuple(rows))


def describe_seen_images(comparison: Any) -> list[str]:
    """Return the sentence about common test images that one of the runs has seen; empty where there are none."""
    if not comparison.seen_count:
        return []
    return [
        _("{count:,} common test images trained one of the runs or were its validation images: left out.").format(
            count=comparison.seen_count
        )
    ]


def describe_interval_outcomes(
    comparison: Any, sentences: Mapping[str, str], get_interval: Callable[[Any], ConfidenceInterval]
) -> list[str]:
    """Return one sentence per run after the first: better, worse, or no significant difference.

    ``sentences`` has one for each outcome, with the names of the ``{first}`` and the ``{other}`` run, the difference in
    percentage ``{points}`` and its interval from ``{low}`` to ``{high}``; ``get_interval`` returns that difference.
    """
    lines = []
    for run in comparison.runs[1:]:
        if run.difference is not None:
            interval = get_interval(run.difference)
            names = {"first": comparison.runs[0].name, "other": run.name, "points": format_points(interval.value)}
            bounds = {"low": format_points(interval.low), "high": format_points(interval.high)}
            lines.append(sentences[run.difference.outcome].format(**names, **bounds))
    return lines


def build_difference_table(comparison: Any, get_figure: Callable[[Any], ConfidenceInterval | None]) -> TextTable:
    """Return one row per class: number of test images, a figure of it in each run, and the differences.

    ``get_figure`` returns the figure of the score of a class.
    """
    header = [_("class"), _("test images"), *(run.name for run in comparison.runs)]
    for run in comparison.runs[1:]:
        header += [_("difference: {name}").format(name=run.name), _("95% interval")]
    rows = []
    for i, first in enumerate(comparison.runs[0].metrics.scores):
        values = [get_figure(run.metrics.scores[i]) for run in comparison.runs]
        cells = [format_percent(None if value is None else value.value) for value in values]
        for run in comparison.runs[1:]:
            change = None if run.difference is None else run.difference.classes[i].difference
            cells += (
                [MISSING_VALUE] * 2 if change is None else [format_points(change.value), format_points_range(change)]
            )
        rows.append((first.name, format_count(first.support), *cells))
    return TextTable(tuple(header), tuple(rows))


def format_points(difference: float) -> str:
    """Return ``difference``, of values in 0..1, in percentage points with its sign: "+1.5"."""
    return (_MINUS if difference < 0 else _PLUS) + format_decimal(abs(100 * difference), 1)


def format_bounds(interval: ConfidenceInterval) -> str:
    """Return the bounds of an interval of values in 0..1: "89.1% – 92.0%"."""
    return f"{format_percent(interval.low)} {MISSING_VALUE} {format_percent(interval.high)}"


def format_points_range(interval: ConfidenceInterval) -> str:
    """Return the bounds of an interval of differences in percentage points: "+1.0 … +2.5"."""
    return f"{format_points(interval.low)} … {format_points(interval.high)}"
