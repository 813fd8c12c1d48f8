"""``lince predict``: what is in new photos, said by a classifier or a detector, and written as tables and pictures."""

from __future__ import annotations

import argparse

import lince
from lince.cli import answering, finding, watching
from lince.cli.console import Console
from lince.cli.parser import positive
from lince.errors import UsageError
from lince.messages import _
from lince.runtime import foreign
from lince.runtime.detection import DetectionPredictor
from lince.runtime.video.frames import is_video


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
        const=finding.DEFAULT,
        metavar=_("DIR"),
        help=_("write there (in answers) what was said, as tables, JSON and pictures"),
    )
    parser.add_argument("--csv", metavar=_("FILE"), help=_("write the predictions to a CSV file"))
    parser.add_argument(
        "--names", metavar=_("FILE"), help=_("names of the classes, one a line, where an ONNX file holds none")
    )
    whole = parser.add_argument_group(_("models that say what a photo shows"))
    whole.add_argument("--top", type=positive, metavar="N", help=_("how many classes are shown for each photo"))
    whole.add_argument(
        "--truth",
        metavar=_("HOW"),
        help=_("how the true class is known: folders, names, none, or auto (the default)"),
    )
    finding.configure(parser.add_argument_group(_("models that find objects")))
    watching.configure(parser.add_argument_group(_("videos and cameras (camera:0)")))


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Answer for every photo, print and write the answers."""
    names = foreign.read_names(arguments.names) if arguments.names else None
    model = lince.load(arguments.model, names=names)
    if foreign.is_foreign(arguments.model):
        console.say(foreign.told(model.card))
    if isinstance(model, DetectionPredictor):
        _refuse(arguments, ("top", "truth"), model.card.task)
        if any(map(is_video, arguments.source)):
            watching.run(model, arguments, console)
            return
        _refuse_moving(arguments)
        finding.run(model, arguments, console)
    else:
        _refuse(arguments, (*finding.OPTIONS, *watching.OPTIONS), model.card.task)
        answering.run(model, arguments, console)


def _refuse_moving(arguments: argparse.Namespace) -> None:
    given = watching.given(arguments)
    if given:
        raise UsageError(
            _("{options} says nothing of photos.").format(options=", ".join(given)),
            _("Expected a video, such as film.mp4, or camera:0."),
        )


def _refuse(arguments: argparse.Namespace, options: tuple[str, ...], task: str) -> None:
    given = [f"--{'from' if name == 'start' else name}" for name in options if getattr(arguments, name)]
    if given:
        raise UsageError(
            _("{options} says nothing to this model.").format(options=", ".join(given)),
            _("The model was made for the task '{task}'; lince predict --help tells its options.").format(task=task),
        )
