"""The command ``lince compare``: compares runs on the same test images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import lince
from lince import fileio, outputs
from lince.cli.console import Console
from lince.cli.output_options import add_overwrite_option
from lince.cli.text_table import format_table
from lince.evaluation.report import render_comparison_html
from lince.evaluation.report.comparison_view import build_details_table
from lince.i18n import _
from lince.number_format import format_count


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince compare``."""
    parser.add_argument(
        "runs", nargs="+", metavar=_("RUN"), help=_("two or more training runs; the others are compared with the first")
    )
    parser.add_argument(
        "--shared", action="store_true", help=_("compare only on the test photos that all runs have in common")
    )
    parser.add_argument("--out", metavar=_("FILE"), help=_("write the comparison as an HTML page"))
    add_overwrite_option(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Compare the runs, print tables and outcomes, and write the HTML page of ``--out``.

    The JSON document is that of the comparison: ``count``, ``left_out`` and ``runs``, each with its metrics and its
    ``difference`` from the first run, and ``page`` where one was written.

    Raises ``UsageError`` and ``DataError`` as ``lince.compare`` does; a page is only written after a successful
    comparison.
    """
    if arguments.out:
        outputs.require_output_file(arguments.out, outputs.COMPARISON_PAGE, overwrite=arguments.overwrite)
    comparison = lince.compare(arguments.runs, shared_only=arguments.shared)
    view = comparison.build_view()
    document = comparison.to_dict()
    lines = [
        _("On the same {n} test images").format(n=format_count(comparison.count)) + ":",
        *format_table(view.runs.header, view.runs.rows),
        "",
        *_list_details(comparison),
        view.classes_title + ":",
        *format_table(view.classes.header, view.classes.rows),
        "",
        *view.outcomes,
    ]
    if arguments.out:
        fileio.write_text(Path(arguments.out), render_comparison_html(comparison))
        outputs.record_output(Path(arguments.out), outputs.COMPARISON_PAGE)
        document["page"] = arguments.out
        lines.append(_("Written: {path}").format(path=arguments.out))
    console.print_result(document, lines)


def _list_details(comparison: Any) -> list[str]:
    """Return the table of how the runs were trained, and an empty line; none where nothing is known of it."""
    if not getattr(comparison, "details", None):
        return []
    table = build_details_table(comparison)
    return [_("How the runs were trained") + ":", *format_table(table.header, table.rows), ""]
