"""The command ``lince demo``: trains, evaluates and predicts on built-in handwritten digits."""

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
    """Train on the built-in digits and print the result.

    The JSON document is that of ``lince train`` with ``sheet``, the contact sheet of the predicted test digits. Needs
    no network access; see ``lince.demo``.
    """
    finished_run = lince.demo(out=arguments.out, progress=console)
    document, lines = describe_run(finished_run, photos=str(finished_run.folder / "photos"))
    sheet = finished_run.folder / "answers" / "sheet.jpg"
    console.print_result(
        {**document, "sheet": str(sheet)},
        [*lines, _("Predictions for some of the test digits: {path}").format(path=sheet)],
    )
