"""``lince evaluate``: how well a model does on labelled photos, with intervals and class by class."""

from __future__ import annotations

import argparse
from pathlib import Path

import lince
from lince.cli.console import Console
from lince.cli.options import add_data_options, parse_merges
from lince.i18n import _
from lince.tasks import get_task

PREDICTIONS_FILE = "predictions.csv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince evaluate``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a training run or a model folder"))
    parser.add_argument(
        "data", metavar=_("DATA"), help=_("labelled photos; if the dataset has a test split, that split")
    )
    parser.add_argument("--out", metavar=_("DIR"), help=_("write predictions.csv there, for use with lince compare"))
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Ask the model about every labelled photo, and print and write the figures."""
    dataset = lince.open(
        arguments.data,
        format=arguments.format,
        pattern=arguments.pattern,
        merge=parse_merges(arguments.merge),
        fix=arguments.fix,
        progress=console,
    )
    result = lince.evaluate(arguments.model, dataset, progress=console)
    document = {"part": result.split, "used": result.summary, **result.metrics.to_dict()}
    lines = [result.summary, *get_task(result.task).load_part("cli").list_metric_lines(result.metrics)]
    if arguments.out:
        path = Path(arguments.out) / PREDICTIONS_FILE
        result.predictions.save(path)
        document["predictions"] = str(path)
        lines.append(_("Written: {path}").format(path=path))
    console.print_result(document, lines)
