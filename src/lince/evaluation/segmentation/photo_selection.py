"""Selects the photos on which a segmentation model does worst and best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.bootstrap import FloatArray, average_over_present
from lince.evaluation.segmentation.metrics import PixelTable, compute_ratios
from lince.evaluation.segmentation.predictions import SegmentationPredictions


@dataclass(frozen=True, eq=False)
class PhotoFigures:
    """The figures of N photos, one by one.

    ``mious`` float64 (N,) are the mean IoU of the background and the classes that truth or prediction of the photo
    have, ``wrong_shares`` the fraction of its pixels that are wrong; both are NaN where all pixels are void.
    ``has_class`` bool (N,) says whether the truth has any class.
    """

    mious: FloatArray
    wrong_shares: FloatArray
    has_class: NDArray[np.bool_]

    @classmethod
    def measure(cls, predictions: SegmentationPredictions) -> Self:
        """Return the figures of the photos of ``predictions``."""
        table = PixelTable.from_counts(predictions.counts, len(predictions.classes))
        counted = table.true.sum(axis=1)
        return cls(
            average_over_present(compute_ratios(table.correct, table.union)),
            compute_ratios(counted - table.correct.sum(axis=1), counted),
            np.asarray(table.true[:, 1:].any(axis=1)),
        )

    def select_worst(self, count: int) -> NDArray[np.int64]:
        """Return at most ``count`` photos with wrong pixels, the lowest mean IoU first."""
        order = np.argsort(self.mious, kind="stable")  # NaN comes last
        return np.asarray(order[self.wrong_shares[order] > 0][:count], np.int64)

    def select_best(self, count: int, others: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return at most ``count`` photos of classes, the highest mean IoU first, none of which is in ``others``."""
        order = np.argsort(-self.mious, kind="stable")
        is_free = self.has_class & ~np.isnan(self.mious)
        is_free[others] = False
        return np.asarray(order[is_free[order]][:count], np.int64)
