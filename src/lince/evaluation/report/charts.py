"""Draws the report's charts: learning curves, reliability diagram, confidence intervals, images per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import floor, isfinite

from markupsafe import Markup

from lince.evaluation.calibration import CalibrationResult
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report import svg
from lince.evaluation.report.facts import HistoryRow
from lince.i18n import _, localise_number
from lince.number_format import format_count, format_decimal, format_percent

WIDTH, HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, WIDTH - 12, 46, HEIGHT - 46
_MAX_DOTTED_EPOCHS = 15  # up to this many epochs, each point is drawn as a dot
_MAX_TOP_LEGEND = 2  # lines that are named above the plot; more are named below it
_TOP_LEGEND_LENGTH = 24  # characters of the name of one of two lines, such as "exhaustividad (recall)"
_LEGEND_ROW, _ROW_LABEL_LENGTH = 20, 40  # units of a line of the legend below a plot, and characters of its name
MAX_LABEL_LENGTH = 20  # characters of a class name that fit beside a bar


@dataclass(frozen=True)
class ChartSeries:
    """One line of a chart: its translated name, its CSS class, and its points (epoch, value)."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


def find_best_epoch(history: Sequence[HistoryRow], monitor: str, tolerance: float = 0.0) -> float | None:
    """Return the epoch whose weights were kept: the best by ``monitor``, which is lowest for losses, else highest.

    The first among equals, or with a ``tolerance`` the last that is worse by at most that; ``None`` where the figure
    was never measured, as without validation images.
    """
    measured = [
        (value if monitor.endswith("loss") else -value, float(epoch.get("epoch") or i + 1))
        for i, epoch in enumerate(history)
        if (value := epoch.get(monitor)) is not None and isfinite(value)
    ]
    if not measured or not tolerance:
        return min(measured)[1] if measured else None
    limit = min(measured)[0] + tolerance
    return max(epoch for value, epoch in measured if value <= limit)


def draw_loss_curves(history: Sequence[HistoryRow], best_epoch: float | None = None) -> Markup | None:
    """Return the losses by epoch, with ``best_epoch`` marked; ``None`` for fewer than two epochs."""
    return draw_curves(_make_history_series(history, "loss"), _("Loss"), best_epoch, relative=False)


def draw_accuracy_curves(history: Sequence[HistoryRow], best_epoch: float | None = None) -> Markup | None:
    """Return the accuracies by epoch, with ``best_epoch`` marked; ``None`` for fewer than two epochs."""
    return draw_curves(_make_history_series(history, "accuracy"), _("Accuracy"), best_epoch, relative=True)


def _make_history_series(history: Sequence[HistoryRow], figure: str) -> list[ChartSeries]:
    """Return the training and validation series of ``figure`` (``loss`` or ``accuracy``) with at least two points.

    Values that are missing or not finite are left out.
    """
    splits = (("train", _("training")), ("val", _("validation")))
    series = []
    for style, name in splits:
        points = tuple(
            (float(epoch.get("epoch") or i + 1), float(value))
            for i, epoch in enumerate(history)
            if (value := epoch.get(f"{style}_{figure}")) is not None and isfinite(value)
        )
        if len(points) > 1:
            series.append(ChartSeries(name, style, points))
    return series


def draw_rate_curve(history: Sequence[HistoryRow]) -> Markup | None:
    """Return the learning rate at the end of each epoch; ``None`` for fewer than two epochs."""
    points = tuple(
        (float(epoch.get("epoch") or i + 1), float(rate))
        for i, epoch in enumerate(history)
        if (rate := epoch.get("rate")) is not None and isfinite(rate)
    )
    if len(points) < 2:
        return None
    series = [ChartSeries(_("learning rate"), "rate", points)]
    x_axis = svg.make_axis([x for x, _y in points], _LEFT, _RIGHT, count=8, integer_ticks=True)
    return draw_lines(series, x_axis, (_("Epoch"), _("Learning rate")), (_format_whole, _format_rate))


def list_history_points(history: Sequence[HistoryRow], key: str) -> tuple[tuple[float, float], ...]:
    """Return (epoch, value) for the epochs in which ``key`` was measured."""
    return tuple(
        (float(epoch.get("epoch") or i + 1), float(value))
        for i, epoch in enumerate(history)
        if (value := epoch.get(key)) is not None and isfinite(value)
    )


def draw_validation_curve(history: Sequence[HistoryRow], key: str, title: str) -> Markup | None:
    """Return the figure ``key``, 0..1, on the validation images by epoch; ``None`` for fewer than two epochs."""
    points = list_history_points(history, key)
    series = [ChartSeries(_("validation"), "val", points)] if len(points) > 1 else []
    return draw_curves(series, title, None, relative=True)


def draw_curves(series: list[ChartSeries], title: str, mark: float | None, relative: bool) -> Markup | None:
    """Return ``series`` by epoch, with the epoch ``mark`` marked; ``None`` when there are no series.

    ``relative`` figures are fractions, formatted as percentages.
    """
    if not series:
        return None
    x_axis = svg.make_axis([x for line in series for x, _y in line.points], _LEFT, _RIGHT, count=8, integer_ticks=True)
    formats = (_format_whole, format_percent if relative else format_decimal)
    marked = None if mark is None else (mark, _("best epoch"))
    return draw_lines(series, x_axis, (_("Epoch"), title), formats, marked)


def draw_lines(
    series: list[ChartSeries],
    x_axis: svg.ChartAxis,
    names: tuple[str, str],
    formats: tuple[Callable[[float], str], Callable[..., str]],
    mark: tuple[float, str] | None = None,
) -> Markup:
    """Return ``series``, at least one, over ``x_axis``, with the axis ``names`` (x, y) and a legend.

    ``formats`` write the values of both axes; that of y is ``format_percent``, ``format_decimal`` or one that takes the
    value alone. ``mark`` is a value of x with its label.
    """
    y_axis = svg.make_axis([y for line in series for _x, y in line.points], _BOTTOM, _TOP)
    format_x, format_y = formats
    format_tick: Callable[[float], str] = format_y
    if format_y in (format_percent, format_decimal):
        format_tick = partial(format_y, places=_decimal_places(y_axis, format_y is format_percent))
    parts = [svg.draw_axes(x_axis, y_axis, names, (format_x, format_tick))]
    if mark is not None:
        x = x_axis.to_pixels(mark[0])
        parts.append(svg.draw_line(x, _BOTTOM, x, _TOP, "mark"))
        parts.append(_draw_mark_label(x, _TOP + 10, mark[1]))
    for line in series:
        pixels = [(x_axis.to_pixels(x), y_axis.to_pixels(y)) for x, y in line.points]
        parts.append(svg.draw_polyline(pixels, f"curve {line.style}"))
        if len(line.points) <= _MAX_DOTTED_EPOCHS:
            parts += [
                svg.draw_dot(*pixel, 3, f"point {line.style}", f"{line.name}, {names[0]} {format_x(x)}: {format_y(y)}")
                for pixel, (x, y) in zip(pixels, line.points, strict=True)
            ]
    description = _describe_curves(names, series, format_y)
    if len(series) <= _MAX_TOP_LEGEND:
        return svg.make_svg(WIDTH, HEIGHT, description, *parts, _draw_line_legend(series))
    legend = draw_legend_rows(series, _LEFT, HEIGHT + 12)
    return svg.make_svg(WIDTH, HEIGHT + 4 + _LEGEND_ROW * len(series), description, *parts, legend)


def draw_legend_rows(series: Sequence[ChartSeries], left: float, top: float) -> Markup:
    """Return the legend of line series below a chart, one row of ``_LEGEND_ROW`` units each, from ``top`` on."""
    parts = []
    for number, line in enumerate(series):
        y = top + _LEGEND_ROW * number
        parts.append(svg.draw_line(left, y - 4, left + 26, y - 4, f"curve {line.style}"))
        parts.append(
            svg.draw_text(left + 34, y, shorten_label(line.name, _ROW_LABEL_LENGTH), "tick", tooltip=line.name)
        )
    return svg.join_markup(parts)


def _decimal_places(axis: svg.ChartAxis, relative: bool) -> int:
    """Return how many decimals (at most 5) tell the ticks of an axis apart."""
    step = (axis.ticks[1] - axis.ticks[0]) * (100 if relative else 1)
    return next((places for places in range(5) if abs(step - round(step, places)) < 1e-6 * step), 5)


def _describe_curves(names: tuple[str, str], series: Sequence[ChartSeries], format_value: Callable[..., str]) -> str:
    """Return the alternative text of a chart: its axes, and the first and last value of each series."""
    descriptions = [
        _("{name}: from {first} to {last}").format(
            name=line.name, first=format_value(line.points[0][1]), last=format_value(line.points[-1][1])
        )
        for line in series
    ]
    return _("{title} by {axis}").format(title=names[1], axis=names[0].lower()) + ". " + "; ".join(descriptions)


def _draw_mark_label(x: float, y: float, text: str) -> Markup:
    """Return the label of a vertical mark at ``x``, on the side where there is more room."""
    is_right_half = x > (_LEFT + _RIGHT) / 2
    return svg.draw_text(x - 5 if is_right_half else x + 5, y, text, "tick", "end" if is_right_half else "start")


def _draw_line_legend(series: Sequence[ChartSeries]) -> Markup:
    """Return the legend of up to ``_MAX_TOP_LEGEND`` line series, right-aligned at the top."""
    parts, x = [], float(_RIGHT)
    for line in reversed(series):
        name = shorten_label(line.name, 2 * MAX_LABEL_LENGTH if len(series) == 1 else _TOP_LEGEND_LENGTH)
        x -= 7.0 * len(name)
        parts.append(svg.draw_text(x, 14, name, "tick", "start", tooltip=line.name))
        parts.append(svg.draw_line(x - 28, 10, x - 6, 10, f"curve {line.style}"))
        x -= 44
    return svg.join_markup(parts)


def draw_reliability_diagram(calibration: CalibrationResult) -> Markup:
    """Return the accuracy in each confidence bin, against the diagonal of perfect calibration.

    The gap between accuracy and mean confidence of a bin is drawn in another colour.
    """
    side, base = 300, 318
    x_axis = svg.ChartAxis(0, 1, 52, 52 + side - 20, (0, 0.25, 0.5, 0.75, 1))
    y_axis = svg.ChartAxis(0, 1, base, base - side + 20, (0, 0.25, 0.5, 0.75, 1))
    format_tick = partial(format_percent, places=0)
    parts = [
        svg.draw_axes(x_axis, y_axis, (_("Predicted probability"), _("Fraction correct")), (format_tick, format_tick))
    ]
    for bin_ in calibration.bins:
        if bin_.accuracy is None or bin_.confidence is None:
            continue
        x, width = x_axis.to_pixels(bin_.low) + 0.5, x_axis.to_pixels(bin_.high) - x_axis.to_pixels(bin_.low) - 1
        tooltip = _("{n} predictions with confidence {confidence}: {accuracy} correct").format(
            n=format_count(bin_.count),
            confidence=format_percent(bin_.confidence),
            accuracy=format_percent(bin_.accuracy),
        )
        top, bottom = (
            y_axis.to_pixels(max(bin_.accuracy, bin_.confidence)),
            y_axis.to_pixels(min(bin_.accuracy, bin_.confidence)),
        )
        parts.append(svg.draw_bar(x, bottom, width, base - bottom, "share", tooltip))
        parts.append(svg.draw_bar(x, top, width, bottom - top, "gap", tooltip))
        parts.append(
            svg.draw_line(x, y_axis.to_pixels(bin_.accuracy), x + width, y_axis.to_pixels(bin_.accuracy), "level")
        )
    parts.append(
        svg.draw_line(x_axis.to_pixels(0), y_axis.to_pixels(0), x_axis.to_pixels(1), y_axis.to_pixels(1), "mark")
    )
    title = _("Reliability diagram: calibration error {ece}").format(ece=format_decimal(calibration.ece))
    return svg.make_svg(x_axis.end + 18, base + 42, title, *parts, class_="chart square")


def draw_interval_bar(interval: ConfidenceInterval | None, mark: float | None = None, low: float = 0.0) -> Markup | str:
    """Return a figure as a dot on its confidence interval, on a scale from ``low`` to 1.

    ``mark`` draws a vertical line at a reference value. Returns an empty string when there is no figure.
    """
    if interval is None:
        return ""
    axis = svg.ChartAxis(low, 1, 5, 155, ())
    description = f"{format_percent(interval.value)} ({format_percent(interval.low)} – {format_percent(interval.high)})"
    left, right = axis.to_pixels(max(interval.low, low)), axis.to_pixels(max(interval.high, low))
    parts = [
        svg.draw_bar(axis.start, 7, 150, 2, "track"),
        svg.draw_bar(left, 5, max(right - left, 1), 6, "band"),
        svg.draw_dot(axis.to_pixels(max(interval.value, low)), 8, 4, "value", description),
    ]
    if mark is not None:
        parts.append(svg.draw_line(axis.to_pixels(mark), 1, axis.to_pixels(mark), 15, "mark"))
    return svg.make_svg(160, 16, description, *parts, class_="span")


def draw_accuracy_bar(interval: ConfidenceInterval, floor: float, floor_name: str) -> Markup:
    """Return the accuracy with its interval on a scale from 0 to 100 %.

    ``floor`` is the accuracy of always predicting the commonest class, marked on the scale and labelled ``floor_name``.
    """
    title = _("Accuracy {accuracy} on a scale from 0 to 100; {floor_name}: {floor}").format(
        accuracy=format_percent(interval.value), floor_name=floor_name, floor=format_percent(floor)
    )
    return draw_figure_bar(interval, floor, floor_name, _("Accuracy on the test images"), title)


def draw_figure_bar(interval: ConfidenceInterval, floor: float, floor_name: str, name: str, title: str = "") -> Markup:
    """Return the figure called ``name`` with its interval on a scale from 0 to 100 %.

    ``floor`` is what the simplest model reaches, marked on the scale and labelled ``floor_name``; ``title`` is the
    alternative text, by default made of these.
    """
    axis = svg.ChartAxis(0, 1, 16, 400, (0, 0.25, 0.5, 0.75, 1))
    format_tick = partial(format_percent, places=0)
    parts = [svg.draw_bar(axis.start, 24, axis.end - axis.start, 10, "track")]
    parts += [svg.draw_text(axis.to_pixels(tick), 50, format_tick(tick), "tick", "middle") for tick in axis.ticks]
    parts.append(svg.draw_bar(axis.start, 24, axis.to_pixels(interval.value) - axis.start, 10, "share"))
    parts.append(
        svg.draw_bar(
            axis.to_pixels(interval.low),
            20,
            max(axis.to_pixels(interval.high) - axis.to_pixels(interval.low), 2),
            18,
            "band",
        )
    )
    parts.append(svg.draw_dot(axis.to_pixels(interval.value), 29, 6, "value"))
    parts.append(svg.draw_line(axis.to_pixels(floor), 18, axis.to_pixels(floor), 38, "mark"))
    anchor = "start" if floor < 0.5 else "end"
    parts.append(svg.draw_text(axis.to_pixels(floor), 12, floor_name, "tick", anchor))
    title = title or f"{name}: {format_percent(interval.value)}; {floor_name}: {format_percent(floor)}"
    parts.append(svg.draw_text(axis.start, 66, name, "name", "start"))
    return svg.make_svg(420, 72, title, *parts)


def draw_class_counts(
    names: Sequence[str], counts: Mapping[str, Mapping[str, int]], chart_title: str = "", axis_name: str = ""
) -> Markup:
    """Return one bar per class of ``names`` with its number of images, divided into training, validation and test.

    ``counts`` maps the split (``train``, ``val``, ``test``) to the number of each class. ``chart_title`` and
    ``axis_name`` replace the defaults where something other than images is counted.
    """
    splits = (("train", _("training")), ("val", _("validation")), ("test", _("test")))
    series = [ChartSeries(label, key, ()) for key, label in splits if any(counts.get(key, {}).values())]
    totals = {name: sum(counts[split_series.style].get(name, 0) for split_series in series) for name in names}
    x_axis = svg.make_axis([0, *totals.values(), 1], 150, WIDTH - 50, count=4)
    bottom = 34 + 22 * len(names)
    parts = [svg.draw_count_axis(x_axis, bottom, axis_name or _("Images"))]
    for row, name in enumerate(names):
        x, y = x_axis.start, 30 + 22 * row
        parts.append(svg.draw_text(142, y + 12, shorten_label(name), "label", "end", tooltip=name))
        for split_series in series:
            size = counts[split_series.style].get(name, 0)
            width = x_axis.to_pixels(size) - x_axis.start
            parts.append(
                svg.draw_bar(
                    x, y, width, 15, f"part {split_series.style}", f"{name}, {split_series.name}: {format_count(size)}"
                )
            )
            x += width
        parts.append(svg.draw_text(x + 6, y + 12, format_count(totals[name]), "tick", "start"))
    title = chart_title or _("Images per class")
    return svg.make_svg(WIDTH, bottom + 42, title, *parts, _draw_colour_legend(series))


def _draw_colour_legend(series: Sequence[ChartSeries]) -> Markup:
    """Return the legend of bar series, at the top."""
    parts, x = [], 150.0
    for item in series:
        parts.append(svg.draw_bar(x, 4, 11, 11, f"part {item.style}"))
        parts.append(svg.draw_text(x + 16, 14, item.name, "tick", "start"))
        x += 34 + 7.0 * len(item.name)
    return svg.join_markup(parts)


def shorten_label(name: str, length: int = MAX_LABEL_LENGTH) -> str:
    """Return ``name`` shortened to ``length`` characters."""
    return name if len(name) <= length else name[: length - 1] + "…"


def _format_rate(value: float) -> str:
    """Return a learning rate with three significant digits: "0.002", "2.5e-4"."""
    if not 0 < value < 1e-3:
        return localise_number(f"{value:.3g}")
    digits, exponent = f"{value:.2e}".split("e")
    return localise_number(f"{float(digits):g}e{int(exponent)}")


def _format_whole(value: float) -> str:
    """Return ``value`` rounded and formatted as a count."""
    return format_count(round(value))


def round_track_start(shares: Iterable[float]) -> float:
    """Return where a small scale of shares starts: the tenth below all of them, so that differences show."""
    return max(0, floor(min(shares, default=0.0) * 10)) / 10
