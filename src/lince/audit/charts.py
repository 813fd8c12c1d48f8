"""The charts of a check: examples of each class, sizes of photos and boxes, boxes per photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup

from lince.audit.statistics import Histogram, Statistics
from lince.evaluation.figures import count, percent
from lince.evaluation.report import svg
from lince.messages import _

WIDTH, HEIGHT = 460, 240
MOST_CLASSES = 40
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, WIDTH - 12, 34, HEIGHT - 46
_LABEL = 20  # letters of a class name that fit beside a bar
_STYLES = {"train": "train", "val": "val", "test": "test", "all": "val", "rest": "val"}


def drawn(statistics: Statistics) -> list[tuple[str, Markup]]:
    """Return the charts that there is something to show on, each with its title."""
    charts = [(_("Examples of each class"), class_counts(statistics.counts))]
    if len(statistics.photo_sides.counts) > 1:
        title = _("Size of the photos (square root of width x height, pixels)")
        charts.append((title, histogram(statistics.photo_sides, title, lambda value: count(round(value)))))
    if statistics.box_sides is not None:
        title = _("Size of the boxes (share of the photo's side)")
        charts.append((title, histogram(statistics.box_sides, title, lambda value: percent(value, 0))))
    if statistics.per_photo is not None:
        title = _("Objects on a photo")
        charts.append((title, histogram(statistics.per_photo, title, lambda value: count(round(value)))))
    return charts


def class_counts(counts: Mapping[str, Mapping[str, int]]) -> Markup:
    """Return one bar for each class, the largest first, divided by part; at most 40 classes."""
    sums: dict[str, int] = {}
    for of in counts.values():
        for name, size in of.items():
            sums[name] = sums.get(name, 0) + size
    names = sorted(sums, key=lambda name: -sums[name])[:MOST_CLASSES]
    across = svg.axis([0, *(sums[name] for name in names), 1], 150, WIDTH - 50)
    parts = [_legend(list(counts))] if len(counts) > 1 else []
    for row, name in enumerate(names):
        parts += _bar(name, 30 + 22 * row, across, counts)
    return svg.drawing(WIDTH, 36 + 22 * len(names), _("Examples of each class"), *parts)


def histogram(shown: Histogram, title: str, say: Callable[[float], str]) -> Markup:
    """Return the bars of ``shown``; ``say`` writes the values along the foot."""
    edges, sizes = shown.edges.tolist(), shown.counts.tolist()
    across = svg.axis([edges[0], edges[-1]], _LEFT, _RIGHT, count=6)
    up = svg.axis([0, max(*sizes, 1)], _BOTTOM, _TOP, whole=True)
    parts = [svg.frame(across, up, ("", ""), (say, lambda value: count(round(value))))]
    for low, high, size in zip(edges[:-1], edges[1:], sizes, strict=True):
        x, wide = across.at(low) + 0.5, across.at(high) - across.at(low) - 1
        hint = _("{low} to {high}: {size}").format(low=say(low), high=say(high), size=count(size))
        parts.append(svg.bar(x, up.at(size), wide, _BOTTOM - up.at(size), "part val", hint))
    return svg.drawing(WIDTH, HEIGHT - 20, title, *parts)


def part_name(part: str) -> str:
    """Return the name of a part for people."""
    names = {"train": _("training"), "val": _("validation"), "test": _("test"), "rest": _("in no part")}
    return names.get(part, _("all"))


def _bar(name: str, y: float, across: svg.Axis, counts: Mapping[str, Mapping[str, int]]) -> list[Markup]:
    shown = name if len(name) <= _LABEL else name[: _LABEL - 1] + "…"
    parts, x, total = [svg.text(142, y + 12, shown, "label", "end")], across.start, 0
    for part, of in counts.items():
        size = of.get(name, 0)
        wide = across.at(size) - across.start
        hint = f"{name}, {part_name(part)}: {count(size)}"
        parts.append(svg.bar(x, y, wide, 15, f"part {_STYLES.get(part, 'val')}", hint))
        x, total = x + wide, total + size
    return [*parts, svg.text(x + 6, y + 12, count(total), "tick", "start")]


def _legend(parts: list[str]) -> Markup:
    drawn_parts, x = [], 150.0
    for part in parts:
        name = part_name(part)
        drawn_parts.append(svg.bar(x, 4, 11, 11, f"part {_STYLES.get(part, 'val')}"))
        drawn_parts.append(svg.text(x + 16, 14, name, "tick", "start"))
        x += 34 + 7.0 * len(name)
    return svg.together(drawn_parts)
