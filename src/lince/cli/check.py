"""The command ``lince check``: faults of a dataset as lines, as an HTML page, and as JSON."""

from __future__ import annotations

import argparse

import lince
from lince import outputs
from lince.checks import CheckFinding, CheckResult
from lince.cli.console import Console
from lince.cli.options import add_aliased_option, add_data_options, get_data_options, parse_positive
from lince.cli.output_options import add_overwrite_option
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
        "--model", metavar=_("NAME"), default="lite", help=_("network that extracts the features (default: lite)")
    )
    parser.add_argument(
        "--weights",
        metavar=_("FILE"),
        default="auto",
        help=_("its weights: auto, a file, or a folder of files (default: auto)"),
    )
    add_aliased_option(
        parser,
        "size",
        type=parse_positive,
        metavar="N",
        help=_("its input size in pixels (default: that of the network)"),
    )
    add_overwrite_option(parser)
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Check the dataset, print the findings and write the page.

    The JSON document is that of ``CheckResult.to_dict`` (``findings``, ``statistics``, ``used``, ``total``, ...) with
    ``page``, the path of the HTML page. The terminal shows up to three examples of each finding; page and document have
    more.

    Raises ``DataError`` when the labels cannot be read; findings themselves are no error.
    """
    outputs.require_output_file(
        arguments.out, outputs.CHECK_PAGE, overwrite=arguments.overwrite, sources=[arguments.data]
    )
    dataset = lince.open(arguments.data, **get_data_options(arguments), progress=console)
    result = lince.check(
        dataset,
        out=arguments.out,
        labels=arguments.labels,
        model=arguments.model,
        weights=arguments.weights,
        size=arguments.size,
        overwrite=arguments.overwrite,
        progress=console,
    )
    document = {**result.to_dict(), "page": arguments.out}
    console.print_result(document, [*_report_lines(result), "", _("Page: {path}").format(path=arguments.out)])


def _report_lines(result: CheckResult) -> list[str]:
    """Return the summary, and the lines of every finding."""
    lines = [result.usable.summarise(), result.summarise()]
    for finding in result.findings:
        lines += ["", *_finding_lines(finding)]
    return lines


def _finding_lines(finding: CheckFinding) -> list[str]:
    """Return severity, title, explanation, first examples and advice of a finding, indented below its title."""
    lines = [
        f"{finding.severity.get_label().upper()}  {finding.title} ({format_count(finding.count)})",
        f"  {finding.text}",
    ]
    examples = finding.examples[:_MAX_EXAMPLES]
    lines += [f"    {example}" for example in examples]
    hidden_count = finding.count - _MAX_EXAMPLES
    if finding.examples and hidden_count > 0:
        lines.append(_("    and {more:,} more").format(more=hidden_count))
    return [*lines, f"  -> {' '.join(finding.advice)}"]
