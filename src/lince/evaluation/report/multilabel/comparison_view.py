"""Presents a comparison of multilabel models as sentences and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report.comparison_view import (
    ComparisonView,
    describe_seen_images,
    format_bounds,
    format_points,
    format_points_range,
)
from lince.evaluation.report.texts import TextTable
from lince.i18n import _
from lince.number_format import MISSING_VALUE, format_count, format_percent

if TYPE_CHECKING:
    from lince.evaluation.multilabel.comparison import ComparedMultilabel, MultilabelComparison


def build_comparison_view(comparison: MultilabelComparison) -> ComparisonView:
    """Return the presentation of ``comparison`` in the current language."""
    return ComparisonView(
        build_run_table(comparison),
        build_class_table(comparison),
        _("Average precision per class"),
        (*describe_seen_images(comparison), *describe_outcomes(comparison)),
        "mAP",
        tuple(run.metrics.map for run in comparison.runs),
        tuple(comparison.runs[1:]),
    )


def build_run_table(comparison: MultilabelComparison) -> TextTable:
    """Return one row per run: mean average precision, its difference from the first run, F1, images that changed."""
    interval = _("95% interval")
    header = (
        _("run"),
        "mAP",
        interval,
        _("difference"),
        interval,
        _("macro F1"),
        _("micro F1"),
        _("all classes right"),
        _("fixed"),
        _("newly wrong"),
    )
    return TextTable(header, tuple(_make_run_row(run) for run in comparison.runs))


def build_class_table(comparison: MultilabelComparison) -> TextTable:
    """Return one row per class: number of test images, its average precision in each run, and the differences."""
    header = [_("class"), _("test images"), *(run.name for run in comparison.runs)]
    for run in comparison.runs[1:]:
        header += [_("difference: {name}").format(name=run.name), _("95% interval")]
    rows = []
    for i, first in enumerate(comparison.runs[0].metrics.scores):
        values = [run.metrics.scores[i].ap for run in comparison.runs]
        cells = [format_percent(None if value is None else value.value) for value in values]
        for run in comparison.runs[1:]:
            change = None if run.difference is None else run.difference.classes[i].difference
            cells += (
                [MISSING_VALUE] * 2 if change is None else [format_points(change.value), format_points_range(change)]
            )
        rows.append((first.name, format_count(first.support), *cells))
    return TextTable(tuple(header), tuple(rows))


def describe_outcomes(comparison: MultilabelComparison) -> list[str]:
    """Return one sentence per run after the first: better, worse, or no significant difference."""
    sentences = {
        "better": _("{other} is better than {first}: {points} points of mAP (from {low} to {high})."),
        "worse": _("{other} is worse than {first}: {points} points of mAP (from {low} to {high})."),
        "unclear": _(
            "No significant difference between {other} and {first}: {points} points of mAP (from {low} to {high})."
        ),
    }
    lines = []
    for run in comparison.runs[1:]:
        if run.difference is not None:
            interval = run.difference.map
            names = {"first": comparison.runs[0].name, "other": run.name, "points": format_points(interval.value)}
            bounds = {"low": format_points(interval.low), "high": format_points(interval.high)}
            lines.append(sentences[run.difference.outcome].format(**names, **bounds))
    return lines


def _make_run_row(run: ComparedMultilabel) -> tuple[str, ...]:
    """Return the cells of one run; those of the difference are empty for the first run."""
    figures, difference = run.metrics.figures, run.difference
    values = [
        format_percent(None if item is None else item.value)
        for item in (figures.f1_macro, figures.f1_micro, figures.subset_accuracy)
    ]
    cells = (run.name, format_percent(figures.map.value), format_bounds(figures.map))
    if difference is None:
        return (*cells, MISSING_VALUE, MISSING_VALUE, *values, MISSING_VALUE, MISSING_VALUE)
    changed = [format_count(len(item)) for item in (difference.newly_correct, difference.newly_wrong)]
    return (*cells, format_points(difference.map.value), format_points_range(difference.map), *values, *changed)
