"""Rules about the images: too few, too unequal, or too few to tell."""

from __future__ import annotations

from math import ceil

from lince.evaluation.diagnosis.finding import Evidence, Finding, Severity, listed
from lince.evaluation.figures import count, decimal, percent, percent_range
from lince.messages import _

ENOUGH = 30  # training images of a class; below, every photo more shows in the result
FAR_TOO_FEW = 10
UNEQUAL = 5.0  # the largest class over the smallest
WIDE = 0.05  # half the width of the accuracy's interval
AIM = 0.03  # the half width that a larger test set should reach


def few_examples(evidence: Evidence) -> Finding | None:
    """Name the classes with too few training images, and how many to add."""
    few = sorted((n, name) for name, n in evidence.train_counts.items() if n < ENOUGH)
    if not few:
        return None
    listing = listed([_("{name} has {n} (add {more})").format(name=name, n=n, more=ENOUGH - n) for n, name in few])
    return Finding(
        "few_examples",
        Severity.SERIOUS if few[0][0] < FAR_TOO_FEW else Severity.WARNING,
        _("Classes with too few training images"),
        _("Fewer than {enough} training images: {listing}.").format(enough=ENOUGH, listing=listing),
        (
            _("Collect more photos of them: different objects, places, light and distances."),
            _("Until then, use pretrained weights (--recipe transfer) and augmentation (--augment medium)."),
        ),
        {"enough": ENOUGH, "classes": {name: n for n, name in few}},
    )


def imbalance(evidence: Evidence) -> Finding | None:
    """Say when one class has many times the training images of another."""
    present = {name: n for name, n in evidence.train_counts.items() if n}
    if len(present) < 2:
        return None
    small, large = min(present, key=lambda name: present[name]), max(present, key=lambda name: present[name])
    ratio = present[large] / present[small]
    if ratio < UNEQUAL:
        return None
    return Finding(
        "imbalance",
        Severity.NOTE,
        _("Classes of very unequal size"),
        _("{large} has {many} training images, {small} has {few}: {ratio} times as many.").format(
            large=large,
            many=count(present[large]),
            small=small,
            few=count(present[small]),
            ratio=decimal(ratio, 1),
        ),
        (
            _("Judge by the recall of each class and the macro averages, not by the accuracy alone."),
            _("Collect more photos of the small classes."),
        ),
        {"largest": large, "smallest": small, "ratio": ratio},
    )


def untested_classes(evidence: Evidence) -> Finding | None:
    """Name the classes that no test image shows."""
    names = [score.name for score in evidence.metrics.scores if not score.support]
    if not names:
        return None
    return Finding(
        "untested_classes",
        Severity.WARNING,
        _("Classes without a test image"),
        _("Nothing can be said about: {names}.").format(names=listed(names)),
        (_("Put a few photos of each into the test set, or set aside a larger share (--test)."),),
        {"classes": names},
    )


def small_test_set(evidence: Evidence) -> Finding | None:
    """Say when the test set is too small for the accuracy to mean much, and how large it should be."""
    accuracy, size = evidence.metrics.accuracy, evidence.metrics.count
    half = (accuracy.high - accuracy.low) / 2
    if half <= WIDE:
        return None
    needed = ceil(size * (half / AIM) ** 2 / 10) * 10  # the width shrinks with the root of the number of images
    return Finding(
        "small_test_set",
        Severity.WARNING,
        _("The test set is too small for a sure answer"),
        _("With {size} test images the true accuracy may lie anywhere {range}.").format(
            size=count(size), range=percent_range(accuracy)
        ),
        (
            _("About {needed} test images would bring it to ± {aim}.").format(
                needed=count(needed), aim=percent(AIM, 0)
            ),
            _("Do not choose between models whose intervals overlap this much: use lince compare."),
        ),
        {"count": size, "low": accuracy.low, "high": accuracy.high, "needed": needed},
    )
