"""Sentences and tables of the report of a model of semantic segmentation, for HTML and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report.texts import NamedTexts, TextTable, compute_total_seconds
from lince.evaluation.segmentation.metrics import BACKGROUND_NAME
from lince.i18n import _
from lince.number_format import MISSING_VALUE, format_count, format_duration, format_percent, format_percent_range

if TYPE_CHECKING:
    from lince.evaluation.report.segmentation.report import SegmentationReport
    from lince.evaluation.segmentation.metrics import PixelScore, SegmentationMetrics


def translate_class(name: str) -> str:
    """Return the name of a class, or the translated one of the background."""
    return _("background") if name == BACKGROUND_NAME else name


def summarise_result(report: SegmentationReport) -> str:
    """Return the sentence with the fraction of the pixels that are right."""
    return _("{share} of the pixels of {total} test images are right.").format(
        share=format_percent(report.metrics.figures.pixel_accuracy.value), total=format_count(report.metrics.count)
    )


def describe_expected_range(report: SegmentationReport) -> str:
    """Return the sentence that explains the confidence interval of the mean IoU."""
    return _("On other images of the same kind, expect a mean IoU {range} (95% interval).").format(
        range=format_percent_range(report.metrics.miou.low, report.metrics.miou.high)
    )


def describe_mean(metrics: SegmentationMetrics) -> str:
    """Return the sentence that says what the mean IoU is the mean of."""
    names = [translate_class(name) for name in metrics.counted_names]
    if len(names) > 8:
        return (
            _("The mean IoU is that of {n} classes, the background among them.").format(n=format_count(len(names)))
            if BACKGROUND_NAME in metrics.counted_names
            else _("The mean IoU is that of {n} classes.").format(n=format_count(len(names)))
        )
    return _("The mean IoU is that of: {names}.").format(names=", ".join(names))


def describe_void(metrics: SegmentationMetrics) -> str:
    """Return the sentence about void pixels; empty where there are none."""
    if not metrics.void_pixels:
        return ""
    return _("{share} of the pixels are void in the labels: they count nowhere here.").format(
        share=format_percent(metrics.void_share)
    )


def describe_errors(metrics: SegmentationMetrics) -> str:
    """Return the fraction of wrong pixels, with the most frequent confusion."""
    wrong = metrics.confusion * (1 - np.eye(len(metrics.confusion), dtype=np.int64))
    total = int(wrong.sum())
    if not total:
        return _("All pixels of all {total} test images are right.").format(total=format_count(metrics.count))
    truth, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
    names = [_("background"), *metrics.classes.names]
    return _(
        "{share} of the pixels are wrong. {most} of the wrong ones are {truth} that was taken for {predicted}."
    ).format(
        share=format_percent(total / metrics.pixels),
        most=format_percent(float(wrong[truth, predicted] / total), 0),
        truth=names[truth],
        predicted=names[predicted],
    )


def list_key_figures(report: SegmentationReport) -> NamedTexts:
    """Return the figures at the top of the report as (name, value)."""
    metrics = report.metrics
    rows = [
        (_("pixels that are right"), format_percent(metrics.figures.pixel_accuracy.value)),
        (_("mean Dice of a photo"), _format_value(metrics.figures.mean_dice)),
        (_("error of the area"), format_percent(metrics.area_error)),
    ]
    if metrics.figures.boundary_iou is not None:
        rows.append((_("boundary IoU"), _format_value(metrics.figures.boundary_iou)))
    if report.val_miou is not None:
        rows.append((_("validation mIoU"), format_percent(report.val_miou)))
    if report.timings:
        rows.append((_("total time"), format_duration(compute_total_seconds(report.timings))))
    return rows


def describe_prediction() -> str:
    """Return what ``lince predict`` does with the model of a run."""
    return _("Find the pixels of each class in other photos")


def list_overall_figures(report: SegmentationReport) -> NamedTexts:
    """Return all metrics over the whole test set as (name, value), with their intervals."""
    figures = report.metrics.figures
    rows = [
        (_("mean IoU (mIoU)"), _format_interval(figures.miou)),
        (_("pixel accuracy (pixels that are right)"), _format_interval(figures.pixel_accuracy)),
        (_("mean Dice of a photo"), _format_interval(figures.mean_dice)),
        (_("boundary IoU"), _format_interval(figures.boundary_iou)),
        (_("error of the area, all classes"), format_percent(report.metrics.area_error)),
        (_("pixels"), format_count(report.metrics.pixels)),
    ]
    if report.metrics.void_pixels:
        rows.append((_("void pixels, which do not count"), format_count(report.metrics.void_pixels)))
    return rows


def build_class_table(metrics: SegmentationMetrics) -> TextTable:
    """Return one row per class, the lowest IoU first, and the background last."""
    header = (
        _("class"),
        _("test images"),
        _("share of the pixels"),
        "IoU",
        _("95% interval"),
        "Dice",
        _("precision"),
        _("recall"),
        _("error of the area"),
    )
    rows = tuple(
        (
            translate_class(score.name),
            format_count(score.support),
            format_percent(score.pixels / metrics.pixels),
            _format_value(score.iou),
            format_percent_range(score.iou.low, score.iou.high) if score.iou else MISSING_VALUE,
            *(_format_value(item) for item in (score.dice, score.precision, score.recall)),
            format_percent(score.area_error),
        )
        for score in sort_scores(metrics)
    )
    return TextTable(header, rows)


def sort_scores(metrics: SegmentationMetrics) -> list[PixelScore]:
    """Return the scores of the classes, the lowest IoU first, those without one last; then that of the background."""
    ordered = sorted(
        metrics.scores, key=lambda score: (score.iou is None, score.iou.value if score.iou else 0.0, score.name)
    )
    return [*ordered, metrics.background]


def build_confusion_table(metrics: SegmentationMetrics) -> TextTable:
    """Return the confusion matrix as percentages of the true class; rows are true classes, columns predicted ones."""
    names = [_("background"), *metrics.classes.names]
    totals = metrics.confusion.sum(axis=1)
    rows = [
        (name, *(format_percent(count / total if total else None) for count in row))
        for name, row, total in zip(names, metrics.confusion.tolist(), totals.tolist(), strict=True)
    ]
    return TextTable((_("label"), *names), tuple(rows))


def build_worst_image_table(report: SegmentationReport) -> TextTable:
    """Return one row per image with most errors: its name, its mean IoU, and the fraction of its wrong pixels."""
    rows = [
        (image.caption, format_percent(image.miou), format_percent(image.wrong_share)) for image in report.images.worst
    ]
    return TextTable((_("image"), "mIoU", _("wrong pixels")), tuple(rows))


def _format_value(interval: ConfidenceInterval | None) -> str:
    """Return a figure as a percentage."""
    return format_percent(None if interval is None else interval.value)


def _format_interval(interval: ConfidenceInterval | None) -> str:
    """Return a figure as a percentage with its interval."""
    if interval is None:
        return MISSING_VALUE
    return f"{format_percent(interval.value)} ({format_percent_range(interval.low, interval.high)})"
