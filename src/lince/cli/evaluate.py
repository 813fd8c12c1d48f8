"""The command ``lince evaluate``: computes the metrics of a model on labelled images."""

from __future__ import annotations

import argparse
from pathlib import Path

import lince
from lince import outputs
from lince.cli.console import Console
from lince.cli.options import add_data_options, get_data_options
from lince.cli.output_options import add_overwrite_option
from lince.i18n import _
from lince.tasks import get_task
from lince.training.run_folder import PREDICTIONS_FILE


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince evaluate``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a training run or a model folder"))
    parser.add_argument(
        "data", metavar=_("DATA"), help=_("labelled photos; if the dataset has a test split, that split")
    )
    parser.add_argument("--out", metavar=_("DIR"), help=_("write predictions.csv there, for use with lince compare"))
    add_overwrite_option(parser)
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Evaluate the model, print the metrics, and write the predictions of ``--out``.

    The JSON document has ``part`` (``test`` or ``all``), ``used`` (how many images were usable, as a sentence), all
    metrics of the task, and ``predictions``, the path of the CSV file, where one was written. A folder with that file
    can be compared by ``lince compare``.
    """
    if arguments.out:
        outputs.require_output_folder(
            arguments.out, outputs.EVALUATION, overwrite=arguments.overwrite, sources=[arguments.data]
        )
    dataset = lince.open(arguments.data, **get_data_options(arguments), progress=console)
    result = lince.evaluate(arguments.model, dataset, progress=console)
    document = {"part": result.split, "used": result.summary, **result.metrics.to_dict()}
    lines = [result.summary, *get_task(result.task).load_part("cli").list_metric_lines(result.metrics)]
    if arguments.out:
        path = Path(arguments.out) / PREDICTIONS_FILE
        result.predictions.save(path)
        outputs.record_output(path, outputs.EVALUATION)
        document["predictions"] = str(path)
        lines.append(_("Written: {path}").format(path=path))
    console.print_result(document, lines)
