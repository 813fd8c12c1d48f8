"""``lince compare``: is one run better than another on the same test photos, or was it luck?"""

from __future__ import annotations

import argparse
from pathlib import Path

import lince
from lince import files
from lince.cli.console import Console
from lince.cli.table import columns
from lince.evaluation.figures import count
from lince.evaluation.report import render_comparison, side_by_side
from lince.messages import _


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince compare``."""
    parser.add_argument(
        "runs", nargs="+", metavar=_("RUN"), help=_("two runs or more; the others are held against the first")
    )
    parser.add_argument("--shared", action="store_true", help=_("use the test photos that all runs share"))
    parser.add_argument("--out", metavar=_("FILE"), help=_("write the comparison as a page (HTML)"))


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Compare, print the table and the verdicts, and write the page when one is wanted."""
    found = lince.compare(arguments.runs, shared_only=arguments.shared)
    shown = side_by_side(found)
    document = found.record()
    lines = [
        _("On the same {n} test images").format(n=count(found.count)) + ":",
        *columns(shown.runs.header, shown.runs.rows),
        "",
        shown.classes_title + ":",
        *columns(shown.classes.header, shown.classes.rows),
        "",
        *shown.verdicts,
    ]
    if arguments.out:
        files.write_text(Path(arguments.out), render_comparison(found))
        document["page"] = arguments.out
        lines.append(_("Written: {path}").format(path=arguments.out))
    console.result(document, lines)
