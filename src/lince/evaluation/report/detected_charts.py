"""The charts of a detector's report: precision against recall, and average precision by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite

from markupsafe import Markup

from lince.evaluation.average_precision import RECALLS
from lince.evaluation.detection import DetectionScore
from lince.evaluation.figures import percent
from lince.evaluation.report import svg
from lince.evaluation.report.charts import Series, curves
from lince.evaluation.report.record import Epoch
from lince.messages import _

DRAWN = 8  # classes; more lines than this are not told apart
_SIDE, _LEFT, _TOP = 300, 52, 30


def precision_recall(scores: Sequence[DetectionScore]) -> Markup | None:
    """Return the precision at each recall at an overlap of 0.5, a line a class; ``None`` where nothing was marked."""
    shown = [score for score in scores if score.precisions is not None][:DRAWN]
    if not shown:
        return None
    end, base = _LEFT + _SIDE, _TOP + _SIDE
    across = svg.Axis(0, 1, _LEFT, end, (0, 0.25, 0.5, 0.75, 1))
    up = svg.Axis(0, 1, base, _TOP, (0, 0.25, 0.5, 0.75, 1))
    say = partial(percent, places=0)
    parts = [svg.frame(across, up, (_("Recall: objects found"), _("Precision: boxes that are right")), (say, say))]
    for number, score in enumerate(shown):
        line = [] if score.precisions is None else score.precisions.tolist()
        points = [(across.at(x), up.at(y)) for x, y in zip(RECALLS.tolist(), line, strict=True)]
        parts.append(svg.path(points, f"curve class{number}"))
        y = _TOP + 12 + 20 * number
        parts.append(svg.line(end + 14, y - 4, end + 38, y - 4, f"curve class{number}"))
        parts.append(svg.text(end + 44, y, score.name[:20], "tick", "start"))
    title = _("Precision and recall of {n} classes").format(n=len(shown))
    return svg.drawing(end + 200, base + 46, title, *parts)


def map_curves(history: Sequence[Epoch]) -> Markup | None:
    """Return the average precision on validation by epoch; ``None`` for fewer than two epochs."""
    lines = [
        Series(name, style, points)
        for key, name, style in (("val_map50", "mAP50", "train"), ("val_map50_95", "mAP50-95", "val"))
        if len(points := _points(history, key)) > 1
    ]
    return curves(lines, _("Average precision on validation"), None, relative=True)


def _points(history: Sequence[Epoch], key: str) -> tuple[tuple[float, float], ...]:
    return tuple(
        (float(epoch.get("epoch") or i + 1), float(value))
        for i, epoch in enumerate(history)
        if (value := epoch.get(key)) is not None and isfinite(value)
    )
