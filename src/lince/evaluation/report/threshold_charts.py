"""Charts with axes from 0 to 100 %: precision, recall and F1 against the confidence, and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from lince.evaluation.report import svg
from lince.evaluation.report.charts import ChartSeries, draw_legend_rows
from lince.evaluation.threshold_curve import THRESHOLDS, ThresholdCurve, add_threshold_curves
from lince.i18n import _
from lince.number_format import format_percent

MAX_CURVES = 8  # classes; more lines than this are not told apart
_SIDE, _LEFT, _TOP, _LINE_HEIGHT = 300, 52, 30, 20


class HasSupport(Protocol):
    """The score of a class."""

    @property
    def support(self) -> int:
        """The number of its test examples."""


@dataclass(frozen=True)
class ClassThreshold:
    """What a class does at each minimum confidence, and its figures (F1, precision, recall) at ``threshold``."""

    name: str
    support: int
    threshold: float
    curve: ThresholdCurve
    figures: Mapping[str, float | None]


def choose_drawn_classes(scores: Sequence[HasSupport]) -> list[int]:
    """Return the ids of the classes that are drawn, ascending: at most ``MAX_CURVES``, those with most examples."""
    with_examples = [class_id for class_id, score in enumerate(scores) if score.support]
    return sorted(sorted(with_examples, key=lambda class_id: -scores[class_id].support)[:MAX_CURVES])


def draw_class_thresholds(classes: Sequence[ClassThreshold]) -> list[Markup]:
    """Return F1, precision and recall against the confidence of the classes of ``choose_drawn_classes``.

    All classes are counted together as one more line; dots are at the thresholds of the model.
    """
    class_ids = choose_drawn_classes(classes)
    if not class_ids:
        return []
    together = add_threshold_curves(item.curve for item in classes)
    drawn = []
    for figure, name in (("f1", "F1"), ("precision", _("Precision")), ("recall", _("Recall"))):
        series, dots = [], []
        for class_id in class_ids:
            item = classes[class_id]
            series.append(ChartSeries(item.name, get_class_style(class_id), make_points(getattr(item.curve, figure))))
            value = item.figures[figure]
            if value is not None:
                hint = f"{item.name}, {format_percent(item.threshold)}: {name} {format_percent(value)}"
                dots.append((item.threshold, value, f"point class{class_id % MAX_CURVES}", hint))
        if sum(item.support > 0 for item in classes) > 1:
            series.append(ChartSeries(_("all classes"), "all", make_points(getattr(together, figure))))
        title = _("{figure} against the confidence").format(figure=name)
        drawn.append(draw_unit_chart(series, (_("Minimum confidence"), name), title, dots))
    return drawn


def get_class_style(class_id: int) -> str:
    """Return the CSS class of a class: its colour, and dashes where the eight colours repeat."""
    return f"class{class_id % MAX_CURVES}" + (" second" if class_id >= MAX_CURVES else "")


def draw_unit_chart(
    series: Sequence[ChartSeries],
    names: tuple[str, str],
    title: str,
    dots: Sequence[tuple[float, float, str, str]] = (),
) -> Markup:
    """Return ``series`` of points (x, y) in 0..1 with the axis ``names`` (x, y), and the legend below.

    ``dots`` are (x, y, CSS class, tooltip). ``title`` is the alternative text.
    """
    right, bottom = _LEFT + _SIDE, _TOP + _SIDE
    ticks = (0, 0.25, 0.5, 0.75, 1)
    x_axis, y_axis = svg.ChartAxis(0, 1, _LEFT, right, ticks), svg.ChartAxis(0, 1, bottom, _TOP, ticks)
    format_tick = partial(format_percent, places=0)
    parts = [svg.draw_axes(x_axis, y_axis, names, (format_tick, format_tick))]
    for line in series:
        points = [(x_axis.to_pixels(x), y_axis.to_pixels(y)) for x, y in line.points]
        parts.append(svg.draw_polyline(points, f"curve {line.style}"))
    parts += [svg.draw_dot(x_axis.to_pixels(x), y_axis.to_pixels(y), 4.5, style, hint) for x, y, style, hint in dots]
    parts.append(draw_legend_rows(series, _LEFT, bottom + 62))
    return svg.make_svg(right + 24, bottom + 54 + _LINE_HEIGHT * len(series), title, *parts, class_="chart square")


def make_points(values: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Return (threshold, value) of ``values`` (101,) at ``THRESHOLDS``, where they are defined."""
    return tuple((x, y) for x, y in zip(THRESHOLDS.tolist(), values.tolist(), strict=True) if not np.isnan(y))


def draw_abstention(curve: ThresholdCurve) -> Markup:
    """Return what a classifier does that answers only from each confidence on: precision, recall, F1, and its share."""
    answered = curve.shown / max(curve.positives, 1)
    series = [
        ChartSeries(_("precision"), "precision", make_points(curve.precision)),
        ChartSeries(_("recall"), "recall", make_points(curve.recall)),
        ChartSeries("F1", "all", make_points(curve.f1)),
        ChartSeries(_("answered"), "answered", make_points(answered)),
    ]
    title = _("Precision, recall and F1 against the confidence")
    return draw_unit_chart(series, (_("Minimum confidence"), _("Fraction of the test images")), title)
