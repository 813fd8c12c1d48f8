"""Compares multilabel models on the same test images: differences in mean average precision with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.errors import DataError
from lince.evaluation.bootstrap import Bootstrap, average_over_present
from lince.evaluation.comparison_checks import align_runs, index_images
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.multilabel.average_precision import compute_average_precisions, weigh_average_precisions
from lince.evaluation.multilabel.metrics import MultilabelMetrics
from lince.evaluation.multilabel.predictions import MultilabelPredictions
from lince.evaluation.report.comparison_view import ChangedPrediction, ComparisonView, ShownComparison
from lince.evaluation.report.facts import RunDetails
from lince.evaluation.report.multilabel.comparison_view import build_comparison_view
from lince.i18n import _

MIN_IMAGES = 6  # five of five better happens by chance with p = 1/16, which is not significant


@dataclass(frozen=True)
class ClassPrecisionDifference:
    """The average precision of one class with the first run and with another, and the difference with its interval.

    ``support`` is the number of test images of the class; the figures are ``None`` where it is 0.
    """

    name: str
    support: int
    before: float | None
    after: float | None
    difference: ConfidenceInterval | None

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return {**vars(self), "difference": None if self.difference is None else self.difference.to_dict()}


@dataclass(frozen=True)
class MultilabelDifference:
    """How a model differs from the first one, on the same ``count`` images.

    ``map`` is the difference with its paired bootstrap interval: both models are evaluated on the same resampled test
    sets, so images that are easy or hard for both do not widen it. ``newly_correct`` are images of which only this run
    has all classes right, ``newly_wrong`` those of which only the first one has.
    """

    count: int
    map: ConfidenceInterval
    newly_correct: tuple[ChangedPrediction, ...]
    newly_wrong: tuple[ChangedPrediction, ...]
    classes: tuple[ClassPrecisionDifference, ...]

    @property
    def outcome(self) -> str:
        """``better``, ``worse``, or ``unclear``.

        It is unclear when the interval of the difference contains 0, or there are fewer than ``MIN_IMAGES`` images.
        """
        if self.count < MIN_IMAGES or self.map.low <= 0 <= self.map.high:
            return "unclear"
        return "better" if self.map.value > 0 else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return {
            "map": self.map.to_dict(),
            "verdict": self.outcome,
            "gained": [vars(change) for change in self.newly_correct],
            "lost": [vars(change) for change in self.newly_wrong],
            "classes": [item.to_dict() for item in self.classes],
        }


@dataclass(frozen=True, eq=False)
class ComparedMultilabel:
    """One run of a comparison: its metrics, and its difference from the first run (``None`` for the first itself)."""

    name: str
    metrics: MultilabelMetrics
    difference: MultilabelDifference | None


@dataclass(frozen=True, eq=False, repr=False)
class MultilabelComparison(ShownComparison):
    """Multilabel models on the same ``count`` test images; the first is the baseline of the others.

    ``left_out_counts`` counts, for each run, the test images that are not in all test sets; ``seen_count`` those of all
    test sets that were left out, because one of the runs was trained on them or chosen by them; ``folders`` are
    those of the runs. ``details`` says by name how runs were trained, where they have a report.
    """

    runs: tuple[ComparedMultilabel, ...]
    count: int
    left_out_counts: Mapping[str, int]
    seen_count: int = 0
    folders: Mapping[str, Path] = field(default_factory=dict)
    details: Mapping[str, RunDetails] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as a JSON object."""
        return {
            "count": self.count,
            "left_out": dict(self.left_out_counts),
            "seen": self.seen_count,
            "runs": [
                {
                    "name": run.name,
                    "details": self.details[run.name].to_dict() if run.name in self.details else None,
                    **run.metrics.figures.to_dict(),
                    "difference": None if run.difference is None else run.difference.to_dict(),
                }
                for run in self.runs
            ],
        }

    def build_view(self) -> ComparisonView:
        """Return the comparison as sentences and tables in the current language."""
        return build_comparison_view(self)


def compare_multilabel(
    runs: Mapping[str, MultilabelPredictions], *, shared_only: bool = False, seed: int = 0
) -> MultilabelComparison:
    """Return the comparison of ``runs`` (at least two, by name) with the first of them on the same images.

    Images are matched by content and classes, so files may have been moved or renamed, and the order of images and of
    classes may differ. ``shared_only`` compares on the images that all test sets have; ``seed`` is for the bootstrap.

    Raises ``DataError`` when class names differ, when test sets differ without ``shared_only``, and when no shared
    image has a class.
    """
    aligned, left_out = align_runs(runs, _index_by_identity, shared_only)
    first = next(iter(aligned.values()))
    if not first.truth.any():
        raise DataError(
            _("None of the {count:,} shared test images has a class.").format(count=len(first)),
            _("Expected test images with classes."),
        )
    metrics = {name: item.compute_metrics(seed) for name, item in aligned.items()}
    differences = _compute_differences(list(aligned.values()), list(metrics.values()), seed)
    compared = tuple(
        ComparedMultilabel(name, metrics[name], difference)
        for name, difference in zip(metrics, differences, strict=True)
    )
    return MultilabelComparison(compared, len(first), left_out)


def _index_by_identity(item: MultilabelPredictions) -> dict[Any, int]:
    """Return the row of each image whose classes are known, by content, classes and number among equal copies."""
    return index_images(
        (row, (item.keys[row], tuple(np.flatnonzero(item.truth[row]).tolist())))
        for row in np.flatnonzero(item.is_known).tolist()
    )


def _compute_differences(
    items: list[MultilabelPredictions], metrics: list[MultilabelMetrics], seed: int
) -> list[MultilabelDifference | None]:
    """Return how each of ``items`` differs from the first; ``None`` for the first itself."""
    truth = items[0].truth
    bootstrap = Bootstrap.draw(truth.shape, items[0].groups, seed)
    values = [
        np.concatenate(
            [
                compute_average_precisions(truth, item.probabilities)[None],
                weigh_average_precisions(truth, item.probabilities, bootstrap.weights),
            ]
        )
        for item in items
    ]
    differences: list[MultilabelDifference | None] = [None]
    for item, own, found in zip(items[1:], values[1:], metrics[1:], strict=True):
        overall = average_over_present(own) - average_over_present(values[0])
        changes = _list_changes(items[0], item)
        classes = tuple(
            ClassPrecisionDifference(
                old.name,
                old.support,
                None if old.ap is None else old.ap.value,
                None if new.ap is None else new.ap.value,
                bootstrap.compute_difference(own[:, i] - values[0][:, i]) if old.ap else None,
            )
            for i, (old, new) in enumerate(zip(metrics[0].scores, found.scores, strict=True))
        )
        interval = bootstrap.compute_difference(overall)
        differences.append(MultilabelDifference(len(truth), interval, *changes, classes))
    return differences


def _list_changes(
    before: MultilabelPredictions, after: MultilabelPredictions
) -> tuple[tuple[ChangedPrediction, ...], tuple[ChangedPrediction, ...]]:
    """Return the images of which only ``after`` has all classes right, and those of which only ``before`` has."""
    was_right, is_right = ((item.predicted == before.truth).all(axis=1) for item in (before, after))

    def name_classes(members: NDArray[np.bool_]) -> str:
        return ", ".join(before.classes.names[i] for i in np.flatnonzero(members)) or _("no class")

    def list_rows(rows: NDArray[np.bool_]) -> tuple[ChangedPrediction, ...]:
        return tuple(
            ChangedPrediction(
                before.names[i], *(name_classes(item[i]) for item in (before.truth, before.predicted, after.predicted))
            )
            for i in np.flatnonzero(rows).tolist()
        )

    return list_rows(is_right & ~was_right), list_rows(was_right & ~is_right)
