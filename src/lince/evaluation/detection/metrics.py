"""The figures of a detector on a test set: average precision as COCO counts it, thresholds, mistakes, worst images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, Detections, ObjectTable
from lince.errors import DataError
from lince.evaluation.average_precision import (
    RECALL_LEVELS,
    FloatArray,
    average_over_classes,
    bootstrap_average_precisions,
    compute_average_precisions,
    compute_precision_curve,
    get_class_slices,
)
from lince.evaluation.confidence import ConfidenceInterval, compute_percentile_interval
from lince.evaluation.detection.matcher import (
    IOU_THRESHOLDS,
    UNMATCHED,
    BoolArray,
    MatchInput,
    MatchResult,
    build_match_input,
    get_ignore_mask,
    match_detections,
)
from lince.evaluation.detection.thresholds import find_best_f1_threshold
from lince.evaluation.detection.tide import (
    ERROR_KINDS,
    MISSED,
    DetectionErrors,
    ErrorStats,
    compute_ap_gains,
    find_errors,
    format_error_count,
)
from lince.i18n import _

AREA_RANGES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # square pixels, COCO's
MAX_WORST_IMAGES = 24


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
    ap50: ConfidenceInterval | None
    ap50_95: ConfidenceInterval | None
    precision_curve: FloatArray | None

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

    def explain_undefined(self) -> dict[str, str]:
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

    def to_dict(self) -> dict[str, Any]:
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
            "undefined": self.explain_undefined(),
        }


@dataclass(frozen=True)
class SizeScore:
    """Mean average precision over objects of one of ``SIZES`` by the area of the box; ``None`` where there are none."""

    size: str
    support: int
    map50: float | None
    map50_95: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {"size": self.size, "support": self.support, "map50": self.map50, "map50_95": self.map50_95}


@dataclass(frozen=True)
class WorstImage:
    """A test image with mistakes at the chosen thresholds: its row, how many of each of ``KINDS``, and in words."""

    image: int
    counts: dict[str, int]
    description: str

    @property
    def error_count(self) -> int:
        """How many mistakes there are on it."""
        return sum(self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the image as JSON."""
        return {"image": self.image, "counts": self.counts, "why": self.description}


@dataclass(frozen=True, eq=False)
class DetectionMetrics:
    """A detector on ``count`` images. Means are over the classes that the test set has.

    ``confusion`` (C + 1, C + 1) int64 counts objects by class (rows) and what was found there (columns) at the chosen
    thresholds and an overlap of 0.5; the last row is findings where nothing is, the last column objects not found.
    """

    classes: Classes
    count: int
    map50: ConfidenceInterval
    map50_95: ConfidenceInterval
    scores: tuple[DetectionScore, ...]
    size_scores: tuple[SizeScore, ...]
    confusion: NDArray[np.int64]
    error_stats: tuple[ErrorStats, ...]
    worst_images: tuple[WorstImage, ...]

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The threshold of each class, as ``decode.Keeping`` takes them."""
        return tuple(score.threshold for score in self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON without a NaN."""
        curves = {
            score.name: score.precision_curve.tolist() for score in self.scores if score.precision_curve is not None
        }
        return {
            "count": self.count,
            "map50": self.map50.to_dict(),
            "map50_95": self.map50_95.to_dict(),
            "classes": [score.to_dict() for score in self.scores],
            "sizes": [size.to_dict() for size in self.size_scores],
            "curves": {"recall": RECALL_LEVELS.tolist(), "precision": curves},
            "confusion": {"classes": list(self.classes.names), "counts": self.confusion.tolist()},
            "errors": [error.to_dict() for error in self.error_stats],
            "worst": [image.to_dict() for image in self.worst_images],
        }


def compute_detection_metrics(
    truth: ObjectTable,
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
    _validate_inputs(truth, found, classes)
    flat = build_match_input(truth, found)
    matching = match_detections(flat)
    averages = compute_average_precisions(flat, matching, len(classes))
    draws = bootstrap_average_precisions(flat, matching, len(classes), seed)
    given = [None] * len(classes) if thresholds is None else list(thresholds)
    scores = tuple(
        _compute_class_score(flat, matching, i, (name, given[i]), averages, draws)
        for i, name in enumerate(classes.names)
    )
    shown = flat.scores >= np.array([score.threshold for score in scores], np.float32)[flat.class_ids]
    mistakes, gain = find_errors(flat, matching, shown), compute_ap_gains(flat, matching, len(classes))
    return DetectionMetrics(
        classes,
        len(found),
        map50=compute_bias_corrected_interval(
            float(average_over_classes(averages[0])), average_over_classes(draws[:, 0])
        ),
        map50_95=compute_bias_corrected_interval(
            float(average_over_classes(averages).mean()), average_over_classes(draws).mean(axis=1)
        ),
        scores=scores,
        size_scores=tuple(_compute_size_score(flat, name, len(classes)) for name in AREA_RANGES),
        confusion=_compute_confusion_matrix(flat, matching, shown, len(classes)),
        error_stats=tuple(ErrorStats(kind, mistakes.count_kind(kind), gain[kind]) for kind in ERROR_KINDS),
        worst_images=_find_worst_images(flat, mistakes),
    )


def compute_mean_ap(truth: ObjectTable, found: Sequence[Detections], classes: Classes) -> tuple[float, float]:
    """Return the mean average precision at an overlap of 0.5 and over 0.5 to 0.95; NaN where nothing is to be found."""
    flat = build_match_input(truth, found)
    averages = average_over_classes(compute_average_precisions(flat, match_detections(flat), len(classes)))
    return float(averages[0]), float(averages.mean())


def _validate_inputs(truth: ObjectTable, found: Sequence[Detections], classes: Classes) -> None:
    if len(found) != len(truth.starts) - 1:
        raise ValueError(f"{len(found)} images with findings do not fit {len(truth.starts) - 1} images")
    for ids in (truth.class_ids, *(item.class_ids for item in found)):
        if len(ids) and not 0 <= ids.min() <= ids.max() < len(classes):
            raise ValueError(f"class ids must be from 0 to {len(classes) - 1}")
    if not all(np.isfinite(boxes).all() for boxes in (truth.boxes, *(item.boxes for item in found))):
        raise ValueError("boxes must be finite")
    if not (~get_ignore_mask(truth)).any():
        raise DataError(
            _("There is no object to evaluate."),
            _("Expected a test set with at least one box, beside those marked as a crowd or as difficult."),
            _("Set aside a larger share of the images for the test, or give a labelled test set."),
        )


def _compute_class_score(
    flat: MatchInput,
    matching: MatchResult,
    class_id: int,
    named: tuple[str, float | None],
    averages: FloatArray,
    draws: FloatArray,
) -> DetectionScore:
    part = get_class_slices(flat, class_id + 1)[class_id]
    hits, counted = matching.true_positives[0, part], matching.not_ignored[0, part]
    positives = int((flat.truth_class_ids[matching.positives] == class_id).sum())
    name, given = named
    threshold = find_best_f1_threshold(hits, counted, flat.scores[part], positives) if given is None else given
    shown = flat.scores[part] >= np.float32(threshold)
    own, drawn = averages[:, class_id], draws[:, :, class_id]
    return DetectionScore(
        name,
        positives,
        predicted=int((shown & counted).sum()),
        correct=int((shown & hits).sum()),
        threshold=threshold,
        ap50=compute_bias_corrected_interval(float(own[0]), drawn[:, 0]) if positives else None,
        ap50_95=compute_bias_corrected_interval(float(own.mean()), drawn.mean(axis=1)) if positives else None,
        precision_curve=compute_precision_curve(hits, counted, positives) if positives else None,
    )


def compute_bias_corrected_interval(value: float, draws: FloatArray, lowest: float = 0.0) -> ConfidenceInterval:
    """Return ``value`` with its interval from ``draws`` (R,), NaN where the drawn images have no object.

    No draw counts as less than ``lowest``, nor as more than 1.

    Average precision is a curve's upper hull, so a drawn test set flatters it, as the test set itself flatters what
    all images would give. Without the correction by twice that much, 95 % intervals held the true figure 58 % to 88 %
    of the time on made test sets of 50 and 400 images; with it, 85 % to 95 %.
    """
    drawn = draws[~np.isnan(draws)]
    if not len(drawn):
        return ConfidenceInterval(value, value, value)
    return compute_percentile_interval(value, np.clip(drawn + 2 * (value - drawn.mean()), lowest, 1.0))


def _compute_size_score(flat: MatchInput, name: str, classes: int) -> SizeScore:
    matching = match_detections(flat, *AREA_RANGES[name])
    if not matching.positives.any():
        return SizeScore(name, 0, None, None)
    averages = average_over_classes(compute_average_precisions(flat, matching, classes))
    return SizeScore(name, int(matching.positives.sum()), float(averages[0]), float(averages.mean()))


def _compute_confusion_matrix(
    flat: MatchInput, matching: MatchResult, shown: BoolArray, classes: int
) -> NDArray[np.int64]:
    """Count what is right first; of what is left on both sides, the pairs of largest overlap; the rest alone."""
    looked = shown & matching.not_ignored[0]
    object_of = np.where(looked & matching.true_positives[0], matching.truth_rows[0], UNMATCHED)
    open_finding = looked & (object_of == UNMATCHED)
    open_object = matching.positives.copy()
    open_object[object_of[object_of != UNMATCHED]] = False
    near = (flat.pair_ious >= IOU_THRESHOLDS[0]) & open_finding[flat.pair_detections] & open_object[flat.pair_truths]
    rows = np.flatnonzero(near)
    for row in rows[np.lexsort((flat.pair_detections[rows], -flat.pair_ious[rows]))].tolist():
        finding, truth = flat.pair_detections[row], flat.pair_truths[row]
        if open_finding[finding] and open_object[truth]:
            object_of[finding] = truth
            open_finding[finding] = open_object[truth] = False
    owner = np.append(flat.truth_class_ids, classes)[object_of]
    cells = [owner[looked] * (classes + 1) + flat.class_ids[looked]]
    cells.append(flat.truth_class_ids[open_object] * (classes + 1) + classes)
    counts = np.bincount(np.concatenate(cells), minlength=(classes + 1) ** 2)
    return counts.reshape(classes + 1, classes + 1).astype(np.int64)


def _find_worst_images(flat: MatchInput, mistakes: DetectionErrors) -> tuple[WorstImage, ...]:
    """Return up to ``WORST`` images with mistakes, those with most first."""
    wrong = mistakes.kind_ids >= 0
    counts = np.zeros((flat.image_count, len(ERROR_KINDS)), np.int64)
    np.add.at(counts, (flat.image_ids[wrong], mistakes.kind_ids[wrong]), 1)
    counts[:, ERROR_KINDS.index(MISSED)] = np.bincount(
        flat.truth_image_ids[mistakes.missed], minlength=flat.image_count
    )
    total = counts.sum(axis=1)
    order = np.argsort(-total, kind="stable")[:MAX_WORST_IMAGES]
    return tuple(_make_worst_image(int(image), counts[image].tolist()) for image in order if total[image])


def _make_worst_image(image: int, counts: list[int]) -> WorstImage:
    named = {kind: number for kind, number in zip(ERROR_KINDS, counts, strict=True) if number}
    return WorstImage(image, named, ", ".join(format_error_count(kind, number) for kind, number in named.items()))
