"""The command ``lince predict``: predicts images and videos, and writes tables and drawings."""

from __future__ import annotations

import argparse

import lince
from lince import outputs
from lince.cli.console import Console
from lince.cli.output_options import add_overwrite_option
from lince.cli.task_commands import list_given_options
from lince.errors import UsageError
from lince.i18n import _
from lince.inference import external_onnx
from lince.tasks import Task, get_task, list_tasks

DEFAULT_FOLDER = "answers"  # of ``--save`` without a value


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince predict``."""
    parser.add_argument(
        "model", metavar=_("RUN"), help=_("a training run, a model folder, or an ONNX file from another tool")
    )
    parser.add_argument(
        "source",
        nargs="+",
        metavar=_("SOURCE"),
        help=_("photos, folders, patterns such as '*.jpg', a video, or camera:0"),
    )
    parser.add_argument(
        "--save",
        nargs="?",
        const=DEFAULT_FOLDER,
        metavar=_("DIR"),
        help=_("write the results there as tables, JSON and images (default folder: answers)"),
    )
    parser.add_argument("--csv", metavar=_("FILE"), help=_("write the predictions to a CSV file"))
    add_overwrite_option(parser)
    parser.add_argument(
        "--names", metavar=_("FILE"), help=_("class names, one per line, for an ONNX file without them")
    )
    for task in list_tasks():
        task.load_part("cli").add_predict_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Load the model and predict, by the commands of its task.

    The JSON document is up to the task (``TaskCommands.run_predict``); all have ``written``, the paths of the files.
    For a model of another tool, the assumptions about its input and outputs are printed first.

    Raises ``UsageError`` for options that models of the task do not support, and before the model is loaded for outputs
    that may not be written (``lince.outputs``).
    """
    if arguments.csv:
        outputs.require_output_file(
            arguments.csv, outputs.PREDICTIONS_TABLE, overwrite=arguments.overwrite, sources=arguments.source
        )
    names = external_onnx.read_class_names(arguments.names) if arguments.names else None
    model = lince.load(arguments.model, names=names)
    if external_onnx.is_external_model(arguments.model):
        console.show_message(external_onnx.describe_card(model.card))
    task = get_task(model.card.task)
    _reject_options_of_others(arguments, task)
    task.load_part("cli").run_predict(model, arguments, console)


def _reject_options_of_others(arguments: argparse.Namespace, task: Task) -> None:
    """Raise ``UsageError`` when an option was given that models of ``task`` do not support.

    The parser has the options of all tasks, because the task is only known once the model is loaded.
    """
    given = [
        option
        for other in list_tasks()
        if other.name != task.name
        for option in list_given_options(other.load_part("cli").add_predict_options, arguments)
    ]
    if given:
        raise UsageError(
            _("{options} cannot be used with this model.").format(options=", ".join(given)),
            _("The model is for the task '{task}'; lince predict --help lists its options.").format(task=task.name),
        )
