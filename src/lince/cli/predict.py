"""``lince predict``: what is in new photos, said by a classifier or a detector, and written as tables and pictures."""

from __future__ import annotations

import argparse

import lince
from lince.cli import answering, finding
from lince.cli.console import Console
from lince.cli.parser import positive
from lince.errors import UsageError
from lince.messages import _
from lince.runtime import foreign
from lince.runtime.detection import DetectionPredictor


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince predict``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a run, a model folder, or an ONNX file of another tool"))
    parser.add_argument(
        "source", nargs="+", metavar=_("SOURCE"), help=_("photos, folders, or patterns such as '*.jpg'")
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


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Answer for every photo, print and write the answers."""
    names = foreign.read_names(arguments.names) if arguments.names else None
    model = lince.load(arguments.model, names=names)
    if foreign.is_foreign(arguments.model):
        console.say(foreign.told(model.card))
    if isinstance(model, DetectionPredictor):
        _refuse(arguments, ("top", "truth"), model.card.task)
        finding.run(model, arguments, console)
    else:
        _refuse(arguments, finding.OPTIONS, model.card.task)
        answering.run(model, arguments, console)


def _refuse(arguments: argparse.Namespace, options: tuple[str, ...], task: str) -> None:
    given = [f"--{name}" for name in options if getattr(arguments, name)]
    if given:
        raise UsageError(
            _("{options} says nothing to this model.").format(options=", ".join(given)),
            _("The model was made for the task '{task}'; lince predict --help tells its options.").format(task=task),
        )
