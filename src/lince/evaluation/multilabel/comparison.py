"""Compares multilabel models on the same test images: differences in mean average precision with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from lince.evaluation.report.comparison_view import ChangedPrediction, ComparisonView
from lince.evaluation.report.multilabel.comparison_view import build_comparison_view
from lince.evaluation.run_comparison import (
    ClassFigureDifference,
    ComparedRun,
    RunComparison,
    compute_class_differences,
    decide_outcome,
)
from lince.i18n import _


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
    classes: tuple[ClassFigureDifference, ...]

    @property
    def outcome(self) -> str:
        """``better``, ``worse``, or ``unclear`` (``decide_outcome``), by the difference in mean average precision."""
        return decide_outcome(self.count, self.map)

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return {
            "map": self.map.to_dict(),
            "verdict": self.outcome,
            "gained": [vars(change) for change in self.newly_correct],
            "lost": [vars(change) for change in self.newly_wrong],
            "classes": [item.to_dict() for item in self.classes],
        }


@dataclass(frozen=True, eq=False, repr=False)
class MultilabelComparison(RunComparison[MultilabelMetrics, MultilabelDifference]):
    """The comparison of multilabel models."""

    def summarise_metrics(self, metrics: MultilabelMetrics) -> dict[str, Any]:
        """Return the figures of a run as a JSON object."""
        return metrics.figures.to_dict()

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
        ComparedRun(name, metrics[name], difference) for name, difference in zip(metrics, differences, strict=True)
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
        supports = [score.support for score in found.scores]
        classes = compute_class_differences(item.classes, supports, (values[0], own), bootstrap)
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
