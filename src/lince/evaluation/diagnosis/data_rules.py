"""Rules about the images: too few, too unequal, or too few to tell."""

from __future__ import annotations

from math import ceil

from lince.evaluation.diagnosis.finding import DiagnosisInput, Finding, Severity, join_names
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_percent, format_percent_range

MIN_TRAIN_IMAGES = 30  # training images of a class; below, every photo more shows in the result
CRITICAL_TRAIN_IMAGES = 10
IMBALANCE_RATIO = 5.0  # the largest class over the smallest
MAX_HALF_WIDTH = 0.05  # half the width of the accuracy's interval
TARGET_HALF_WIDTH = 0.03  # the half width that a larger test set should reach


def check_few_examples(evidence: DiagnosisInput) -> Finding | None:
    """Name the classes with too few training images, and how many to add."""
    few = sorted((n, name) for name, n in evidence.train_counts.items() if n < MIN_TRAIN_IMAGES)
    if not few:
        return None
    listing = join_names(
        [_("{name} has {n} (add {more})").format(name=name, n=n, more=MIN_TRAIN_IMAGES - n) for n, name in few]
    )
    return Finding(
        "few_examples",
        Severity.SERIOUS if few[0][0] < CRITICAL_TRAIN_IMAGES else Severity.WARNING,
        _("Classes with too few training images"),
        _("Fewer than {enough} training images: {listing}.").format(enough=MIN_TRAIN_IMAGES, listing=listing),
        (
            _("Collect more photos of them: different objects, places, light and distances."),
            _("Until then, use pretrained weights (--recipe transfer) and augmentation (--augment medium)."),
        ),
        {"enough": MIN_TRAIN_IMAGES, "classes": {name: n for n, name in few}},
    )


def check_class_imbalance(evidence: DiagnosisInput) -> Finding | None:
    """Say when one class has many times the training images of another."""
    present = {name: n for name, n in evidence.train_counts.items() if n}
    if len(present) < 2:
        return None
    small, large = min(present, key=lambda name: present[name]), max(present, key=lambda name: present[name])
    ratio = present[large] / present[small]
    if ratio < IMBALANCE_RATIO:
        return None
    return Finding(
        "imbalance",
        Severity.NOTE,
        _("Classes of very unequal size"),
        _("{large} has {many} training images, {small} has {few}: {ratio} times as many.").format(
            large=large,
            many=format_count(present[large]),
            small=small,
            few=format_count(present[small]),
            ratio=format_decimal(ratio, 1),
        ),
        (
            _("Judge by the recall of each class and the macro averages, not by the accuracy alone."),
            _("Collect more photos of the small classes."),
        ),
        {"largest": large, "smallest": small, "ratio": ratio},
    )


def check_untested_classes(evidence: DiagnosisInput) -> Finding | None:
    """Name the classes that no test image shows."""
    names = [score.name for score in evidence.metrics.scores if not score.support]
    if not names:
        return None
    return Finding(
        "untested_classes",
        Severity.WARNING,
        _("Classes without a test image"),
        _("Nothing can be said about: {names}.").format(names=join_names(names)),
        (_("Put a few photos of each into the test set, or set aside a larger share (--test)."),),
        {"classes": names},
    )


def check_test_set_size(evidence: DiagnosisInput) -> Finding | None:
    """Say when the test set is too small for the accuracy to mean much, and how large it should be."""
    accuracy, size = evidence.metrics.accuracy, evidence.metrics.count
    half = (accuracy.high - accuracy.low) / 2
    if half <= MAX_HALF_WIDTH:
        return None
    needed = (
        ceil(size * (half / TARGET_HALF_WIDTH) ** 2 / 10) * 10
    )  # the width shrinks with the root of the number of images
    return Finding(
        "small_test_set",
        Severity.WARNING,
        _("The test set is too small for a sure answer"),
        _("With {size} test images the true accuracy may lie anywhere {range}.").format(
            size=format_count(size), range=format_percent_range(accuracy.low, accuracy.high)
        ),
        (
            _("About {needed} test images would bring it to ± {aim}.").format(
                needed=format_count(needed), aim=format_percent(TARGET_HALF_WIDTH, 0)
            ),
            _("Do not choose between models whose intervals overlap this much: use lince compare."),
        ),
        {"count": size, "low": accuracy.low, "high": accuracy.high, "needed": needed},
    )
