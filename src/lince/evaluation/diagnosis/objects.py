"""Rules about what a detector learned from: classes with too few boxes, and how many more to label."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from lince.evaluation.detection import DetectionMetrics
from lince.evaluation.diagnosis.finding import Finding, Severity, listed
from lince.evaluation.figures import count, percent
from lince.messages import _

ENOUGH_BOXES = 125  # training boxes of a class; below, every box more shows in the result
FAR_TOO_FEW_BOXES = 50


def few_boxes(metrics: DetectionMetrics, train_boxes: Mapping[str, int]) -> Finding | None:
    """Name the classes with too few training boxes, how well each is found, and how many boxes to add.

    ``train_boxes`` counts the boxes of each class in the training images.
    """
    few = sorted((train_boxes.get(score.name, 0), i) for i, score in enumerate(metrics.scores))
    few = [(boxes, i) for boxes, i in few if boxes < ENOUGH_BOXES]
    if not few:
        return None
    listing = listed([_said(metrics, i, boxes) for boxes, i in few])
    return Finding(
        "few_boxes",
        Severity.SERIOUS if few[0][0] < FAR_TOO_FEW_BOXES else Severity.WARNING,
        _("Classes with too few boxes to learn from"),
        _("Fewer than {enough} training boxes: {listing}.").format(enough=ENOUGH_BOXES, listing=listing),
        (
            _("Label every object of these classes, also the small and the half hidden ones."),
            _("If no more photos of a class can be had, leave the class out: it only costs the others."),
        ),
        {"enough": ENOUGH_BOXES, "classes": {metrics.scores[i].name: boxes for boxes, i in few}},
    )


def _said(metrics: DetectionMetrics, index: int, boxes: int) -> str:
    score = metrics.scores[index]
    text = _("{name} has {n} boxes: label some {more} more").format(
        name=score.name, n=count(boxes), more=count(_more(boxes))
    )
    if score.ap50 is None:
        return text + " " + _("(none in the test images)")
    return text + " " + _("(AP50 {ap})").format(ap=percent(score.ap50.value))


def _more(boxes: int) -> int:
    """Return how many boxes are lacking, in tens: no more exact than the rule itself."""
    return 10 * ceil((ENOUGH_BOXES - boxes) / 10)
