"""The charts of a report: learning curves, reliability, intervals, images per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

from markupsafe import Markup

from lince.evaluation.calibration import CalibrationResult
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report import svg
from lince.evaluation.report.classification.report import HistoryRow
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_percent

WIDTH, HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, WIDTH - 12, 46, HEIGHT - 46
_MAX_DOTTED_EPOCHS = 15  # epochs; up to here each one gets a dot
_MAX_LABEL_LENGTH = 20  # letters of a class name that fit beside a bar


@dataclass(frozen=True)
class ChartSeries:
    """One line of a chart: its name, its style in the page's sheet, and its points (epoch, value)."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


def draw_loss_curves(history: Sequence[HistoryRow]) -> Markup | None:
    """Return the losses by epoch, the best validation epoch marked; ``None`` for fewer than two epochs."""
    lines = _make_history_series(history, "loss")
    val = next((item for item in lines if item.style == "val"), None)
    best = min(val.points, key=lambda point: point[1])[0] if val else None
    return draw_curves(lines, _("Loss"), best, relative=False)


def draw_accuracy_curves(history: Sequence[HistoryRow]) -> Markup | None:
    """Return the accuracies by epoch; ``None`` for fewer than two epochs."""
    return draw_curves(_make_history_series(history, "accuracy"), _("Accuracy"), None, relative=True)


def _make_history_series(history: Sequence[HistoryRow], figure: str) -> list[ChartSeries]:
    named = (("train", _("training")), ("val", _("validation")))
    lines = []
    for style, name in named:
        points = tuple(
            (float(epoch.get("epoch") or i + 1), float(value))
            for i, epoch in enumerate(history)
            if (value := epoch.get(f"{style}_{figure}")) is not None and isfinite(value)
        )
        if len(points) > 1:
            lines.append(ChartSeries(name, style, points))
    return lines


def draw_curves(lines: list[ChartSeries], title: str, mark: float | None, relative: bool) -> Markup | None:
    """Return ``lines`` by epoch, the epoch ``mark`` marked; ``relative`` figures are shares. ``None`` for no lines."""
    if not lines:
        return None
    across = svg.make_axis([x for item in lines for x, _y in item.points], _LEFT, _RIGHT, count=8, whole=True)
    up = svg.make_axis([y for item in lines for _x, y in item.points], _BOTTOM, _TOP)
    places = _decimal_places(up, relative)
    say = partial(format_percent, places=places) if relative else partial(format_decimal, places=places)
    parts = [svg.draw_axes(across, up, (_("Epoch"), title), (_format_whole, say))]
    if mark is not None:
        parts.append(svg.draw_line(across.to_pixels(mark), _BOTTOM, across.to_pixels(mark), _TOP, "mark"))
        parts.append(_draw_mark_label(across.to_pixels(mark), _TOP + 10, _("best epoch")))
    for item in lines:
        parts.append(
            svg.draw_polyline([(across.to_pixels(x), up.to_pixels(y)) for x, y in item.points], f"curve {item.style}")
        )
        if len(item.points) <= _MAX_DOTTED_EPOCHS:
            hint = format_percent if relative else format_decimal
            parts += [
                svg.draw_dot(across.to_pixels(x), up.to_pixels(y), 3, f"point {item.style}", hint(y))
                for x, y in item.points
            ]
    return svg.make_svg(WIDTH, HEIGHT, _describe_curves(title, lines, relative), *parts, _draw_line_legend(lines))


def _decimal_places(up: svg.Axis, relative: bool) -> int:
    step = (up.ticks[1] - up.ticks[0]) * (100 if relative else 1)
    return next((places for places in range(5) if abs(step - round(step, places)) < 1e-6 * step), 5)


def _describe_curves(title: str, lines: Sequence[ChartSeries], relative: bool) -> str:
    say = format_percent if relative else format_decimal
    ends = [
        _("{name}: from {first} to {last}").format(
            name=item.name, first=say(item.points[0][1]), last=say(item.points[-1][1])
        )
        for item in lines
    ]
    return _("{title} by epoch").format(title=title) + ". " + "; ".join(ends)


def _draw_mark_label(x: float, y: float, words: str) -> Markup:
    left = x > (_LEFT + _RIGHT) / 2
    return svg.draw_text(x - 5 if left else x + 5, y, words, "tick", "end" if left else "start")


def _draw_line_legend(lines: Sequence[ChartSeries]) -> Markup:
    parts, x = [], float(_RIGHT)
    for item in reversed(lines):
        x -= 7.0 * len(item.name)
        parts.append(svg.draw_text(x, 14, item.name, "tick", "start"))
        parts.append(svg.draw_line(x - 28, 10, x - 6, 10, f"curve {item.style}"))
        x -= 44
    return svg.join_markup(parts)


def draw_reliability_diagram(calibration: CalibrationResult) -> Markup:
    """Return how often the answers of each probability were right, against the diagonal of honest ones."""
    side, base = 300, 318
    across = svg.Axis(0, 1, 52, 52 + side - 20, (0, 0.25, 0.5, 0.75, 1))
    up = svg.Axis(0, 1, base, base - side + 20, (0, 0.25, 0.5, 0.75, 1))
    say = partial(format_percent, places=0)
    parts = [svg.draw_axes(across, up, (_("Probability of the answer"), _("Answers that are right")), (say, say))]
    for item in calibration.bins:
        if item.accuracy is None or item.confidence is None:
            continue
        x, wide = across.to_pixels(item.low) + 0.5, across.to_pixels(item.high) - across.to_pixels(item.low) - 1
        hint = _("{n} answers given with {confidence}: {accuracy} right").format(
            n=format_count(item.count),
            confidence=format_percent(item.confidence),
            accuracy=format_percent(item.accuracy),
        )
        top, bottom = (
            up.to_pixels(max(item.accuracy, item.confidence)),
            up.to_pixels(min(item.accuracy, item.confidence)),
        )
        parts.append(svg.draw_bar(x, bottom, wide, base - bottom, "share", hint))
        parts.append(svg.draw_bar(x, top, wide, bottom - top, "gap", hint))
        parts.append(svg.draw_line(x, up.to_pixels(item.accuracy), x + wide, up.to_pixels(item.accuracy), "level"))
    parts.append(svg.draw_line(across.to_pixels(0), up.to_pixels(0), across.to_pixels(1), up.to_pixels(1), "mark"))
    title = _("Reliability diagram: calibration error {ece}").format(ece=format_decimal(calibration.ece))
    return svg.make_svg(across.end + 18, base + 42, title, *parts, class_="chart square")


def draw_interval_bar(found: ConfidenceInterval | None, mark: float | None = None, low: float = 0.0) -> Markup | str:
    """Return a figure as a dot on its interval, on a track from ``low`` to 1; nothing where there is no figure."""
    if found is None:
        return ""
    track = svg.Axis(low, 1, 5, 155, ())
    said = f"{format_percent(found.value)} ({format_percent(found.low)} – {format_percent(found.high)})"
    left, right = track.to_pixels(max(found.low, low)), track.to_pixels(max(found.high, low))
    parts = [
        svg.draw_bar(track.start, 7, 150, 2, "track"),
        svg.draw_bar(left, 5, max(right - left, 1), 6, "band"),
        svg.draw_dot(track.to_pixels(max(found.value, low)), 8, 4, "value", said),
    ]
    if mark is not None:
        parts.append(svg.draw_line(track.to_pixels(mark), 1, track.to_pixels(mark), 15, "mark"))
    return svg.make_svg(160, 16, said, *parts, class_="span")


def draw_accuracy_bar(found: ConfidenceInterval, floor: float, floor_name: str) -> Markup:
    """Return the accuracy on a scale from 0 to 100 %, beside what one same answer to all would score."""
    scale = svg.Axis(0, 1, 16, 400, (0, 0.25, 0.5, 0.75, 1))
    say = partial(format_percent, places=0)
    parts = [svg.draw_bar(scale.start, 24, scale.end - scale.start, 10, "track")]
    parts += [svg.draw_text(scale.to_pixels(tick), 50, say(tick), "tick", "middle") for tick in scale.ticks]
    parts.append(svg.draw_bar(scale.start, 24, scale.to_pixels(found.value) - scale.start, 10, "share"))
    parts.append(
        svg.draw_bar(
            scale.to_pixels(found.low), 20, max(scale.to_pixels(found.high) - scale.to_pixels(found.low), 2), 18, "band"
        )
    )
    parts.append(svg.draw_dot(scale.to_pixels(found.value), 29, 6, "value"))
    parts.append(svg.draw_line(scale.to_pixels(floor), 18, scale.to_pixels(floor), 38, "mark"))
    anchor = "start" if floor < 0.5 else "end"
    parts.append(svg.draw_text(scale.to_pixels(floor), 12, floor_name, "tick", anchor))
    title = _("Accuracy {accuracy} on a scale from 0 to 100; {floor_name}: {floor}").format(
        accuracy=format_percent(found.value), floor_name=floor_name, floor=format_percent(floor)
    )
    return svg.make_svg(420, 56, title, *parts)


def draw_class_counts(names: Sequence[str], counts: Mapping[str, Mapping[str, int]], chart_title: str = "") -> Markup:
    """Return the images of the classes ``names``, one bar each, split into training, validation and test.

    ``said`` tells what is counted where it is not images.
    """
    kinds = (("train", _("training")), ("val", _("validation")), ("test", _("test")))
    shown = [ChartSeries(label, key, ()) for key, label in kinds if any(counts.get(key, {}).values())]
    sums = {name: sum(counts[item.style].get(name, 0) for item in shown) for name in names}
    across = svg.make_axis([0, *sums.values(), 1], 150, WIDTH - 50)
    parts = []
    for row, name in enumerate(names):
        x, y = across.start, 30 + 22 * row
        parts.append(svg.draw_text(142, y + 12, _shorten_label(name), "label", "end"))
        for item in shown:
            size = counts[item.style].get(name, 0)
            wide = across.to_pixels(size) - across.start
            parts.append(
                svg.draw_bar(x, y, wide, 15, f"part {item.style}", f"{name}, {item.name}: {format_count(size)}")
            )
            x += wide
        parts.append(svg.draw_text(x + 6, y + 12, format_count(sums[name]), "tick", "start"))
    title = chart_title or _("Images of each class")
    return svg.make_svg(WIDTH, 36 + 22 * len(names), title, *parts, _draw_colour_legend(shown))


def _draw_colour_legend(shown: Sequence[ChartSeries]) -> Markup:
    parts, x = [], 150.0
    for item in shown:
        parts.append(svg.draw_bar(x, 4, 11, 11, f"part {item.style}"))
        parts.append(svg.draw_text(x + 16, 14, item.name, "tick", "start"))
        x += 34 + 7.0 * len(item.name)
    return svg.join_markup(parts)


def _shorten_label(name: str) -> str:
    return name if len(name) <= _MAX_LABEL_LENGTH else name[: _MAX_LABEL_LENGTH - 1] + "…"


def _format_whole(value: float) -> str:
    return format_count(round(value))
