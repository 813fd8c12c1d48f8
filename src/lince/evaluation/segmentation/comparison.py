"""Compares models of semantic segmentation on the same test images: differences in mean IoU with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lince.errors import DataError
from lince.evaluation.bootstrap import Bootstrap, average_over_present
from lince.evaluation.comparison_checks import align_runs, index_images
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report.comparison_view import ComparisonView
from lince.evaluation.report.segmentation.comparison_view import build_comparison_view
from lince.evaluation.run_comparison import (
    ClassFigureDifference,
    ComparedRun,
    RunComparison,
    compute_class_differences,
    decide_outcome,
)
from lince.evaluation.segmentation.metrics import PixelTable, SegmentationMetrics
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.i18n import _


@dataclass(frozen=True)
class SegmenterDifference:
    """How a model differs from the first one, on the same ``count`` images.

    ``miou`` is the difference with its paired bootstrap interval: both models are evaluated on the same resampled test
    sets, so images that are easy or hard for both do not widen it. ``classes`` are the differences in IoU.
    """

    count: int
    miou: ConfidenceInterval
    classes: tuple[ClassFigureDifference, ...]

    @property
    def outcome(self) -> str:
        """``better``, ``worse``, or ``unclear`` (``decide_outcome``), by the difference in mean IoU."""
        return decide_outcome(self.count, self.miou)

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return {
            "miou": self.miou.to_dict(),
            "verdict": self.outcome,
            "classes": [item.to_dict() for item in self.classes],
        }


@dataclass(frozen=True, eq=False, repr=False)
class SegmenterComparison(RunComparison[SegmentationMetrics, SegmenterDifference]):
    """The comparison of models of semantic segmentation."""

    def summarise_metrics(self, metrics: SegmentationMetrics) -> dict[str, Any]:
        """Return the figures of a run as a JSON object."""
        return {**metrics.figures.to_dict(), "area_error": metrics.area_error}

    def build_view(self) -> ComparisonView:
        """Return the comparison as sentences and tables in the current language."""
        return build_comparison_view(self)


def compare_segmenters(
    runs: Mapping[str, SegmentationPredictions], *, shared_only: bool = False, seed: int = 0
) -> SegmenterComparison:
    """Return the comparison of ``runs`` (at least two, by name) with the first of them on the same images.

    Images are matched by content, size and the true pixels of each class, so files may have been moved or renamed, and
    the order of images and of classes may differ. ``shared_only`` compares on the images that all test sets have;
    ``seed`` is for the bootstrap.

    Raises ``DataError`` when class names differ, when test sets differ without ``shared_only``, and when no shared
    image shows a class.
    """
    aligned, left_out = align_runs(runs, _index_by_identity, shared_only)
    items = list(aligned.values())
    tables = [PixelTable.from_counts(item.counts, len(item.classes)) for item in items]
    if not tables[0].true[:, 1:].any():
        raise DataError(
            _("None of the {count:,} shared test images has a class.").format(count=len(items[0])),
            _("Expected test images with classes."),
        )
    metrics = {name: item.compute_metrics(seed) for name, item in aligned.items()}
    bootstrap = Bootstrap.draw(tables[0].true.shape, items[0].groups, seed)
    differences = [None, *(_compute_difference(items[0], tables[0], table, bootstrap) for table in tables[1:])]
    compared = tuple(ComparedRun(name, metrics[name], one) for name, one in zip(metrics, differences, strict=True))
    return SegmenterComparison(compared, len(items[0]), left_out)


def _index_by_identity(item: SegmentationPredictions) -> dict[Any, int]:
    """Return the row of each image by content, size, true pixels of each class and number among equal copies."""
    true = PixelTable.from_counts(item.counts, len(item.classes)).true
    return index_images(
        (row, (key, item.counts[row].height, item.counts[row].width, tuple(true[row].tolist())))
        for row, key in enumerate(item.keys)
    )


def _compute_difference(
    first: SegmentationPredictions, before: PixelTable, after: PixelTable, bootstrap: Bootstrap
) -> SegmenterDifference:
    """Return how the model of the table ``after`` differs from ``first``, whose table is ``before``."""
    weights = np.concatenate([np.ones((1, len(first))), bootstrap.weights])
    old, new = (table.compute_ious(weights) for table in (before, after))
    supports = (before.true[:, 1:] > 0).sum(axis=0).tolist()
    return SegmenterDifference(
        len(first),
        bootstrap.compute_difference(average_over_present(new) - average_over_present(old)),
        compute_class_differences(first.classes, supports, (old[:, 1:], new[:, 1:]), bootstrap),
    )
