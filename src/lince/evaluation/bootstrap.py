"""Resampled test sets, for the intervals of figures that are no plain proportion of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.confidence import (
    ConfidenceInterval,
    compute_all_success_bound,
    compute_expanded_tail,
    compute_percentile_interval,
    draw_weights,
)

FloatArray = NDArray[np.float64]
_MAX_RESAMPLES, _MIN_RESAMPLES = 1000, 100
_BOOTSTRAP_BUDGET = 60_000_000  # values processed by the bootstrap, which bounds its time on large test sets


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Resampled test sets: how often each image counts in each, ``weights`` (R, N), drawn from ``unit_count`` units.

    A unit is an image, or those with one number in ``groups`` (N,).
    """

    unit_count: int
    weights: FloatArray
    groups: NDArray[np.int64] | None
    seed: int

    @classmethod
    def draw(cls, shape: tuple[int, ...], groups: NDArray[np.int64] | None, seed: int) -> Bootstrap:
        """Return resampled test sets of ``shape`` (N, C), drawn with ``seed``."""
        units = np.arange(shape[0]) if groups is None else np.unique(groups, return_inverse=True)[1]
        count = int(units.max()) + 1
        weights = draw_weights(count, choose_resample_count(*shape), np.random.default_rng(seed))
        return cls(count, weights.astype(np.float64)[:, units], groups, seed)

    def compute_interval(self, value: float, draws: FloatArray) -> ConfidenceInterval:
        """Return ``value``, 0..1, with the interval of ``draws`` (R,), in which NaN is left out.

        Without any spread at 0 or 1, however few the images, the bound is the exact one for ``unit_count`` images of
        which none, or every one, is right (Clopper and Pearson 1934).
        """
        valid = draws[~np.isnan(draws)]
        if self.unit_count < 2 or not len(valid):
            return ConfidenceInterval(value, 0.0, 1.0)  # one scene says nothing of others
        bound = compute_all_success_bound(self.unit_count)
        if value >= 1.0 and valid.min() >= 1.0:
            return ConfidenceInterval(1.0, bound, 1.0)
        if value <= 0.0 and valid.max() <= 0.0:
            return ConfidenceInterval(0.0, 0.0, 1.0 - bound)
        return compute_percentile_interval(value, np.clip(valid, 0.0, 1.0), compute_expanded_tail(self.unit_count))

    def compute_ratio(self, counts: NDArray[Any], totals: NDArray[Any]) -> ConfidenceInterval | None:
        """Return the sum of ``counts`` (N,) over that of ``totals`` (N,), with its interval; ``None`` for 0 / 0."""
        if not totals.sum():
            return None
        sums = self.weights @ np.stack([counts, totals], axis=1).astype(np.float64)
        draws = np.where(sums[:, 1] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1e-12), np.nan)
        return self.compute_interval(float(counts.sum() / totals.sum()), draws)

    def compute_difference(self, differences: FloatArray) -> ConfidenceInterval:
        """Return the first of ``differences`` (1 + R,) with the interval of the others, in which NaN is left out.

        They are those of one figure of two models: on the test set itself, then on each of the resampled ones.
        """
        draws = differences[1:][~np.isnan(differences[1:])]
        if self.unit_count < 2 or not len(draws):
            return ConfidenceInterval(float(differences[0]), -1.0, 1.0)
        return compute_percentile_interval(float(differences[0]), draws, compute_expanded_tail(self.unit_count))


def choose_resample_count(count: int, class_count: int) -> int:
    """Return the number of resamples for ``count`` images: 1,000, or fewer (down to 100) for a large test set."""
    return int(np.clip(_BOOTSTRAP_BUDGET // max(1, count * class_count), _MIN_RESAMPLES, _MAX_RESAMPLES))


def average_over_present(values: FloatArray) -> FloatArray:
    """Return the mean (...) of ``values`` (..., C) over the classes, NaN left out; NaN where all are NaN."""
    is_defined = ~np.isnan(values)
    count = is_defined.sum(axis=-1)
    total = np.where(is_defined, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float64)
