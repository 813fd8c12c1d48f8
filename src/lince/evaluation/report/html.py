"""Renders reports and comparisons as single HTML files without scripts or external resources."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lince import fileio, images, number_format
from lince.errors import DataError
from lince.evaluation.report import charts, texts
from lince.evaluation.report.charts import round_track_start
from lince.evaluation.report.comparison_charts import draw_run_curves
from lince.evaluation.report.comparison_view import build_details_table
from lince.i18n import _, get_language

if TYPE_CHECKING:
    from lince.evaluation.report.report import Report

_OPTION = re.compile(r"--[a-z][a-z0-9-]*")
_MAX_PIXELATED_SIDE = 64  # pixels; up to this size, images are enlarged without smoothing


def render_html(report: Report) -> str:
    """Return ``report`` as an HTML page in the current language."""
    template = get_jinja_environment().get_template(report.html_template)
    return template.render(
        report=report, metrics=report.metrics, number=make_numbering(), **report.build_html_context()
    )


def write_html(report: Report, path: Path) -> None:
    """Write ``report`` to ``path`` as HTML, atomically."""
    fileio.write_text(Path(path), render_html(report))


def render_comparison_html(comparison: Any) -> str:
    """Return ``comparison``, of any task, as an HTML page in the current language.

    The bars of the intervals start below the lowest of them, so that small differences can be seen.
    """
    template = get_jinja_environment().get_template("comparison.html.j2")
    view = comparison.build_view()
    run_details = getattr(comparison, "details", {})
    return template.render(
        details=build_details_table(comparison) if run_details else None,
        curves=draw_run_curves(run_details),
        number=make_numbering(),
        comparison=comparison,
        view=view,
        changed=view.changed_runs,
        track_from=round_track_start(interval.low for interval in view.intervals),
    )


def make_numbering() -> Callable[[], int]:
    """Return a function that counts from 1: the variable ``number`` of a page, for the ids of its pictures."""
    return partial(next, count(1))


@cache
def get_jinja_environment(*packages: str) -> Environment:
    """Return the environment that renders the templates of ``packages`` (dotted names) and those that all pages share.

    HTML is escaped, and an undefined variable is an error. The environment of the same packages is made once.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "lince.evaluation.report")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(
        {
            "_": _,
            "language": get_language,
            "texts": texts,
            "encode_data_uri": encode_data_uri,
            "get_display_size": get_display_size,
        }
    )
    formatters = (
        number_format.format_count,
        number_format.format_decimal,
        number_format.format_duration,
        number_format.format_percent,
        charts.draw_interval_bar,
    )
    environment.globals.update({function.__name__: function for function in formatters})
    environment.filters["keep_options"] = keep_options
    return environment


def keep_options(text: str) -> Markup:
    """Return ``text``, escaped, whose ``--options`` a browser does not break at their hyphens."""
    return Markup(_OPTION.sub(r'<span class="option">\g<0></span>', str(escape(text))))  # noqa: S704


def encode_data_uri(image: bytes) -> str:
    """Return a JPEG or PNG as a ``data:`` URI, so that the page needs no other file.

    Raises ``DataError`` for any other content.
    """
    kind = images.detect_format(image)
    if kind not in ("jpeg", "png"):
        raise DataError(_("A picture of the report is neither JPEG nor PNG."))
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def get_display_size(image: bytes) -> dict[str, Any]:
    """Return ``width`` and ``height`` in pixels, and ``tiny``: whether the image is shown with visible pixels."""
    height, width = images.read_size(image)
    return {"width": width, "height": height, "tiny": max(width, height) <= _MAX_PIXELATED_SIDE}
