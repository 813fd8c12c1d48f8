"""Computes the metrics of a detector on a test set: COCO average precision, per-class scores, errors, worst images.

Letters in shapes: N images, M labelled objects, K detections, T IoU thresholds, C classes, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
from lince.evaluation.detection.confusion import ConfusionPairs, pair_for_confusion
from lince.evaluation.detection.matcher import (
    MatchInput,
    MatchResult,
    build_match_input,
    match_detections,
)
from lince.evaluation.detection.thresholds import find_best_f1_threshold
from lince.evaluation.detection.tide import (
    ERROR_KINDS,
    ErrorStats,
    compute_ap_gains,
    find_errors,
)
from lince.evaluation.detection.worst_images import WorstImage, find_worst_images
from lince.evaluation.threshold_curve import THRESHOLDS, ThresholdCurve, add_threshold_curves, compute_threshold_curve
from lince.i18n import _

AREA_RANGES = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}  # in square pixels, as in COCO


@dataclass(frozen=True, eq=False)
class DetectionScore:
    """Metrics of one class; ``None`` where the figure would be a division by zero.

    ``support`` is the number of its labelled objects. At the score threshold ``threshold``, ``predicted`` detections
    remain, of which ``correct`` match an object of the class at an IoU of 0.5. ``precision_curve`` (101,) is the
    precision envelope at an IoU of 0.5, at ``RECALL_LEVELS``; ``confidence_curve`` counts at every threshold, at an
    IoU of 0.5.
    """

    name: str
    support: int
    predicted: int
    correct: int
    threshold: float
    ap50: ConfidenceInterval | None
    ap50_95: ConfidenceInterval | None
    precision_curve: FloatArray | None
    confidence_curve: ThresholdCurve

    @property
    def precision(self) -> float | None:
        """Correct detections / detections, at the threshold."""
        return self.correct / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Correct detections / labelled objects, at the threshold."""
        return self.correct / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        total = self.predicted + self.support
        return 2 * self.correct / total if total else None

    def explain_undefined(self) -> dict[str, str]:
        """Return, for each figure that is ``None``, the translated reason."""
        absent = _("no test object is of this class")
        reasons = {
            "ap50": absent,
            "ap50_95": absent,
            "precision": _("nothing was predicted as this class"),
            "recall": absent,
            "f1": _("no test object is of this class and nothing was predicted as it"),
        }
        return {figure: reason for figure, reason in reasons.items() if getattr(self, figure) is None}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON: numbers or null, with their intervals and the reasons for nulls."""
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
    """Mean average precision over the objects of one of ``AREA_RANGES``; ``None`` when there are none."""

    size: str
    support: int
    map50: float | None
    map50_95: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {"size": self.size, "support": self.support, "map50": self.map50, "map50_95": self.map50_95}


@dataclass(frozen=True, eq=False)
class DetectionMetrics:
    """Metrics of a detector on ``count`` images; means are over the classes that have test objects.

    ``confusion`` int64 (C + 1, C + 1) counts objects by true class (rows) and detected class (columns) at the chosen
    thresholds and an IoU of 0.5; the last row is detections on the background, the last column missed objects.
    ``confusion_pairs`` are what it counts.
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
    confusion_pairs: ConfusionPairs
    prefix: ClassVar[str] = ""  # of the keys of the means in JSON

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The score threshold of each class, as ``DetectionFilter`` takes them."""
        return tuple(score.threshold for score in self.scores)

    def name_map(self, levels: str) -> str:
        """Return the name of the mean average precision at the IoU ``levels``, such as "50-95"."""
        return f"mAP{levels}"

    def list_means(self) -> dict[str, ConfidenceInterval]:
        """Return the means over the classes by their keys in the report."""
        return {f"{self.prefix}map50": self.map50, f"{self.prefix}map50_95": self.map50_95}

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON, without NaN."""
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
            "confidence": {
                "threshold": THRESHOLDS.tolist(),
                "all": add_threshold_curves(score.confidence_curve for score in self.scores).to_dict(),
                "classes": {score.name: score.confidence_curve.to_dict() for score in self.scores},
            },
            "confusion": {"classes": list(self.classes.names), "counts": self.confusion.tolist()},
            "errors": [error.to_dict() for error in self.error_stats],
            "worst": [image.to_dict() for image in self.worst_images],
        }


def compute_detection_metrics(
    truth: ObjectTable,
    detections: Sequence[Detections],
    classes: Classes,
    seed: int = 0,
    thresholds: Sequence[float] | None = None,
    groups: NDArray[np.int64] | None = None,
) -> DetectionMetrics:
    """Return the metrics of ``detections``, one item per image, against the labelled objects ``truth`` of these images.

    Objects marked as crowds or difficult are ignored regions, as in COCO: detections of their class there count neither
    as right nor as wrong. Pass detections of low score too, since the precision-recall curves need them; at most 100 of
    a class on an image are used. Intervals are bias-corrected bootstraps over images, with ``seed``; images with the
    same number in ``groups`` (N,), such as altered copies of one photo, are drawn together. ``thresholds``
    (C,) are the score thresholds at which errors are counted, chosen on other images; without them, those of highest F1
    on these images. Raises ``DataError`` when there is no object to detect, ``ValueError`` for inconsistent arguments.
    """
    _validate_inputs(truth, detections, classes)
    return compute_matched_metrics(build_match_input(truth, detections), classes, seed, thresholds, groups)


def compute_matched_metrics(
    match_input: MatchInput,
    classes: Classes,
    seed: int = 0,
    thresholds: Sequence[float] | None = None,
    groups: NDArray[np.int64] | None = None,
) -> DetectionMetrics:
    """Return the metrics of objects and detections whose overlaps are known, as ``compute_detection_metrics`` does.

    Raises ``DataError`` when there is no object to detect.
    """
    if match_input.truth_ignored.all():
        raise DataError(
            _("There is no object to evaluate."),
            _("Expected a test set with at least one box that is not marked as crowd or difficult."),
            _("Use a larger test fraction (--test), or give a labelled test set."),
        )
    matching = match_detections(match_input)
    average_precisions = compute_average_precisions(match_input, matching, len(classes))
    resampled = bootstrap_average_precisions(match_input, matching, len(classes), seed, groups=groups)
    given_thresholds = [None] * len(classes) if thresholds is None else list(thresholds)
    scores = tuple(
        _compute_class_score(
            match_input, matching, class_id, (name, given_thresholds[class_id]), average_precisions, resampled
        )
        for class_id, name in enumerate(classes.names)
    )
    is_shown = match_input.scores >= np.array([score.threshold for score in scores], np.float32)[match_input.class_ids]
    pairs = pair_for_confusion(match_input, matching, is_shown, len(classes))
    errors, ap_gains = (
        find_errors(match_input, matching, is_shown),
        compute_ap_gains(match_input, matching, len(classes)),
    )
    return DetectionMetrics(
        classes,
        match_input.image_count,
        map50=compute_bias_corrected_interval(
            float(average_over_classes(average_precisions[0])), average_over_classes(resampled[:, 0])
        ),
        map50_95=compute_bias_corrected_interval(
            float(average_over_classes(average_precisions).mean()), average_over_classes(resampled).mean(axis=1)
        ),
        scores=scores,
        size_scores=tuple(_compute_size_score(match_input, name, len(classes)) for name in AREA_RANGES),
        confusion=pairs.count(len(classes)),
        error_stats=tuple(ErrorStats(kind, errors.count_kind(kind), ap_gains[kind]) for kind in ERROR_KINDS),
        worst_images=find_worst_images(match_input, errors),
        confusion_pairs=pairs,
    )


def compute_mean_ap(
    truth: ObjectTable, detections: Sequence[Detections], classes: Classes, by_mask: bool = False
) -> tuple[float, float]:
    """Return (mAP at an IoU threshold of 0.5, mAP over 0.5 to 0.95), in [0, 1]; NaN when there are no objects.

    The IoU is that of boxes, or with ``by_mask`` of masks.
    """
    match_input = build_match_input(truth, detections, by_mask)
    mean_precisions = average_over_classes(
        compute_average_precisions(match_input, match_detections(match_input), len(classes))
    )
    return float(mean_precisions[0]), float(mean_precisions.mean())


def compute_summary(
    truth: ObjectTable, detections: Sequence[Detections], classes: Classes, by_mask: bool = False
) -> dict[str, float]:
    """Return ``precision``, ``recall``, ``map50`` and ``map50_95``, in [0, 1], for the log of a training.

    They are of boxes, or with ``by_mask`` of masks. Precision and recall are at an IoU of 0.5, of all classes together
    at the score of highest F1; precision is NaN where nothing reaches it, and all are NaN when there are no objects.
    """
    match_input = build_match_input(truth, detections, by_mask)
    matching = match_detections(match_input)
    mean_precisions = average_over_classes(compute_average_precisions(match_input, matching, len(classes)))
    order = np.argsort(-match_input.scores, kind="stable")
    true_positives, not_ignored = matching.true_positives[0, order], matching.not_ignored[0, order]
    positives = int(matching.positives.sum())
    threshold = find_best_f1_threshold(true_positives, not_ignored, match_input.scores[order], positives)
    is_shown = match_input.scores[order] >= np.float32(threshold)
    shown, correct = int((is_shown & not_ignored).sum()), int((is_shown & true_positives).sum())
    return {
        "precision": correct / shown if shown and positives else float("nan"),
        "recall": correct / positives if positives else float("nan"),
        "map50": float(mean_precisions[0]),
        "map50_95": float(mean_precisions.mean()),
    }


def _validate_inputs(truth: ObjectTable, detections: Sequence[Detections], classes: Classes) -> None:
    """Raise ``ValueError`` for arguments that do not fit together."""
    if len(detections) != len(truth.starts) - 1:
        raise ValueError(f"{len(detections)} images with findings do not fit {len(truth.starts) - 1} images")
    for ids in (truth.class_ids, *(item.class_ids for item in detections)):
        if len(ids) and not 0 <= ids.min() <= ids.max() < len(classes):
            raise ValueError(f"class ids must be from 0 to {len(classes) - 1}")
    if not all(np.isfinite(boxes).all() for boxes in (truth.boxes, *(item.boxes for item in detections))):
        raise ValueError("boxes must be finite")


def _compute_class_score(
    match_input: MatchInput,
    matching: MatchResult,
    class_id: int,
    name_and_threshold: tuple[str, float | None],
    average_precisions: FloatArray,
    resampled: FloatArray,
) -> DetectionScore:
    """Return the metrics of one class.

    ``name_and_threshold`` are its name and its given threshold, ``None`` to choose it. ``average_precisions`` (T, C)
    and ``resampled`` (R, T, C) are those of all classes.
    """
    class_slice = get_class_slices(match_input, class_id + 1)[class_id]
    true_positives, not_ignored = matching.true_positives[0, class_slice], matching.not_ignored[0, class_slice]
    positives = int((match_input.truth_class_ids[matching.positives] == class_id).sum())
    name, given_threshold = name_and_threshold
    threshold = (
        find_best_f1_threshold(true_positives, not_ignored, match_input.scores[class_slice], positives)
        if given_threshold is None
        else given_threshold
    )
    is_shown = match_input.scores[class_slice] >= np.float32(threshold)
    class_precisions, class_resampled = average_precisions[:, class_id], resampled[:, :, class_id]
    return DetectionScore(
        name,
        positives,
        predicted=int((is_shown & not_ignored).sum()),
        correct=int((is_shown & true_positives).sum()),
        threshold=threshold,
        ap50=compute_bias_corrected_interval(float(class_precisions[0]), class_resampled[:, 0]) if positives else None,
        ap50_95=compute_bias_corrected_interval(float(class_precisions.mean()), class_resampled.mean(axis=1))
        if positives
        else None,
        precision_curve=compute_precision_curve(true_positives, not_ignored, positives) if positives else None,
        confidence_curve=compute_threshold_curve(
            match_input.scores[class_slice], true_positives, not_ignored, positives
        ),
    )


def compute_bias_corrected_interval(value: float, draws: FloatArray, lowest: float = 0.0) -> ConfidenceInterval:
    """Return ``value`` with its confidence interval from ``draws`` (R,), in which NaN is left out.

    Draws are clipped to [``lowest``, 1]. Average precision is the area under an upper envelope, so a resample
    overestimates it, by about as much as the test set itself overestimates the value on all images. The draws are
    therefore shifted by twice that bias. On synthetic test sets of 50 and 400 images, uncorrected 95 % intervals
    contained the true value in 58 % to 88 % of cases, corrected ones in 85 % to 95 %.
    """
    valid_draws = draws[~np.isnan(draws)]
    if not len(valid_draws):
        return ConfidenceInterval(value, value, value)
    return compute_percentile_interval(value, np.clip(valid_draws + 2 * (value - valid_draws.mean()), lowest, 1.0))


def _compute_size_score(match_input: MatchInput, name: str, classes: int) -> SizeScore:
    """Return the mAP over the objects in the area range ``name``."""
    matching = match_detections(match_input, *AREA_RANGES[name])
    if not matching.positives.any():
        return SizeScore(name, 0, None, None)
    mean_precisions = average_over_classes(compute_average_precisions(match_input, matching, classes))
    return SizeScore(name, int(matching.positives.sum()), float(mean_precisions[0]), float(mean_precisions.mean()))
