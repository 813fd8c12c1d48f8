"""``lince demo``: everything once, on handwritten digits that come along."""

from __future__ import annotations

import argparse

import lince
from lince.cli.console import Console
from lince.cli.run_summary import describe_run
from lince.i18n import _


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince demo``."""
    parser.add_argument(
        "--out", metavar=_("DIR"), help=_("output folder of the run, new (default: runs/train, runs/train2, ...)")
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Train on the built-in digits and print what came out."""
    console.show_message(_("Training a small network on 1,797 handwritten digits."))
    finished = lince.demo(out=arguments.out, progress=console)
    document, lines = describe_run(finished, photos=str(finished.folder / "photos"))
    sheet = finished.folder / "answers" / "sheet.jpg"
    console.print_result(
        {**document, "sheet": str(sheet)},
        [*lines, _("Predictions for some of the test digits: {path}").format(path=sheet)],
    )
