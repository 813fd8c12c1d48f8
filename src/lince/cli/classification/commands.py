"""Options and output of image classification on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from lince.cli.classification import predict_video
from lince.cli.console import Console
from lince.cli.options import parse_positive
from lince.cli.task_commands import TaskCommands, VideoRunner, describe_count
from lince.cli.text_table import format_table
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.confidence import ConfidenceInterval
from lince.i18n import _, translate_plural
from lince.inference.classification import results_file
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.classification.result import ClassificationResult
from lince.inference.classification.results_file import ClassificationOutcome
from lince.model_card import translate_licence
from lince.models.classification.registry import ModelEntry
from lince.number_format import (
    MISSING_VALUE,
    format_count,
    format_decimal,
    format_percent,
    format_percent_range,
    format_si_suffix,
)


class ClassificationCommands(TaskCommands):
    """Options ``--top`` and ``--truth`` of ``lince predict``; lines with classes and probabilities.

    With ``--truth``, or folders named like classes, predictions are compared with the true classes.
    """

    def add_predict_options(self, parser: argparse.ArgumentParser) -> None:
        """Add ``--top`` and ``--truth``."""
        group = parser.add_argument_group(_("classification models"))
        group.add_argument(
            "--top", type=parse_positive, metavar="N", help=_("number of classes to show per photo (default: 1)")
        )
        group.add_argument(
            "--labels-from",
            "--truth",
            dest="truth",
            metavar=_("SOURCE"),
            help=_("where the true labels come from: folders, names, none or auto (default: auto)"),
        )

    def predict_photos(
        self, model: ClassificationPredictor, arguments: argparse.Namespace, console: Console
    ) -> tuple[dict[str, Any], list[str]]:
        """Classify every image, print a line for each, and write the files of ``--csv`` and ``--save``.

        The JSON document is that of ``results_file.build_json_record`` with ``written``, the paths of the files.
        Without ``--top`` it has the most probable class of each image.
        """
        self.require_save_folder(arguments)
        predict_many = partial(model.predict_many, truth=arguments.truth or "auto")
        results = self.predict_images(predict_many, arguments, console)
        written = self._write_files(arguments, results)
        if console.as_json:
            return {**results_file.build_json_record(results, arguments.top or 1), "written": written}, []
        return {}, [_summary_line(results), *(_("Written: {path}").format(path=path) for path in written)]

    def prepare_video(
        self, model: ClassificationPredictor, arguments: argparse.Namespace, console: Console
    ) -> VideoRunner:
        """Return what classifies the frames of one video; its JSON document is that of ``ClassifiedVideo.to_dict``."""
        return predict_video.prepare_video(model, arguments, console)

    def open_video_table(
        self, model: ClassificationPredictor, arguments: argparse.Namespace
    ) -> AbstractContextManager[Any]:
        """Open the table of ``--csv`` for the frames of all videos; ``None`` without the option, and with photos."""
        return predict_video.open_table(model, arguments)

    def _write_files(self, arguments: argparse.Namespace, results: list[ClassificationOutcome]) -> list[str]:
        """Write the files that were requested and return their paths."""
        written = []
        if arguments.csv:
            written.append(str(results_file.save_csv(results, arguments.csv)))
        if arguments.save:
            folder = self.save_answers(results, arguments)
            written += [
                str(path)
                for name in (results_file.CSV_NAME, results_file.JSON_NAME, results_file.SHEET_NAME)
                if (path := folder / name).exists()
            ]
        return written

    def format_result(self, result: ClassificationResult, arguments: argparse.Namespace) -> str:
        """Return the image and its most probable classes: "photo.jpg  daisy 91.2%".

        The true class follows where it is known and differs.
        """
        names = result.classes.names
        ranked = "  ".join(
            f"{names[index]} {format_percent(score)}" for index, score in result.label.top_k(arguments.top or 1)
        )
        truth = (
            ""
            if result.is_correct is not False
            else "  " + _("(wrong, actual: {truth})").format(truth=result.truth_name)
        )
        return f"{result.name}  {ranked}{truth}"

    def list_metric_lines(self, metrics: ClassificationMetrics) -> list[str]:
        """Return the accuracy with its interval, and a table of the classes.

        The columns are the number of images, precision, recall and F1; a dash stands for a metric that is not defined.
        """
        header = (_("class"), _("images"), _("precision"), _("recall"), _("F1"))
        rows = [
            (
                score.name,
                format_count(score.support),
                *(format_percent(item.value if item else None) for item in (score.precision, score.recall, score.f1)),
            )
            for score in metrics.scores
        ]
        accuracy = translate_plural(
            "Accuracy: {accuracy} ({range}) on {count} image",
            "Accuracy: {accuracy} ({range}) on {count} images",
            metrics.count,
        ).format(
            accuracy=format_percent(metrics.accuracy.value),
            range=format_percent_range(metrics.accuracy.low, metrics.accuracy.high),
            count=format_count(metrics.count),
        )
        return [accuracy, "", *format_table(header, rows)]

    def describe_test_result(self, test: Mapping[str, Any], headline: str) -> str:
        """Return the test accuracy with its interval."""
        accuracy = ConfidenceInterval(**test[headline])
        return translate_plural(
            "Test accuracy: {accuracy} ({range}) on {count:,} image",
            "Test accuracy: {accuracy} ({range}) on {count:,} images",
            test["count"],
        ).format(
            accuracy=format_percent(accuracy.value),
            range=format_percent_range(accuracy.low, accuracy.high),
            count=test["count"],
        )

    def list_model_lines(self, entries: Mapping[str, ModelEntry], latencies: Mapping[str, float]) -> list[str]:
        """Return the table of the presets, followed by what else can be chosen.

        The columns are the network, its parameters, multiply-accumulates per image, published ImageNet top-1 accuracy
        and the licence of its weights; with ``latencies``, milliseconds per image.
        """
        header = [_("name"), _("network"), _("parameters"), _("MACs"), _("ImageNet top-1"), _("licence of the weights")]
        rows = []
        for name, entry in entries.items():
            costs = [
                MISSING_VALUE if value is None else format_si_suffix(value) for value in (entry.params, entry.macs)
            ]
            top1 = MISSING_VALUE if entry.top1 is None else format_percent(entry.top1 / 100)
            row = [name, entry.pretrained_name, *costs, top1, translate_licence(entry.licence)]
            rows.append([*row, format_decimal(latencies[name], 1)] if latencies else row)
        return [
            *format_table([*header, _("ms per image here")] if latencies else header, rows),
            "",
            _("Also accepted: cnn, 'cnn: LAYERS' defined by you, and any timm model by name."),
            _("Layer by layer: lince models NAME"),
        ]


def _summary_line(results: list[ClassificationOutcome]) -> str:
    """Return the number of predicted images and, where true classes are known, of correct ones."""
    record = results_file.build_json_record(results)
    parts = [describe_count(_("{used:,} of {total:,} photos classified"), results)]
    if "known" in record:
        parts.append(_describe_correct(record))
    if record.get("seen"):
        parts.append(
            _("not counted as correct or wrong: {seen:,} that trained this model or were its validation photos").format(
                seen=record["seen"]
            )
        )
    return "; ".join(parts)


def _describe_correct(record: Mapping[str, Any]) -> str:
    """Return how many of the images with a known class were predicted correctly."""
    return _("{right:,} of {known:,} correct ({share})").format(
        right=record["right"], known=record["known"], share=format_percent(record["right"] / record["known"])
    )


COMMANDS = ClassificationCommands()
