"""Options and output of multilabel classification on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import lince
from lince.cli.console import Console
from lince.cli.figure_lines import describe_figure, get_value
from lince.cli.output_options import DEFAULT_FOLDER, resolve_output_folder
from lince.cli.task_commands import VideoRunner
from lince.cli.text_table import format_table
from lince.cli.threshold_options import apply_thresholds
from lince.cli.whole_image_commands import WholeImageCommands, list_photo_counts
from lince.errors import UsageError
from lince.i18n import _, translate_plural
from lince.inference.image_results_file import ImageOutcome, count_by_class
from lince.inference.multilabel import results_file, true_classes
from lince.inference.multilabel.predictor import MultilabelPredictor
from lince.inference.multilabel.result import MultilabelResult, describe_names
from lince.inference.whole_image_predictor import WholeImagePredictor
from lince.number_format import format_count, format_decimal, format_percent

if TYPE_CHECKING:
    from lince.inference.video.classified_video import ClassifiedVideo

_MAX_CLASSES = 8  # in the summary of a video


class MultilabelCommands(WholeImageCommands):
    """Lines with all classes that are said of a photo; the options are those of classifiers, and thresholds."""

    shared_options: ClassVar[frozenset[str]] = frozenset({"top", "truth", "threshold", "to"})

    def add_predict_options(self, parser: argparse.ArgumentParser) -> None:
        """Describe the options of other tasks that these models support, too."""
        parser.add_argument_group(
            _("multilabel models (several classes a photo)"),
            _(
                "--threshold, as below, is the probability from which on a class is said. --top shows the most "
                "probable classes, in brackets those that are not said (default: all that are said). --to saves the "
                "photos with what was said as labels to correct, such as csv."
            ),
        )

    def apply_model_options(self, model: MultilabelPredictor, arguments: argparse.Namespace) -> MultilabelPredictor:
        """Return ``model`` with the thresholds of ``--threshold``."""
        return apply_thresholds(model, arguments.threshold)

    def predict_photos(
        self, model: WholeImagePredictor[Any], arguments: argparse.Namespace, console: Console
    ) -> tuple[dict[str, Any], list[str]]:
        """Predict every image as ``WholeImageCommands.predict_photos`` does; with ``--to``, write labels, too."""
        if arguments.to:
            results_file.require_label_format(arguments.to)
            arguments.save = resolve_output_folder(arguments.save or DEFAULT_FOLDER, arguments.source)
        return super().predict_photos(model, arguments, console)

    def prepare_video(
        self, model: WholeImagePredictor[Any], arguments: argparse.Namespace, console: Console
    ) -> VideoRunner:
        """Return what predicts the frames of one video; raise ``UsageError`` for ``--to`` without photos."""
        if arguments.to and not arguments.images:
            raise UsageError(
                _("{options} cannot be used with videos.").format(options="--to"),
                _("Expected photos, whose labels can be corrected."),
            )
        return super().prepare_video(model, arguments, console)

    def save_answers(self, results: list[Any], arguments: argparse.Namespace) -> Path:
        """Write the results, and with ``--to`` the labels, into the folder of ``--save`` and return it."""
        return lince.save_answers(results, arguments.save, arguments.to, overwrite=arguments.overwrite)

    def list_saved_names(self, arguments: argparse.Namespace) -> list[str]:
        """Return the names of what ``save_answers`` may write into its folder."""
        return [*super().list_saved_names(arguments), *([arguments.to] if arguments.to else [])]

    def summarise_photos(self, results: Sequence[ImageOutcome], arguments: argparse.Namespace) -> str:
        """Return the numbers of predicted images, of those with each class and with none, and of correct ones."""
        counts, empty_count = count_by_class(results)
        named = ", ".join(f"{format_count(count)} {name}" for name, count in counts.items())
        parts = [
            list_photo_counts(
                results,
                _("{used:,} of {total:,} photos classified"),
                _("{right:,} of {known:,} with exactly the right classes ({share})"),
            ),
            _("photos with each class: {counts}").format(counts=named or _("no class")),
        ]
        if empty_count and counts:
            parts.append(_("no class in {count:,} of them").format(count=empty_count))
        unknown_count = sum(isinstance(result, MultilabelResult) and result.truth is None for result in results)
        if arguments.truth not in {None, *true_classes.UNKNOWN} and unknown_count:
            parts.append(
                _("{data} does not say the classes of {count:,} of them").format(
                    data=arguments.truth, count=unknown_count
                )
            )
        return "; ".join(parts)

    def summarise_video(self, result: ClassifiedVideo) -> list[str]:
        """Return a line for each of the classes that most frames have, and the number of frames without a class."""
        ranked = result.rank_classes()
        lines = [
            _("{name}: in {count} of {total} frames ({share})").format(
                name=result.classes.names[class_id],
                count=format_count(count),
                total=format_count(result.frame_count),
                share=format_percent(count / result.frame_count),
            )
            for class_id, count in ranked[:_MAX_CLASSES]
        ]
        others = [f"{result.classes.names[row]} {format_count(count)}" for row, count in ranked[_MAX_CLASSES:]]
        if others:
            lines.append(_("frames of other classes: {counts}").format(counts=", ".join(others)))
        if result.empty_count:
            lines.append(_("frames without any class: {count}").format(count=format_count(result.empty_count)))
        return lines

    def format_result(self, result: MultilabelResult, arguments: argparse.Namespace) -> str:
        """Return the image and its classes: "photo.jpg  cat 91.2%, dog 73.0%".

        With ``--top``, classes that are not said are in brackets. The true ones follow where they are known and differ.
        """
        is_said, names = result.is_said, result.classes.names
        ranked = result.rank_classes(arguments.top)
        if arguments.top is None:
            ranked = [pair for pair in ranked if is_said[pair[0]]]
        cells = [f"{names[class_id]} {format_percent(probability)}" for class_id, probability in ranked]
        cells = [cell if is_said[pair[0]] else f"({cell})" for cell, pair in zip(cells, ranked, strict=True)]
        line = f"{result.name}  {describe_names(cells)}"
        if result.is_correct is not False:
            return line
        return f"{line}  " + _("(wrong, actual: {truth})").format(truth=describe_names(result.truth_names or ()))

    def list_metric_lines(self, metrics: Any) -> list[str]:
        """Return mean average precision with its interval, F1 and shares of correct sets, and a table of the classes.

        The columns are the number of images with the class, average precision, precision, recall and F1 at the
        threshold of the class, and this threshold; a dash stands for a metric that is not defined.
        """
        record = metrics.to_dict()
        header = (_("class"), _("images"), _("AP"), _("precision"), _("recall"), _("F1"), _("threshold"))
        rows = [
            (
                score["name"],
                format_count(score["support"]),
                *(format_percent(get_value(score[key])) for key in ("ap", "precision", "recall", "f1")),
                format_decimal(score["threshold"]),
            )
            for score in record["classes"]
        ]
        found = describe_figure(
            record,
            "map",
            translate_plural(
                "mAP: {map} ({range}) on {count} image", "mAP: {map} ({range}) on {count} images", record["count"]
            ),
        )
        figures = _("F1: {macro} (mean of the classes), {micro} (of all labels); all classes right: {subset}").format(
            macro=format_percent(get_value(record["f1_macro"])),
            micro=format_percent(get_value(record["f1_micro"])),
            subset=format_percent(get_value(record["subset_accuracy"])),
        )
        return [found, figures, "", *format_table(header, rows)]

    def describe_test_result(self, test: Mapping[str, Any], headline: str) -> str:
        """Return the test mAP with its interval."""
        del headline
        text = translate_plural(
            "Test mAP: {map} ({range}) on {count} image", "Test mAP: {map} ({range}) on {count} images", test["count"]
        )
        return describe_figure(test, "map", text)


COMMANDS = MultilabelCommands()
