"""The command ``lince augment``: previews an augmentation policy."""

from __future__ import annotations

import argparse

import lince
from lince import outputs
from lince.cli.console import Console
from lince.cli.options import add_aliased_option, add_data_options, get_data_options, parse_positive
from lince.cli.output_options import add_overwrite_option
from lince.i18n import _


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince augment``."""
    parser.add_argument(
        "data", metavar=_("DATA"), help=_("a folder, a CSV file, idx files, or lince:digits (built in)")
    )
    parser.add_argument(
        "--out", metavar=_("FILE"), default="sheet.png", help=_("output image, PNG or JPEG (default: sheet.png)")
    )
    parser.add_argument(
        "--augment",
        metavar=_("LIST"),
        default="medium",
        help=_("none, light, medium, strong, digits, or a list: 'rotation 15, zoom 0.1' (default: medium)"),
    )
    add_aliased_option(
        parser,
        "size",
        type=parse_positive,
        metavar=_("PIXELS"),
        help=_("side of each image in pixels (default: that of the photos)"),
    )
    parser.add_argument("--count", type=parse_positive, default=6, metavar="N", help=_("number of photos (default: 6)"))
    parser.add_argument(
        "--copies", type=parse_positive, default=6, metavar="N", help=_("augmented copies of each photo (default: 6)")
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=_("random seed (default: 0)"))
    add_overwrite_option(parser)
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Draw the preview and print its path.

    The JSON document has ``picture``, the path of the image, ``augment``, the policy as given, and ``used``, the
    sentence of ``Dataset.summarise``, which is printed where photos were left out. By default the policy is ``medium``
    on six images with six copies each. Raises what ``lince.augment`` raises.
    """
    outputs.require_output_file(arguments.out, outputs.SHEET, overwrite=arguments.overwrite, sources=[arguments.data])
    dataset = lince.open(arguments.data, **get_data_options(arguments), progress=console)
    path = lince.augment(
        dataset,
        arguments.augment,
        out=arguments.out,
        size=arguments.size,
        count=arguments.count,
        copies=arguments.copies,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        progress=console,
    )
    used = dataset.summarise()
    record = {"picture": str(path), "augment": arguments.augment, "used": used}
    left_out = [used, *dataset.describe_left_out()] if dataset.rejected else []
    console.print_result(record, [*left_out, _("Written: {path}").format(path=path)])
