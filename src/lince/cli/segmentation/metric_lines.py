"""The figures of a model of semantic segmentation on the lines of the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lince.cli.figure_lines import describe_figure, get_value
from lince.cli.text_table import format_table
from lince.i18n import _, translate_plural
from lince.number_format import format_count, format_percent


def list_metric_lines(metrics: Any) -> list[str]:
    """Return the mean IoU with its interval, the other figures, and a table of the classes, the background last.

    The columns are the number of images that show the class, IoU, Dice, precision, recall and the error of the area; a
    dash stands for a figure that is not defined.
    """
    record = metrics.to_dict()
    header = (_("class"), _("images"), "IoU", "Dice", _("precision"), _("recall"), _("error of the area"))
    keys = ("iou", "dice", "precision", "recall", "area_error")
    background = {**record["background"], "name": _("background")}
    rows = [
        (score["name"], format_count(score["support"]), *(format_percent(get_value(score[key])) for key in keys))
        for score in (*record["classes"], background)
    ]
    found = describe_figure(
        record,
        "miou",
        translate_plural(
            "mIoU: {miou} ({range}) on {count} image", "mIoU: {miou} ({range}) on {count} images", record["count"]
        ),
    )
    figures = _("Pixels that are right: {pixels}; mean Dice of a photo: {dice}; error of the area: {area}").format(
        pixels=format_percent(get_value(record["pixel_accuracy"])),
        dice=format_percent(get_value(record["mean_dice"])),
        area=format_percent(record["area_error"]),
    )
    return [found, figures, "", *format_table(header, rows)]


def describe_test_result(test: Mapping[str, Any]) -> str:
    """Return the test mIoU with its interval; ``test`` is the object of that key in ``report.json``."""
    text = translate_plural(
        "Test mIoU: {miou} ({range}) on {count} image", "Test mIoU: {miou} ({range}) on {count} images", test["count"]
    )
    return describe_figure(test, "miou", text)
