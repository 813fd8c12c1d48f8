"""The command ``lince predict``: predicts images and videos, and writes tables and drawings."""

from __future__ import annotations

import argparse

import lince
from lince import outputs
from lince.cli import video_options, video_run
from lince.cli.console import Console
from lince.cli.output_options import DEFAULT_FOLDER, add_overwrite_option
from lince.cli.task_commands import TaskCommands, list_given_options
from lince.errors import UsageError
from lince.i18n import _
from lince.inference import external_onnx
from lince.inference.media import find_media
from lince.tasks import Task, get_task, list_tasks


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince predict``."""
    parser.add_argument(
        "model", metavar=_("RUN"), help=_("a training run, a model folder, or an ONNX file from another tool")
    )
    parser.add_argument(
        "source",
        nargs="+",
        metavar=_("SOURCE"),
        help=_("photos, videos, folders, zips, patterns such as '*.jpg', camera:0, or addresses with --allow-urls"),
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
    parser.add_argument(
        "--allow-urls",
        action="store_true",
        help=_("open addresses of photos, videos and cameras: http, https and rtsp; nothing else uses the network"),
    )
    video_options.configure(parser.add_argument_group(_("videos and cameras (camera:0)")))
    for task in list_tasks():
        task.load_part("cli").add_predict_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Load the model and predict, by the commands of its task.

    The JSON document is up to the task (``TaskCommands.predict_photos`` and ``prepare_video``); all have ``written``,
    the paths of the files. For a model of another tool, the assumptions about its input and outputs are printed first.

    Raises ``UsageError`` for options that models of the task do not support, and before the model is loaded for outputs
    that may not be written (``lince.outputs``).
    """
    if arguments.csv:
        outputs.require_output_file(
            arguments.csv, outputs.PREDICTIONS_TABLE, overwrite=arguments.overwrite, sources=arguments.source
        )
    names = external_onnx.read_class_names(arguments.names) if arguments.names else None
    model = lince.load(arguments.model, names=names, allow_urls=arguments.allow_urls)
    if external_onnx.is_external_model(arguments.model):
        console.show_message(external_onnx.describe_card(model.card))
    task = get_task(model.card.task)
    _reject_options_of_others(arguments, task)
    commands: TaskCommands = task.load_part("cli")
    media = find_media(arguments.source, arguments.allow_urls)
    arguments.images = media.images
    if media.videos:
        video_run.run(commands, model, media, arguments, console)
        return
    _reject_video_options(arguments, commands)
    console.print_result(*commands.predict_photos(model, arguments, console))


def _reject_video_options(arguments: argparse.Namespace, commands: TaskCommands) -> None:
    """Raise ``UsageError`` when an option of videos was given for photos."""
    given = [
        option
        for add_options in (video_options.configure, commands.add_video_options)
        for option in list_given_options(add_options, arguments)
    ]
    if given:
        raise UsageError(
            _("{options} cannot be used with photos.").format(options=", ".join(given)),
            _("Expected a video, such as video.mp4, or camera:0."),
        )


def _reject_options_of_others(arguments: argparse.Namespace, task: Task) -> None:
    """Raise ``UsageError`` when an option was given that models of ``task`` do not support.

    The parser has the options of all tasks, because the task is only known once the model is loaded.
    """
    shared = task.load_part("cli").shared_options
    given = [
        option
        for other in list_tasks()
        if other.name != task.name
        for option in list_given_options(other.load_part("cli").add_predict_options, arguments, shared)
    ]
    if given:
        raise UsageError(
            _("{options} cannot be used with this model.").format(options=", ".join(given)),
            _("The model is for the task '{task}'; lince predict --help lists its options.").format(task=task.name),
        )
