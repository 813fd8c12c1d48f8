"""The command ``lince evaluate``: computes the metrics of a model on labelled images."""

from __future__ import annotations

import argparse
from pathlib import Path

import lince
from lince import outputs
from lince.cli.console import Console, paint_warning
from lince.cli.options import add_data_options, get_data_options
from lince.cli.output_options import add_overwrite_option
from lince.i18n import _
from lince.tasks import get_task
from lince.training.run_folder import PREDICTIONS_FILE, REPORT_PAGE
from lince.training.seen_images import find_seen_images, save_evaluation
from lince.training.split_warnings import describe_small_test


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince evaluate``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a training run or a model folder"))
    parser.add_argument(
        "data", metavar=_("DATA"), help=_("labelled photos; if the dataset has a test split, that split")
    )
    parser.add_argument(
        "--include-seen",
        action="store_true",
        help=_("also measure on photos that trained this model or were its validation photos (default: left out)"),
    )
    parser.add_argument(
        "--out",
        metavar=_("DIR"),
        help=_("write report.html, predictions.csv and evaluation.json there; lince compare reads them"),
    )
    add_overwrite_option(parser)
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Evaluate the model, print the metrics, and write the predictions of ``--out``.

    The JSON document has ``part`` (``test``, ``all`` or ``unseen``), ``used`` (how many images were usable, as a
    sentence), ``seen`` (how many trained the model or were its validation images, and whether they are measured), all
    metrics of the task, and ``predictions``, the path of the CSV file, where one was written. A folder with that file
    can be compared by ``lince compare``.
    """
    if arguments.out:
        outputs.require_output_folder(
            arguments.out, outputs.EVALUATION, overwrite=arguments.overwrite, sources=[arguments.data]
        )
    dataset = lince.open(arguments.data, **get_data_options(arguments), progress=console)
    result = lince.evaluate(arguments.model, dataset, include_seen=arguments.include_seen, progress=console)
    document = {"part": result.split, "used": result.summary, "seen": result.seen.to_dict()}
    document |= result.metrics.to_dict()
    warnings = [result.seen.warning, describe_small_test(len(result.predictions.keys))]
    lines = [result.summary, *filter(None, [result.seen.note, *map(paint_warning, warnings)])]
    lines += get_task(result.task).load_part("cli").list_metric_lines(result.metrics)
    if arguments.out:
        path = Path(arguments.out) / PREDICTIONS_FILE
        result.predictions.save(path)
        document["predictions"] = str(path)
        save_evaluation(path.parent, document, result.predictions.keys, find_seen_images(arguments.model))
        page = path.parent / REPORT_PAGE
        if result.write_page(page):
            document["report"] = str(page)
            lines.append(_("Report: {path}").format(path=page))
        outputs.record_output(path.parent, outputs.EVALUATION)
        lines.append(_("Written: {path}").format(path=path))
    console.print_result(document, lines)
