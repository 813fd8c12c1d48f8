"""``lince check``: what is wrong with a dataset, as a table, as a page with the pictures, and as JSON."""

from __future__ import annotations

import argparse

import lince
from lince.checks import CheckFinding, CheckResult
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
        help=_("output HTML page (default: {page})").format(page=DEFAULT_PAGE),
    )
    parser.add_argument("--labels", action="store_true", help=_("also look for probable label errors (uses a network)"))
    parser.add_argument(
        "--model", metavar=_("NAME"), default="small", help=_("network that extracts the features (default: small)")
    )
    parser.add_argument(
        "--weights",
        metavar=_("FILE"),
        default="auto",
        help=_("its weights: auto, a file, or a folder of files (default: auto)"),
    )
    parser.add_argument(
        "--size", type=parse_positive, metavar="N", help=_("its input size in pixels (default: that of the network)")
    )
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


def _finding_lines(item: CheckFinding) -> list[str]:
    lines = [f"{item.severity.get_label().upper()}  {item.title} ({format_count(item.count)})", f"  {item.text}"]
    shown = item.examples[:_MAX_EXAMPLES]
    lines += [f"    {example}" for example in shown]
    more = item.count - _MAX_EXAMPLES
    if item.examples and more > 0:
        lines.append(_("    and {more:,} more").format(more=more))
    return [*lines, f"  -> {' '.join(item.advice)}"]
