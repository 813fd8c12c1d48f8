"""The charts of a detector's report: precision against recall, and average precision by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite

from markupsafe import Markup

from lince.evaluation.average_precision import RECALL_LEVELS
from lince.evaluation.detection.metrics import DetectionScore
from lince.evaluation.report import svg
from lince.evaluation.report.charts import ChartSeries, draw_curves
from lince.evaluation.report.classification.report import HistoryRow
from lince.i18n import _
from lince.number_format import format_percent

MAX_CURVES = 8  # classes; more lines than this are not told apart
_SIDE, _LEFT, _TOP = 300, 52, 30


def draw_precision_recall(scores: Sequence[DetectionScore]) -> Markup | None:
    """Return the precision at each recall at an overlap of 0.5, a line a class; ``None`` where nothing was marked."""
    shown = [score for score in scores if score.precision_curve is not None][:MAX_CURVES]
    if not shown:
        return None
    end, base = _LEFT + _SIDE, _TOP + _SIDE
    across = svg.Axis(0, 1, _LEFT, end, (0, 0.25, 0.5, 0.75, 1))
    up = svg.Axis(0, 1, base, _TOP, (0, 0.25, 0.5, 0.75, 1))
    say = partial(format_percent, places=0)
    parts = [svg.draw_axes(across, up, (_("Recall: objects found"), _("Precision: boxes that are right")), (say, say))]
    for number, score in enumerate(shown):
        line = [] if score.precision_curve is None else score.precision_curve.tolist()
        points = [(across.to_pixels(x), up.to_pixels(y)) for x, y in zip(RECALL_LEVELS.tolist(), line, strict=True)]
        parts.append(svg.draw_polyline(points, f"curve class{number}"))
        y = _TOP + 12 + 20 * number
        parts.append(svg.draw_line(end + 14, y - 4, end + 38, y - 4, f"curve class{number}"))
        parts.append(svg.draw_text(end + 44, y, score.name[:20], "tick", "start"))
    title = _("Precision and recall of {n} classes").format(n=len(shown))
    return svg.make_svg(end + 200, base + 46, title, *parts)


def draw_map_curves(history: Sequence[HistoryRow]) -> Markup | None:
    """Return the average precision on validation by epoch; ``None`` for fewer than two epochs."""
    lines = [
        ChartSeries(name, style, points)
        for key, name, style in (("val_map50", "mAP50", "train"), ("val_map50_95", "mAP50-95", "val"))
        if len(points := _history_points(history, key)) > 1
    ]
    return draw_curves(lines, _("Average precision on validation"), None, relative=True)


def _history_points(history: Sequence[HistoryRow], key: str) -> tuple[tuple[float, float], ...]:
    return tuple(
        (float(epoch.get("epoch") or i + 1), float(value))
        for i, epoch in enumerate(history)
        if (value := epoch.get(key)) is not None and isfinite(value)
    )
