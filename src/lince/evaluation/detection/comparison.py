"""Compares detectors on the same test images: differences in average precision with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.average_precision import (
    FloatArray,
    average_over_classes,
    bootstrap_average_precisions,
    choose_resample_count,
    compute_average_precisions,
)
from lince.evaluation.comparison_checks import align_runs, find_shared_groups, index_images
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.detection.matcher import MatchInput, MatchResult, match_detections
from lince.evaluation.detection.metrics import DetectionMetrics, compute_bias_corrected_interval
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.evaluation.report.comparison_view import ComparisonView
from lince.evaluation.report.detection.comparison_view import build_comparison_view
from lince.evaluation.run_comparison import ClassFigure, ComparedRun, RunComparison, decide_outcome

_BOX_DECIMALS = 3  # of a coordinate in pixels, as many as label formats store


@dataclass(frozen=True)
class DetectorDifference:
    """How a detector differs from the first one, on the same ``count`` images.

    ``map50`` and ``map50_95`` are differences with their paired bootstrap intervals: both detectors are evaluated on
    the same resampled test sets, so images that are easy or hard for both do not widen the interval. ``prefix`` stands
    before their keys in JSON.
    """

    count: int
    map50: ConfidenceInterval
    map50_95: ConfidenceInterval
    classes: tuple[ClassFigure, ...]
    prefix: str = ""

    @property
    def outcome(self) -> str:
        """``better``, ``worse``, or ``unclear`` (``decide_outcome``), by the difference in mAP50-95."""
        return decide_outcome(self.count, self.map50_95)

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return {
            f"{self.prefix}map50": self.map50.to_dict(),
            f"{self.prefix}map50_95": self.map50_95.to_dict(),
            "verdict": self.outcome,
            "classes": [item.to_dict() for item in self.classes],
        }


@dataclass(frozen=True, eq=False, repr=False)
class DetectorComparison(RunComparison[DetectionMetrics, DetectorDifference]):
    """The comparison of detectors."""

    def summarise_metrics(self, metrics: DetectionMetrics) -> dict[str, Any]:
        """Return the figures of a run as a JSON object."""
        return {key: interval.to_dict() for key, interval in metrics.list_means().items()}

    def build_view(self) -> ComparisonView:
        """Return the comparison as sentences and tables in the current language."""
        return build_comparison_view(self)


def compare_detectors(
    runs: Mapping[str, DetectionPredictions], *, shared_only: bool = False, seed: int = 0
) -> DetectorComparison:
    """Return the comparison of ``runs`` (at least two, by name) with the first of them on the same images.

    Images are matched by content and true objects, so files may have been moved or renamed, and the order of images,
    boxes and classes may differ. ``shared_only`` compares on the images that all test sets have; ``seed`` is for the
    bootstrap.

    Raises ``DataError`` when class names differ, when test sets differ without ``shared_only``, and when the shared
    images have no object.
    """
    aligned, left_out = align_runs(runs, _index_by_identity, shared_only)
    metrics = {name: item.compute_metrics(seed) for name, item in aligned.items()}
    differences = _compute_differences(list(aligned.values()), list(metrics.values()), seed)
    compared = tuple(
        ComparedRun(name, metrics[name], difference) for name, difference in zip(metrics, differences, strict=True)
    )
    return DetectorComparison(compared, len(next(iter(aligned.values()))), left_out)


_AnnotationKey = tuple[tuple[int, int, tuple[float, ...]], ...]


def _index_by_identity(item: DetectionPredictions) -> dict[Any, int]:
    """Return the row of each image by its content, its objects, and its number among equal copies."""
    return index_images((row, (key, _make_annotation_key(item, row))) for row, key in enumerate(item.keys))


def _make_annotation_key(item: DetectionPredictions, image: int) -> _AnnotationKey:
    """Return the objects of ``image``, sorted, with boxes rounded to what label formats can store."""
    span = item.truth.slice_of_image(image)
    ids, flags = item.truth.class_ids[span].tolist(), item.truth.flags[span].tolist()
    boxes = np.round(item.truth.boxes[span], _BOX_DECIMALS).tolist()
    return tuple(sorted((ids[i], flags[i], tuple(boxes[i])) for i in range(len(ids))))


def _compute_differences(
    items: list[DetectionPredictions], metrics: list[DetectionMetrics], seed: int
) -> list[DetectorDifference | None]:
    """Return how each of ``items`` differs from the first; ``None`` for the first itself."""
    classes = len(items[0].classes)
    inputs = [item.build_match_input() for item in items]
    pairs = [(match_input, match_detections(match_input)) for match_input in inputs]
    resample_count = min(choose_resample_count(*pair) for pair in pairs)
    groups = find_shared_groups(items)
    values = [_bootstrap_mean_ap(*pair, classes, seed, resample_count, groups) for pair in pairs]
    differences: list[DetectorDifference | None] = [None]
    for run_values, run_metrics in zip(values[1:], metrics[1:], strict=True):
        map50, map50_95 = (
            _compute_paired_interval(before, after) for before, after in zip(values[0], run_values, strict=True)
        )
        class_differences = _compute_class_differences(metrics[0], run_metrics)
        difference = DetectorDifference(len(items[0]), map50, map50_95, class_differences, run_metrics.prefix)
        differences.append(difference)
    return differences


def _bootstrap_mean_ap(
    match_input: MatchInput,
    matches: MatchResult,
    classes: int,
    seed: int,
    resample_count: int,
    groups: NDArray[np.int64] | None,
) -> tuple[FloatArray, FloatArray]:
    """Return mAP50 and mAP50-95, float (1 + R,) each: on the test set itself, then on each of R resampled sets."""
    observed = compute_average_precisions(match_input, matches, classes)[None]
    resampled = bootstrap_average_precisions(match_input, matches, classes, seed, resample_count, groups)
    levels = average_over_classes(np.concatenate([observed, resampled]))
    return levels[:, 0], levels.mean(axis=1)


def _compute_paired_interval(before: FloatArray, after: FloatArray) -> ConfidenceInterval:
    """Return the difference of two metrics, (1 + R,) as of ``_bootstrap_mean_ap``, with its interval."""
    difference = after - before
    return compute_bias_corrected_interval(float(difference[0]), difference[1:], lowest=-1.0)


def _compute_class_differences(baseline: DetectionMetrics, candidate: DetectionMetrics) -> tuple[ClassFigure, ...]:
    """Return the AP50 of every class before and after."""
    return tuple(
        ClassFigure(
            old.name,
            old.support,
            None if old.ap50 is None else old.ap50.value,
            None if new.ap50 is None else new.ap50.value,
        )
        for old, new in zip(baseline.scores, candidate.scores, strict=True)
    )
