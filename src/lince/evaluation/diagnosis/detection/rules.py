"""Rules for detectors: on the images, the course of training and the errors."""

from __future__ import annotations

from math import ceil, isfinite

import numpy as np

from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.detection.tide import (
    BACKGROUND,
    BOTH,
    CLASSIFICATION,
    DUPLICATE,
    LOCALISATION,
    MISSED,
    format_error_count,
)
from lince.evaluation.diagnosis.detection.diagnosis_input import DetectionDiagnosisInput
from lince.evaluation.diagnosis.name_list import join_names
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_percent

MIN_TRAIN_BOXES = 125  # per class; below, each additional box still improves the result noticeably
CRITICAL_TRAIN_BOXES = 50  # per class; below, the finding is serious
MIN_AP_GAIN = 0.03  # of mAP50, that removing all errors of a kind would bring
MIN_CONFUSION_RATE = 0.1  # fraction of a class's objects predicted as one other class
MIN_CONFUSION_COUNT = 3  # objects
MIN_TEST_IMAGES = 30
MIN_MAP_STEP = 0.01  # of mAP50-95 on validation; a smaller change may be chance
MIN_SMALL_OBJECTS = 10  # below, their mAP50 means little
MIN_SIZE_GAP = 0.2  # mAP50 of large objects minus that of small ones
_MIN_EPOCHS = 4  # of a history that can be judged
_LATE_EPOCHS = 3  # last epochs of training


def check_few_boxes(inputs: DetectionDiagnosisInput) -> Finding | None:
    """Return ``few_boxes`` with the classes that have fewer than ``MIN_TRAIN_BOXES`` training boxes.

    The fewest come first, each with its AP50 and the number of boxes to add. Serious when a class has fewer than
    ``CRITICAL_TRAIN_BOXES``. Figures: ``enough`` (the limit) and ``classes``, the number of boxes by class.
    """
    metrics, train_boxes = inputs.metrics, inputs.train_boxes
    rare_classes = sorted((train_boxes.get(score.name, 0), index) for index, score in enumerate(metrics.scores))
    rare_classes = [(boxes, index) for boxes, index in rare_classes if boxes < MIN_TRAIN_BOXES]
    if not rare_classes:
        return None
    class_list = join_names([_describe_class(metrics, index, boxes) for boxes, index in rare_classes])
    return Finding(
        "few_boxes",
        Severity.SERIOUS if rare_classes[0][0] < CRITICAL_TRAIN_BOXES else Severity.WARNING,
        _("Classes with too few training boxes"),
        _("Fewer than {enough} training boxes: {listing}.").format(enough=MIN_TRAIN_BOXES, listing=class_list),
        (
            _("Label every object of these classes, including small and partly hidden ones."),
            _("If you cannot get more photos of a class, remove the class: it only harms the others."),
        ),
        {"enough": MIN_TRAIN_BOXES, "classes": {metrics.scores[index].name: boxes for boxes, index in rare_classes}},
    )


def check_not_converged(inputs: DetectionDiagnosisInput) -> Finding | None:
    """Return ``still_learning`` when the validation mAP is highest in the last epoch, by a clear margin.

    The margin, ``MIN_MAP_STEP``, is over the best value in the first three quarters of the epochs. Figures: ``values``,
    mAP50-95 by epoch.
    """
    values = _val_map_history(inputs)
    if len(values) < _MIN_EPOCHS or values[-1] < max(values):
        return None
    before = max(values[: len(values) * 3 // 4])
    if values[-1] - before < MIN_MAP_STEP:
        return None
    return Finding(
        "still_learning",
        Severity.NOTE,
        _("The model was still improving when training ended"),
        _("Validation mAP rose from {before} to {after} in the last quarter of the epochs.").format(
            before=format_percent(before), after=format_percent(values[-1])
        ),
        (_("Train longer: --epochs {more}.").format(more=2 * len(inputs.history)),),
        {"values": values},
    )


def check_overfitting(inputs: DetectionDiagnosisInput) -> Finding | None:
    """Return ``past_its_best`` when the validation mAP of the last three epochs stays below its maximum.

    The difference must be at least ``MIN_MAP_STEP``. Figures: ``best`` and ``last`` mAP50-95.
    """
    values = _val_map_history(inputs)
    best_epoch = int(np.argmax(values)) if values else 0
    if len(values) < _MIN_EPOCHS or len(values) - best_epoch <= _LATE_EPOCHS:
        return None
    if values[best_epoch] - max(values[-_LATE_EPOCHS:]) < MIN_MAP_STEP:
        return None
    return Finding(
        "past_its_best",
        Severity.NOTE,
        _("Overfitting: validation results got worse during training"),
        _("Validation mAP peaked at {best} and ended at {last}.").format(
            best=format_percent(values[best_epoch]), last=format_percent(values[-1])
        ),
        (
            _("Collect more photos: nothing helps more."),
            _("Use stronger augmentation: --augment medium or strong."),
            _("Use early stopping: --patience 5. The best weights are kept."),
        ),
        {"best": values[best_epoch], "last": values[-1]},
    )


def check_untested_classes(inputs: DetectionDiagnosisInput) -> Finding | None:
    """Return ``untested_objects`` with the classes that have no object in the test images.

    Figures: ``classes``, their names.
    """
    names = [score.name for score in inputs.metrics.scores if not score.support]
    if not names:
        return None
    return Finding(
        "untested_objects",
        Severity.WARNING,
        _("Classes without test objects"),
        _("Not evaluated: {names}.").format(names=join_names(names)),
        (_("Add photos with these objects to the test split, or split again with lince split."),),
        {"classes": names},
    )


def check_confused_classes(inputs: DetectionDiagnosisInput) -> Finding | None:
    """Return ``confused_objects`` with the pairs of classes that are often confused.

    At least ``MIN_CONFUSION_COUNT`` objects, and ``MIN_CONFUSION_RATE`` of the objects of the true class, have to be
    detected as the other class. Figures: ``pairs``, each as [true class, predicted class, count].
    """
    pairs = _list_confusions(inputs.metrics)
    if not pairs:
        return None
    sentences = [
        _("“{true}” predicted as “{taken}”: {n} of {total}").format(
            n=format_count(n), total=format_count(total), true=truth, taken=predicted
        )
        for n, total, truth, predicted in sorted(pairs, reverse=True)
    ]
    return Finding(
        "confused_objects",
        Severity.WARNING,
        _("Confused classes"),
        join_names(sentences) + ".",
        (
            _("Look at the worst images below and check their labels."),
            _("Label more objects of both classes, especially similar ones."),
        ),
        {"pairs": [[truth, predicted, n] for n, _total, truth, predicted in pairs]},
    )


def check_costly_errors(inputs: DetectionDiagnosisInput) -> Finding | None:
    """Return ``costly_errors`` with the kinds of error that cost at least ``MIN_AP_GAIN`` mAP50, the most costly first.

    The kinds are those of TIDE (Bolya et al. 2020), each with its own advice. Figures: ``errors``, each as
    ``ErrorStats.to_dict`` gives it.
    """
    costly = sorted(
        (error for error in inputs.metrics.error_stats if error.gain >= MIN_AP_GAIN), key=lambda error: -error.gain
    )
    if not costly:
        return None
    sentences = [
        _("{errors}: without them mAP50 would be {gain} points higher.").format(
            errors=format_error_count(error.kind, error.count), gain=format_decimal(100 * error.gain, 1)
        )
        for error in costly
    ]
    return Finding(
        "costly_errors",
        Severity.NOTE,
        _("What costs most mAP (TIDE error analysis)"),
        " ".join(sentences),
        tuple(_advice_by_error_kind()[error.kind] for error in costly),
        {"errors": [error.to_dict() for error in costly]},
    )


def check_small_objects(inputs: DetectionDiagnosisInput) -> Finding | None:
    """Return ``small_objects`` when mAP50 is lower on small objects than on large ones by ``MIN_SIZE_GAP``.

    Sizes are those of COCO (small: below 32 x 32 pixels). Where there are no large objects, medium ones are compared.
    Figures: mAP50 on ``small`` and ``large`` objects, 0..1.
    """
    sizes = {size.size: size for size in inputs.metrics.size_scores}
    small, large = sizes.get("small"), sizes.get("large") or sizes.get("medium")
    if (
        small is None
        or large is None
        or small.map50 is None
        or large.map50 is None
        or small.support < MIN_SMALL_OBJECTS
    ):
        return None
    if small.map50 > large.map50 - MIN_SIZE_GAP:
        return None
    return Finding(
        "small_objects",
        Severity.WARNING,
        _("Small objects are detected much worse"),
        _("mAP50 is {small} on the {n} objects under 32 x 32 pixels, and {large} on large ones.").format(
            small=format_percent(small.map50), n=format_count(small.support), large=format_percent(large.map50)
        ),
        (
            _("Train with larger images: --size."),
            _("Take photos from closer, or predict with --slice."),
        ),
        {"small": small.map50, "large": large.map50},
    )


def check_test_set_size(inputs: DetectionDiagnosisInput) -> Finding | None:
    """Return ``few_test_images`` when there are fewer than ``MIN_TEST_IMAGES`` test images.

    The text gives the confidence interval of mAP50. Figures: ``images``, their number.
    """
    images = inputs.metrics.count
    if images >= MIN_TEST_IMAGES:
        return None
    return Finding(
        "few_test_images",
        Severity.WARNING,
        _("The test set is small"),
        _("With {n} test images, the 95% interval of mAP50 is {low} to {high}.").format(
            n=format_count(images),
            low=format_percent(inputs.metrics.map50.low),
            high=format_percent(inputs.metrics.map50.high),
        ),
        (_("Label more test photos before comparing models."),),
        {"images": images},
    )


def _list_confusions(metrics: DetectionMetrics) -> list[tuple[int, int, str, str]]:
    """Return the frequent confusions as (count, objects of the true class, true class, predicted class)."""
    names, counts = metrics.classes.names, metrics.confusion
    totals = counts.sum(axis=1)
    limits = np.maximum(MIN_CONFUSION_COUNT, MIN_CONFUSION_RATE * totals[: len(names), None])
    # The last row and column are the background.
    is_confused = counts[: len(names), : len(names)] >= limits
    return [
        (int(counts[truth, predicted]), int(totals[truth]), names[truth], names[predicted])
        for truth, predicted in np.argwhere(is_confused).tolist()
        if truth != predicted
    ]


def _advice_by_error_kind() -> dict[str, str]:
    """Return the advice for each kind of error, in the current language."""
    return {
        MISSED: _("Label every object, including partly hidden ones; train longer or with a larger --size."),
        LOCALISATION: _("Draw tight boxes consistently; the images below show where they differ."),
        CLASSIFICATION: _("Check the labels of the confused classes, and label more objects of them."),
        BOTH: _("Look at the worst images: the usual cause is missing or duplicate labels."),
        DUPLICATE: _("Check that no object is labelled twice: lince check lists such boxes."),
        BACKGROUND: _("Check that no object was left unlabelled, and add background photos without any objects."),
    }


def _describe_class(metrics: DetectionMetrics, index: int, boxes: int) -> str:
    """Return the name of a class, its number of training boxes, how many to add, and its AP50 on the test images."""
    score = metrics.scores[index]
    text = _("{name} has {n} boxes: label about {more} more").format(
        name=score.name, n=format_count(boxes), more=format_count(_missing_boxes(boxes))
    )
    if score.ap50 is None:
        return text + " " + _("(none in the test images)")
    return text + " " + _("(AP50 {ap})").format(ap=format_percent(score.ap50.value))


def _val_map_history(inputs: DetectionDiagnosisInput) -> list[float]:
    """Return the validation mAP50-95 by epoch, without epochs where it was not measured."""
    values = [epoch.get("val_map50_95") for epoch in inputs.history]
    return [float(value) for value in values if value is not None and isfinite(value)]


def _missing_boxes(boxes: int) -> int:
    """Return how many boxes a class needs to reach ``MIN_TRAIN_BOXES``, rounded up to tens."""
    return 10 * ceil((MIN_TRAIN_BOXES - boxes) / 10)
