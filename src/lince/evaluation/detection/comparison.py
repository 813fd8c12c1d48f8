"""Detectors side by side on the same test set: does the one find more than the other, or was it luck?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lince.evaluation.average_precision import (
    FloatArray,
    average_over_classes,
    bootstrap_average_precisions,
    choose_resample_count,
    compute_average_precisions,
)
from lince.evaluation.classification.comparison import require_multiple_runs, require_same_classes, require_same_images
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.detection.matcher import MatchInput, MatchResult, build_match_input, match_detections
from lince.evaluation.detection.metrics import DetectionMetrics, compute_bias_corrected_interval
from lince.evaluation.detection.predictions import DetectionPredictions

MIN_IMAGES = 6  # of 5 images, all better: a coin falls so 1 time in 16, which is no proof yet
_BOX_DECIMALS = 3  # of a pixel; formats write a side with as many


@dataclass(frozen=True)
class ClassApDifference:
    """How the average precision (overlap 0.5) of one class moved; ``None`` without test objects."""

    name: str
    support: int
    before: float | None
    after: float | None


@dataclass(frozen=True)
class DetectorDifference:
    """A detector against the first one, on the same ``count`` images.

    ``map50`` and ``map50_95`` are the differences with their paired bootstrap intervals: both detectors are measured
    on the same drawn test sets, so that what an easy or a hard image gives to both takes no part.
    """

    count: int
    map50: ConfidenceInterval
    map50_95: ConfidenceInterval
    classes: tuple[ClassApDifference, ...]

    @property
    def outcome(self) -> str:
        """``better``, ``worse`` or, when luck may explain the difference in mAP50-95, ``unclear``."""
        found = self.map50_95
        if self.count < MIN_IMAGES or found.low <= 0 <= found.high:
            return "unclear"
        return "better" if found.value > 0 else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON."""
        return {
            "map50": self.map50.to_dict(),
            "map50_95": self.map50_95.to_dict(),
            "verdict": self.outcome,
            "classes": [vars(item) for item in self.classes],
        }


@dataclass(frozen=True, eq=False)
class ComparedDetector:
    """One run of a comparison: its figures, and how it differs from the first run (``None`` for that one)."""

    name: str
    metrics: DetectionMetrics
    difference: DetectorDifference | None


@dataclass(frozen=True, eq=False)
class DetectorComparison:
    """Detectors on the same ``count`` test images, the first being the one that the others are held against.

    ``left_out`` counts, for each run, the test images that not all runs share.
    """

    runs: tuple[ComparedDetector, ...]
    count: int
    left_out_counts: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON."""
        return {
            "count": self.count,
            "left_out": dict(self.left_out_counts),
            "runs": [
                {
                    "name": run.name,
                    "map50": run.metrics.map50.to_dict(),
                    "map50_95": run.metrics.map50_95.to_dict(),
                    "difference": None if run.difference is None else run.difference.to_dict(),
                }
                for run in self.runs
            ],
        }


def compare_detectors(
    runs: Mapping[str, DetectionPredictions], *, shared_only: bool = False, seed: int = 0
) -> DetectorComparison:
    """Return ``runs`` (by name, at least two) held against the first of them on the same marked images.

    Images are matched by content and by what is marked on them, so a moved or renamed folder compares, and so does
    another order of images, boxes or classes. Raises ``DataError`` when class names differ, test sets do and
    ``shared_only`` is not set, or no object is marked on the images that are shared.
    """
    require_multiple_runs(runs)
    classes = require_same_classes({name: item.classes for name, item in runs.items()})
    given = {name: item.reorder_classes(classes) for name, item in runs.items()}
    rows = {name: _index_by_identity(item) for name, item in given.items()}
    first = next(iter(rows.values()))
    shared = [image for image in first if all(image in own for own in rows.values())]
    left_out = {name: len(own) - len(shared) for name, own in rows.items()}
    require_same_images(left_out, len(shared), shared_only)
    aligned = {name: item.select([rows[name][image] for image in shared]) for name, item in given.items()}
    metrics = {name: item.compute_metrics(seed) for name, item in aligned.items()}
    differences = _compute_differences(list(aligned.values()), list(metrics.values()), seed)
    compared = (ComparedDetector(name, metrics[name], one) for name, one in zip(metrics, differences, strict=True))
    return DetectorComparison(tuple(compared), len(shared), left_out)


_AnnotationKey = tuple[tuple[int, int, tuple[float, ...]], ...]
_ImageIdentity = tuple[str, _AnnotationKey, int]


def _index_by_identity(item: DetectionPredictions) -> dict[_ImageIdentity, int]:
    """Name each image by content, by what is marked on it and by which copy of it this is; return its row."""
    copies: Counter[tuple[str, _AnnotationKey]] = Counter()
    rows: dict[_ImageIdentity, int] = {}
    for row, key in enumerate(item.keys):
        marked = _make_annotation_key(item, row)
        rows[key, marked, copies[key, marked]] = row
        copies[key, marked] += 1
    return rows


def _make_annotation_key(item: DetectionPredictions, image: int) -> _AnnotationKey:
    span = item.truth.slice_of_image(image)
    ids, flags = item.truth.class_ids[span].tolist(), item.truth.flags[span].tolist()
    boxes = np.round(item.truth.boxes[span], _BOX_DECIMALS).tolist()
    return tuple(sorted((ids[i], flags[i], tuple(boxes[i])) for i in range(len(ids))))


def _compute_differences(
    items: list[DetectionPredictions], metrics: list[DetectionMetrics], seed: int
) -> list[DetectorDifference | None]:
    """Return how each of ``items`` differs from the first, for which there is ``None``."""
    classes = len(items[0].classes)
    flat = [build_match_input(item.truth, item.detections) for item in items]
    matched = [match_detections(one) for one in flat]
    draws = min(choose_resample_count(*pair) for pair in zip(flat, matched, strict=True))
    measured = [_bootstrap_mean_ap(*pair, classes, seed, draws) for pair in zip(flat, matched, strict=True)]
    result: list[DetectorDifference | None] = [None]
    for values, figures in zip(measured[1:], metrics[1:], strict=True):
        map50, strict = (
            _compute_paired_interval(before, after) for before, after in zip(measured[0], values, strict=True)
        )
        result.append(DetectorDifference(len(items[0]), map50, strict, _compute_class_differences(metrics[0], figures)))
    return result


def _bootstrap_mean_ap(
    flat: MatchInput, matching: MatchResult, classes: int, seed: int, draws: int
) -> tuple[FloatArray, FloatArray]:
    """Return mAP50 and mAP50-95 (1 + R,): on the test set itself first, then on each drawn one."""
    own = compute_average_precisions(flat, matching, classes)[None]
    levels = average_over_classes(
        np.concatenate([own, bootstrap_average_precisions(flat, matching, classes, seed, draws)])
    )
    return levels[:, 0], levels.mean(axis=1)


def _compute_paired_interval(before: FloatArray, after: FloatArray) -> ConfidenceInterval:
    change = after - before
    return compute_bias_corrected_interval(float(change[0]), change[1:], lowest=-1.0)


def _compute_class_differences(first: DetectionMetrics, other: DetectionMetrics) -> tuple[ClassApDifference, ...]:
    return tuple(
        ClassApDifference(
            old.name,
            old.support,
            None if old.ap50 is None else old.ap50.value,
            None if new.ap50 is None else new.ap50.value,
        )
        for old, new in zip(first.scores, other.scores, strict=True)
    )
