"""The curves of several runs in one chart each, for the page of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite

from markupsafe import Markup

from lince.evaluation.report import svg
from lince.evaluation.report.charts import WIDTH, ChartSeries, draw_curves, draw_lines
from lince.evaluation.report.facts import RunDetails
from lince.i18n import _
from lince.number_format import format_count, format_percent

COLOURS = 8  # runs are told apart by the colours that classes have on other pages
_LEFT, _RIGHT = 52, WIDTH - 12
Points = tuple[tuple[float, float], ...]


def draw_run_curves(details: Mapping[str, RunDetails]) -> list[Markup]:
    """Return the charts of the runs in ``details`` by name: figures by epoch, and heads by their training images.

    Those that no run has measured are left out.
    """
    charts = []
    for figures, title, relative in (
        (("train_loss", "val_loss"), _("Loss"), False),
        (("train_accuracy", "val_accuracy"), _("Accuracy"), True),
        (("", "val_map"), _("Validation mean average precision"), True),
        (("", "val_segm_map50_95"), _("Validation mask mAP50-95"), True),
        (("", "val_map50_95"), _("Validation mAP50-95"), True),
        (("", "val_miou"), _("Validation mIoU"), True),
    ):
        series = _list_series(details, *(_read_epochs(figure) for figure in figures))
        if chart := draw_curves(series, title, None, relative):
            charts.append(chart)
    for figure, title in (("accuracy", _("Accuracy")), ("map", _("Mean average precision"))):
        sizes = _list_series(details, _read_sizes(f"train_{figure}"), _read_sizes(f"val_{figure}"))
        if sizes:
            x_axis = svg.make_axis([0, *(x for line in sizes for x, _y in line.points)], _LEFT, _RIGHT, count=5)
            names = (_("Training images"), title)
            charts.append(draw_lines(sizes, x_axis, names, (lambda value: format_count(round(value)), format_percent)))
    return charts


def _list_series(
    details: Mapping[str, RunDetails],
    read_train: Callable[[RunDetails], Points],
    read_val: Callable[[RunDetails], Points],
) -> list[ChartSeries]:
    """Return the lines of all runs with at least two points, each run in its colour: training dashed."""
    series = []
    for number, (name, run) in enumerate(details.items()):
        colour = f"class{number % COLOURS}"
        for label, style, points in (
            (_("{run}, training"), f"{colour} dashed", read_train(run)),
            (_("{run}, validation"), colour, read_val(run)),
        ):
            if len(points) > 1:
                series.append(ChartSeries(label.format(run=name), style, points))
    return series


def _read_epochs(figure: str) -> Callable[[RunDetails], Points]:
    """Return a function that reads (epoch, value) of ``figure`` where it was measured."""

    def read(run: RunDetails) -> Points:
        return tuple(
            (float(epoch.get("epoch") or i + 1), float(value))
            for i, epoch in enumerate(run.history)
            if (value := epoch.get(figure)) is not None and isfinite(value)
        )

    return read


def _read_sizes(figure: str) -> Callable[[RunDetails], Points]:
    """Return a function that reads (training images, value) of ``figure`` of heads."""

    def read(run: RunDetails) -> Points:
        return tuple(
            (float(point["images"]), float(value))
            for point in run.head.get("sizes", ())
            if (value := point.get(figure)) is not None
        )

    return read
