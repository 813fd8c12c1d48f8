"""Draws SVG primitives and axes for the report's charts: inline SVG, styled by the page's CSS, all text escaped.

Coordinates are in SVG units (pixels at the natural size), x to the right and y downwards from the top left corner.
``class_`` is a CSS class of the page's style sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

from lince.number_format import format_count

_EMPTY = Markup()


def make_tag(name: str, *content: Markup | str, **attributes: str | float | None) -> Markup:
    """Return one element with its content.

    Attribute names are adapted: ``stroke_width`` becomes ``stroke-width``, ``class_`` becomes ``class``. Attributes
    that are ``None`` are left out. Content that is not ``Markup`` is escaped.
    """
    attribute_text = _EMPTY.join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _format_attribute(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{name}{given}>{content}</{name}>").format(
        name=name, given=attribute_text, content=join_markup(content)
    )


def join_markup(parts: Iterable[Markup | str]) -> Markup:
    """Return ``parts`` concatenated; those that are not ``Markup`` are escaped."""
    return _EMPTY.join(parts)


def make_svg(width: float, height: float, title: str, *content: Markup, class_: str = "chart") -> Markup:
    """Return an ``svg`` element of ``width`` x ``height`` units; screen readers announce it as ``title``."""
    return make_tag(
        "svg",
        *content,
        viewBox=f"0 0 {_format_attribute(width)} {_format_attribute(height)}",
        role="img",
        aria_label=title,
        class_=class_,
    )


def draw_line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line from (x1, y1) to (x2, y2)."""
    return make_tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def draw_bar(x: float, y: float, width: float, height: float, class_: str, tooltip: str = "") -> Markup:
    """Return a rectangle with the top left corner (x, y) and an optional tooltip; negative sides become 0."""
    content = make_tag("title", tooltip) if tooltip else _EMPTY
    return make_tag("rect", content, x=x, y=y, width=max(width, 0), height=max(height, 0), class_=class_)


def draw_dot(x: float, y: float, radius: float, class_: str, tooltip: str = "") -> Markup:
    """Return a filled circle around (x, y), with an optional tooltip."""
    content = make_tag("title", tooltip) if tooltip else _EMPTY
    return make_tag("circle", content, cx=x, cy=y, r=radius, class_=class_)


def draw_text(x: float, y: float, text: str, class_: str = "", anchor: str | None = None, tooltip: str = "") -> Markup:
    """Return text with its baseline at ``y``.

    ``anchor`` is the point of the text that is at ``x``: ``start`` (the default), ``middle`` or ``end``. ``tooltip``
    is shown where it differs from ``text``, which may be shortened.
    """
    content = [text] if tooltip in ("", text) else [make_tag("title", tooltip), text]
    return make_tag("text", *content, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def draw_polyline(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Return the open line through ``points`` (x, y)."""
    return make_tag(
        "polyline", points=" ".join(f"{_format_attribute(x)},{_format_attribute(y)}" for x, y in points), class_=class_
    )


@dataclass(frozen=True)
class ChartAxis:
    """Maps the values ``low``..``high`` linearly to the coordinates ``start``..``end``.

    ``ticks`` are the values that are labelled. ``end`` is less than ``start`` on a vertical axis.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def to_pixels(self, value: float) -> float:
        """Return the coordinate of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def make_axis(
    values: Sequence[float], start: float, end: float, count: int = 5, integer_ticks: bool = False
) -> ChartAxis:
    """Return an axis that contains all ``values``, at least one, with about ``count`` ticks at round numbers.

    It does not go below 0 where no value does, nor beyond 1 where the values are equal and none is above it.

    ``integer_ticks`` allows only whole numbers and begins the axis at the smallest value, as an axis of epochs does.
    """
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(abs(high), 1e-6):
        margin = 0.5 if integer_ticks else 0.05 if high == 0 or abs(high) >= 0.05 else abs(high) / 2
        ceiling = 1.0 if not integer_ticks and high <= 1 else high + margin
        low, high = max(low - margin, 0.0 if low >= 0 else low - margin), min(high + margin, ceiling)
    step = _round_step((high - low) / count)
    step = max(1.0, float(ceil(step))) if integer_ticks else step
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    ticks = tuple(i * step for i in range(first, last + 1))
    if integer_ticks:  # no empty space before the first epoch or after the last
        return ChartAxis(low, high, start, end, (low, *(tick for tick in ticks if low + step / 2 < tick <= high)))
    return ChartAxis(ticks[0], ticks[-1], start, end, ticks)


def draw_axes(
    x_axis: ChartAxis, y_axis: ChartAxis, names: tuple[str, str], formats: tuple[Callable[[float], str], ...]
) -> Markup:
    """Return both axes of a plot with grid lines, ticks, tick labels and the axis ``names`` (x, y).

    ``formats`` are the functions that format tick values (x, y).
    """
    format_x, format_y = formats
    parts = [
        draw_line(x_axis.start, y_axis.to_pixels(tick), x_axis.end, y_axis.to_pixels(tick), "grid")
        for tick in y_axis.ticks
    ]
    parts += [
        draw_text(x_axis.start - 8, y_axis.to_pixels(tick) + 4, format_y(tick), "tick", "end") for tick in y_axis.ticks
    ]
    parts += [
        draw_text(x_axis.to_pixels(tick), y_axis.start + 18, format_x(tick), "tick", "middle") for tick in x_axis.ticks
    ]
    parts += [
        draw_line(x_axis.to_pixels(tick), y_axis.start, x_axis.to_pixels(tick), y_axis.start + 4, "axis")
        for tick in x_axis.ticks
    ]
    parts.append(draw_line(x_axis.start, y_axis.start, x_axis.end, y_axis.start, "axis"))
    parts.append(draw_text((x_axis.start + x_axis.end) / 2, y_axis.start + 36, names[0], "name", "middle"))
    parts.append(draw_text(0, y_axis.end - 14, names[1], "name", "start"))
    return join_markup(parts)


def draw_count_axis(axis: ChartAxis, y: float, name: str) -> Markup:
    """Return a horizontal axis at ``y`` for counts, with tick labels and its ``name`` below."""
    parts = [draw_line(axis.start, y, axis.end, y, "axis")]
    for tick in axis.ticks:
        if tick == round(tick):
            x = axis.to_pixels(tick)
            parts += [
                draw_line(x, y, x, y + 4, "axis"),
                draw_text(x, y + 17, format_count(round(tick)), "tick", "middle"),
            ]
    parts.append(draw_text((axis.start + axis.end) / 2, y + 35, name, "name", "middle"))
    return join_markup(parts)


def _round_step(rough: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is at least about ``rough``."""
    power: float = 10.0 ** floor(log10(rough))
    return next(power * digit for digit in (1, 2, 2.5, 5, 10) if power * digit >= rough * 0.999)


def _format_attribute(value: str | float) -> str:
    """Return an attribute's value as text; numbers with at most two decimals."""
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
