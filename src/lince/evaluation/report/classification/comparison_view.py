"""Presents a comparison of classifiers as sentences and tables."""

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
from lince.number_format import MISSING_VALUE, format_count, format_decimal, format_percent

if TYPE_CHECKING:
    from lince.evaluation.classification.comparison import ClassifierComparison, ClassifierDifference
    from lince.evaluation.classification.metrics import ClassificationMetrics
    from lince.evaluation.run_comparison import ComparedRun


def build_comparison_view(comparison: ClassifierComparison) -> ComparisonView:
    """Return the presentation of ``comparison`` in the current language."""
    return ComparisonView(
        build_classifier_table(comparison),
        build_recall_table(comparison),
        _("Recall per class"),
        (*describe_seen_images(comparison), *describe_outcomes(comparison)),
        _("accuracy"),
        tuple(run.metrics.accuracy for run in comparison.runs),
        tuple(comparison.runs[1:]),
    )


def build_classifier_table(comparison: ClassifierComparison) -> TextTable:
    """Return one row per run: its accuracy, its difference from the first run, and its macro F1.

    The difference is in percentage points with its interval, the numbers of images that are newly correct and newly
    wrong, and the p-value of McNemar's test.
    """
    header = (
        _("run"),
        _("accuracy"),
        _("95% interval"),
        _("difference"),
        _("95% interval"),
        _("fixed"),
        _("newly wrong"),
        _("p (McNemar)"),
        _("macro F1"),
    )
    return TextTable(header, tuple(_classifier_row(run) for run in comparison.runs))


def build_recall_table(comparison: ClassifierComparison) -> TextTable:
    """Return one row per class: number of test images, and its recall in each run."""
    header = (_("class"), _("test images"), *(run.name for run in comparison.runs))
    rows = []
    for i, name in enumerate(comparison.runs[0].metrics.classes.names):
        scores = [run.metrics.scores[i] for run in comparison.runs]
        recalls = [format_percent(score.recall.value if score.recall else None) for score in scores]
        rows.append((name, format_count(scores[0].support), *recalls))
    return TextTable(header, tuple(rows))


def describe_outcomes(comparison: ClassifierComparison) -> list[str]:
    """Return one sentence per run after the first: better, worse, or no significant difference.

    The difference in accuracy is in percentage points; p is that of McNemar's test.
    """
    first = comparison.runs[0]
    lines = []
    for run in comparison.runs[1:]:
        if run.difference is None:
            continue
        difference = run.difference
        names = {
            "first": first.name,
            "other": run.name,
            "points": format_points(difference.accuracy.value),
            "p": _format_p_comparison(difference.p_value),
        }
        sentences = {
            "better": _("{other} is better than {first} by {points} points (p {p})."),
            "worse": _("{other} is worse than {first}: {points} points (p {p})."),
            "unclear": _("No significant difference between {other} and {first}: {points} points (p {p})."),
        }
        lines.append(sentences[difference.outcome].format(**names))
    return lines


def _classifier_row(run: ComparedRun[ClassificationMetrics, ClassifierDifference]) -> tuple[str, ...]:
    """Return the cells of one run; those of the difference are empty for the first run."""
    accuracy, difference = run.metrics.accuracy, run.difference
    cells = (run.name, format_percent(accuracy.value), format_bounds(accuracy))
    if difference is None:
        return (*cells, *[MISSING_VALUE] * 5, format_percent(run.metrics.macro.f1))
    changed_counts = (format_count(len(difference.newly_correct)), format_count(len(difference.newly_wrong)))
    return (
        *cells,
        format_points(difference.accuracy.value),
        format_points_range(difference.accuracy),
        *changed_counts,
        _format_p_value(difference.p_value),
        format_percent(run.metrics.macro.f1),
    )


def _format_p_value(value: float) -> str:
    """Return a p-value with three decimals, "< 0.001" below."""
    return "< " + format_decimal(0.001) if value < 0.001 else format_decimal(value)


def _format_p_comparison(value: float) -> str:
    """Return a p-value with its relation: "= 0.031" or "< 0.001"."""
    text = _format_p_value(value)
    return text if text.startswith("<") else f"= {text}"
