"""Presents a comparison of models of semantic segmentation as sentences and tables."""

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
from lince.number_format import MISSING_VALUE, format_percent

if TYPE_CHECKING:
    from lince.evaluation.run_comparison import ComparedRun
    from lince.evaluation.segmentation.comparison import SegmenterComparison, SegmenterDifference
    from lince.evaluation.segmentation.metrics import SegmentationMetrics


def build_comparison_view(comparison: SegmenterComparison) -> ComparisonView:
    """Return the presentation of ``comparison`` in the current language."""
    return ComparisonView(
        build_run_table(comparison),
        build_difference_table(comparison, lambda score: score.iou),
        _("IoU per class"),
        (*describe_seen_images(comparison), *describe_outcomes(comparison)),
        "mIoU",
        tuple(run.metrics.miou for run in comparison.runs),
    )


def build_run_table(comparison: SegmenterComparison) -> TextTable:
    """Return one row per run: mean IoU, its difference from the first run, and the other figures."""
    interval = _("95% interval")
    header = (
        _("run"),
        "mIoU",
        interval,
        _("difference"),
        interval,
        _("pixels that are right"),
        _("mean Dice of a photo"),
        _("boundary IoU"),
        _("error of the area"),
    )
    return TextTable(header, tuple(_make_run_row(run) for run in comparison.runs))


def describe_outcomes(comparison: SegmenterComparison) -> list[str]:
    """Return one sentence per run after the first: better, worse, or no significant difference."""
    sentences = {
        "better": _("{other} is better than {first}: {points} points of mIoU (from {low} to {high})."),
        "worse": _("{other} is worse than {first}: {points} points of mIoU (from {low} to {high})."),
        "unclear": _(
            "No significant difference between {other} and {first}: {points} points of mIoU (from {low} to {high})."
        ),
    }
    return describe_interval_outcomes(comparison, sentences, lambda difference: difference.miou)


def _make_run_row(run: ComparedRun[SegmentationMetrics, SegmenterDifference]) -> tuple[str, ...]:
    """Return the cells of one run; those of the difference are empty for the first run."""
    figures, difference = run.metrics.figures, run.difference
    changes = [MISSING_VALUE] * 2
    if difference is not None:
        changes = [format_points(difference.miou.value), format_points_range(difference.miou)]
    others = [
        format_percent(None if item is None else item.value)
        for item in (figures.pixel_accuracy, figures.mean_dice, figures.boundary_iou)
    ]
    miou = [format_percent(figures.miou.value), format_bounds(figures.miou)]
    return (run.name, *miou, *changes, *others, format_percent(run.metrics.area_error))
