"""Dealing out units that carry several labels so that each part gets its share of every label.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011): the rarest label first, each of its units to the part
that still wants it most. Here a unit may be a group of images, with more than one of a label and more than one image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def stratify_units(labels: Ints, sizes: Ints, shares: Floats, rng: np.random.Generator) -> Ints:
    """Return the part (U,) of each unit, from 0.

    ``labels`` (U, L) counts the labels of each unit, ``sizes`` (U,) its images, ``shares`` (P,) sum to 1. A label with
    as many units as there are parts is wanted by each of them.
    """
    wanted = _wanted_counts(labels, shares)
    room = shares * float(sizes.sum())
    parts = np.full(len(sizes), -1, np.int64)
    left = labels.sum(axis=0)
    luck = rng.permutation(len(sizes))
    while (left > 0).any():
        label = int(np.where(left > 0, left, np.iinfo(np.int64).max).argmin())
        units = np.flatnonzero((parts < 0) & (labels[:, label] > 0))
        for unit in units[np.lexsort((luck[units], -labels[units, label]))].tolist():
            part = _choose_split(wanted[:, label], room, rng)
            parts[unit] = part
            wanted[part] -= labels[unit]
            room[part] -= sizes[unit]
            left -= labels[unit]
    bare = np.flatnonzero(parts < 0)
    for unit in bare[np.lexsort((luck[bare], -sizes[bare]))].tolist():
        parts[unit] = int(room.argmax())
        room[parts[unit]] -= sizes[unit]
    return parts


def _wanted_counts(labels: Ints, shares: Floats) -> Floats:
    """Return how many of each label each part wants (P, L)."""
    total = labels.sum(axis=0)
    wanted: Floats = shares[:, None] * total
    largest = int(shares.argmax())
    for label in np.flatnonzero((labels > 0).sum(axis=0) >= len(shares)).tolist():
        wanted[:, label] = np.maximum(wanted[:, label], 1.0)
        wanted[largest, label] = total[label] - (wanted[:, label].sum() - wanted[largest, label])
    return wanted


def _choose_split(wanted: Floats, room: Floats, rng: np.random.Generator) -> int:
    best = np.flatnonzero(wanted >= wanted.max() - 1e-9)
    if len(best) > 1:
        best = best[room[best] >= room[best].max() - 1e-9]
    return int(best[rng.integers(len(best))] if len(best) > 1 else best[0])
