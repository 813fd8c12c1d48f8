"""The command ``lince show``: draws images with their labels."""

from __future__ import annotations

import argparse

import lince
from lince import outputs
from lince.cli.console import Console
from lince.cli.options import add_data_options, get_data_options, parse_positive
from lince.cli.output_options import add_overwrite_option
from lince.i18n import _


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince show``."""
    parser.add_argument("data", metavar=_("DATA"), help=_("photos with their labels, in any format"))
    parser.add_argument(
        "--out", metavar=_("FILE"), default="sheet.png", help=_("output image, PNG or JPEG (default: sheet.png)")
    )
    parser.add_argument(
        "--count", type=parse_positive, default=24, metavar="N", help=_("number of photos (default: 24)")
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=_("random seed (default: 0)"))
    add_overwrite_option(parser)
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Draw the contact sheet and print its path.

    The JSON document has ``picture``, the path of the image. The terminal also shows how many images and objects were
    usable.
    """
    outputs.require_output_file(arguments.out, outputs.SHEET, overwrite=arguments.overwrite, sources=[arguments.data])
    dataset = lince.open(arguments.data, **get_data_options(arguments), progress=console)
    path = lince.show(
        dataset,
        out=arguments.out,
        count=arguments.count,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        progress=console,
    )
    lines = [dataset.summarise(), *dataset.describe_left_out(), _("Written: {path}").format(path=path)]
    console.print_result({"picture": str(path)}, lines)
