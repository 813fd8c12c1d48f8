"""What a classifier says of photos, on the console and in files: each with its class and how sure the model is."""

from __future__ import annotations

import argparse
import sys

import lince
from lince.annotations import Rejected
from lince.cli.console import Console
from lince.errors import DataError
from lince.evaluation.figures import percent
from lince.messages import _
from lince.progress import SILENT
from lince.runtime import answers
from lince.runtime.answers import Answer
from lince.runtime.predictor import Prediction, Predictor


def run(model: Predictor, arguments: argparse.Namespace, console: Console) -> None:
    """Answer for every photo, print and write the answers."""
    found = _answered(model, arguments, console)
    written = _written(arguments, found)
    if console.as_json:
        console.result({**answers.record(found, arguments.top or 1), "written": written}, [])
    else:
        console.result({}, [_counted(found), *(_("Written: {path}").format(path=path) for path in written)])


def _answered(model: Predictor, arguments: argparse.Namespace, console: Console) -> list[Answer]:
    # Lines come as the answers do; where a person watches them, a bar would be in their way.
    watched = sys.stdout.isatty() and not console.as_json
    heard = SILENT if watched else console
    found: list[Answer] = []
    for answer in model.predict_many(arguments.source, arguments.truth or "auto", progress=heard):
        found.append(answer)
        if isinstance(answer, Rejected):
            console.say(_("Not used: {what}").format(what=answer))
        elif not console.as_json:
            print(_line(answer, arguments.top or 1))
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
