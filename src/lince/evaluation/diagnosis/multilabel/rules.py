"""Rules for multilabel models: chance, overfitting, weak classes, and too small a test set."""

from __future__ import annotations

import numpy as np

from lince.evaluation.diagnosis.figure_rules import judge_overfitting, judge_test_set_size, judge_weak_classes
from lince.evaluation.diagnosis.multilabel.diagnosis_input import MultilabelDiagnosisInput
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_percent, format_percent_range

WEAK_AP = 0.5  # average precision of a class


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
    """Return ``overfitting`` by the figures on training and test images (``judge_overfitting``)."""
    return judge_overfitting(
        inputs.train_map,
        inputs.metrics.map,
        "map",
        _("Mean average precision on the training images {train}, on the test images {test}."),
        inputs.list_advice(
            ("", _("Collect more photos: nothing helps more.")),
            ("augment", _("Use stronger augmentation: --augment medium or strong.")),
            ("epochs", _("Train for fewer epochs, or use early stopping: --patience 5.")),
        ),
    )


def check_weak_classes(inputs: MultilabelDiagnosisInput) -> Finding | None:
    """Return ``weak_classes`` with the classes whose average precision is surely below ``WEAK_AP``."""
    return judge_weak_classes(
        {score.name: score.ap for score in inputs.metrics.scores},
        WEAK_AP,
        _("Average precision below {limit}: {names}."),
        (
            _("Look at their photos: is the class on them always marked, and only there?"),
            _("Collect more photos of these classes, and photos without them that look alike."),
        ),
    )


def check_test_set_size(inputs: MultilabelDiagnosisInput) -> Finding | None:
    """Return ``small_test_set`` when the interval of the mean average precision is wide (``judge_test_set_size``)."""
    text = _("With {size} test images the true mean average precision may be anywhere {range}.")
    return judge_test_set_size(inputs.metrics.map, inputs.metrics.count, text)
