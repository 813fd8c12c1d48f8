"""``lince predict``: each photo with its class and how sure the model is; and as CSV, JSON and a picture."""

from __future__ import annotations

import argparse
import sys

import lince
from lince.annotations import Rejected
from lince.cli.console import Console
from lince.cli.parser import positive
from lince.errors import DataError
from lince.evaluation.figures import percent
from lince.messages import _
from lince.progress import SILENT
from lince.runtime import answers
from lince.runtime.answers import Answer
from lince.runtime.predictor import Prediction


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince predict``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a run or a model folder"))
    parser.add_argument(
        "source", nargs="+", metavar=_("SOURCE"), help=_("photos, folders, or patterns such as '*.jpg'")
    )
    parser.add_argument(
        "--save",
        nargs="?",
        const="answers",
        metavar=_("DIR"),
        help=_("write predictions.csv, predictions.json and sheet.jpg there (in answers)"),
    )
    parser.add_argument("--csv", metavar=_("FILE"), help=_("write the predictions to a CSV file"))
    parser.add_argument(
        "--top", type=positive, default=1, metavar="N", help=_("how many classes are shown for each photo")
    )
    parser.add_argument(
        "--truth",
        default="auto",
        metavar=_("HOW"),
        help=_("how the true class is known: folders, names, none, or auto (the default)"),
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Answer for every photo, print and write the answers."""
    found = _answered(arguments, console)
    written = _written(arguments, found)
    if console.as_json:
        console.result({**answers.record(found, arguments.top), "written": written}, [])
    else:
        console.result({}, [_counted(found), *(_("Written: {path}").format(path=path) for path in written)])


def _answered(arguments: argparse.Namespace, console: Console) -> list[Answer]:
    # Lines come as the answers do; where a person watches them, a bar would be in their way.
    watched = sys.stdout.isatty() and not console.as_json
    model = lince.load(arguments.model)
    found = []
    for answer in model.predict_many(arguments.source, arguments.truth, progress=SILENT if watched else console):
        found.append(answer)
        if isinstance(answer, Rejected):
            console.say(_("Not used: {what}").format(what=answer))
        elif not console.as_json:
            print(_line(answer, arguments.top))
    if all(isinstance(answer, Rejected) for answer in found):
        raise DataError(
            _("None of the {count} files is an image that can be read.").format(count=len(found)),
            _("Expected at least one photo."),
        )
    return found


def _line(answer: Prediction, top: int) -> str:
    names = answer.classes.names
    ranked = "  ".join(f"{names[index]} {percent(score)}" for index, score in answer.label.top(top))
    truth = "" if answer.right is not False else "  " + _("(wrong: {truth})").format(truth=answer.truth_name)
    return f"{answer.name}  {ranked}{truth}"


def _counted(found: list[Answer]) -> str:
    record = answers.record(found)
    count = _("{used:,} of {total:,} answered").format(used=len(record["predictions"]), total=len(found))
    if "known" not in record:
        return count
    right = _("{right:,} of {known:,} right ({share})").format(
        right=record["right"], known=record["known"], share=percent(record["right"] / record["known"])
    )
    return f"{count}; {right}"


def _written(arguments: argparse.Namespace, found: list[Answer]) -> list[str]:
    written = []
    if arguments.csv:
        written.append(str(answers.save_csv(found, arguments.csv)))
    if arguments.save:
        folder = lince.save_answers(found, arguments.save)
        written += [
            str(path) for name in (answers.CSV, answers.JSON, answers.SHEET) if (path := folder / name).exists()
        ]
    return written
