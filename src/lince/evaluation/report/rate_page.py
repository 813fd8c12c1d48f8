"""Draws the page of a learning rate test: the loss against the rate, the suggestion, and what was measured."""

from __future__ import annotations

from math import log10

from markupsafe import Markup

from lince.evaluation.rate_test import HIGHEST_RATE, RateSearch, RateTest
from lince.evaluation.report import charts, svg, texts
from lince.evaluation.report.charts import ChartSeries
from lince.evaluation.report.html import get_jinja_environment
from lince.i18n import _, localise_number
from lince.number_format import format_count, format_decimal

_LEFT, _RIGHT = 52, charts.WIDTH - 12
_SCALE = 1.5  # of the first loss: what is drawn at most, so that a divergence does not flatten the rest


def render_rate_page(search: RateSearch) -> str:
    """Return ``search`` as an HTML page in the current language."""
    return (
        get_jinja_environment()
        .get_template("rate.html.j2")
        .render(
            search=search,
            sections=[
                {
                    "title": texts.translate_recipe(test.recipe),
                    "sentences": describe_rate_test(test),
                    "chart": draw_rate_test(test),
                    "facts": list_rate_facts(test),
                    "basis": describe_basis(test),
                }
                for test in search.tests
            ],
        )
    )


def describe_rate_test(test: RateTest) -> list[str]:
    """Return what follows from ``test``, in sentences: the suggestion and how it compares with lince's own choice."""
    planned = format_rate(test.planned_rate)
    suggested = test.suggested_rate
    if suggested is None:
        return [
            _(
                "No learning rate can be suggested: at none of them the loss fell by more than it differs from batch "
                "to batch. Keep {planned}, which lince chooses by itself."
            ).format(planned=planned)
        ]
    lines = [
        _("Suggested learning rate: {rate}, half of {lowest}, where the loss was lowest.").format(
            rate=format_rate(suggested), lowest=format_rate(test.lowest_rate)
        )
    ]
    if test.agrees_with_plan:
        lines.append(
            _("Lince chooses {planned} by itself, which is about the same: less than 3 times more or less.").format(
                planned=planned
            )
        )
    else:
        lines.append(
            _(
                "Lince chooses {planned} by itself. To train with the suggestion: --lr {rate}, in Python lr={rate}."
            ).format(planned=planned, rate=f"{suggested:g}")
        )
    return lines


def list_rate_lines(search: RateSearch) -> list[str]:
    """Return what ``search`` found, as lines of a terminal: of each recipe its name, the suggestion, and the basis."""
    lines = []
    for test in search.tests:
        if len(search.tests) > 1:
            lines += ["", _("Recipe: {recipe}").format(recipe=test.recipe)]
        lines += [*describe_rate_test(test), describe_basis(test)]
    return [*lines, _("No run was written, and a training is not changed by this test.")]


def describe_basis(test: RateTest) -> str:
    """Return the sentence that says how many steps and photos ``test`` stands on."""
    return _("{steps} steps of up to {batch} photos, drawn from the {train} training photos.").format(
        steps=format_count(len(test.rates)), batch=format_count(test.batch_size), train=format_count(test.train_count)
    )


def list_rate_facts(test: RateTest) -> list[tuple[str, str]]:
    """Return the figures of ``test`` as pairs of name and text."""
    smooth = test.smooth_losses
    return [
        (_("suggested rate"), "–" if test.suggested_rate is None else format_rate(test.suggested_rate)),
        (_("chosen by lince itself"), format_rate(test.planned_rate)),
        (_("rate with the lowest loss"), format_rate(test.lowest_rate)),
        (_("rates tried"), f"{format_rate(test.rates[0])} – {format_rate(test.rates[-1])}"),
        (_("ended"), _describe_end(test)),
        (
            _("loss, smoothed"),
            _("from {first} to {lowest}").format(
                first=format_decimal(smooth[0], 3), lowest=format_decimal(min(smooth), 3)
            ),
        ),
        (_("photos drawn, each time counted"), format_count(test.drawn_count)),
        (_("seed"), str(test.seed)),
    ]


def draw_rate_test(test: RateTest) -> Markup:
    """Return the loss against the learning rate, on a logarithmic scale, with the suggestion marked.

    Losses far above the first one are cut off at the top of the chart.
    """
    smooth, x = test.smooth_losses, [log10(rate) for rate in test.rates]
    top = _SCALE * smooth[0]
    drawn = [min(loss, top) for loss in smooth], [min(loss, top) for loss in test.losses]
    series = [
        ChartSeries(name, style, tuple(zip(x, losses, strict=True)))
        for name, style, losses in ((_("smoothed"), "val", drawn[0]), (_("each step"), "faint", drawn[1]))
    ]
    x_axis = svg.make_axis([*x[:1], log10(HIGHEST_RATE)], _LEFT, _RIGHT, count=6, integer_ticks=True)
    suggested = test.suggested_rate
    mark = None if suggested is None else (log10(suggested), format_rate(suggested))
    return charts.draw_lines(
        series, x_axis, (_("Learning rate"), _("Loss")), (lambda power: format_rate(10**power), format_decimal), mark
    )


def format_rate(rate: float) -> str:
    """Return a learning rate with two significant digits in the current language, small ones as "1.2e-05"."""
    return localise_number(f"{rate:.2g}")


def _describe_end(test: RateTest) -> str:
    """Return why the test ended: at the highest rate, or earlier because the loss rose."""
    if test.has_diverged:
        return _("the loss rose to 4 times its lowest value")
    return _("at the highest rate")
