"""The charts of a check: examples of each class, sizes of photos and boxes, boxes per photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup

from lince.checks.dataset_stats import DatasetStats, Histogram
from lince.evaluation.report import svg
from lince.i18n import _
from lince.number_format import format_count, format_percent

WIDTH, HEIGHT = 460, 240
MAX_CLASSES = 40
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, WIDTH - 12, 34, HEIGHT - 46
_MAX_LABEL_LENGTH = 20  # letters of a class name that fit beside a bar
_STYLES = {"train": "train", "val": "val", "test": "test", "all": "val", "rest": "val"}


def draw_charts(statistics: DatasetStats) -> list[tuple[str, Markup]]:
    """Return the charts that there is something to show on, each with its title."""
    charts = [(_("Examples of each class"), draw_class_counts(statistics.counts))]
    if len(statistics.image_sides.counts) > 1:
        title = _("Size of the photos (square root of width x height, pixels)")
        charts.append((title, draw_histogram(statistics.image_sides, title, lambda value: format_count(round(value)))))
    if statistics.box_sides is not None:
        title = _("Size of the boxes (share of the photo's side)")
        charts.append((title, draw_histogram(statistics.box_sides, title, lambda value: format_percent(value, 0))))
    if statistics.objects_per_image is not None:
        title = _("Objects on a photo")
        charts.append(
            (title, draw_histogram(statistics.objects_per_image, title, lambda value: format_count(round(value))))
        )
    return charts


def draw_class_counts(counts: Mapping[str, Mapping[str, int]]) -> Markup:
    """Return one bar for each class, the largest first, divided by part; at most 40 classes."""
    sums: dict[str, int] = {}
    for of in counts.values():
        for name, size in of.items():
            sums[name] = sums.get(name, 0) + size
    names = sorted(sums, key=lambda name: -sums[name])[:MAX_CLASSES]
    across = svg.make_axis([0, *(sums[name] for name in names), 1], 150, WIDTH - 50)
    parts = [_draw_legend(list(counts))] if len(counts) > 1 else []
    for row, name in enumerate(names):
        parts += _draw_class_bar(name, 30 + 22 * row, across, counts)
    return svg.make_svg(WIDTH, 36 + 22 * len(names), _("Examples of each class"), *parts)


def draw_histogram(shown: Histogram, title: str, say: Callable[[float], str]) -> Markup:
    """Return the bars of ``shown``; ``say`` writes the values along the foot."""
    edges, sizes = shown.edges.tolist(), shown.counts.tolist()
    across = svg.make_axis([edges[0], edges[-1]], _LEFT, _RIGHT, count=6)
    up = svg.make_axis([0, max(*sizes, 1)], _BOTTOM, _TOP, whole=True)
    parts = [svg.draw_axes(across, up, ("", ""), (say, lambda value: format_count(round(value))))]
    for low, high, size in zip(edges[:-1], edges[1:], sizes, strict=True):
        x, wide = across.to_pixels(low) + 0.5, across.to_pixels(high) - across.to_pixels(low) - 1
        hint = _("{low} to {high}: {size}").format(low=say(low), high=say(high), size=format_count(size))
        parts.append(svg.draw_bar(x, up.to_pixels(size), wide, _BOTTOM - up.to_pixels(size), "part val", hint))
    return svg.make_svg(WIDTH, HEIGHT - 20, title, *parts)


def translate_split(part: str) -> str:
    """Return the name of a part for people."""
    names = {"train": _("training"), "val": _("validation"), "test": _("test"), "rest": _("in no part")}
    return names.get(part, _("all"))


def _draw_class_bar(name: str, y: float, across: svg.Axis, counts: Mapping[str, Mapping[str, int]]) -> list[Markup]:
    shown = name if len(name) <= _MAX_LABEL_LENGTH else name[: _MAX_LABEL_LENGTH - 1] + "…"
    parts, x, total = [svg.draw_text(142, y + 12, shown, "label", "end")], across.start, 0
    for part, of in counts.items():
        size = of.get(name, 0)
        wide = across.to_pixels(size) - across.start
        hint = f"{name}, {translate_split(part)}: {format_count(size)}"
        parts.append(svg.draw_bar(x, y, wide, 15, f"part {_STYLES.get(part, 'val')}", hint))
        x, total = x + wide, total + size
    return [*parts, svg.draw_text(x + 6, y + 12, format_count(total), "tick", "start")]


def _draw_legend(parts: list[str]) -> Markup:
    drawn_parts, x = [], 150.0
    for part in parts:
        name = translate_split(part)
        drawn_parts.append(svg.draw_bar(x, 4, 11, 11, f"part {_STYLES.get(part, 'val')}"))
        drawn_parts.append(svg.draw_text(x + 16, 14, name, "tick", "start"))
        x += 34 + 7.0 * len(name)
    return svg.join_markup(drawn_parts)
