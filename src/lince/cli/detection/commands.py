"""Options and output of object detection on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from lince.cli.console import Console
from lince.cli.detection import predict, predict_video
from lince.cli.model_table import format_model_table
from lince.cli.task_commands import TaskCommands, VideoRunner
from lince.cli.text_table import format_table
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.i18n import _, translate_plural
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.detection.result import DetectionResult
from lince.models.classification.registry import ModelEntry
from lince.models.detection.registry import list_presets
from lince.number_format import (
    MISSING_VALUE,
    format_count,
    format_decimal,
    format_percent,
    format_percent_range,
)


class DetectionCommands(TaskCommands):
    """Options for thresholds, slicing, labels and videos; lines with objects and scores."""

    def add_predict_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of detectors, and theirs for videos and cameras."""
        predict.configure(parser.add_argument_group(_("detection models")))
        self.add_video_options(parser.add_argument_group(_("detection models on videos and cameras")))

    def add_video_options(self, parser: argparse._ActionsContainer) -> None:
        """Add the options of tracks, lines and zones."""
        predict_video.configure(parser)

    def predict_photos(
        self, model: DetectionPredictor, arguments: argparse.Namespace, console: Console
    ) -> tuple[dict[str, Any], list[str]]:
        """Detect objects on images; print and write the results.

        The JSON document is that of ``tables.build_json_record`` with ``written`` and ``lost``.
        """
        return predict.predict_photos(model, arguments, console, self.predict_images)

    def prepare_video(self, model: DetectionPredictor, arguments: argparse.Namespace, console: Console) -> VideoRunner:
        """Return what detects objects on one video; its JSON document is that of ``VideoResult.to_dict``."""
        return predict_video.prepare_video(model, arguments, console)

    def format_result(self, result: DetectionResult, arguments: argparse.Namespace) -> str:
        """Return the image and its objects: "photo.jpg  2 helmet 91% 88%, 1 head 71%"."""
        del arguments
        return predict.format_detections(result)

    def list_metric_lines(self, metrics: DetectionMetrics) -> list[str]:
        """Return mAP50 with its interval and mAP50-95, and a table of the classes.

        The columns are the number of boxes, AP50, AP50-95, and precision, recall and F1 at the threshold of the class.
        """
        header = (_("class"), _("boxes"), "AP50", "AP50-95", _("precision"), _("recall"), _("F1"))
        rows = [
            (
                score.name,
                format_count(score.support),
                *(format_percent(item.value if item else None) for item in (score.ap50, score.ap50_95)),
                *(format_percent(share) for share in (score.precision, score.recall, score.f1)),
            )
            for score in metrics.scores
        ]
        headline = translate_plural(
            "mAP50: {found} ({range}), mAP50-95: {strict}, on {count} image",
            "mAP50: {found} ({range}), mAP50-95: {strict}, on {count} images",
            metrics.count,
        ).format(
            found=format_percent(metrics.map50.value),
            range=format_percent_range(metrics.map50.low, metrics.map50.high),
            strict=format_percent(metrics.map50_95.value),
            count=format_count(metrics.count),
        )
        return [headline, "", *format_table(header, rows)]

    def describe_test_result(self, test: Mapping[str, Any], headline: str) -> str:
        """Return mAP50 and mAP50-95 of the test images, the former with its interval."""
        map50, map50_95 = ConfidenceInterval(**test["map50"]), ConfidenceInterval(**test[headline])
        return translate_plural(
            "Test mAP50: {found} ({range}), mAP50-95: {strict}, on {count:,} image",
            "Test mAP50: {found} ({range}), mAP50-95: {strict}, on {count:,} images",
            test["count"],
        ).format(
            found=format_percent(map50.value),
            range=format_percent_range(map50.low, map50.high),
            strict=format_percent(map50_95.value),
            count=test["count"],
        )

    def list_model_lines(self, entries: Mapping[str, ModelEntry], latencies: Mapping[str, float]) -> list[str]:
        """Return the table of the detectors, followed by the presets and what else can be chosen."""
        return [
            *self.build_model_table(entries, latencies),
            "",
            _("Presets: {names}.").format(
                names=", ".join(f"{name} ({entry.name})" for name, entry in list_presets().items())
            ),
            _("Also accepted: 'fasterrcnn: BACKBONE' with any timm backbone."),
        ]

    def build_model_table(self, entries: Mapping[str, ModelEntry], latencies: Mapping[str, float]) -> list[str]:
        """Return the table of ``entries``.

        The columns are the input size, parameters, multiply-accumulates per image, published COCO AP and the licence of
        the weights; with ``latencies``, milliseconds per image. A dash stands for an unknown value.
        """
        return format_model_table(
            entries,
            latencies,
            ([_("pixels")], lambda entry: [str(entry.size)]),
            ([_("COCO AP")], lambda entry: [_format_ap(getattr(entry, "ap", None))]),
        )


def _format_ap(ap: float | None) -> str:
    """Return the published AP of a detector, a dash where there is none."""
    return MISSING_VALUE if ap is None else format_decimal(ap, 1)


COMMANDS = DetectionCommands()
