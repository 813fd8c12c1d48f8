"""The figures of a detector on a test set: average precision as COCO counts it, thresholds, mistakes, worst images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, Detections, Objects
from lince.errors import DataError
from lince.evaluation.average_precision import RECALLS, Array, curve, mean, parts, precisions, resampled
from lince.evaluation.interval import Interval, around
from lince.evaluation.matching import IOUS, NOTHING, Bools, Columns, Matching, columns, match, regions
from lince.evaluation.thresholds import best
from lince.evaluation.tide import KINDS, MISSED, ErrorKind, Errors, counted, errors, gains
from lince.messages import _

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # square pixels, COCO's
WORST = 24


@dataclass(frozen=True, eq=False)
class DetectionScore:
    """How well one class is found; ``None`` where the figure would be a division by zero.

    ``support`` objects are of this class. At ``threshold`` ``predicted`` findings remain, and ``correct`` of them
    overlap an object of the class by 0.5. ``precisions`` (101,) is the curve at an overlap of 0.5: the best precision
    at each of ``RECALLS`` or beyond.
    """

    name: str
    support: int
    predicted: int
    correct: int
    threshold: float
    ap50: Interval | None
    ap50_95: Interval | None
    precisions: Array | None

    @property
    def precision(self) -> float | None:
        """The share of the findings that are right."""
        return self.correct / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """The share of the objects that are found."""
        return self.correct / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        total = self.predicted + self.support
        return 2 * self.correct / total if total else None

    def undefined(self) -> dict[str, str]:
        """Return why each missing figure is missing, by the figure's name."""
        absent = _("no test object is of this class")
        reasons = {
            "ap50": absent,
            "ap50_95": absent,
            "precision": _("nothing was taken for this class"),
            "recall": absent,
            "f1": _("no test object is of this class and nothing was taken for it"),
        }
        return {figure: reason for figure, reason in reasons.items() if getattr(self, figure) is None}

    def record(self) -> dict[str, Any]:
        """Return the figures as JSON: numbers or null, with the reasons and the intervals beside them."""
        averages = {"ap50": self.ap50, "ap50_95": self.ap50_95}
        return {
            "name": self.name,
            "support": self.support,
            "predicted": self.predicted,
            **{key: None if item is None else item.value for key, item in averages.items()},
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "threshold": self.threshold,
            "intervals": {key: [item.low, item.high] for key, item in averages.items() if item is not None},
            "undefined": self.undefined(),
        }


@dataclass(frozen=True)
class SizeScore:
    """Mean average precision over objects of one of ``SIZES`` by the area of the box; ``None`` where there are none."""

    size: str
    support: int
    map50: float | None
    map50_95: float | None

    def record(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {"size": self.size, "support": self.support, "map50": self.map50, "map50_95": self.map50_95}


@dataclass(frozen=True)
class WorstImage:
    """A test image with mistakes at the chosen thresholds: its row, how many of each of ``KINDS``, and in words."""

    image: int
    counts: dict[str, int]
    why: str

    @property
    def total(self) -> int:
        """How many mistakes there are on it."""
        return sum(self.counts.values())

    def record(self) -> dict[str, Any]:
        """Return the image as JSON."""
        return {"image": self.image, "counts": self.counts, "why": self.why}


@dataclass(frozen=True, eq=False)
class DetectionMetrics:
    """A detector on ``count`` images. Means are over the classes that the test set has.

    ``confusion`` (C + 1, C + 1) int64 counts objects by class (rows) and what was found there (columns) at the chosen
    thresholds and an overlap of 0.5; the last row is findings where nothing is, the last column objects not found.
    """

    classes: Classes
    count: int
    map50: Interval
    map50_95: Interval
    scores: tuple[DetectionScore, ...]
    sizes: tuple[SizeScore, ...]
    confusion: NDArray[np.int64]
    errors: tuple[ErrorKind, ...]
    worst: tuple[WorstImage, ...]

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The threshold of each class, as ``decode.Keeping`` takes them."""
        return tuple(score.threshold for score in self.scores)

    def record(self) -> dict[str, Any]:
        """Return all figures as JSON without a NaN."""
        curves = {score.name: score.precisions.tolist() for score in self.scores if score.precisions is not None}
        return {
            "count": self.count,
            "map50": self.map50.record(),
            "map50_95": self.map50_95.record(),
            "classes": [score.record() for score in self.scores],
            "sizes": [size.record() for size in self.sizes],
            "curves": {"recall": RECALLS.tolist(), "precision": curves},
            "confusion": {"classes": list(self.classes.names), "counts": self.confusion.tolist()},
            "errors": [error.record() for error in self.errors],
            "worst": [image.record() for image in self.worst],
        }


def evaluate_detections(
    truth: Objects,
    found: Sequence[Detections],
    classes: Classes,
    seed: int = 0,
    thresholds: Sequence[float] | None = None,
) -> DetectionMetrics:
    """Return the figures of ``found``, one for each image, against what is marked on the same images, ``truth``.

    An object marked as a crowd or difficult is a region where findings of its class count neither for nor against, as
    COCO treats crowds. At most 100 findings of a class on an image are looked at, so give those of low score too: the
    curves need them. Intervals are bootstraps over images (seeded), corrected for bias. ``thresholds`` (C,) are those
    at which errors are counted, chosen on other images; without them, those at which F1 is best here. Raises
    ``DataError`` when no object is to be found.
    """
    _check(truth, found, classes)
    flat = columns(truth, found)
    matching = match(flat)
    averages = precisions(flat, matching, len(classes))
    draws = resampled(flat, matching, len(classes), seed)
    given = [None] * len(classes) if thresholds is None else list(thresholds)
    scores = tuple(_score(flat, matching, i, (name, given[i]), averages, draws) for i, name in enumerate(classes.names))
    shown = flat.scores >= np.array([score.threshold for score in scores], np.float32)[flat.classes]
    mistakes, gain = errors(flat, matching, shown), gains(flat, matching, len(classes))
    return DetectionMetrics(
        classes,
        len(found),
        map50=with_flattery_corrected(float(mean(averages[0])), mean(draws[:, 0])),
        map50_95=with_flattery_corrected(float(mean(averages).mean()), mean(draws).mean(axis=1)),
        scores=scores,
        sizes=tuple(_size(flat, name, len(classes)) for name in SIZES),
        confusion=_confusion(flat, matching, shown, len(classes)),
        errors=tuple(ErrorKind(kind, mistakes.count(kind), gain[kind]) for kind in KINDS),
        worst=_worst(flat, mistakes),
    )


def headline(truth: Objects, found: Sequence[Detections], classes: Classes) -> tuple[float, float]:
    """Return the mean average precision at an overlap of 0.5 and over 0.5 to 0.95; NaN where nothing is to be found."""
    flat = columns(truth, found)
    averages = mean(precisions(flat, match(flat), len(classes)))
    return float(averages[0]), float(averages.mean())


def _check(truth: Objects, found: Sequence[Detections], classes: Classes) -> None:
    if len(found) != len(truth.starts) - 1:
        raise ValueError(f"{len(found)} images with findings do not fit {len(truth.starts) - 1} images")
    for ids in (truth.class_ids, *(item.class_ids for item in found)):
        if len(ids) and not 0 <= ids.min() <= ids.max() < len(classes):
            raise ValueError(f"class ids must be from 0 to {len(classes) - 1}")
    if not all(np.isfinite(boxes).all() for boxes in (truth.boxes, *(item.boxes for item in found))):
        raise ValueError("boxes must be finite")
    if not (~regions(truth)).any():
        raise DataError(
            _("There is no object to evaluate."),
            _("Expected a test set with at least one box, beside those marked as a crowd or as difficult."),
            _("Set aside a larger share of the images for the test, or give a labelled test set."),
        )


def _score(
    flat: Columns, matching: Matching, class_id: int, named: tuple[str, float | None], averages: Array, draws: Array
) -> DetectionScore:
    part = parts(flat, class_id + 1)[class_id]
    hits, counted = matching.hits[0, part], matching.counted[0, part]
    positives = int((flat.truth_classes[matching.wanted] == class_id).sum())
    name, given = named
    threshold = best(hits, counted, flat.scores[part], positives) if given is None else given
    shown = flat.scores[part] >= np.float32(threshold)
    own, drawn = averages[:, class_id], draws[:, :, class_id]
    return DetectionScore(
        name,
        positives,
        predicted=int((shown & counted).sum()),
        correct=int((shown & hits).sum()),
        threshold=threshold,
        ap50=with_flattery_corrected(float(own[0]), drawn[:, 0]) if positives else None,
        ap50_95=with_flattery_corrected(float(own.mean()), drawn.mean(axis=1)) if positives else None,
        precisions=curve(hits, counted, positives) if positives else None,
    )


def with_flattery_corrected(value: float, draws: Array, lowest: float = 0.0) -> Interval:
    """Return ``value`` with its interval from ``draws`` (R,), NaN where the drawn images have no object.

    No draw counts as less than ``lowest``, nor as more than 1.

    Average precision is a curve's upper hull, so a drawn test set flatters it, as the test set itself flatters what
    all images would give. Without the correction by twice that much, 95 % intervals held the true figure 58 % to 88 %
    of the time on made test sets of 50 and 400 images; with it, 85 % to 95 %.
    """
    drawn = draws[~np.isnan(draws)]
    if not len(drawn):
        return Interval(value, value, value)
    return around(value, np.clip(drawn + 2 * (value - drawn.mean()), lowest, 1.0))


def _size(flat: Columns, name: str, classes: int) -> SizeScore:
    matching = match(flat, *SIZES[name])
    if not matching.wanted.any():
        return SizeScore(name, 0, None, None)
    averages = mean(precisions(flat, matching, classes))
    return SizeScore(name, int(matching.wanted.sum()), float(averages[0]), float(averages.mean()))


def _confusion(flat: Columns, matching: Matching, shown: Bools, classes: int) -> NDArray[np.int64]:
    """Count what is right first; of what is left on both sides, the pairs of largest overlap; the rest alone."""
    looked = shown & matching.counted[0]
    object_of = np.where(looked & matching.hits[0], matching.matched[0], NOTHING)
    open_finding = looked & (object_of == NOTHING)
    open_object = matching.wanted.copy()
    open_object[object_of[object_of != NOTHING]] = False
    near = (flat.overlap >= IOUS[0]) & open_finding[flat.finding] & open_object[flat.truth]
    rows = np.flatnonzero(near)
    for row in rows[np.lexsort((flat.finding[rows], -flat.overlap[rows]))].tolist():
        finding, truth = flat.finding[row], flat.truth[row]
        if open_finding[finding] and open_object[truth]:
            object_of[finding] = truth
            open_finding[finding] = open_object[truth] = False
    owner = np.append(flat.truth_classes, classes)[object_of]
    cells = [owner[looked] * (classes + 1) + flat.classes[looked]]
    cells.append(flat.truth_classes[open_object] * (classes + 1) + classes)
    counts = np.bincount(np.concatenate(cells), minlength=(classes + 1) ** 2)
    return counts.reshape(classes + 1, classes + 1).astype(np.int64)


def _worst(flat: Columns, mistakes: Errors) -> tuple[WorstImage, ...]:
    """Return up to ``WORST`` images with mistakes, those with most first."""
    wrong = mistakes.kinds >= 0
    counts = np.zeros((flat.count, len(KINDS)), np.int64)
    np.add.at(counts, (flat.images[wrong], mistakes.kinds[wrong]), 1)
    counts[:, KINDS.index(MISSED)] = np.bincount(flat.truth_images[mistakes.missed], minlength=flat.count)
    total = counts.sum(axis=1)
    order = np.argsort(-total, kind="stable")[:WORST]
    return tuple(_told(int(image), counts[image].tolist()) for image in order if total[image])


def _told(image: int, counts: list[int]) -> WorstImage:
    named = {kind: number for kind, number in zip(KINDS, counts, strict=True) if number}
    return WorstImage(image, named, ", ".join(counted(kind, number) for kind, number in named.items()))
