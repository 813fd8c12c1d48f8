"""Presents a comparison of detectors as sentences and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report.comparison_view import (
    ComparisonView,
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
    from lince.evaluation.detection.comparison import DetectorComparison, DetectorDifference
    from lince.evaluation.detection.metrics import DetectionMetrics
    from lince.evaluation.run_comparison import ComparedRun


def build_comparison_view(comparison: DetectorComparison) -> ComparisonView:
    """Return the presentation of ``comparison`` in the current language."""
    return ComparisonView(
        build_detector_table(comparison),
        build_detector_class_table(comparison),
        _("AP50 per class"),
        (*describe_seen_images(comparison), *describe_detector_outcomes(comparison)),
        comparison.runs[0].metrics.name_map("50-95"),
        tuple(run.metrics.map50_95 for run in comparison.runs),
    )


def build_detector_table(comparison: DetectorComparison) -> TextTable:
    """Return one row per run: mAP50 and mAP50-95 with their intervals.

    Each is followed by its difference from the first run, in percentage points with its interval.
    """
    interval, difference = _("95% interval"), _("difference")
    names = [comparison.runs[0].metrics.name_map(levels) for levels in ("50", "50-95")]
    header = (_("run"), *(cell for name in names for cell in (name, interval, difference, interval)))
    return TextTable(header, tuple(_detector_row(run) for run in comparison.runs))


def build_detector_class_table(comparison: DetectorComparison) -> TextTable:
    """Return one row per class: number of test boxes, its AP50 in each run, and the difference from the first."""
    header = [_("class"), _("test boxes"), *(run.name for run in comparison.runs)]
    header += [_("difference: {name}").format(name=run.name) for run in comparison.runs[1:]]
    rows = []
    for i, name in enumerate(comparison.runs[0].metrics.classes.names):
        scores = [run.metrics.scores[i] for run in comparison.runs]
        values = [score.ap50.value if score.ap50 else None for score in scores]
        differences = [
            MISSING_VALUE if value is None else format_points(value - (values[0] or 0.0)) for value in values[1:]
        ]
        rows.append((name, format_count(scores[0].support), *map(format_percent, values), *differences))
    return TextTable(tuple(header), tuple(rows))


def describe_detector_outcomes(comparison: DetectorComparison) -> list[str]:
    """Return one sentence per run after the first: better, worse, or no significant difference.

    The difference is that of mAP50-95, in percentage points with its interval.
    """
    sentences = {
        "better": _("{other} is better than {first}: {points} points of {metric} (from {low} to {high})."),
        "worse": _("{other} is worse than {first}: {points} points of {metric} (from {low} to {high})."),
        "unclear": _(
            "No significant difference between {other} and {first}: {points} points of {metric} (from {low} to {high})."
        ),
    }
    metric = comparison.runs[0].metrics.name_map("50-95")
    named = {outcome: sentence.replace("{metric}", metric) for outcome, sentence in sentences.items()}
    return describe_interval_outcomes(comparison, named, lambda difference: difference.map50_95)


def _detector_row(run: ComparedRun[DetectionMetrics, DetectorDifference]) -> tuple[str, ...]:
    """Return the cells of one run; those of the difference are empty for the first run."""
    difference = run.difference
    row = [run.name]
    for metric, metric_difference in (
        (run.metrics.map50, difference and difference.map50),
        (run.metrics.map50_95, difference and difference.map50_95),
    ):
        row += [format_percent(metric.value), format_bounds(metric)]
        row += (
            [format_points(metric_difference.value), format_points_range(metric_difference)]
            if metric_difference
            else [MISSING_VALUE, MISSING_VALUE]
        )
    return tuple(row)
