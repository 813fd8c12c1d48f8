"""The sentences and table rows that the page and the Markdown of a detector's report share."""

from __future__ import annotations

import shlex

from lince.evaluation.detection import SIZES
from lince.evaluation.figures import count, decimal, duration, percent, percent_range
from lince.evaluation.report.detected import DetectionReport
from lince.evaluation.report.words import Pairs, Table, total_seconds
from lince.evaluation.tide import kind_name
from lince.messages import _


def answer(report: DetectionReport) -> str:
    """Return the result in one sentence."""
    scores = report.metrics.scores
    support, right = sum(score.support for score in scores), sum(score.correct for score in scores)
    shown = sum(score.predicted for score in scores)
    return _(
        "It finds {right} of {support} objects on {images} images that it had never seen, and {wrong} of its {shown} "
        "boxes are wrong."
    ).format(
        right=count(right),
        support=count(support),
        images=count(report.metrics.count),
        wrong=count(shown - right),
        shown=count(shown),
    )


def promise(report: DetectionReport) -> str:
    """Return what the intervals mean in one sentence."""
    return _(
        "On other images of the same kind, expect a mAP50 {range} and a mAP50-95 {strict} (95 % intervals)."
    ).format(range=percent_range(report.metrics.map50), strict=percent_range(report.metrics.map50_95))


def cards(report: DetectionReport) -> Pairs:
    """Return the few figures that stand at the top: (name, figure)."""
    metrics = report.metrics
    rows = [("mAP50-95", percent(metrics.map50_95.value))]
    support = sum(score.support for score in metrics.scores)
    shown = sum(score.predicted for score in metrics.scores)
    right = sum(score.correct for score in metrics.scores)
    if support:
        rows.append((_("objects found"), percent(right / support)))
    if shown:
        rows.append((_("boxes that are right"), percent(right / shown)))
    if report.val_headline is not None:
        rows.append((_("mAP50-95 on validation"), percent(report.val_headline)))
    if report.timings:
        rows.append((_("whole time"), duration(total_seconds(report.timings))))
    return rows


def classes(report: DetectionReport) -> Table:
    """Return the figures of each class as a table, the weakest first."""
    header = (_("class"), _("training boxes"), _("test boxes"), "AP50", "AP50-95", _("precision"), _("recall"), "F1",
              _("threshold"))  # fmt: skip
    weakest = {score.name: score.ap50.value if score.ap50 else 2.0 for score in report.metrics.scores}
    scores = sorted(report.metrics.scores, key=lambda score: weakest[score.name])
    rows = [
        (
            score.name,
            count(report.train_boxes.get(score.name, 0)),
            count(score.support),
            percent(score.ap50.value if score.ap50 else None),
            percent(score.ap50_95.value if score.ap50_95 else None),
            percent(score.precision),
            percent(score.recall),
            percent(score.f1),
            percent(score.threshold),
        )
        for score in scores
    ]
    return Table(header, tuple(rows))


def sizes(report: DetectionReport) -> Table:
    """Return the figures by the size of the objects."""
    names = {
        "small": _("small (under 32 x 32 pixels)"),
        "medium": _("medium (up to 96 x 96)"),
        "large": _("large"),
    }
    found = {size.size: size for size in report.metrics.sizes}
    rows = [
        (names[name], count(found[name].support), percent(found[name].map50), percent(found[name].map50_95))
        for name in SIZES
    ]
    return Table((_("size"), _("test boxes"), "mAP50", "mAP50-95"), tuple(rows))


def errors(report: DetectionReport) -> Table:
    """Return the kinds of error, how many there are, and what mending them would gain."""
    rows = [(kind_name(one.kind), count(one.count), "+" + decimal(100 * one.gain, 1)) for one in report.metrics.errors]
    return Table((_("error"), _("how many"), _("mAP50 without them, points")), tuple(rows))


def worst(report: DetectionReport) -> Table:
    """Return the images with most errors that are shown, and which errors these are."""
    rows = [(picture.caption, picture.detail) for picture in report.pictures.worst]
    return Table((_("image"), _("errors")), tuple(rows))


def confusion(report: DetectionReport) -> Table:
    """Return the confusion matrix with the background."""
    names = [*report.metrics.classes.names, _("nothing")]
    rows = [(name, *map(count, row)) for name, row in zip(names, report.metrics.confusion.tolist(), strict=True)]
    return Table((_("marked as"), *names), tuple(rows))


def usage(report: DetectionReport) -> Pairs:
    """Return what to type next: (what for, command)."""
    run = shlex.quote(report.run) if report.run else "RUN"
    return [
        (_("Find objects on photos"), f"lince predict {run} PHOTOS --save found"),
        (_("Judge it on other labelled photos"), f"lince evaluate {run} DATA"),
        (_("Hold another run against it"), f"lince compare {run} OTHER"),
    ]
