"""Dividing a dataset into train, val and test: stratified, seeded, and never against a split that was given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED
from lince.choices import within
from lince.data.dataset import Dataset
from lince.errors import UsageError
from lince.labels import TEST, TRAIN, UNASSIGNED, VAL
from lince.messages import _


def split_dataset(dataset: Dataset, val: float, test: float, seed: int) -> Dataset:
    """Return ``dataset`` with every labelled row in train, val or test.

    ``val`` and ``test`` are shares, in [0, 0.9], of the rows that are not yet in val or test. A part that the
    data brings along is kept as it is and its share is not drawn. Each class gets its share to within one image, and
    at least one image per part when it has as many images as there are parts. The same names and ``seed`` give the
    same split on every machine, in whatever order the files were found. Rows without a class stay unassigned.
    """
    within("val", val, 0.0, 0.9)
    within("test", test, 0.0, 0.9)
    if val + test >= 1:
        raise UsageError(_("val {val} and test {test} leave nothing to train on.").format(val=val, test=test))
    splits = dataset.splits.copy()
    for part, share in _to_draw(dataset, val, test):
        _draw(dataset, splits, part, share, seed)
    splits[_pool(dataset, splits)] = TRAIN
    return replace(dataset, splits=splits)


def _to_draw(dataset: Dataset, val: float, test: float) -> list[tuple[int, float]]:
    """Return (part, its share of what the pool still holds when it is its turn)."""
    given = set(np.unique(dataset.splits).tolist())
    draws = []
    if test > 0 and TEST not in given:
        draws.append((TEST, test))
    if val > 0 and VAL not in given:
        draws.append((VAL, val / (1 - test) if draws else val))
    return draws


def _pool(dataset: Dataset, splits: NDArray[np.int8]) -> NDArray[np.bool_]:
    free = (splits == UNASSIGNED) | (splits == TRAIN)
    return np.asarray(free & (dataset.class_ids != UNLABELLED))


def _draw(dataset: Dataset, splits: NDArray[np.int8], part: int, share: float, seed: int) -> None:
    pool = _pool(dataset, splits)
    sizes = np.bincount(dataset.class_ids[pool], minlength=len(dataset.classes))
    for class_id, count in enumerate(quotas(sizes, share)):
        rows = np.flatnonzero(pool & (dataset.class_ids == class_id))
        chosen = _shuffled(dataset, rows, (seed, part, class_id))[:count]
        splits[chosen] = part


def quotas(sizes: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Return how many of each class to take so that the sum is ``share`` of all: largest remainders first.

    A class of two or more gives at least one and keeps at least one.
    """
    exact = sizes * share
    taken = np.floor(exact + 1e-9).astype(np.int64)
    missing = round(float(exact.sum())) - int(taken.sum())
    order = np.argsort(-(exact - taken), kind="stable")
    taken[order[: max(0, missing)]] += 1
    most = np.maximum(sizes - 1, 0)
    return np.asarray(np.clip(taken, np.minimum(1, most), most), np.int64)


def _shuffled(dataset: Dataset, rows: NDArray[np.int64], seed: tuple[int, int, int]) -> NDArray[np.int64]:
    by_name = np.array(sorted(rows.tolist(), key=dataset.images.name), np.int64)
    return by_name[np.random.default_rng(seed).permutation(len(by_name))]
