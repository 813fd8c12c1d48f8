"""Runs side by side on the same test set: is the one better than the other, or was it luck?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes
from lince.errors import DataError, UsageError
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.confidence import (
    RESAMPLES,
    ConfidenceInterval,
    compute_all_success_bound,
    compute_percentile_interval,
)
from lince.i18n import _

SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class ChangedPrediction:
    """One image that two runs answer differently, one of them rightly: the answer ``before`` and ``after``."""

    name: str
    truth: str
    before: str
    after: str


@dataclass(frozen=True)
class ClassRecallDifference:
    """How the recall of one class moved from the first run to this one; ``None`` without test images."""

    name: str
    support: int
    before: float | None
    after: float | None


@dataclass(frozen=True)
class ClassifierDifference:
    """A run against the first one, image by image.

    ``accuracy`` is the difference in accuracy with its paired bootstrap interval; ``p_value`` McNemar's exact test;
    ``gained`` are the images that only this run answers rightly, ``lost`` those that only the first one does.
    """

    accuracy: ConfidenceInterval
    p_value: float
    newly_correct: tuple[ChangedPrediction, ...]
    newly_wrong: tuple[ChangedPrediction, ...]
    classes: tuple[ClassRecallDifference, ...]

    @property
    def outcome(self) -> str:
        """``better``, ``worse`` or, when luck may explain it, ``unclear``."""
        if self.p_value >= SIGNIFICANCE_LEVEL:
            return "unclear"
        return "better" if self.accuracy.value > 0 else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON."""
        return {
            "accuracy": self.accuracy.to_dict(),
            "p_value": self.p_value,
            "verdict": self.outcome,
            "gained": [vars(change) for change in self.newly_correct],
            "lost": [vars(change) for change in self.newly_wrong],
            "classes": [vars(item) for item in self.classes],
        }


@dataclass(frozen=True)
class ComparedClassifier:
    """One run of a comparison: its figures, and how it differs from the first run (``None`` for that one)."""

    name: str
    metrics: ClassificationMetrics
    difference: ClassifierDifference | None


@dataclass(frozen=True)
class ClassifierComparison:
    """Runs on the same ``count`` test images, the first being the one that the others are held against.

    ``left_out`` counts, for each run, the test images that not all runs share.
    """

    runs: tuple[ComparedClassifier, ...]
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
                    "accuracy": run.metrics.accuracy.to_dict(),
                    "macro_f1": run.metrics.macro.f1,
                    "log_loss": run.metrics.log_loss,
                    "difference": None if run.difference is None else run.difference.to_dict(),
                }
                for run in self.runs
            ],
        }


def compare_classifiers(
    runs: Mapping[str, ClassificationPredictions], *, shared_only: bool = False, seed: int = 0
) -> ClassifierComparison:
    """Return ``runs`` (by name, at least two) held against the first of them on the same labelled images.

    Images are matched by content and label, so a moved or renamed folder compares, and so does another order of
    images or classes. Raises ``DataError`` when class names differ, or test sets do and ``shared_only`` is not set.
    """
    require_multiple_runs(runs)
    names, given = list(runs), list(runs.values())
    classes = require_same_classes({name: item.classes for name, item in runs.items()})
    tables = [_index_by_identity(item.reorder_classes(classes)) for item in given]
    shared = [row for row in tables[0][1] if all(row in rows for _item, rows in tables[1:])]
    left_out = {name: len(rows) - len(shared) for name, (_item, rows) in zip(names, tables, strict=True)}
    require_same_images(left_out, len(shared), shared_only)
    aligned = [item.select([rows[row] for row in shared]) for item, rows in tables]
    compared = tuple(
        ComparedClassifier(name, item.compute_metrics(seed), _compute_difference(aligned[0], item, seed) if i else None)
        for i, (name, item) in enumerate(zip(names, aligned, strict=True))
    )
    return ClassifierComparison(compared, len(shared), left_out)


def mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided exact p value that ``gained`` against ``lost`` changes are a coin's (McNemar 1947)."""
    total = gained + lost
    tail = ways = 1
    for i in range(min(gained, lost)):
        ways = ways * (total - i) // (i + 1)
        tail += ways
    share: float = 2 * tail / 2**total
    return min(1.0, share)


def _compute_difference(
    first: ClassificationPredictions, other: ClassificationPredictions, seed: int
) -> ClassifierDifference:
    truth = first.truth
    before, after = first.predicted_class_ids, other.predicted_class_ids
    gained = np.flatnonzero((before != truth) & (after == truth))
    lost = np.flatnonzero((before == truth) & (after != truth))
    labels = first.classes.names

    def changes(rows: NDArray[Any]) -> tuple[ChangedPrediction, ...]:
        return tuple(
            ChangedPrediction(first.names[i], labels[truth[i]], labels[before[i]], labels[after[i]])
            for i in rows.tolist()
        )

    return ClassifierDifference(
        _compute_paired_interval(len(gained), len(lost), len(truth), seed),
        mcnemar(len(gained), len(lost)),
        changes(gained),
        changes(lost),
        tuple(_compute_class_difference(name, truth == i, before, after, i) for i, name in enumerate(labels)),
    )


def _compute_paired_interval(gained: int, lost: int, total: int, seed: int) -> ConfidenceInterval:
    """Resampling pairs of answers only ever changes how many gained and lost ones are drawn: a multinomial."""
    if not gained and not lost:
        bound = 1 - compute_all_success_bound(
            total
        )  # no spread to draw from; the exact bound for 0 changes of ``total``
        return ConfidenceInterval(0.0, -bound, bound)
    shares = np.array([gained, lost, total - gained - lost]) / total
    draws = np.random.default_rng(seed).multinomial(total, shares, RESAMPLES)
    return compute_percentile_interval((gained - lost) / total, (draws[:, 0] - draws[:, 1]) / total)


def _compute_class_difference(
    name: str, own: NDArray[Any], before: NDArray[Any], after: NDArray[Any], index: int
) -> ClassRecallDifference:
    support = int(own.sum())
    if not support:
        return ClassRecallDifference(name, 0, None, None)
    return ClassRecallDifference(
        name, support, float((before[own] == index).mean()), float((after[own] == index).mean())
    )


_ImageIdentity = tuple[str, int, int]


def _index_by_identity(item: ClassificationPredictions) -> tuple[ClassificationPredictions, dict[_ImageIdentity, int]]:
    """Name each labelled row by content, label and which copy of it this is; return the rows by that name."""
    copies: Counter[tuple[str, int]] = Counter()
    rows: dict[_ImageIdentity, int] = {}
    for row, (key, label) in enumerate(zip(item.keys, item.truth.tolist(), strict=True)):
        if label != UNLABELLED:
            rows[key, label, copies[key, label]] = row
            copies[key, label] += 1
    return item, rows


def require_multiple_runs(runs: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` for less than two runs."""
    if len(runs) < 2:
        raise UsageError(_("There is only one run to compare."), _("Expected two runs or more."))


def require_same_classes(classes_by_run: Mapping[str, Classes]) -> Classes:
    """Return the classes of the first run in ``known`` (by name); raise ``DataError`` when another has other ones."""
    names = list(classes_by_run)
    first = classes_by_run[names[0]]
    for name in names[1:]:
        different = sorted(set(first.names) ^ set(classes_by_run[name].names))
        if different:
            raise DataError(
                _("{first} and {other} know different classes: {names}.").format(
                    first=names[0], other=name, names=", ".join(different)
                ),
                _("Expected runs with the same class names, in any order."),
                _("Train both on the same classes; --merge brings finer classes together."),
            )
    return first


def require_same_images(left_out: Mapping[str, int], shared: int, shared_only: bool) -> None:
    """Raise ``DataError`` when runs share none of their test images, or not all and ``shared_only`` is not set."""
    if shared and (shared_only or not any(left_out.values())):
        return
    sizes = ", ".join(f"{name}: {shared + extra}" for name, extra in left_out.items())
    raise DataError(
        _("The test sets differ: {shared} images are in all of them ({sizes}).").format(shared=shared, sizes=sizes),
        _("Expected runs tested on the same images with the same labels."),
        _("Run lince evaluate for each run on one test set, or compare on the shared images only (--shared).")
        if shared
        else _("Run lince evaluate for each run on one test set."),
    )
