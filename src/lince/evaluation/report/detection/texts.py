"""Sentences and tables of a detection report, for HTML and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.detection.metrics import AREA_RANGES
from lince.evaluation.detection.tide import translate_error_kind
from lince.evaluation.report.texts import NamedTexts, TextTable, compute_total_seconds
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_duration, format_percent, format_percent_range

if TYPE_CHECKING:
    from lince.evaluation.report.detection.report import DetectionReport


def summarise_result(report: DetectionReport) -> str:
    """Return the sentence with the numbers of detected objects and of wrong boxes, at the thresholds of the model."""
    return _(
        "It detects {right} of {support} objects in {images} test images, and {wrong} of its {shown} boxes are wrong."
    ).format(**count_hits(report))


def count_hits(report: DetectionReport) -> dict[str, str]:
    """Return the numbers of ``summarise_result`` by the names of their places, as text."""
    scores = report.metrics.scores
    support, correct = sum(score.support for score in scores), sum(score.correct for score in scores)
    predicted = sum(score.predicted for score in scores)
    return {
        "right": format_count(correct),
        "support": format_count(support),
        "images": format_count(report.metrics.count),
        "wrong": format_count(predicted - correct),
        "shown": format_count(predicted),
    }


def describe_expected_range(report: DetectionReport) -> str:
    """Return the sentence that explains the 95 % confidence intervals of mAP50 and mAP50-95."""
    return _(
        "On other images of the same kind, expect a {metric} {range} and a {strict_metric} {strict} (95% intervals)."
    ).format(
        metric=report.metrics.name_map("50"),
        strict_metric=report.metrics.name_map("50-95"),
        range=format_percent_range(report.metrics.map50.low, report.metrics.map50.high),
        strict=format_percent_range(report.metrics.map50_95.low, report.metrics.map50_95.high),
    )


def list_key_figures(report: DetectionReport) -> NamedTexts:
    """Return the figures at the top of the report as (name, value).

    Recall and precision are over all classes, at the thresholds of the model; each is left out where it is not defined.
    """
    metrics = report.metrics
    rows = [(metrics.name_map("50-95"), format_percent(metrics.map50_95.value))]
    support = sum(score.support for score in metrics.scores)
    predicted = sum(score.predicted for score in metrics.scores)
    correct = sum(score.correct for score in metrics.scores)
    if support:
        rows.append((_("recall (objects found)"), format_percent(correct / support)))
    if predicted:
        rows.append((_("precision (correct boxes)"), format_percent(correct / predicted)))
    if report.val_primary_metric is not None:
        rows.append(
            (
                _("validation {metric}").format(metric=metrics.name_map("50-95")),
                format_percent(report.val_primary_metric),
            )
        )
    if report.timings:
        rows.append((_("total time"), format_duration(compute_total_seconds(report.timings))))
    return rows


def build_class_table(report: DetectionReport) -> TextTable:
    """Return one row per class with its metrics, the lowest AP50 first; classes without test boxes come last.

    The training boxes are left out of an evaluation, which does not know them. Precision, recall and F1 are at the
    threshold of the class.
    """
    header = (_("class"), _("training boxes"), _("test boxes"), "AP50", "AP50-95", _("precision"), _("recall"), "F1",
              _("threshold"))  # fmt: skip
    kept = [i for i in range(len(header)) if i != 1 or not report.is_evaluation]
    sort_keys = {score.name: score.ap50.value if score.ap50 else 2.0 for score in report.metrics.scores}
    scores = sorted(report.metrics.scores, key=lambda score: sort_keys[score.name])
    rows = [
        (
            score.name,
            format_count(report.train_boxes.get(score.name, 0)),
            format_count(score.support),
            format_percent(score.ap50.value if score.ap50 else None),
            format_percent(score.ap50_95.value if score.ap50_95 else None),
            format_percent(score.precision),
            format_percent(score.recall),
            format_percent(score.f1),
            format_percent(score.threshold),
        )
        for score in scores
    ]
    return TextTable(tuple(header[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows))


def build_size_table(report: DetectionReport) -> TextTable:
    """Return one row per object size with number of boxes, mAP50 and mAP50-95.

    The sizes are those of COCO: small is below 32 × 32 pixels, medium below 96 × 96.
    """
    names = {
        "small": _("small (under 32 x 32 pixels)"),
        "medium": _("medium (up to 96 x 96)"),
        "large": _("large"),
    }
    scores = {score.size: score for score in report.metrics.size_scores}
    rows = [
        (
            names[name],
            format_count(scores[name].support),
            format_percent(scores[name].map50),
            format_percent(scores[name].map50_95),
        )
        for name in AREA_RANGES
    ]
    return TextTable((_("size"), _("test boxes"), "mAP50", "mAP50-95"), tuple(rows))


def build_error_table(report: DetectionReport) -> TextTable:
    """Return one row per kind of error: how many there are, and how much mAP50 they cost.

    The kinds and costs are those of TIDE (Bolya et al. 2020): the cost is what mAP50 would gain without these errors,
    in percentage points.
    """
    rows = [
        (translate_error_kind(stats.kind), format_count(stats.count), "+" + format_decimal(100 * stats.gain, 1))
        for stats in report.metrics.error_stats
    ]
    return TextTable((_("error"), _("count"), _("mAP50 gain without them, points")), tuple(rows))


def build_worst_image_table(report: DetectionReport) -> TextTable:
    """Return one row per image with most errors: its name and its errors."""
    rows = [(image.caption, image.detail) for image in report.images.worst]
    return TextTable((_("image"), _("errors")), tuple(rows))


def build_confusion_table(report: DetectionReport) -> TextTable:
    """Return the confusion matrix; rows are true classes, columns predicted ones.

    The last row counts detections without an object, the last column objects without a detection.
    """
    names = [*report.metrics.classes.names, _("nothing")]
    rows = [(name, *map(format_count, row)) for name, row in zip(names, report.metrics.confusion.tolist(), strict=True)]
    return TextTable((_("label"), *names), tuple(rows))


def explain_map() -> str:
    """Return what the figures are means of."""
    return _(
        "mAP50 is the mean over the classes of the average precision, where a box is correct if its IoU with the true "
        "box is at least 0.5; mAP50-95 averages over IoU thresholds from 0.5 to 0.95."
    )


def describe_prediction() -> str:
    """Return what ``lince predict`` does with the model of a run."""
    return _("Detect objects in photos")
