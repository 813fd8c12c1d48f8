"""The algorithm that assigns units with several labels each to splits; it knows nothing of datasets.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-Label Data"): the
rarest remaining label first, each of its units to the split that still needs most of it. Here a unit may be a group of
images, so it has a size and may have a label more than once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_REFINED = 5000  # units; more are even enough as they are assigned
_PASSES = 4  # over all units, in which each may move to a split that needs it more
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def stratify_units(labels: IntArray, sizes: IntArray, shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return the split of each unit, int64 (U,), from 0.

    ``labels`` (U, L) counts the labels of each unit, ``sizes`` (U,) its images; ``shares`` (S,) are the fractions of
    the splits and sum to 1. Every split gets at least one unit of a label that has as many units as there are splits,
    if possible. Units with many of a label are assigned first; ties are broken by ``rng``. Units without labels come
    last and fill the splits up to their share of the images. Units of several images are then moved one by one as long
    as that brings the counts nearer to the shares.
    """
    wanted = _wanted_counts(labels, shares)
    room = shares * float(sizes.sum())
    splits = np.full(len(sizes), -1, np.int64)
    remaining = labels.sum(axis=0)
    tie_breaks = rng.permutation(len(sizes))
    while (remaining > 0).any():
        rarest = int(np.where(remaining > 0, remaining, np.iinfo(np.int64).max).argmin())
        units = np.flatnonzero((splits < 0) & (labels[:, rarest] > 0))
        for unit in units[np.lexsort((tie_breaks[units], -labels[units, rarest]))].tolist():
            split = _choose_split(wanted[:, rarest], room, rng)
            splits[unit] = split
            wanted[split] -= labels[unit]
            room[split] -= sizes[unit]
            remaining -= labels[unit]
    unlabelled = np.flatnonzero(splits < 0)
    for unit in unlabelled[np.lexsort((tie_breaks[unlabelled], -sizes[unlabelled]))].tolist():
        splits[unit] = int(room.argmax())
        room[splits[unit]] -= sizes[unit]
    if len(sizes) <= MAX_REFINED and sizes.max(initial=0) > 1:
        _move_units(splits, np.column_stack([labels, sizes]), shares, np.argsort(tie_breaks))
    return splits


def _move_units(splits: IntArray, counts: IntArray, shares: FloatArray, order: IntArray) -> None:
    """Move units between ``splits`` (U,), in place, in ``order``, to bring the counts nearer to what is wanted.

    ``counts`` (U, L + 1) are the labels and the images of each unit. A split keeps the last unit of a label that it
    wants, and its last unit at all.
    """
    wanted = _wanted_counts(counts, shares)
    held = np.stack([counts[splits == split].sum(axis=0) for split in range(len(shares))]).astype(np.float64)
    units_held = np.bincount(splits, minlength=len(shares))
    weights = np.where(shares[:, None] > 0, 1 / (np.maximum(wanted, 0) + 1), np.inf)
    for _pass in range(_PASSES):
        moved = False
        for unit in order.tolist():
            source, count = int(splits[unit]), counts[unit].astype(np.float64)
            is_last = (held[source] == count) & (count > 0) & (wanted[source] >= 1)
            if is_last.any() or units_held[source] == 1:
                continue
            excess = held - wanted
            gains = (weights * (count**2 + 2 * excess * count))[:, count > 0].sum(axis=1)
            gains += (weights[source] * (count**2 - 2 * excess[source] * count))[count > 0].sum()
            gains[source] = 0.0
            target = int(gains.argmin())
            if gains[target] < -1e-9:
                splits[unit], moved = target, True
                held[source] -= count
                held[target] += count
                units_held[source] -= 1
                units_held[target] += 1
        if not moved:
            return


def _wanted_counts(labels: IntArray, shares: FloatArray) -> FloatArray:
    """Return how many of each label each split should get, float64 (S, L).

    A label with at least S units is wanted at least once by every split; the largest split gets less of it in return.
    """
    total = labels.sum(axis=0)
    wanted: FloatArray = shares[:, None] * total
    largest = int(shares.argmax())
    for label in np.flatnonzero((labels > 0).sum(axis=0) >= len(shares)).tolist():
        wanted[:, label] = np.maximum(wanted[:, label], 1.0)
        wanted[largest, label] = total[label] - (wanted[:, label].sum() - wanted[largest, label])
    return wanted


def _choose_split(wanted: FloatArray, room: FloatArray, rng: np.random.Generator) -> int:
    """Return the split that wants most of a label; of several, the one with most room; of several again, a random one.

    ``wanted`` (S,) are the counts of the label that are still missing, ``room`` (S,) the images.
    """
    candidates = np.flatnonzero(wanted >= wanted.max() - 1e-9)
    if len(candidates) > 1:
        candidates = candidates[room[candidates] >= room[candidates].max() - 1e-9]
    return int(candidates[rng.integers(len(candidates))] if len(candidates) > 1 else candidates[0])
