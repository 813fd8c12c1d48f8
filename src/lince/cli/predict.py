"""``lince predict``: what is in new photos, said by a classifier or a detector, and written as tables and pictures."""

from __future__ import annotations

import argparse

import lince
from lince.cli import predict_classification, predict_detection, predict_video
from lince.cli.console import Console
from lince.cli.options import parse_positive
from lince.errors import UsageError
from lince.i18n import _
from lince.inference import external_onnx
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.video.frames import is_video


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince predict``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a run, a model folder, or an ONNX file of another tool"))
    parser.add_argument(
        "source",
        nargs="+",
        metavar=_("SOURCE"),
        help=_("photos, folders, patterns such as '*.jpg', a video, or camera:0"),
    )
    parser.add_argument(
        "--save",
        nargs="?",
        const=predict_detection.DEFAULT_FOLDER,
        metavar=_("DIR"),
        help=_("write there (in answers) what was said, as tables, JSON and pictures"),
    )
    parser.add_argument("--csv", metavar=_("FILE"), help=_("write the predictions to a CSV file"))
    parser.add_argument(
        "--names", metavar=_("FILE"), help=_("names of the classes, one a line, where an ONNX file holds none")
    )
    whole = parser.add_argument_group(_("models that say what a photo shows"))
    whole.add_argument("--top", type=parse_positive, metavar="N", help=_("how many classes are shown for each photo"))
    whole.add_argument(
        "--truth",
        metavar=_("HOW"),
        help=_("how the true class is known: folders, names, none, or auto (the default)"),
    )
    predict_detection.configure(parser.add_argument_group(_("models that find objects")))
    predict_video.configure(parser.add_argument_group(_("videos and cameras (camera:0)")))


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Answer for every photo, print and write the answers."""
    names = external_onnx.read_class_names(arguments.names) if arguments.names else None
    model = lince.load(arguments.model, names=names)
    if external_onnx.is_external_model(arguments.model):
        console.show_message(external_onnx.describe_card(model.card))
    if isinstance(model, DetectionPredictor):
        _reject_options(arguments, ("top", "truth"), model.card.task)
        if any(map(is_video, arguments.source)):
            predict_video.run(model, arguments, console)
            return
        _reject_video_options(arguments)
        predict_detection.run(model, arguments, console)
    else:
        _reject_options(
            arguments, (*predict_detection.DETECTION_OPTIONS, *predict_video.VIDEO_OPTIONS), model.card.task
        )
        predict_classification.run(model, arguments, console)


def _reject_video_options(arguments: argparse.Namespace) -> None:
    given = predict_video.list_video_options(arguments)
    if given:
        raise UsageError(
            _("{options} says nothing of photos.").format(options=", ".join(given)),
            _("Expected a video, such as film.mp4, or camera:0."),
        )


def _reject_options(arguments: argparse.Namespace, options: tuple[str, ...], task: str) -> None:
    given = [f"--{'from' if name == 'start' else name}" for name in options if getattr(arguments, name)]
    if given:
        raise UsageError(
            _("{options} says nothing to this model.").format(options=", ".join(given)),
            _("The model was made for the task '{task}'; lince predict --help tells its options.").format(task=task),
        )
