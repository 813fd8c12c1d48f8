"""Options and output of image classification on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lince.cli.classification import video_summary
from lince.cli.options import parse_positive
from lince.cli.text_table import format_table
from lince.cli.whole_image_commands import WholeImageCommands, list_photo_counts
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.confidence import ConfidenceInterval
from lince.i18n import _, translate_plural
from lince.inference.classification.result import ClassificationResult
from lince.inference.image_results_file import ImageOutcome
from lince.number_format import format_count, format_percent, format_percent_range

if TYPE_CHECKING:
    from lince.inference.video.classified_video import ClassifiedVideo


class ClassificationCommands(WholeImageCommands):
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
            help=_(
                "where the true labels come from: folders, names, none or auto (default: auto); for "
                "multilabel models: labelled photos"
            ),
        )

    def summarise_photos(self, results: Sequence[ImageOutcome], arguments: argparse.Namespace) -> str:
        """Return the number of predicted images and, where true classes are known, of correct ones."""
        del arguments
        classified, correct = (
            _("{used:,} of {total:,} photos classified"),
            _("{right:,} of {known:,} correct ({share})"),
        )
        return list_photo_counts(results, classified, correct)

    def count_json_classes(self, arguments: argparse.Namespace) -> int:
        """Return the number of classes in each record: the most probable one without ``--top``."""
        return int(arguments.top or 1)

    def summarise_video(self, result: ClassifiedVideo) -> list[str]:
        """Return the lines on the most frequent class and the mean probabilities."""
        return video_summary.summarise_video(result)

    def format_result(self, result: ClassificationResult, arguments: argparse.Namespace) -> str:
        """Return the image and its most probable classes: "photo.jpg  daisy 91.2%".

        The true class follows where it is known and differs.
        """
        names = result.classes.names
        ranked = "  ".join(
            f"{names[index]} {format_percent(score)}" for index, score in result.rank_classes(arguments.top or 1)
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


COMMANDS = ClassificationCommands()
