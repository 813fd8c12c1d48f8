"""What the figures of a detector say in plain words, and what to try next: a list of rules, each a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, isfinite

import numpy as np

from lince.evaluation.detection import DetectionMetrics
from lince.evaluation.diagnosis.finding import Finding, Severity, listed
from lince.evaluation.figures import count, decimal, percent
from lince.evaluation.tide import BACKGROUND, BOTH, CLASS, DOUBLE, MISSED, PLACE, counted
from lince.messages import _

ENOUGH_BOXES = 125  # training boxes of a class; below, every box more shows in the result
FAR_TOO_FEW_BOXES = 50
COSTLY = 0.03  # of mAP50: what mending a kind of error would gain for it to be named
OFTEN = 0.1  # of a class taken for another one
FEW_IMAGES = 30
STEP = 0.01  # of mAP50-95 on validation; less may be chance


@dataclass(frozen=True, eq=False)
class ObjectEvidence:
    """What a diagnosis looks at: test figures, training boxes by class, and the ``history`` of the report."""

    metrics: DetectionMetrics
    train_boxes: Mapping[str, int] = field(default_factory=dict)
    history: tuple[Mapping[str, float | int | None], ...] = ()


def diagnose_objects(evidence: ObjectEvidence) -> tuple[Finding, ...]:
    """Return what every rule found, the gravest first; when nothing is wrong, one finding that says so."""
    found = [finding for rule in RULES if (finding := rule(evidence)) is not None]
    found.sort(key=lambda finding: finding.severity)
    if not found or min(finding.severity for finding in found) > Severity.WARNING:
        found.insert(0, _all_well(evidence))
    return tuple(found)


def few_boxes(evidence: ObjectEvidence) -> Finding | None:
    """Name the classes with too few training boxes, how well each is found, and how many boxes to add."""
    metrics, train_boxes = evidence.metrics, evidence.train_boxes
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


def still_learning(evidence: ObjectEvidence) -> Finding | None:
    """Say that the last epochs were still the best ones by a good step, so that more of them would pay."""
    values = _measured(evidence)
    if len(values) < 4 or values[-1] < max(values) or values[-1] - max(values[: len(values) * 3 // 4]) < STEP:
        return None
    return Finding(
        "still_learning",
        Severity.NOTE,
        _("It was still getting better when training ended"),
        _("Average precision on validation rose from {before} to {after} in the last quarter of the epochs.").format(
            before=percent(max(values[: len(values) * 3 // 4])), after=percent(values[-1])
        ),
        (_("Train longer: --epochs {more}.").format(more=2 * len(evidence.history)),),
        {"values": values},
    )


def past_its_best(evidence: ObjectEvidence) -> Finding | None:
    """Say that the figures on validation fell for good after the best epoch: training images are known by heart."""
    values = _measured(evidence)
    best = int(np.argmax(values)) if values else 0
    if len(values) < 4 or len(values) - best <= 3 or values[best] - max(values[-3:]) < STEP:
        return None
    return Finding(
        "past_its_best",
        Severity.NOTE,
        _("It began to learn the training images by heart (overfitting)"),
        _("Average precision on validation was {best} at its best and ended at {last}.").format(
            best=percent(values[best]), last=percent(values[-1])
        ),
        (
            _("Collect more photos: nothing helps more."),
            _("Alter the training images more: --augment medium or strong."),
            _("Stop early: --patience 5. The best weights are the ones that are kept."),
        ),
        {"best": values[best], "last": values[-1]},
    )


def untested(evidence: ObjectEvidence) -> Finding | None:
    """Name the classes of which the test images show nothing, so that nothing is known of them."""
    absent = [score.name for score in evidence.metrics.scores if not score.support]
    if not absent:
        return None
    return Finding(
        "untested_objects",
        Severity.WARNING,
        _("Classes that the test images do not show"),
        _("Nothing can be said about: {names}.").format(names=listed(absent)),
        (_("Add photos with these objects to the test part, or draw the parts anew with lince split."),),
        {"classes": absent},
    )


def confused(evidence: ObjectEvidence) -> Finding | None:
    """Name the classes that are often taken for each other."""
    names, counts = evidence.metrics.classes.names, evidence.metrics.confusion
    totals = counts.sum(axis=1)
    mixed = counts[: len(names), : len(names)] >= np.maximum(3, OFTEN * totals[: len(names), None])
    pairs = [
        (int(counts[true, taken]), int(totals[true]), names[true], names[taken])
        for true, taken in np.argwhere(mixed).tolist()
        if true != taken
    ]
    if not pairs:
        return None
    said = [
        _("{n} of {total} {true} are taken for {taken}").format(n=count(n), total=count(total), true=true, taken=taken)
        for n, total, true, taken in sorted(pairs, reverse=True)
    ]
    return Finding(
        "confused_objects",
        Severity.WARNING,
        _("Classes that are taken for each other"),
        listed(said) + ".",
        (
            _("Look at the worst images below: is the label right in every one?"),
            _("Label more of both, above all where they look alike."),
        ),
        {"pairs": [[true, taken, n] for n, _total, true, taken in pairs]},
    )


def costly_errors(evidence: ObjectEvidence) -> Finding | None:
    """Name the kinds of error that cost most, the dearest first, with what to do about each."""
    costly = sorted((error for error in evidence.metrics.errors if error.gain >= COSTLY), key=lambda error: -error.gain)
    if not costly:
        return None
    said = [
        _("{errors}: without them mAP50 would be {gain} points higher.").format(
            errors=counted(error.kind, error.count), gain=decimal(100 * error.gain, 1)
        )
        for error in costly
    ]
    return Finding(
        "costly_errors",
        Severity.NOTE,
        _("Where most of the precision is lost"),
        " ".join(said),
        tuple(_advice()[error.kind] for error in costly),
        {"errors": [error.record() for error in costly]},
    )


def small_objects(evidence: ObjectEvidence) -> Finding | None:
    """Say that small objects are found far worse than large ones."""
    sizes = {size.size: size for size in evidence.metrics.sizes}
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
            small=percent(small.map50), n=count(small.support), large=percent(large.map50)
        ),
        (
            _("Train with larger images: --size."),
            _("Go nearer when taking photos, or predict with --slice."),
        ),
        {"small": small.map50, "large": large.map50},
    )


def small_test(evidence: ObjectEvidence) -> Finding | None:
    """Warn that few test images make every figure uncertain."""
    images = evidence.metrics.count
    if images >= FEW_IMAGES:
        return None
    return Finding(
        "few_test_images",
        Severity.WARNING,
        _("The test set is small"),
        _("{n} test images; other ones would give a mAP50 from {low} to {high}.").format(
            n=count(images), low=percent(evidence.metrics.map50.low), high=percent(evidence.metrics.map50.high)
        ),
        (_("Label more photos for the test before comparing models."),),
        {"images": images},
    )


RULES = (few_boxes, untested, small_test, confused, small_objects, costly_errors, past_its_best, still_learning)


def _advice() -> dict[str, str]:
    return {
        MISSED: _("Label every object, also half hidden ones; train longer or with a larger --size."),
        PLACE: _("Draw boxes tightly and always in the same way; the boxes below show where they differ."),
        CLASS: _("Check the labels of the classes that are mixed up, and label more of them."),
        BOTH: _("Look at the worst images: labels that are missing or doubled are the usual cause."),
        DOUBLE: _("Check that no object is labelled twice: lince check names such boxes."),
        BACKGROUND: _("Check that no object was left unlabelled, and add photos that show none of the objects."),
    }


def _all_well(evidence: ObjectEvidence) -> Finding:
    found = evidence.metrics.map50
    return Finding(
        "all_well",
        Severity.GOOD,
        _("No serious fault was found"),
        _("mAP50 is {value} on images it has never seen ({low} to {high}).").format(
            value=percent(found.value), low=percent(found.low), high=percent(found.high)
        ),
        (_("Try it on photos from where it will be used: those are the test that counts."),),
        found.record(),
    )


def _said(metrics: DetectionMetrics, index: int, boxes: int) -> str:
    score = metrics.scores[index]
    text = _("{name} has {n} boxes: label some {more} more").format(
        name=score.name, n=count(boxes), more=count(_more(boxes))
    )
    if score.ap50 is None:
        return text + " " + _("(none in the test images)")
    return text + " " + _("(AP50 {ap})").format(ap=percent(score.ap50.value))


def _measured(evidence: ObjectEvidence) -> list[float]:
    """Return the average precision on validation of the epochs where it is known."""
    values = [epoch.get("val_map50_95") for epoch in evidence.history]
    return [float(value) for value in values if value is not None and isfinite(value)]


def _more(boxes: int) -> int:
    """Return how many boxes are lacking, in tens: no more exact than the rule itself."""
    return 10 * ceil((ENOUGH_BOXES - boxes) / 10)
