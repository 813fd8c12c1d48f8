"""The few strokes that charts are drawn with: SVG inside the page, coloured by its style sheet, every text escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

_EMPTY = Markup()


def make_tag(name: str, *content: Markup | str, **attributes: str | float | None) -> Markup:
    """Return one element; ``stroke_width`` becomes ``stroke-width``, ``class_`` ``class``, and ``None`` is left out."""
    given = _EMPTY.join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _format_attribute(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{name}{given}>{content}</{name}>").format(name=name, given=given, content=join_markup(content))


def join_markup(parts: Iterable[Markup | str]) -> Markup:
    """Return ``parts`` one after the other; text among them is escaped."""
    return _EMPTY.join(parts)


def make_svg(width: float, height: float, title: str, *content: Markup, class_: str = "chart") -> Markup:
    """Return a whole picture of ``width`` x ``height`` units that a screen reader announces as ``title``."""
    return make_tag(
        "svg",
        *content,
        viewBox=f"0 0 {_format_attribute(width)} {_format_attribute(height)}",
        role="img",
        aria_label=title,
        class_=class_,
    )


def draw_line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return make_tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def draw_bar(x: float, y: float, width: float, height: float, class_: str, hint: str = "") -> Markup:
    """Return a rectangle; ``hint`` shows when the pointer rests on it."""
    inside = make_tag("title", hint) if hint else _EMPTY
    return make_tag("rect", inside, x=x, y=y, width=max(width, 0), height=max(height, 0), class_=class_)


def draw_dot(x: float, y: float, radius: float, class_: str, hint: str = "") -> Markup:
    """Return a filled circle; ``hint`` shows when the pointer rests on it."""
    inside = make_tag("title", hint) if hint else _EMPTY
    return make_tag("circle", inside, cx=x, cy=y, r=radius, class_=class_)


def draw_text(x: float, y: float, words: str, class_: str = "", anchor: str | None = None) -> Markup:
    """Return words that stand on the line ``y``; ``anchor`` is ``start``, ``middle`` or ``end``."""
    return make_tag("text", words, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def draw_polyline(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Return the open line through ``points``."""
    return make_tag(
        "polyline", points=" ".join(f"{_format_attribute(x)},{_format_attribute(y)}" for x, y in points), class_=class_
    )


@dataclass(frozen=True)
class Axis:
    """A range of values laid along pixels; ``ticks`` are the values that are written."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def to_pixels(self, value: float) -> float:
        """Return where ``value`` stands, in pixels."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def make_axis(values: Sequence[float], start: float, end: float, count: int = 5, whole: bool = False) -> Axis:
    """Return an axis of about ``count`` round ticks that holds all ``values``; ``whole`` allows no fractions."""
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(abs(high), 1e-6):
        low, high = low - (0.5 if whole else 0.05), high + (0.5 if whole else 0.05)
    step = _round_step((high - low) / count)
    step = max(1.0, float(ceil(step))) if whole else step
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    ticks = tuple(i * step for i in range(first, last + 1))
    if whole:  # epochs start where they start: no empty room at either side
        return Axis(low, high, start, end, (low, *(tick for tick in ticks if low + step / 2 < tick <= high)))
    return Axis(ticks[0], ticks[-1], start, end, ticks)


def draw_axes(across: Axis, up: Axis, names: tuple[str, str], formats: tuple[Callable[[float], str], ...]) -> Markup:
    """Return the two axes of a plot with grid, ticks and the ``names`` of what is counted along them."""
    say_x, say_y = formats
    parts = [draw_line(across.start, up.to_pixels(tick), across.end, up.to_pixels(tick), "grid") for tick in up.ticks]
    parts += [draw_text(across.start - 8, up.to_pixels(tick) + 4, say_y(tick), "tick", "end") for tick in up.ticks]
    parts += [draw_text(across.to_pixels(tick), up.start + 18, say_x(tick), "tick", "middle") for tick in across.ticks]
    parts += [
        draw_line(across.to_pixels(tick), up.start, across.to_pixels(tick), up.start + 4, "axis")
        for tick in across.ticks
    ]
    parts.append(draw_line(across.start, up.start, across.end, up.start, "axis"))
    parts.append(draw_text((across.start + across.end) / 2, up.start + 36, names[0], "name", "middle"))
    parts.append(draw_text(0, up.end - 14, names[1], "name", "start"))
    return join_markup(parts)


def _round_step(rough: float) -> float:
    power: float = 10.0 ** floor(log10(rough))
    return next(power * digit for digit in (1, 2, 2.5, 5, 10) if power * digit >= rough * 0.999)


def _format_attribute(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
