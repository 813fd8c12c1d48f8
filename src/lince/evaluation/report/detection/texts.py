"""The sentences and table rows that the page and the Markdown of a detector's report share."""

from __future__ import annotations

import shlex

from lince.evaluation.detection.metrics import AREA_RANGES
from lince.evaluation.detection.tide import translate_error_kind
from lince.evaluation.report.classification.texts import NamedTexts, TextTable, compute_total_seconds
from lince.evaluation.report.detection.report import DetectionReport
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_duration, format_percent, format_percent_range


def summarise_result(report: DetectionReport) -> str:
    """Return the result in one sentence."""
    scores = report.metrics.scores
    support, right = sum(score.support for score in scores), sum(score.correct for score in scores)
    shown = sum(score.predicted for score in scores)
    return _(
        "It finds {right} of {support} objects on {images} images that it had never seen, and {wrong} of its {shown} "
        "boxes are wrong."
    ).format(
        right=format_count(right),
        support=format_count(support),
        images=format_count(report.metrics.count),
        wrong=format_count(shown - right),
        shown=format_count(shown),
    )


def describe_expected_range(report: DetectionReport) -> str:
    """Return what the intervals mean in one sentence."""
    return _(
        "On other images of the same kind, expect a mAP50 {range} and a mAP50-95 {strict} (95 % intervals)."
    ).format(
        range=format_percent_range(report.metrics.map50.low, report.metrics.map50.high),
        strict=format_percent_range(report.metrics.map50_95.low, report.metrics.map50_95.high),
    )


def list_key_figures(report: DetectionReport) -> NamedTexts:
    """Return the few figures that stand at the top: (name, figure)."""
    metrics = report.metrics
    rows = [("mAP50-95", format_percent(metrics.map50_95.value))]
    support = sum(score.support for score in metrics.scores)
    shown = sum(score.predicted for score in metrics.scores)
    right = sum(score.correct for score in metrics.scores)
    if support:
        rows.append((_("objects found"), format_percent(right / support)))
    if shown:
        rows.append((_("boxes that are right"), format_percent(right / shown)))
    if report.val_primary_metric is not None:
        rows.append((_("mAP50-95 on validation"), format_percent(report.val_primary_metric)))
    if report.timings:
        rows.append((_("whole time"), format_duration(compute_total_seconds(report.timings))))
    return rows


def build_class_table(report: DetectionReport) -> TextTable:
    """Return the figures of each class as a table, the weakest first."""
    header = (_("class"), _("training boxes"), _("test boxes"), "AP50", "AP50-95", _("precision"), _("recall"), "F1",
              _("threshold"))  # fmt: skip
    weakest = {score.name: score.ap50.value if score.ap50 else 2.0 for score in report.metrics.scores}
    scores = sorted(report.metrics.scores, key=lambda score: weakest[score.name])
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
    return TextTable(header, tuple(rows))


def build_size_table(report: DetectionReport) -> TextTable:
    """Return the figures by the size of the objects."""
    names = {
        "small": _("small (under 32 x 32 pixels)"),
        "medium": _("medium (up to 96 x 96)"),
        "large": _("large"),
    }
    found = {size.size: size for size in report.metrics.size_scores}
    rows = [
        (
            names[name],
            format_count(found[name].support),
            format_percent(found[name].map50),
            format_percent(found[name].map50_95),
        )
        for name in AREA_RANGES
    ]
    return TextTable((_("size"), _("test boxes"), "mAP50", "mAP50-95"), tuple(rows))


def build_error_table(report: DetectionReport) -> TextTable:
    """Return the kinds of error, how many there are, and what mending them would gain."""
    rows = [
        (translate_error_kind(one.kind), format_count(one.count), "+" + format_decimal(100 * one.gain, 1))
        for one in report.metrics.error_stats
    ]
    return TextTable((_("error"), _("how many"), _("mAP50 without them, points")), tuple(rows))


def build_worst_image_table(report: DetectionReport) -> TextTable:
    """Return the images with most errors that are shown, and which errors these are."""
    rows = [(picture.caption, picture.detail) for picture in report.images.worst]
    return TextTable((_("image"), _("errors")), tuple(rows))


def build_confusion_table(report: DetectionReport) -> TextTable:
    """Return the confusion matrix with the background."""
    names = [*report.metrics.classes.names, _("nothing")]
    rows = [(name, *map(format_count, row)) for name, row in zip(names, report.metrics.confusion.tolist(), strict=True)]
    return TextTable((_("marked as"), *names), tuple(rows))


def list_next_commands(report: DetectionReport) -> NamedTexts:
    """Return what to type next: (what for, command)."""
    run = shlex.quote(report.run) if report.run else "RUN"
    return [
        (_("Find objects on photos"), f"lince predict {run} PHOTOS --save found"),
        (_("Judge it on other labelled photos"), f"lince evaluate {run} DATA"),
        (_("Hold another run against it"), f"lince compare {run} OTHER"),
    ]
