"""Sentences and tables of the report of a model with masks: those of detection, by the overlap of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report.detection import texts
from lince.evaluation.report.detection.texts import (
    build_class_table,
    build_confusion_table,
    build_error_table,
    build_size_table,
    build_worst_image_table,
    describe_expected_range,
    summarise_result,
)
from lince.evaluation.report.texts import NamedTexts
from lince.i18n import _
from lince.number_format import format_percent

if TYPE_CHECKING:
    from lince.evaluation.report.instances.report import InstancesReport

__all__ = [
    "build_class_table",
    "build_confusion_table",
    "build_error_table",
    "build_size_table",
    "build_worst_image_table",
    "describe_expected_range",
    "describe_prediction",
    "explain_map",
    "list_key_figures",
    "summarise_result",
]


def list_key_figures(report: InstancesReport) -> NamedTexts:
    """Return the figures at the top of the report as (name, value): those of masks, then the means of the boxes."""
    first, *rest = texts.list_key_figures(report)
    means = report.metrics.list_means()
    names = {"map50": _("box mAP50"), "map50_95": _("box mAP50-95")}
    return [first, *((name, format_percent(means[key].value)) for key, name in names.items()), *rest]


def explain_map() -> str:
    """Return what the figures are means of."""
    return _(
        "Mask mAP50 is the mean over the classes of the average precision, where an object is found if its mask and "
        "the true one have an IoU of at least 0.5; mask mAP50-95 averages over IoU thresholds from 0.5 to 0.95. "
        "Errors, precision and recall on this page are by masks, too; box mAP is the same by boxes."
    )


def describe_prediction() -> str:
    """Return what ``lince predict`` does with the model of a run."""
    return _("Detect and cut out objects in photos")
