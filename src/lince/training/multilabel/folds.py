"""Deals images with several classes to the folds of a cross-validation: each class evenly, copies in one fold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince.datasets.stratification import stratify_units


def assign_folds(
    truth: NDArray[np.bool_], count: int, seed: int, groups: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return the fold, int64 (N,) from 0 to ``count`` - 1, of each row with classes ``truth`` (N, C).

    By iterative stratification (``stratify_units``), with ties broken by ``seed``; rows with the same number in
    ``groups`` (N,) are in one fold. Without ``groups`` each row is dealt by itself.
    """
    units = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(units)
    members = np.zeros((len(sizes), truth.shape[1]), np.int64)
    np.add.at(members, units, truth)
    folds = stratify_units(members, sizes, np.full(count, 1 / count), np.random.default_rng(seed))
    return np.asarray(folds[units], np.int64)
