"""What the figures of a detector say in plain words, and what to try next: a list of rules, each a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
from lince.evaluation.diagnosis.finding import Finding, Severity, join_names
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_percent

MIN_TRAIN_BOXES = 125  # training boxes of a class; below, every box more shows in the result
CRITICAL_TRAIN_BOXES = 50
MIN_AP_GAIN = 0.03  # of mAP50: what mending a kind of error would gain for it to be named
MIN_CONFUSION_RATE = 0.1  # of a class taken for another one
MIN_TEST_IMAGES = 30
MIN_MAP_STEP = 0.01  # of mAP50-95 on validation; less may be chance


@dataclass(frozen=True, eq=False)
class DetectionDiagnosisInput:
    """What a diagnosis looks at: test figures, training boxes by class, and the ``history`` of the report."""

    metrics: DetectionMetrics
    train_boxes: Mapping[str, int] = field(default_factory=dict)
    history: tuple[Mapping[str, float | int | None], ...] = ()


def diagnose_detection(evidence: DetectionDiagnosisInput) -> tuple[Finding, ...]:
    """Return what every rule found, the gravest first; when nothing is wrong, one finding that says so."""
    found = [finding for rule in RULES if (finding := rule(evidence)) is not None]
    found.sort(key=lambda finding: finding.severity)
    if not found or min(finding.severity for finding in found) > Severity.WARNING:
        found.insert(0, _no_problem(evidence))
    return tuple(found)


def check_few_boxes(evidence: DetectionDiagnosisInput) -> Finding | None:
    """Name the classes with too few training boxes, how well each is found, and how many boxes to add."""
    metrics, train_boxes = evidence.metrics, evidence.train_boxes
    few = sorted((train_boxes.get(score.name, 0), i) for i, score in enumerate(metrics.scores))
    few = [(boxes, i) for boxes, i in few if boxes < MIN_TRAIN_BOXES]
    if not few:
        return None
    listing = join_names([_describe_class(metrics, i, boxes) for boxes, i in few])
    return Finding(
        "few_boxes",
        Severity.SERIOUS if few[0][0] < CRITICAL_TRAIN_BOXES else Severity.WARNING,
        _("Classes with too few boxes to learn from"),
        _("Fewer than {enough} training boxes: {listing}.").format(enough=MIN_TRAIN_BOXES, listing=listing),
        (
            _("Label every object of these classes, also the small and the half hidden ones."),
            _("If no more photos of a class can be had, leave the class out: it only costs the others."),
        ),
        {"enough": MIN_TRAIN_BOXES, "classes": {metrics.scores[i].name: boxes for boxes, i in few}},
    )


def check_not_converged(evidence: DetectionDiagnosisInput) -> Finding | None:
    """Say that the last epochs were still the best ones by a good step, so that more of them would pay."""
    values = _val_map_history(evidence)
    if len(values) < 4 or values[-1] < max(values) or values[-1] - max(values[: len(values) * 3 // 4]) < MIN_MAP_STEP:
        return None
    return Finding(
        "still_learning",
        Severity.NOTE,
        _("It was still getting better when training ended"),
        _("Average precision on validation rose from {before} to {after} in the last quarter of the epochs.").format(
            before=format_percent(max(values[: len(values) * 3 // 4])), after=format_percent(values[-1])
        ),
        (_("Train longer: --epochs {more}.").format(more=2 * len(evidence.history)),),
        {"values": values},
    )


def check_overfitting(evidence: DetectionDiagnosisInput) -> Finding | None:
    """Say that the figures on validation fell for good after the best epoch: training images are known by heart."""
    values = _val_map_history(evidence)
    best = int(np.argmax(values)) if values else 0
    if len(values) < 4 or len(values) - best <= 3 or values[best] - max(values[-3:]) < MIN_MAP_STEP:
        return None
    return Finding(
        "past_its_best",
        Severity.NOTE,
        _("It began to learn the training images by heart (overfitting)"),
        _("Average precision on validation was {best} at its best and ended at {last}.").format(
            best=format_percent(values[best]), last=format_percent(values[-1])
        ),
        (
            _("Collect more photos: nothing helps more."),
            _("Alter the training images more: --augment medium or strong."),
            _("Stop early: --patience 5. The best weights are the ones that are kept."),
        ),
        {"best": values[best], "last": values[-1]},
    )


def check_untested_classes(evidence: DetectionDiagnosisInput) -> Finding | None:
    """Name the classes of which the test images show nothing, so that nothing is known of them."""
    absent = [score.name for score in evidence.metrics.scores if not score.support]
    if not absent:
        return None
    return Finding(
        "untested_objects",
        Severity.WARNING,
        _("Classes that the test images do not show"),
        _("Nothing can be said about: {names}.").format(names=join_names(absent)),
        (_("Add photos with these objects to the test part, or draw the parts anew with lince split."),),
        {"classes": absent},
    )


def check_confused_classes(evidence: DetectionDiagnosisInput) -> Finding | None:
    """Name the classes that are often taken for each other."""
    names, counts = evidence.metrics.classes.names, evidence.metrics.confusion
    totals = counts.sum(axis=1)
    mixed = counts[: len(names), : len(names)] >= np.maximum(3, MIN_CONFUSION_RATE * totals[: len(names), None])
    pairs = [
        (int(counts[true, taken]), int(totals[true]), names[true], names[taken])
        for true, taken in np.argwhere(mixed).tolist()
        if true != taken
    ]
    if not pairs:
        return None
    said = [
        _("{n} of {total} {true} are taken for {taken}").format(
            n=format_count(n), total=format_count(total), true=true, taken=taken
        )
        for n, total, true, taken in sorted(pairs, reverse=True)
    ]
    return Finding(
        "confused_objects",
        Severity.WARNING,
        _("Classes that are taken for each other"),
        join_names(said) + ".",
        (
            _("Look at the worst images below: is the label right in every one?"),
            _("Label more of both, above all where they look alike."),
        ),
        {"pairs": [[true, taken, n] for n, _total, true, taken in pairs]},
    )


def check_costly_errors(evidence: DetectionDiagnosisInput) -> Finding | None:
    """Name the kinds of error that cost most, the dearest first, with what to do about each."""
    costly = sorted(
        (error for error in evidence.metrics.error_stats if error.gain >= MIN_AP_GAIN), key=lambda error: -error.gain
    )
    if not costly:
        return None
    said = [
        _("{errors}: without them mAP50 would be {gain} points higher.").format(
            errors=format_error_count(error.kind, error.count), gain=format_decimal(100 * error.gain, 1)
        )
        for error in costly
    ]
    return Finding(
        "costly_errors",
        Severity.NOTE,
        _("Where most of the precision is lost"),
        " ".join(said),
        tuple(_advice_by_error_kind()[error.kind] for error in costly),
        {"errors": [error.to_dict() for error in costly]},
    )


def check_small_objects(evidence: DetectionDiagnosisInput) -> Finding | None:
    """Say that small objects are found far worse than large ones."""
    sizes = {size.size: size for size in evidence.metrics.size_scores}
    small, large = sizes.get("small"), sizes.get("large") or sizes.get("medium")
    if small is None or large is None or small.map50 is None or large.map50 is None or small.support < 10:
        return None
    if small.map50 > large.map50 - 0.2:
        return None
    return Finding(
        "small_objects",
        Severity.WARNING,
        _("Small objects are found far worse"),
        _("mAP50 is {small} on the {n} objects under 32 x 32 pixels, and {large} on large ones.").format(
            small=format_percent(small.map50), n=format_count(small.support), large=format_percent(large.map50)
        ),
        (
            _("Train with larger images: --size."),
            _("Go nearer when taking photos, or predict with --slice."),
        ),
        {"small": small.map50, "large": large.map50},
    )


def check_test_set_size(evidence: DetectionDiagnosisInput) -> Finding | None:
    """Warn that few test images make every figure uncertain."""
    images = evidence.metrics.count
    if images >= MIN_TEST_IMAGES:
        return None
    return Finding(
        "few_test_images",
        Severity.WARNING,
        _("The test set is small"),
        _("{n} test images; other ones would give a mAP50 from {low} to {high}.").format(
            n=format_count(images),
            low=format_percent(evidence.metrics.map50.low),
            high=format_percent(evidence.metrics.map50.high),
        ),
        (_("Label more photos for the test before comparing models."),),
        {"images": images},
    )


RULES = (
    check_few_boxes,
    check_untested_classes,
    check_test_set_size,
    check_confused_classes,
    check_small_objects,
    check_costly_errors,
    check_overfitting,
    check_not_converged,
)


def _advice_by_error_kind() -> dict[str, str]:
    return {
        MISSED: _("Label every object, also half hidden ones; train longer or with a larger --size."),
        LOCALISATION: _("Draw boxes tightly and always in the same way; the boxes below show where they differ."),
        CLASSIFICATION: _("Check the labels of the classes that are mixed up, and label more of them."),
        BOTH: _("Look at the worst images: labels that are missing or doubled are the usual cause."),
        DUPLICATE: _("Check that no object is labelled twice: lince check names such boxes."),
        BACKGROUND: _("Check that no object was left unlabelled, and add photos that show none of the objects."),
    }


def _no_problem(evidence: DetectionDiagnosisInput) -> Finding:
    found = evidence.metrics.map50
    return Finding(
        "all_well",
        Severity.GOOD,
        _("No serious fault was found"),
        _("mAP50 is {value} on images it has never seen ({low} to {high}).").format(
            value=format_percent(found.value), low=format_percent(found.low), high=format_percent(found.high)
        ),
        (_("Try it on photos from where it will be used: those are the test that counts."),),
        found.to_dict(),
    )


def _describe_class(metrics: DetectionMetrics, index: int, boxes: int) -> str:
    score = metrics.scores[index]
    text = _("{name} has {n} boxes: label some {more} more").format(
        name=score.name, n=format_count(boxes), more=format_count(_missing_boxes(boxes))
    )
    if score.ap50 is None:
        return text + " " + _("(none in the test images)")
    return text + " " + _("(AP50 {ap})").format(ap=format_percent(score.ap50.value))


def _val_map_history(evidence: DetectionDiagnosisInput) -> list[float]:
    """Return the average precision on validation of the epochs where it is known."""
    values = [epoch.get("val_map50_95") for epoch in evidence.history]
    return [float(value) for value in values if value is not None and isfinite(value)]


def _missing_boxes(boxes: int) -> int:
    """Return how many boxes are lacking, in tens: no more exact than the rule itself."""
    return 10 * ceil((MIN_TRAIN_BOXES - boxes) / 10)
