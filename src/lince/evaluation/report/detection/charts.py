"""Charts of a detection report: precision-recall curves, and average precision by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite

from markupsafe import Markup

from lince.evaluation.average_precision import RECALL_LEVELS
from lince.evaluation.detection.metrics import DetectionScore
from lince.evaluation.report import svg
from lince.evaluation.report.charts import ChartSeries, draw_curves
from lince.evaluation.report.facts import HistoryRow
from lince.i18n import _
from lince.number_format import format_percent

MAX_CURVES = 8  # classes; more lines than this are not told apart
_SIDE, _LEFT, _TOP = 300, 52, 30


def draw_precision_recall(scores: Sequence[DetectionScore]) -> Markup | None:
    """Return the precision-recall curves at IoU 0.5, one per class; ``None`` where no class has a curve.

    Only the first ``MAX_CURVES`` classes are drawn.
    """
    drawn = [score for score in scores if score.precision_curve is not None][:MAX_CURVES]
    if not drawn:
        return None
    right, bottom = _LEFT + _SIDE, _TOP + _SIDE
    x_axis = svg.ChartAxis(0, 1, _LEFT, right, (0, 0.25, 0.5, 0.75, 1))
    y_axis = svg.ChartAxis(0, 1, bottom, _TOP, (0, 0.25, 0.5, 0.75, 1))
    format_tick = partial(format_percent, places=0)
    parts = [
        svg.draw_axes(
            x_axis, y_axis, (_("Recall (objects found)"), _("Precision (correct boxes)")), (format_tick, format_tick)
        )
    ]
    for number, score in enumerate(drawn):
        precisions = [] if score.precision_curve is None else score.precision_curve.tolist()
        points = [
            (x_axis.to_pixels(x), y_axis.to_pixels(y)) for x, y in zip(RECALL_LEVELS.tolist(), precisions, strict=True)
        ]
        parts.append(svg.draw_polyline(points, f"curve class{number}"))
        y = _TOP + 12 + 20 * number
        parts.append(svg.draw_line(right + 14, y - 4, right + 38, y - 4, f"curve class{number}"))
        parts.append(svg.draw_text(right + 44, y, score.name[:20], "tick", "start"))
    title = _("Precision and recall of {n} classes").format(n=len(drawn))
    return svg.make_svg(right + 200, bottom + 46, title, *parts)


def draw_map_curves(history: Sequence[HistoryRow]) -> Markup | None:
    """Return the average precision on the validation images by epoch, as SVG; ``None`` for fewer than two epochs.

    mAP50 and mAP50-95 are curves of their own; epochs without a value are skipped.
    """
    series = [
        ChartSeries(name, style, points)
        for key, name, style in (("val_map50", "mAP50", "train"), ("val_map50_95", "mAP50-95", "val"))
        if len(points := _history_points(history, key)) > 1
    ]
    return draw_curves(series, _("Validation mAP"), None, relative=True)


def _history_points(history: Sequence[HistoryRow], key: str) -> tuple[tuple[float, float], ...]:
    """Return (epoch, value) for the epochs in which ``key`` was measured."""
    return tuple(
        (float(epoch.get("epoch") or i + 1), float(value))
        for i, epoch in enumerate(history)
        if (value := epoch.get(key)) is not None and isfinite(value)
    )
