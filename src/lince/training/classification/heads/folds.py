"""Deals images to the folds of a cross-validation: stratified by class, copies of one photo in one fold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign_grouped_folds(
    labels: NDArray[np.int64], count: int, seed: int, groups: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return the fold, int64 (N,) from 0 to ``count`` - 1, of each row with class ids ``labels`` (N,).

    Groups are shuffled by ``seed``, then those of each class are dealt to the folds in turn; rows with the same number
    in ``groups`` (N,) are in one fold. A class that is all in one group is dealt row by row: a fold without it could
    not be predicted at all. Without ``groups`` each row is dealt by itself.
    """
    units = np.arange(len(labels)) if groups is None else _divide_lone_groups(labels, groups)
    _numbers, firsts, places = np.unique(units, return_index=True, return_inverse=True)
    order = np.argsort(firsts)  # numbered by the first row, so that groups of one row change nothing
    rank = np.argsort(order)
    unit_labels = labels[firsts[order]]
    dealt = np.random.default_rng(seed).permutation(len(order))
    dealt = dealt[np.argsort(unit_labels[dealt], kind="stable")]
    folds = np.empty(len(order), np.int64)
    folds[dealt] = np.arange(len(order)) % count
    return np.asarray(folds[rank[places]], np.int64)


def _divide_lone_groups(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``groups`` (N,) with the rows of each class that has one group alone in groups of their own."""
    units = groups.copy()
    for class_id in np.unique(labels):
        rows = np.flatnonzero(labels == class_id)
        if len(np.unique(groups[rows])) == 1:
            units[rows] = groups.max() + 1 + rows
    return units
