"""The charts of a report: learning curves, reliability, intervals, images per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

from markupsafe import Markup

from lince.evaluation.calibration import Calibration
from lince.evaluation.figures import count, decimal, percent
from lince.evaluation.interval import Interval
from lince.evaluation.report import svg
from lince.evaluation.report.record import Epoch
from lince.messages import _

WIDTH, HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, WIDTH - 12, 46, HEIGHT - 46
_FEW = 15  # epochs; up to here each one gets a dot
_LABEL = 20  # letters of a class name that fit beside a bar


@dataclass(frozen=True)
class Series:
    """One line of a chart: its name, its style in the page's sheet, and its points (epoch, value)."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


def loss_curves(history: Sequence[Epoch]) -> Markup | None:
    """Return the losses by epoch, the best validation epoch marked; ``None`` for fewer than two epochs."""
    lines = _series(history, "loss")
    val = next((item for item in lines if item.style == "val"), None)
    best = min(val.points, key=lambda point: point[1])[0] if val else None
    return curves(lines, _("Loss"), best, relative=False)


def accuracy_curves(history: Sequence[Epoch]) -> Markup | None:
    """Return the accuracies by epoch; ``None`` for fewer than two epochs."""
    return curves(_series(history, "accuracy"), _("Accuracy"), None, relative=True)


def _series(history: Sequence[Epoch], figure: str) -> list[Series]:
    named = (("train", _("training")), ("val", _("validation")))
    lines = []
    for style, name in named:
        points = tuple(
            (float(epoch.get("epoch") or i + 1), float(value))
            for i, epoch in enumerate(history)
            if (value := epoch.get(f"{style}_{figure}")) is not None and isfinite(value)
        )
        if len(points) > 1:
            lines.append(Series(name, style, points))
    return lines


def curves(lines: list[Series], title: str, mark: float | None, relative: bool) -> Markup | None:
    """Return ``lines`` by epoch, the epoch ``mark`` marked; ``relative`` figures are shares. ``None`` for no lines."""
    if not lines:
        return None
    across = svg.axis([x for item in lines for x, _y in item.points], _LEFT, _RIGHT, count=8, whole=True)
    up = svg.axis([y for item in lines for _x, y in item.points], _BOTTOM, _TOP)
    places = _places(up, relative)
    say = partial(percent, places=places) if relative else partial(decimal, places=places)
    parts = [svg.frame(across, up, (_("Epoch"), title), (_whole, say))]
    if mark is not None:
        parts.append(svg.line(across.at(mark), _BOTTOM, across.at(mark), _TOP, "mark"))
        parts.append(_beside(across.at(mark), _TOP + 10, _("best epoch")))
    for item in lines:
        parts.append(svg.path([(across.at(x), up.at(y)) for x, y in item.points], f"curve {item.style}"))
        if len(item.points) <= _FEW:
            hint = percent if relative else decimal
            parts += [svg.dot(across.at(x), up.at(y), 3, f"point {item.style}", hint(y)) for x, y in item.points]
    return svg.drawing(WIDTH, HEIGHT, _described(title, lines, relative), *parts, _legend(lines))


def _places(up: svg.Axis, relative: bool) -> int:
    step = (up.ticks[1] - up.ticks[0]) * (100 if relative else 1)
    return next((places for places in range(5) if abs(step - round(step, places)) < 1e-6 * step), 5)


def _described(title: str, lines: Sequence[Series], relative: bool) -> str:
    say = percent if relative else decimal
    ends = [
        _("{name}: from {first} to {last}").format(
            name=item.name, first=say(item.points[0][1]), last=say(item.points[-1][1])
        )
        for item in lines
    ]
    return _("{title} by epoch").format(title=title) + ". " + "; ".join(ends)


def _beside(x: float, y: float, words: str) -> Markup:
    left = x > (_LEFT + _RIGHT) / 2
    return svg.text(x - 5 if left else x + 5, y, words, "tick", "end" if left else "start")


def _legend(lines: Sequence[Series]) -> Markup:
    parts, x = [], float(_RIGHT)
    for item in reversed(lines):
        x -= 7.0 * len(item.name)
        parts.append(svg.text(x, 14, item.name, "tick", "start"))
        parts.append(svg.line(x - 28, 10, x - 6, 10, f"curve {item.style}"))
        x -= 44
    return svg.together(parts)


def reliability(calibration: Calibration) -> Markup:
    """Return how often the answers of each probability were right, against the diagonal of honest ones."""
    side, base = 300, 318
    across = svg.Axis(0, 1, 52, 52 + side - 20, (0, 0.25, 0.5, 0.75, 1))
    up = svg.Axis(0, 1, base, base - side + 20, (0, 0.25, 0.5, 0.75, 1))
    say = partial(percent, places=0)
    parts = [svg.frame(across, up, (_("Probability of the answer"), _("Answers that are right")), (say, say))]
    for item in calibration.bins:
        if item.accuracy is None or item.confidence is None:
            continue
        x, wide = across.at(item.low) + 0.5, across.at(item.high) - across.at(item.low) - 1
        hint = _("{n} answers given with {confidence}: {accuracy} right").format(
            n=count(item.count), confidence=percent(item.confidence), accuracy=percent(item.accuracy)
        )
        top, bottom = up.at(max(item.accuracy, item.confidence)), up.at(min(item.accuracy, item.confidence))
        parts.append(svg.bar(x, bottom, wide, base - bottom, "share", hint))
        parts.append(svg.bar(x, top, wide, bottom - top, "gap", hint))
        parts.append(svg.line(x, up.at(item.accuracy), x + wide, up.at(item.accuracy), "level"))
    parts.append(svg.line(across.at(0), up.at(0), across.at(1), up.at(1), "mark"))
    title = _("Reliability diagram: calibration error {ece}").format(ece=decimal(calibration.ece))
    return svg.drawing(across.end + 18, base + 42, title, *parts, class_="chart square")


def interval_bar(found: Interval | None, mark: float | None = None, low: float = 0.0) -> Markup | str:
    """Return a figure as a dot on its interval, on a track from ``low`` to 1; nothing where there is no figure."""
    if found is None:
        return ""
    track = svg.Axis(low, 1, 5, 155, ())
    said = f"{percent(found.value)} ({percent(found.low)} – {percent(found.high)})"
    left, right = track.at(max(found.low, low)), track.at(max(found.high, low))
    parts = [
        svg.bar(track.start, 7, 150, 2, "track"),
        svg.bar(left, 5, max(right - left, 1), 6, "band"),
        svg.dot(track.at(max(found.value, low)), 8, 4, "value", said),
    ]
    if mark is not None:
        parts.append(svg.line(track.at(mark), 1, track.at(mark), 15, "mark"))
    return svg.drawing(160, 16, said, *parts, class_="span")


def headline(found: Interval, floor: float, floor_name: str) -> Markup:
    """Return the accuracy on a scale from 0 to 100 %, beside what one same answer to all would score."""
    scale = svg.Axis(0, 1, 16, 400, (0, 0.25, 0.5, 0.75, 1))
    say = partial(percent, places=0)
    parts = [svg.bar(scale.start, 24, scale.end - scale.start, 10, "track")]
    parts += [svg.text(scale.at(tick), 50, say(tick), "tick", "middle") for tick in scale.ticks]
    parts.append(svg.bar(scale.start, 24, scale.at(found.value) - scale.start, 10, "share"))
    parts.append(svg.bar(scale.at(found.low), 20, max(scale.at(found.high) - scale.at(found.low), 2), 18, "band"))
    parts.append(svg.dot(scale.at(found.value), 29, 6, "value"))
    parts.append(svg.line(scale.at(floor), 18, scale.at(floor), 38, "mark"))
    anchor = "start" if floor < 0.5 else "end"
    parts.append(svg.text(scale.at(floor), 12, floor_name, "tick", anchor))
    title = _("Accuracy {accuracy} on a scale from 0 to 100; {floor_name}: {floor}").format(
        accuracy=percent(found.value), floor_name=floor_name, floor=percent(floor)
    )
    return svg.drawing(420, 56, title, *parts)


def class_counts(names: Sequence[str], counts: Mapping[str, Mapping[str, int]], said: str = "") -> Markup:
    """Return the images of the classes ``names``, one bar each, split into training, validation and test.

    ``said`` tells what is counted where it is not images.
    """
    kinds = (("train", _("training")), ("val", _("validation")), ("test", _("test")))
    shown = [Series(label, key, ()) for key, label in kinds if any(counts.get(key, {}).values())]
    sums = {name: sum(counts[item.style].get(name, 0) for item in shown) for name in names}
    across = svg.axis([0, *sums.values(), 1], 150, WIDTH - 50)
    parts = []
    for row, name in enumerate(names):
        x, y = across.start, 30 + 22 * row
        parts.append(svg.text(142, y + 12, _shortened(name), "label", "end"))
        for item in shown:
            size = counts[item.style].get(name, 0)
            wide = across.at(size) - across.start
            parts.append(svg.bar(x, y, wide, 15, f"part {item.style}", f"{name}, {item.name}: {count(size)}"))
            x += wide
        parts.append(svg.text(x + 6, y + 12, count(sums[name]), "tick", "start"))
    title = said or _("Images of each class")
    return svg.drawing(WIDTH, 36 + 22 * len(names), title, *parts, _squares(shown))


def _squares(shown: Sequence[Series]) -> Markup:
    parts, x = [], 150.0
    for item in shown:
        parts.append(svg.bar(x, 4, 11, 11, f"part {item.style}"))
        parts.append(svg.text(x + 16, 14, item.name, "tick", "start"))
        x += 34 + 7.0 * len(item.name)
    return svg.together(parts)


def _shortened(name: str) -> str:
    return name if len(name) <= _LABEL else name[: _LABEL - 1] + "…"


def _whole(value: float) -> str:
    return count(round(value))
