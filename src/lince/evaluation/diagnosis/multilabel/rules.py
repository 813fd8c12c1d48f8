"""Rules for multilabel models: chance, overfitting, weak classes, and too small a test set."""

from __future__ import annotations

from math import ceil

import numpy as np

from lince.evaluation.diagnosis.multilabel.diagnosis_input import MultilabelDiagnosisInput
from lince.evaluation.diagnosis.name_list import join_names
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_count, format_percent, format_percent_range

OVERFITTING_GAP = 0.05  # mean average precision on training images minus that on test images: a note
LARGE_OVERFITTING_GAP = 0.15  # and from here on a warning
WEAK_AP = 0.5  # average precision of a class
MAX_HALF_WIDTH = 0.05  # half the width of the interval of the mean average precision
TARGET_HALF_WIDTH = 0.03  # that the recommended size of the test set would give


def check_chance(inputs: MultilabelDiagnosisInput) -> Finding | None:
    """Return ``no_better_than_chance`` when the mean average precision may be that of probabilities drawn at random.

    Random probabilities reach the share of the images that have the class, on average. Figures: ``map`` with its
    interval, and ``chance``, 0..1.
    """
    metrics = inputs.metrics
    chance = float(np.mean([score.support / metrics.count for score in metrics.scores if score.support]))
    if metrics.map.low > chance or chance == 1:
        return None
    return Finding(
        "no_better_than_chance",
        Severity.SERIOUS,
        _("No better than chance"),
        _(
            "The mean average precision is {value} ({range}); probabilities drawn at random would reach {chance}."
        ).format(
            value=format_percent(metrics.map.value),
            range=format_percent_range(metrics.map.low, metrics.map.high),
            chance=format_percent(chance),
        ),
        inputs.list_advice(
            ("", _("Check that the photos have the correct classes, and all of them.")),
            ("", _("Add photos: the more of each class, the better.")),
            ("epochs", _("Train for longer (--epochs), or lower the learning rate (--lr).")),
        ),
        {**metrics.map.to_dict(), "chance": chance},
    )


def check_overfitting(inputs: MultilabelDiagnosisInput) -> Finding | None:
    """Return ``overfitting`` when the figure on training images exceeds that on test images and its interval.

    Figures: ``train_map``, ``test_map`` and their difference ``gap``, 0..1.
    """
    train_map, test = inputs.train_map, inputs.metrics.map
    if train_map is None or not train_map - test.value >= OVERFITTING_GAP or train_map <= test.high:
        return None
    gap = train_map - test.value
    return Finding(
        "overfitting",
        Severity.WARNING if gap >= LARGE_OVERFITTING_GAP else Severity.NOTE,
        _("Overfitting: the model memorised the training images"),
        _("Mean average precision on the training images {train}, on the test images {test}.").format(
            train=format_percent(train_map), test=format_percent(test.value)
        ),
        inputs.list_advice(
            ("", _("Collect more photos: nothing helps more.")),
            ("augment", _("Use stronger augmentation: --augment medium or strong.")),
            ("epochs", _("Train for fewer epochs, or use early stopping: --patience 5.")),
        ),
        {"train_map": train_map, "test_map": test.value, "gap": gap},
    )


def check_weak_classes(inputs: MultilabelDiagnosisInput) -> Finding | None:
    """Return ``weak_classes`` with the classes whose average precision is surely below ``WEAK_AP``, the weakest first.

    Figures: ``classes``, the average precision by name.
    """
    weak = {
        score.name: score.ap.value
        for score in sorted(inputs.metrics.scores, key=lambda score: score.ap.value if score.ap else 1.0)
        if score.ap is not None and score.ap.high < WEAK_AP
    }
    if not weak:
        return None
    listing = [f"{name} ({format_percent(value)})" for name, value in weak.items()]
    return Finding(
        "weak_classes",
        Severity.WARNING,
        _("Classes that the model hardly recognises"),
        _("Average precision below {limit}: {names}.").format(
            limit=format_percent(WEAK_AP, 0), names=join_names(listing)
        ),
        (
            _("Look at their photos: is the class on them always marked, and only there?"),
            _("Collect more photos of these classes, and photos without them that look alike."),
        ),
        {"classes": weak},
    )


def check_test_set_size(inputs: MultilabelDiagnosisInput) -> Finding | None:
    """Return ``small_test_set`` when the interval of the mean average precision is wider than 2 x ``MAX_HALF_WIDTH``.

    The recommended number of test images is rounded up to tens. Figures: ``count`` of test images, the interval from
    ``low`` to ``high`` (0..1), and the number of images ``needed``.
    """
    figure, size = inputs.metrics.map, inputs.metrics.count
    half_width = (figure.high - figure.low) / 2
    if half_width <= MAX_HALF_WIDTH:
        return None
    # The width is inversely proportional to the square root of the number of images.
    needed = ceil(size * (half_width / TARGET_HALF_WIDTH) ** 2 / 10) * 10
    return Finding(
        "small_test_set",
        Severity.WARNING,
        _("The test set is too small for a reliable estimate"),
        _("With {size} test images the true mean average precision may be anywhere {range}.").format(
            size=format_count(size), range=format_percent_range(figure.low, figure.high)
        ),
        (
            _("About {needed} test images would bring it to ± {aim}.").format(
                needed=format_count(needed), aim=format_percent(TARGET_HALF_WIDTH, 0)
            ),
            _("Do not choose between models whose intervals overlap this much: use lince compare."),
        ),
        {"count": size, "low": figure.low, "high": figure.high, "needed": needed},
    )
