"""Compares classifiers on the same test images: differences with confidence intervals and a significance test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.comparison_checks import align_runs, index_images
from lince.evaluation.confidence import (
    RESAMPLES,
    ConfidenceInterval,
    compute_all_success_bound,
    compute_expanded_tail,
    compute_percentile_interval,
    draw_weights,
)
from lince.evaluation.predictions_file import keep_shared_groups
from lince.evaluation.report.classification.comparison_view import build_comparison_view
from lince.evaluation.report.comparison_view import ChangedPrediction, ComparisonView
from lince.evaluation.run_comparison import ClassFigure, ComparedRun, RunComparison

SIGNIFICANCE_LEVEL = 0.05

_PERMUTATIONS = 10_000


@dataclass(frozen=True)
class ClassifierDifference:
    """How a run differs from the first run, image by image.

    Attributes:
        accuracy: difference in accuracy with its paired bootstrap interval.
        p_value: of McNemar's exact test; where images are in groups, of a permutation test by groups.
        newly_correct: images that only this run classifies correctly.
        newly_wrong: images that only the first run classifies correctly.
        classes: recall class by class.
    """

    accuracy: ConfidenceInterval
    p_value: float
    newly_correct: tuple[ChangedPrediction, ...]
    newly_wrong: tuple[ChangedPrediction, ...]
    classes: tuple[ClassFigure, ...]

    @property
    def outcome(self) -> str:
        """``better``, ``worse``, or ``unclear`` where the difference is not significant (p >= 0.05)."""
        if self.p_value >= SIGNIFICANCE_LEVEL:
            return "unclear"
        return "better" if self.accuracy.value > 0 else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return {
            "accuracy": self.accuracy.to_dict(),
            "p_value": self.p_value,
            "verdict": self.outcome,
            "gained": [vars(change) for change in self.newly_correct],
            "lost": [vars(change) for change in self.newly_wrong],
            "classes": [item.to_dict() for item in self.classes],
        }


@dataclass(frozen=True, eq=False, repr=False)
class ClassifierComparison(RunComparison[ClassificationMetrics, ClassifierDifference]):
    """The comparison of classifiers."""

    def summarise_metrics(self, metrics: ClassificationMetrics) -> dict[str, Any]:
        """Return the figures of a run as a JSON object."""
        return {
            "accuracy": metrics.accuracy.to_dict(),
            "macro_f1": metrics.macro.f1,
            "log_loss": metrics.log_loss,
        }

    def build_view(self) -> ComparisonView:
        """Return the comparison as sentences and tables in the current language."""
        return build_comparison_view(self)


def compare_classifiers(
    runs: Mapping[str, ClassificationPredictions], *, shared_only: bool = False, seed: int = 0
) -> ClassifierComparison:
    """Return the comparison of ``runs`` (at least two, by name) with the first of them on the same labelled images.

    Images are matched by content and label, so files may have been moved or renamed, and the order of images and of
    classes may differ. ``shared_only`` compares on the images that all test sets have; ``seed`` is for the bootstrap.

    Raises ``DataError`` when class names differ, and when test sets differ without ``shared_only``.
    """
    aligned, left_out = align_runs(runs, _index_by_identity, shared_only)
    first = next(iter(aligned.values()))
    compared = tuple(
        ComparedRun(name, item.compute_metrics(seed), _compute_difference(first, item, seed) if i else None)
        for i, (name, item) in enumerate(aligned.items())
    )
    return ClassifierComparison(compared, len(first), left_out)


def mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar 1947).

    It is the probability of a split at least as uneven as ``gained`` to ``lost`` when each change is a fair coin toss:
    twice the tail of the binomial distribution, 1 at most.
    """
    total = gained + lost
    tail = combinations = 1
    for i in range(min(gained, lost)):
        combinations = combinations * (total - i) // (i + 1)
        tail += combinations
    p_value: float = 2 * tail / 2**total
    return min(1.0, p_value)


def _compute_difference(
    baseline: ClassificationPredictions, candidate: ClassificationPredictions, seed: int
) -> ClassifierDifference:
    """Return how ``candidate`` differs from ``baseline``; both have the same images in the same order."""
    truth = baseline.truth
    before, after = baseline.predicted_class_ids, candidate.predicted_class_ids
    gained = np.flatnonzero((before != truth) & (after == truth))
    lost = np.flatnonzero((before == truth) & (after != truth))
    names = baseline.classes.names

    def changes(rows: NDArray[Any]) -> tuple[ChangedPrediction, ...]:
        return tuple(
            ChangedPrediction(baseline.names[i], names[truth[i]], names[before[i]], names[after[i]])
            for i in rows.tolist()
        )

    return ClassifierDifference(
        *_compare_pairs(before == truth, after == truth, baseline.groups, seed),
        changes(gained),
        changes(lost),
        tuple(_compute_class_difference(name, truth == i, before, after, i) for i, name in enumerate(names)),
    )


def _compare_pairs(
    before: NDArray[np.bool_], after: NDArray[np.bool_], groups: NDArray[np.int64] | None, seed: int
) -> tuple[ConfidenceInterval, float]:
    """Return the difference in accuracy with its interval, and the p-value of no difference.

    ``before`` and ``after`` (N,) say which answers are right. Images of one of ``groups`` (N,) are drawn together, and
    their differences change sign together: a permutation test with 10,000 draws (Good, "Permutation, Parametric and
    Bootstrap Tests of Hypotheses", 2005, chapter 3). Without groups both are exact.
    """
    gained, lost, total = int((after & ~before).sum()), int((before & ~after).sum()), len(before)
    shared = keep_shared_groups(groups)
    if shared is None or not (gained or lost):
        return _compute_paired_interval(gained, lost, total, seed), mcnemar(gained, lost)
    sizes = np.bincount(shared)
    changes = np.bincount(shared, weights=after.astype(np.int64) - before)
    rng = np.random.default_rng(seed)
    weights = draw_weights(len(sizes), RESAMPLES, rng)
    value, draws = (gained - lost) / total, (weights @ changes) / (weights @ sizes)
    tail = compute_expanded_tail(len(sizes)) if len(sizes) > 1 else 0.0
    interval = compute_percentile_interval(value, draws, tail) if tail else ConfidenceInterval(value, -1.0, 1.0)
    signs = rng.choice(np.array([-1.0, 1.0]), (_PERMUTATIONS, int(np.count_nonzero(changes))))
    extreme = np.abs(signs @ changes[changes != 0]) >= abs(changes.sum())
    return interval, float((extreme.sum() + 1) / (_PERMUTATIONS + 1))


def _compute_paired_interval(gained: int, lost: int, total: int, seed: int) -> ConfidenceInterval:
    """Return the difference in accuracy, (gained - lost) / total, with its bootstrap interval.

    Resampling pairs of predictions only changes how many gained and lost images are drawn, so the draws come from a
    multinomial distribution. Without any change there is nothing to resample, and the interval is the exact bound for 0
    changes among ``total`` images.
    """
    if not gained and not lost:
        bound = 1 - compute_all_success_bound(total)
        return ConfidenceInterval(0.0, -bound, bound)
    fractions = np.array([gained, lost, total - gained - lost]) / total
    draws = np.random.default_rng(seed).multinomial(total, fractions, RESAMPLES)
    return compute_percentile_interval((gained - lost) / total, (draws[:, 0] - draws[:, 1]) / total)


def _compute_class_difference(
    name: str, in_class: NDArray[Any], before: NDArray[Any], after: NDArray[Any], class_id: int
) -> ClassFigure:
    """Return the recall of class ``class_id`` before and after.

    ``in_class`` is bool (N,), the images of the class; ``before`` and ``after`` are the predicted ids, int (N,).
    """
    support = int(in_class.sum())
    if not support:
        return ClassFigure(name, 0, None, None)
    return ClassFigure(
        name, support, float((before[in_class] == class_id).mean()), float((after[in_class] == class_id).mean())
    )


def _index_by_identity(item: ClassificationPredictions) -> dict[Any, int]:
    """Return the row of each labelled image by content, label and number among equal copies."""
    return index_images(
        (row, (key, label))
        for row, (key, label) in enumerate(zip(item.keys, item.truth.tolist(), strict=True))
        if label != UNLABELLED
    )
