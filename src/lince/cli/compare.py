"""``lince compare``: is one run better than another on the same test photos, or was it luck?"""

from __future__ import annotations

import argparse
from pathlib import Path

import lince
from lince import fileio
from lince.cli.console import Console
from lince.cli.text_table import format_table
from lince.evaluation.report import render_comparison_html
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


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Compare, print the table and the verdicts, and write the page when one is wanted."""
    found = lince.compare(arguments.runs, shared_only=arguments.shared)
    shown = found.build_view()
    document = found.to_dict()
    lines = [
        _("On the same {n} test images").format(n=format_count(found.count)) + ":",
        *format_table(shown.runs.header, shown.runs.rows),
        "",
        shown.classes_title + ":",
        *format_table(shown.classes.header, shown.classes.rows),
        "",
        *shown.outcomes,
    ]
    if arguments.out:
        fileio.write_text(Path(arguments.out), render_comparison_html(found))
        document["page"] = arguments.out
        lines.append(_("Written: {path}").format(path=arguments.out))
    console.print_result(document, lines)
