"""Rules for classifiers on the images: too few per class, unbalanced classes, or too small a test set."""

from __future__ import annotations

from lince.evaluation.diagnosis.classification.diagnosis_input import ClassificationDiagnosisInput
from lince.evaluation.diagnosis.figure_rules import judge_test_set_size
from lince.evaluation.diagnosis.image_diagnosis_input import ImageDiagnosisInput
from lince.evaluation.diagnosis.name_list import join_names
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_count, format_decimal

MIN_TRAIN_IMAGES = 30  # per class; below, each additional image still improves the result noticeably
CRITICAL_TRAIN_IMAGES = 10  # per class; below, the finding is serious
IMBALANCE_RATIO = 5.0  # training images of the largest class over those of the smallest


def check_few_examples(inputs: ImageDiagnosisInput) -> Finding | None:
    """Return ``few_examples`` with the classes that have fewer than ``MIN_TRAIN_IMAGES`` training images.

    The fewest come first, each with the number of images to add. Serious when a class has fewer than
    ``CRITICAL_TRAIN_IMAGES``. Figures: ``enough`` (the limit) and ``classes``, the number of images by class.
    """
    rare_classes = sorted((count, name) for name, count in inputs.train_counts.items() if count < MIN_TRAIN_IMAGES)
    if not rare_classes:
        return None
    is_scratch = inputs.recipe not in {"transfer", "finetune"}
    class_list = join_names(
        [
            _("{name} has {n} (add {more})").format(name=name, n=count, more=MIN_TRAIN_IMAGES - count)
            for count, name in rare_classes
        ]
    )
    return Finding(
        "few_examples",
        Severity.SERIOUS if rare_classes[0][0] < CRITICAL_TRAIN_IMAGES else Severity.WARNING,
        _("Classes with too few training images"),
        _("Fewer than {enough} training images: {listing}.").format(enough=MIN_TRAIN_IMAGES, listing=class_list),
        inputs.list_advice(
            ("", _("Collect more photos of them: different objects, places, light and distances.")),
            *([("", _("Until then, use pretrained weights: --recipe transfer."))] if is_scratch else []),
            ("augment", _("Until then, use augmentation: --augment medium.")),
        ),
        {"enough": MIN_TRAIN_IMAGES, "classes": {name: count for count, name in rare_classes}},
    )


def check_untrained_classes(inputs: ImageDiagnosisInput) -> Finding | None:
    """Return ``untrained_classes`` with the classes that have test images but no training image.

    Figures: ``classes``, the number of their test images by class.
    """
    untrained = {
        score.name: score.support
        for score in inputs.scores
        if score.support and inputs.train_counts.get(score.name) == 0
    }
    if not untrained:
        return None
    return Finding(
        "untrained_classes",
        Severity.SERIOUS,
        _("Classes without a training image"),
        _("The model could not learn {names}; their test images ({count}) count as errors.").format(
            names=join_names(list(untrained)), count=format_count(sum(untrained.values()))
        ),
        (_("Move some of their photos to the training photos, or remove these classes."),),
        {"classes": untrained},
    )


def check_class_imbalance(inputs: ImageDiagnosisInput) -> Finding | None:
    """Return ``imbalance`` when the largest class has ``IMBALANCE_RATIO`` times the training images of the smallest.

    Classes without training images are left out. Figures: ``largest`` and ``smallest`` class, and the ``ratio``.
    """
    counts = {name: count for name, count in inputs.train_counts.items() if count}
    if len(counts) < 2:
        return None
    smallest, largest = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    ratio = counts[largest] / counts[smallest]
    if ratio < IMBALANCE_RATIO:
        return None
    return Finding(
        "imbalance",
        Severity.NOTE,
        _("Class imbalance"),
        _("{large} has {many} training images, {small} has {few}: {ratio} times as many.").format(
            large=largest,
            many=format_count(counts[largest]),
            small=smallest,
            few=format_count(counts[smallest]),
            ratio=format_decimal(ratio, 1),
        ),
        (
            _("Use the recall of each class and the macro averages, not the accuracy alone."),
            _("Collect more photos of the small classes."),
        ),
        {"largest": largest, "smallest": smallest, "ratio": ratio},
    )


def check_untested_classes(inputs: ImageDiagnosisInput) -> Finding | None:
    """Return ``untested_classes`` with the classes that have no test image.

    Figures: ``classes``, their names.
    """
    names = [score.name for score in inputs.scores if not score.support]
    if not names:
        return None
    return Finding(
        "untested_classes",
        Severity.WARNING,
        _("Classes without a test image"),
        _("Not evaluated: {names}.").format(names=join_names(names)),
        (_("Add a few photos of each to the test set, or use a larger test fraction (--test)."),),
        {"classes": names},
    )


def check_test_set_size(inputs: ClassificationDiagnosisInput) -> Finding | None:
    """Return ``small_test_set`` when the confidence interval of the accuracy is wide (``judge_test_set_size``)."""
    text = _("With {size} test images the true accuracy may be anywhere {range}.")
    return judge_test_set_size(inputs.metrics.accuracy, inputs.metrics.count, text)
