"""The command ``lince similar``: finds the images that are most similar to a given one."""

from __future__ import annotations

import argparse

import lince
from lince import outputs
from lince.cli.console import Console
from lince.cli.options import parse_positive
from lince.cli.output_options import add_overwrite_option
from lince.i18n import _
from lince.number_format import format_decimal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince similar``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a training run or a model folder of a classifier"))
    parser.add_argument("photo", metavar=_("PHOTO"), help=_("the query photo"))
    parser.add_argument("where", nargs="+", metavar=_("FOLDER"), help=_("photos, folders, or patterns such as '*.jpg'"))
    parser.add_argument(
        "--top", type=parse_positive, default=10, metavar="N", help=_("number of results (default: 10)")
    )
    parser.add_argument(
        "--save", metavar=_("FILE"), help=_("save them side by side as an image: sheet.jpg or sheet.png")
    )
    add_overwrite_option(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Search, print the matches, and draw the contact sheet of ``--save``.

    The JSON document is that of ``SimilarityResult.to_dict`` (``similar`` with file and cosine similarity,
    ``rejected``, ...) with ``written``, the paths of the files. The most similar image is first.
    """
    if arguments.save:
        outputs.require_output_file(
            arguments.save,
            outputs.RESULT,
            overwrite=arguments.overwrite,
            sources=[arguments.photo, *arguments.where],
        )
    result = lince.similar(arguments.model, arguments.photo, arguments.where, arguments.top, console)
    for item in result.rejected:
        console.show_message(_("Skipped: {what}").format(what=item))
    lines = [f"{format_decimal(match.similarity)}  {match.name}" for match in result.matches]
    lines.append(_("Most similar of {count:,} photos").format(count=result.searched_count))
    written = [str(result.save(arguments.save, overwrite=arguments.overwrite))] if arguments.save else []
    lines += [_("Written: {path}").format(path=path) for path in written]
    console.print_result({**result.to_dict(), "written": written}, lines)
