"""What a classifier says of photos, on the console and in files: each with its class and how sure the model is."""

from __future__ import annotations

import argparse
import sys

import lince
from lince.annotations import RejectedItem
from lince.cli.console import Console
from lince.errors import DataError
from lince.i18n import _
from lince.inference.classification import results_file
from lince.inference.classification.predictor import ClassificationPredictor, ClassificationResult
from lince.inference.classification.results_file import ClassificationOutcome
from lince.number_format import format_percent
from lince.progress import SILENT


def run(model: ClassificationPredictor, arguments: argparse.Namespace, console: Console) -> None:
    """Answer for every photo, print and write the answers."""
    found = _predict_images(model, arguments, console)
    written = _write_files(arguments, found)
    if console.as_json:
        console.print_result({**results_file.build_json_record(found, arguments.top or 1), "written": written}, [])
    else:
        console.print_result({}, [_summary_line(found), *(_("Written: {path}").format(path=path) for path in written)])


def _predict_images(
    model: ClassificationPredictor, arguments: argparse.Namespace, console: Console
) -> list[ClassificationOutcome]:
    # Lines come as the answers do; where a person watches them, a bar would be in their way.
    watched = sys.stdout.isatty() and not console.as_json
    heard = SILENT if watched else console
    found: list[ClassificationOutcome] = []
    for answer in model.predict_many(arguments.source, arguments.truth or "auto", progress=heard):
        found.append(answer)
        if isinstance(answer, RejectedItem):
            console.show_message(_("Not used: {what}").format(what=answer))
        elif not console.as_json:
            print(_format_prediction(answer, arguments.top or 1))
    if all(isinstance(answer, RejectedItem) for answer in found):
        raise DataError(
            _("None of the {count} files is an image that can be read.").format(count=len(found)),
            _("Expected at least one photo."),
        )
    return found


def _format_prediction(answer: ClassificationResult, top: int) -> str:
    names = answer.classes.names
    ranked = "  ".join(f"{names[index]} {format_percent(score)}" for index, score in answer.label.top_k(top))
    truth = "" if answer.is_correct is not False else "  " + _("(wrong: {truth})").format(truth=answer.truth_name)
    return f"{answer.name}  {ranked}{truth}"


def _summary_line(found: list[ClassificationOutcome]) -> str:
    record = results_file.build_json_record(found)
    count = _("{used:,} of {total:,} answered").format(used=len(record["predictions"]), total=len(found))
    if "known" not in record:
        return count
    right = _("{right:,} of {known:,} right ({share})").format(
        right=record["right"], known=record["known"], share=format_percent(record["right"] / record["known"])
    )
    return f"{count}; {right}"


def _write_files(arguments: argparse.Namespace, found: list[ClassificationOutcome]) -> list[str]:
    written = []
    if arguments.csv:
        written.append(str(results_file.save_csv(found, arguments.csv)))
    if arguments.save:
        folder = lince.save_answers(found, arguments.save)
        written += [
            str(path)
            for name in (results_file.CSV_NAME, results_file.JSON_NAME, results_file.SHEET_NAME)
            if (path := folder / name).exists()
        ]
    return written
