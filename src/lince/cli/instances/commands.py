"""Options and output of models that give each object a mask on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, ClassVar

from lince.cli.detection.commands import DetectionCommands
from lince.cli.text_table import format_table
from lince.evaluation.confidence import ConfidenceInterval
from lince.i18n import _, translate_plural
from lince.models.classification.registry import ModelEntry
from lince.models.instances.registry import list_model_presets
from lince.number_format import format_count, format_percent, format_percent_range


class InstancesCommands(DetectionCommands):
    """Lines with objects, scores and masks; the options are those of detectors."""

    shared_options: ClassVar[frozenset[str]] = frozenset({"threshold", "iou", "slice", "to", "track", "line", "zone"})

    def add_predict_options(self, parser: argparse.ArgumentParser) -> None:
        """Describe the options of detectors that these models support, too."""
        parser.add_argument_group(
            _("models of objects with masks (instances)"),
            _(
                "--threshold, --iou, --slice and --to work as for detection models. --save also writes each object "
                "cut out, with a transparent background; --to labelme, coco, yolo and others save the masks as labels "
                "to correct."
            ),
        )

    def add_video_options(self, parser: argparse._ActionsContainer) -> None:
        """Add nothing: the options of videos are those that detection adds."""

    def list_metric_lines(self, metrics: Any) -> list[str]:
        """Return mask mAP50 with its interval, mask mAP50-95 and box mAP50-95, and a table of the classes.

        ``metrics`` are ``InstanceMetrics``. The columns are the number of outlined objects, AP50 and AP50-95 of masks,
        AP50-95 of boxes, and precision, recall and F1 of masks at the threshold of the class.
        """
        header = (_("class"), _("objects"), _("mask AP50"), _("mask AP50-95"), _("box AP50-95"), _("precision"),
                  _("recall"), _("F1"))  # fmt: skip
        rows = [
            (
                score.name,
                format_count(score.support),
                *(
                    format_percent(item.value if item else None)
                    for item in (score.ap50, score.ap50_95, box_score.ap50_95)
                ),
                *(format_percent(share) for share in (score.precision, score.recall, score.f1)),
            )
            for score, box_score in zip(metrics.scores, metrics.boxes.scores, strict=True)
        ]
        text = translate_plural(
            "mask mAP50: {found} ({range}), mask mAP50-95: {strict}, box mAP50-95: {boxes}, on {count} image",
            "mask mAP50: {found} ({range}), mask mAP50-95: {strict}, box mAP50-95: {boxes}, on {count} images",
            metrics.count,
        )
        return [_format_means(text, metrics.list_means(), metrics.count), "", *format_table(header, rows)]

    def describe_test_result(self, test: Mapping[str, Any], headline: str) -> str:
        """Return mask mAP50 with its interval, mask mAP50-95 and box mAP50-95 of the test images."""
        del headline
        keys = ("segm_map50", "segm_map50_95", "map50_95")
        text = translate_plural(
            "Test mask mAP50: {found} ({range}), mask mAP50-95: {strict}, box mAP50-95: {boxes}, on {count} image",
            "Test mask mAP50: {found} ({range}), mask mAP50-95: {strict}, box mAP50-95: {boxes}, on {count} images",
            test["count"],
        )
        return _format_means(text, {key: ConfidenceInterval(**test[key]) for key in keys}, test["count"])

    def list_model_lines(self, entries: Mapping[str, ModelEntry], latencies: Mapping[str, float]) -> list[str]:
        """Return the table of ``DetectionCommands``, followed by the presets that learn masks."""
        presets = ", ".join(f"{name} ({entry.name})" for name, entry in list_model_presets().items())
        table = self.build_model_table(entries, latencies)
        return [*table, "", _("Presets: {names}.").format(names=presets)]


def _format_means(text: str, means: Mapping[str, ConfidenceInterval], count: int) -> str:
    """Return ``text`` with the means of masks and boxes."""
    return text.format(
        found=format_percent(means["segm_map50"].value),
        range=format_percent_range(means["segm_map50"].low, means["segm_map50"].high),
        strict=format_percent(means["segm_map50_95"].value),
        boxes=format_percent(means["map50_95"].value),
        count=format_count(count),
    )


COMMANDS = InstancesCommands()
