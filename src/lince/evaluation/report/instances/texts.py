"""Sentences and tables of the report of a model with masks: those of detection, by the overlap of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report.detection import texts
from lince.evaluation.report.detection.texts import (
    build_confusion_table,
    build_error_table,
    build_worst_image_table,
    describe_expected_range,
)
from lince.evaluation.report.texts import NamedTexts, TextTable
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


def summarise_result(report: InstancesReport) -> str:
    """Return the sentence with the numbers of objects whose masks were found and that were found wrongly."""
    return _(
        "It finds {right} of {support} objects in {images} test images, and {wrong} of the {shown} that it shows are "
        "wrong."
    ).format(**texts.count_hits(report))


def list_key_figures(report: InstancesReport) -> NamedTexts:
    """Return the figures at the top of the report as (name, value): those of masks, then the means of the boxes."""
    first, *rest = ((_name_by_mask(name), value) for name, value in texts.list_key_figures(report))
    means = report.metrics.list_means()
    names = {"map50": _("box mAP50"), "map50_95": _("box mAP50-95")}
    return [first, *((name, format_percent(means[key].value)) for key, name in names.items()), *rest]


def build_class_table(report: InstancesReport) -> TextTable:
    """Return the table of detection by masks."""
    return _name_columns(texts.build_class_table(report))


def build_size_table(report: InstancesReport) -> TextTable:
    """Return the table of detection by masks; the size of an object is that of its mask."""
    return _name_columns(texts.build_size_table(report))


def _name_columns(table: TextTable) -> TextTable:
    """Return ``table`` with the names that its columns have by masks."""
    return TextTable(tuple(map(_name_by_mask, table.header)), table.rows)


def _name_by_mask(name: str) -> str:
    """Return the name of a figure of detection where it is one of masks."""
    names = {
        "AP50": _("mask AP50"),
        "AP50-95": _("mask AP50-95"),
        "mAP50": _("mask mAP50"),
        "mAP50-95": _("mask mAP50-95"),
        _("training boxes"): _("training objects"),
        _("test boxes"): _("test objects"),
        _("precision (correct boxes)"): _("precision (correct objects)"),
    }
    return names.get(name, name)


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
