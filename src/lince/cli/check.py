"""``lince check``: what is wrong with a dataset, as a table, as a page with the pictures, and as JSON."""

from __future__ import annotations

import argparse

import lince
from lince.checks import CheckResult, Finding
from lince.cli.console import Console
from lince.cli.options import add_data_options, parse_merges, parse_positive
from lince.i18n import _
from lince.number_format import format_count

_MAX_EXAMPLES = 3  # examples of a finding on the terminal; the page and the JSON have more
DEFAULT_PAGE = "check.html"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince check``."""
    parser.add_argument("data", metavar=_("DATA"), help=_("photos with their labels, in any format"))
    parser.add_argument(
        "--out",
        metavar=_("FILE"),
        default=DEFAULT_PAGE,
        help=_("where the page with the pictures goes ({page})").format(page=DEFAULT_PAGE),
    )
    parser.add_argument(
        "--labels", action="store_true", help=_("look for labels that are probably wrong, too (takes a network)")
    )
    parser.add_argument(
        "--model", metavar=_("NAME"), default="small", help=_("the network that compares the photos (small)")
    )
    parser.add_argument(
        "--weights", metavar=_("FILE"), default="auto", help=_("its weights: auto, a file, or a folder of files")
    )
    parser.add_argument("--size", type=parse_positive, metavar="N", help=_("side of its input in pixels"))
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Look at all of it, print what was found and write the page."""
    dataset = lince.open(
        arguments.data,
        format=arguments.format,
        pattern=arguments.pattern,
        merge=parse_merges(arguments.merge),
        progress=console,
    )
    found = lince.check(
        dataset,
        out=arguments.out,
        labels=arguments.labels,
        model=arguments.model,
        weights=arguments.weights,
        size=arguments.size,
        progress=console,
    )
    document = {**found.to_dict(), "page": arguments.out}
    console.print_result(document, [*_report_lines(found), "", _("Page: {path}").format(path=arguments.out)])


def _report_lines(found: CheckResult) -> list[str]:
    lines = [found.dataset.summarise(), found.summarise()]
    for item in found.findings:
        lines += ["", *_finding_lines(item)]
    return lines


def _finding_lines(item: Finding) -> list[str]:
    lines = [f"{item.severity.get_label().upper()}  {item.title} ({format_count(item.count)})", f"  {item.text}"]
    shown = item.examples[:_MAX_EXAMPLES]
    lines += [f"    {example}" for example in shown]
    more = item.count - _MAX_EXAMPLES
    if item.examples and more > 0:
        lines.append(_("    and {more:,} more").format(more=more))
    return [*lines, f"  -> {item.advice}"]
