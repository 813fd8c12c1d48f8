"""``lince predict``: what is in new photos, said by a classifier or a detector, and written as tables and pictures."""

from __future__ import annotations

import argparse

import lince
from lince.cli.console import Console
from lince.errors import UsageError
from lince.i18n import _
from lince.inference import external_onnx
from lince.tasks import Task, get_task, list_tasks

_OPTION_NAMES = {"truth": "labels-from"}  # options whose ``dest`` has another name
DEFAULT_FOLDER = "answers"  # what --save alone writes to


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
    parser.add_argument(
        "--names", metavar=_("FILE"), help=_("class names, one per line, for an ONNX file without them")
    )
    for task in list_tasks():
        task.load_part("cli").add_predict_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Answer for every photo, print and write the answers."""
    names = external_onnx.read_class_names(arguments.names) if arguments.names else None
    model = lince.load(arguments.model, names=names)
    if external_onnx.is_external_model(arguments.model):
        console.show_message(external_onnx.describe_card(model.card))
    task = get_task(model.card.task)
    _reject_options_of_others(arguments, task)
    task.load_part("cli").run_predict(model, arguments, console)


def _reject_options_of_others(arguments: argparse.Namespace, task: Task) -> None:
    """Raise ``UsageError`` when an option was given that models of ``task`` do not understand."""
    known = task.load_part("cli").predict_options
    foreign = [name for other in list_tasks() for name in other.load_part("cli").predict_options if name not in known]
    given = [f"--{_OPTION_NAMES.get(name, name)}" for name in foreign if getattr(arguments, name)]
    if given:
        raise UsageError(
            _("{options} cannot be used with this model.").format(options=", ".join(given)),
            _("The model is for the task '{task}'; lince predict --help lists its options.").format(task=task.name),
        )
