"""Presents a comparison of multilabel models as sentences and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report.comparison_view import (
    ComparisonView,
    build_difference_table,
    describe_interval_outcomes,
    describe_seen_images,
    format_bounds,
    format_points,
    format_points_range,
)
from lince.evaluation.report.texts import TextTable
from lince.i18n import _
from lince.number_format import MISSING_VALUE, format_count, format_percent

if TYPE_CHECKING:
    from lince.evaluation.multilabel.comparison import MultilabelComparison, MultilabelDifference
    from lince.evaluation.multilabel.metrics import MultilabelMetrics
    from lince.evaluation.run_comparison import ComparedRun


def build_comparison_view(comparison: MultilabelComparison) -> ComparisonView:
    """Return the presentation of ``comparison`` in the current language."""
    return ComparisonView(
        build_run_table(comparison),
        build_difference_table(comparison, lambda score: score.ap),
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


def describe_outcomes(comparison: MultilabelComparison) -> list[str]:
    """Return one sentence per run after the first: better, worse, or no significant difference."""
    sentences = {
        "better": _("{other} is better than {first}: {points} points of mAP (from {low} to {high})."),
        "worse": _("{other} is worse than {first}: {points} points of mAP (from {low} to {high})."),
        "unclear": _(
            "No significant difference between {other} and {first}: {points} points of mAP (from {low} to {high})."
        ),
    }
    return describe_interval_outcomes(comparison, sentences, lambda difference: difference.map)


def _make_run_row(run: ComparedRun[MultilabelMetrics, MultilabelDifference]) -> tuple[str, ...]:
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
