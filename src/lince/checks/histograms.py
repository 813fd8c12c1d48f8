"""Draws the charts of a dataset check as SVG: examples of each class, image sizes, box sizes, objects per image.

The bars get their colours from the style sheet of the page, by the CSS classes ``train``, ``val`` and ``test``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup

from lince.checks.dataset_stats import DatasetStats, Histogram
from lince.evaluation.report import svg
from lince.i18n import _
from lince.number_format import format_count, format_percent

WIDTH, HEIGHT = 460, 240  # of a chart, in SVG units
MAX_CLASSES = 40  # bars in the class chart
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, WIDTH - 12, 34, HEIGHT - 46
_MAX_LABEL_LENGTH = 20  # characters of a class name that fit beside a bar
# CSS class of each split's bars.
_STYLES = {"train": "train", "val": "val", "test": "test", "all": "val", "rest": "val"}


def draw_charts(statistics: DatasetStats) -> list[tuple[str, Markup]]:
    """Return the charts as (title, SVG).

    Image sizes are left out when all are equal, and charts of objects when the dataset has none.
    """
    charts = [(_("Class distribution"), draw_class_counts(statistics.counts))]
    if len(statistics.image_sides.counts) > 1:
        title = _("Image size (square root of width x height, in pixels)")
        charts.append((title, draw_histogram(statistics.image_sides, title, lambda value: format_count(round(value)))))
    if statistics.box_sides is not None:
        title = _("Box size (fraction of the image side)")
        charts.append((title, draw_histogram(statistics.box_sides, title, lambda value: format_percent(value, 0))))
    if statistics.objects_per_image is not None:
        title = _("Objects per image")
        charts.append(
            (title, draw_histogram(statistics.objects_per_image, title, lambda value: format_count(round(value))))
        )
    return charts


def draw_class_counts(counts: Mapping[str, Mapping[str, int]]) -> Markup:
    """Return a bar chart of the examples of each class, stacked by split; the ``MAX_CLASSES`` largest classes.

    ``counts`` maps a split to the number of examples by class name.
    """
    sums: dict[str, int] = {}
    for class_counts in counts.values():
        for name, count in class_counts.items():
            sums[name] = sums.get(name, 0) + count
    names = sorted(sums, key=lambda name: -sums[name])[:MAX_CLASSES]
    x_axis = svg.make_axis([0, *(sums[name] for name in names), 1], 150, WIDTH - 50)
    elements = [_draw_legend(list(counts))] if len(counts) > 1 else []
    for row, name in enumerate(names):
        elements += _draw_class_bar(name, 30 + 22 * row, x_axis, counts)
    return svg.make_svg(WIDTH, 36 + 22 * len(names), _("Class distribution"), *elements)


def draw_histogram(histogram: Histogram, title: str, format_value: Callable[[float], str]) -> Markup:
    """Return the histogram as an SVG bar chart; ``format_value`` writes the values below the bars."""
    edges, counts = histogram.edges.tolist(), histogram.counts.tolist()
    x_axis = svg.make_axis([edges[0], edges[-1]], _LEFT, _RIGHT, count=6)
    y_axis = svg.make_axis([0, max(*counts, 1)], _BOTTOM, _TOP, integer_ticks=True)
    elements = [svg.draw_axes(x_axis, y_axis, ("", ""), (format_value, lambda value: format_count(round(value))))]
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        x, width = x_axis.to_pixels(low) + 0.5, x_axis.to_pixels(high) - x_axis.to_pixels(low) - 1
        hint = _("{low} to {high}: {size}").format(
            low=format_value(low), high=format_value(high), size=format_count(count)
        )
        elements.append(
            svg.draw_bar(x, y_axis.to_pixels(count), width, _BOTTOM - y_axis.to_pixels(count), "part val", hint)
        )
    return svg.make_svg(WIDTH, HEIGHT - 20, title, *elements)


def translate_split(split: str) -> str:
    """Return the name of a split in the current language."""
    names = {"train": _("training"), "val": _("validation"), "test": _("test"), "rest": _("in no split")}
    return names.get(split, _("all"))


def _draw_class_bar(
    name: str, y: float, x_axis: svg.ChartAxis, counts: Mapping[str, Mapping[str, int]]
) -> list[Markup]:
    """Return the elements of one class: its name, a bar with a segment for each split, and the total."""
    label = name if len(name) <= _MAX_LABEL_LENGTH else name[: _MAX_LABEL_LENGTH - 1] + "…"
    elements, x, total = [svg.draw_text(142, y + 12, label, "label", "end")], x_axis.start, 0
    for split, class_counts in counts.items():
        count = class_counts.get(name, 0)
        width = x_axis.to_pixels(count) - x_axis.start
        hint = f"{name}, {translate_split(split)}: {format_count(count)}"
        elements.append(svg.draw_bar(x, y, width, 15, f"part {_STYLES.get(split, 'val')}", hint))
        x, total = x + width, total + count
    return [*elements, svg.draw_text(x + 6, y + 12, format_count(total), "tick", "start")]


def _draw_legend(splits: list[str]) -> Markup:
    """Return the legend with the colour of each split."""
    elements, x = [], 150.0
    for split in splits:
        name = translate_split(split)
        elements.append(svg.draw_bar(x, 4, 11, 11, f"part {_STYLES.get(split, 'val')}"))
        elements.append(svg.draw_text(x + 16, 14, name, "tick", "start"))
        x += 34 + 7.0 * len(name)
    return svg.join_markup(elements)
