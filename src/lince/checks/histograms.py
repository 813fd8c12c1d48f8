"""Draws the charts of a dataset check as SVG: examples of each class, sizes, positions and shapes, objects per image.

The bars get their colours from the style sheet of the page, by the CSS classes ``train``, ``val``, ``test``, ``all``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup

from lince.checks.dataset_stats import DatasetStats, HeatMap, Histogram
from lince.evaluation.report import svg
from lince.i18n import _
from lince.number_format import format_count, format_percent

WIDTH, HEIGHT = 460, 240  # of a chart, in SVG units
MAX_CLASSES = 40  # bars in the class chart
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, WIDTH - 12, 34, HEIGHT - 46
_MAX_LABEL_LENGTH = 20  # characters of a class name that fit beside a bar
# CSS class of each split's bars.
_STYLES = {"train": "train", "val": "val", "test": "test", "all": "all", "rest": "rest"}


def draw_charts(statistics: DatasetStats) -> list[tuple[str, Markup]]:
    """Return the charts as (title, SVG).

    Image sizes are left out when all are equal, and charts of objects when the dataset has none.
    """
    is_boxes = statistics.objects is not None and statistics.pixels is None
    counted = _("Objects") if is_boxes else _("Images")
    charts = [(_("Class distribution"), draw_class_counts(statistics.counts, counted))]
    if len(statistics.image_sides.counts) > 1:
        title = _("Image size (square root of width x height, in pixels)")
        names = (_("Side in pixels"), _("Images"))
        charts.append((title, draw_histogram(statistics.image_sides, title, names, _format_whole)))
    if statistics.box_sides is not None:
        title = _("Box size (fraction of the image side)")
        names = (_("Side (of the image's)"), _("Boxes"))
        charts.append((title, draw_histogram(statistics.box_sides, title, names, _format_share)))
    if statistics.pixels is not None:
        charts.append((_("Pixels of each class"), _draw_pixels(statistics.pixels)))
    if statistics.mask_sides is not None:
        title = _("Mask size (square root of its area, fraction of the image side)")
        names = (_("Side (of the image's)"), _("Masks"))
        charts.append((title, draw_histogram(statistics.mask_sides, title, names, _format_share)))
    if statistics.objects_per_image is not None:
        title = _("Objects per image")
        names = (_("Objects"), _("Images"))
        charts.append((title, draw_histogram(statistics.objects_per_image, title, names, _format_whole)))
    if statistics.box_centres is not None:
        title, names = _("Where the boxes lie"), (_("Centre (of the width)"), _("Centre (of the height)"))
        charts.append((title, draw_heat_map(statistics.box_centres, title, names, is_upside_down=True)))
    if statistics.box_shapes is not None:
        title, names = _("Width and height of the boxes"), (_("Width (of the image's)"), _("Height (of the image's)"))
        charts.append((title, draw_heat_map(statistics.box_shapes, title, names)))
    return charts


def _draw_pixels(pixels: Mapping[str, int]) -> Markup:
    """Return a bar chart of ``pixels`` by class, in thousands; the background and void are told by their names."""
    names = {"background": _("background"), "void": _("void")}
    thousands = {names.get(name, name): round(count / 1000) for name, count in pixels.items()}
    return draw_class_counts({"all": thousands}, _("Pixels (thousands)"))


def draw_class_counts(counts: Mapping[str, Mapping[str, int]], axis_name: str) -> Markup:
    """Return a bar chart of the examples of each class, stacked by split; the ``MAX_CLASSES`` largest classes.

    ``counts`` maps a split to the number of examples by class name; ``axis_name`` says what is counted.
    """
    sums: dict[str, int] = {}
    for class_counts in counts.values():
        for name, count in class_counts.items():
            sums[name] = sums.get(name, 0) + count
    names = sorted(sums, key=lambda name: -sums[name])[:MAX_CLASSES]
    x_axis = svg.make_axis([0, *(sums[name] for name in names), 1], 150, WIDTH - 50, count=4)
    bottom = 34 + 22 * len(names)
    elements = [_draw_legend(list(counts))] if len(counts) > 1 else []
    for row, name in enumerate(names):
        elements += _draw_class_bar(name, 30 + 22 * row, x_axis, counts)
    elements.append(svg.draw_count_axis(x_axis, bottom, axis_name))
    return svg.make_svg(WIDTH, bottom + 42, _("Class distribution"), *elements)


def draw_histogram(
    histogram: Histogram, title: str, names: tuple[str, str], format_value: Callable[[float], str]
) -> Markup:
    """Return the histogram as an SVG bar chart with the axis ``names``; ``format_value`` writes the values of x."""
    edges, counts = histogram.edges.tolist(), histogram.counts.tolist()
    x_axis = svg.make_axis([edges[0], edges[-1]], _LEFT, _RIGHT, 6, integer_ticks=format_value is _format_whole)
    y_axis = svg.make_axis([0, max(*counts, 1)], _BOTTOM, _TOP, integer_ticks=True)
    elements = [svg.draw_axes(x_axis, y_axis, names, (format_value, _format_whole))]
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        x, width = x_axis.to_pixels(low) + 0.5, x_axis.to_pixels(high) - x_axis.to_pixels(low) - 1
        hint = _("{low} to {high}: {size}").format(
            low=format_value(low), high=format_value(high), size=format_count(count)
        )
        elements.append(
            svg.draw_bar(x, y_axis.to_pixels(count), width, _BOTTOM - y_axis.to_pixels(count), "part all", hint)
        )
    return svg.make_svg(WIDTH, HEIGHT, title, *elements)


def draw_heat_map(heat_map: HeatMap, title: str, names: tuple[str, str], is_upside_down: bool = False) -> Markup:
    """Return the counts as squares, the darker the more, with the axis ``names`` (x, y) in percent of the image.

    With ``is_upside_down`` y is counted from the top, as positions on an image are.
    """
    rows, columns = heat_map.counts.shape
    side, top = 280.0, 26.0
    ticks = (0, 0.25, 0.5, 0.75, 1)
    x_axis = svg.ChartAxis(0, 1, _LEFT, _LEFT + side, ticks)
    y_axis = svg.ChartAxis(0, 1, top + side, top, ticks)
    highest = max(int(heat_map.counts.max(initial=0)), 1)

    def format_y(value: float) -> str:
        return _format_share(1 - value if is_upside_down else value)

    elements = [svg.draw_axes(x_axis, y_axis, names, (_format_share, format_y))]
    for row, column in zip(*heat_map.counts.nonzero(), strict=True):
        count = int(heat_map.counts[row, column])
        x, y = x_axis.start + column * side / columns, top + row * side / rows
        square = svg.draw_bar(x, y, side / columns, side / rows, "heat", format_count(count))
        elements.append(svg.make_tag("g", square, opacity=0.12 + 0.88 * (count / highest) ** 0.5))
    description = _("{title}: at most {n} in one square").format(title=title, n=format_count(highest))
    return svg.make_svg(x_axis.end + 24, top + side + 44, description, *elements, class_="chart square")


def _format_whole(value: float) -> str:
    """Return ``value`` rounded and formatted as a count."""
    return format_count(round(value))


def _format_share(value: float) -> str:
    """Return a fraction as a whole percentage."""
    return format_percent(value, 0)


def translate_split(split: str) -> str:
    """Return the name of a split in the current language."""
    names = {"train": _("training"), "val": _("validation"), "test": _("test"), "rest": _("in no split")}
    return names.get(split, _("all"))


def _draw_class_bar(
    name: str, y: float, x_axis: svg.ChartAxis, counts: Mapping[str, Mapping[str, int]]
) -> list[Markup]:
    """Return the elements of one class: its name, a bar with a segment for each split, and the total."""
    label = name if len(name) <= _MAX_LABEL_LENGTH else name[: _MAX_LABEL_LENGTH - 1] + "…"
    elements, x, total = [svg.draw_text(142, y + 12, label, "label", "end", tooltip=name)], x_axis.start, 0
    for split, class_counts in counts.items():
        count = class_counts.get(name, 0)
        width = x_axis.to_pixels(count) - x_axis.start
        hint = f"{name}, {translate_split(split)}: {format_count(count)}"
        elements.append(svg.draw_bar(x, y, width, 15, f"part {_STYLES.get(split, 'all')}", hint))
        x, total = x + width, total + count
    return [*elements, svg.draw_text(x + 6, y + 12, format_count(total), "tick", "start")]


def _draw_legend(splits: list[str]) -> Markup:
    """Return the legend with the colour of each split."""
    elements, x = [], 150.0
    for split in splits:
        name = translate_split(split)
        elements.append(svg.draw_bar(x, 4, 11, 11, f"part {_STYLES.get(split, 'all')}"))
        elements.append(svg.draw_text(x + 16, 14, name, "tick", "start"))
        x += 34 + 7.0 * len(name)
    return svg.join_markup(elements)
