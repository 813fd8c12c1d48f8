"""Dividing a dataset into train, val and test: stratified, seeded, and never against a split that was given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED
from lince.datasets.dataset import Dataset
from lince.datasets.stratification import stratify_units
from lince.errors import DataError, UsageError
from lince.i18n import _
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.validation import require_in_range


def split_dataset(
    dataset: Dataset, val: float, test: float, seed: int, groups: NDArray[np.int64] | None = None
) -> Dataset:
    """Return ``dataset`` with every labelled row in train, val or test.

    ``val`` and ``test`` are shares, in [0, 0.9], of the rows that are not yet in val or test. A part that the
    data brings along is kept as it is and its share is not drawn. Each class gets its share to within one image, and
    at least one image per part when it has as many images as there are parts. The same names and ``seed`` give the
    same split on every machine, in whatever order the files were found. Rows without a class stay unassigned.

    Images with one number in ``groups`` (N,) stay together. With groups, and where objects are marked, shares are kept
    for every class as nearly as that allows: an image counts for each class that it shows. Raise ``DataError`` when a
    part would stay empty since too much belongs together.
    """
    require_in_range("val", val, 0.0, 0.9)
    require_in_range("test", test, 0.0, 0.9)
    if val + test >= 1:
        raise UsageError(_("val {val} and test {test} leave nothing to train on.").format(val=val, test=test))
    splits = dataset.splits.copy()
    if groups is not None or dataset.objects is not None:
        _assign_splits(dataset, splits, _split_fractions(dataset, val, test), seed, groups)
        return replace(dataset, splits=splits)
    for part, share in _splits_to_draw(dataset, val, test):
        _draw_split(dataset, splits, part, share, seed)
    splits[_pool_mask(dataset, splits)] = TRAIN
    return replace(dataset, splits=splits)


def assign_folds(dataset: Dataset, count: int, seed: int, groups: NDArray[np.int64] | None = None) -> NDArray[np.int8]:
    """Return the fold int8 (N,) from 0 of every image that is not in a given test part; -1 for the others.

    Classes are spread and ``groups`` kept together as in ``split_dataset``. Raise ``UsageError`` for fewer than two
    folds, ``DataError`` when there are not as many groups.
    """
    require_in_range("folds", count, 2, 100)
    rows = np.flatnonzero(_pool_mask(dataset, dataset.splits) | (dataset.labelled & (dataset.splits == VAL)))
    parts = _assign_grouped_rows(dataset, rows, np.full(count, 1 / count), seed, groups)
    found = np.full(len(dataset), -1, np.int8)
    found[rows] = parts
    return found


def find_split_leaks(dataset: Dataset, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows outside of the test part that are in one group with an image of it, ascending."""
    tested = np.unique(groups[dataset.splits == TEST])
    return np.flatnonzero(np.isin(groups, tested) & (dataset.splits != TEST)).astype(np.int64)


def _splits_to_draw(dataset: Dataset, val: float, test: float) -> list[tuple[int, float]]:
    """Return (part, its share of what the pool still holds when it is its turn)."""
    given = set(np.unique(dataset.splits).tolist())
    draws = []
    if test > 0 and TEST not in given:
        draws.append((TEST, test))
    if val > 0 and VAL not in given:
        draws.append((VAL, val / (1 - test) if draws else val))
    return draws


def _pool_mask(dataset: Dataset, splits: NDArray[np.int8]) -> NDArray[np.bool_]:
    return np.asarray(((splits == UNASSIGNED) | (splits == TRAIN)) & dataset.labelled)


def _split_fractions(dataset: Dataset, val: float, test: float) -> dict[int, float]:
    """Return what share of the pool each part is to get, those that are drawn and the rest."""
    shares: dict[int, float] = {}
    for part, share in _splits_to_draw(dataset, val, test):
        shares[part] = share * (1 - sum(shares.values()))
    return {TRAIN: 1 - sum(shares.values()), **shares}


def _assign_splits(
    dataset: Dataset, splits: NDArray[np.int8], shares: dict[int, float], seed: int, groups: NDArray[np.int64] | None
) -> None:
    rows = np.flatnonzero(_pool_mask(dataset, splits))
    parts = _assign_grouped_rows(dataset, rows, np.array([*shares.values()]), seed, groups)
    splits[rows] = np.array([*shares], np.int8)[parts]


def _assign_grouped_rows(
    dataset: Dataset, rows: NDArray[np.int64], shares: NDArray[np.float64], seed: int, groups: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Return the part (R,) of each of ``rows``; a unit that is dealt is a group of them."""
    names = sorted(range(len(rows)), key=lambda at: dataset.images.get_name(int(rows[at])))
    order = np.array(names, np.int64)
    numbers = np.arange(len(rows)) if groups is None else groups[rows]
    firsts, units = np.unique(numbers[order], return_index=True, return_inverse=True)[1:]
    units = np.argsort(np.argsort(firsts))[units]  # units by the name of their first image, whatever their number
    count = len(firsts)
    labels = np.zeros((count, len(dataset.classes) + 1), np.int64)
    np.add.at(labels, units, _class_presence(dataset)[rows[order]])
    parts = stratify_units(labels, np.bincount(units, minlength=count), shares, np.random.default_rng(seed))
    _require_all_splits(parts, shares, len(rows))
    found = np.empty(len(rows), np.int64)
    found[order] = parts[units]
    return found


def _class_presence(dataset: Dataset) -> NDArray[np.int64]:
    """Return which classes each image shows (N, K + 1), the last one standing for none."""
    shown = np.zeros((len(dataset), len(dataset.classes) + 1), np.int64)
    known = np.flatnonzero(dataset.class_ids != UNLABELLED)
    shown[known, dataset.class_ids[known]] = 1
    if dataset.objects is not None:
        shown[dataset.objects.image_ids, dataset.objects.class_ids] = 1
    shown[:, -1] = ~shown.any(axis=1)
    return shown


def _require_all_splits(parts: NDArray[np.int64], shares: NDArray[np.float64], images: int) -> None:
    wanted = np.flatnonzero(shares > 0)
    if not len(parts) or np.isin(wanted, parts).all():
        return
    raise DataError(
        _("{images:,} images belong to {groups:,} groups, and each group must stay in one part.").format(
            images=images, groups=len(parts)
        ),
        _("Expected enough groups for {parts} parts: no division is without leaks.").format(parts=len(wanted)),
        _("Collect photos of other scenes, or ask for fewer parts."),
    )


def _draw_split(dataset: Dataset, splits: NDArray[np.int8], part: int, share: float, seed: int) -> None:
    pool = _pool_mask(dataset, splits)
    sizes = np.bincount(dataset.class_ids[pool], minlength=len(dataset.classes))
    for class_id, count in enumerate(compute_quotas(sizes, share)):
        rows = np.flatnonzero(pool & (dataset.class_ids == class_id))
        chosen = _shuffle_rows(dataset, rows, (seed, part, class_id))[:count]
        splits[chosen] = part


def compute_quotas(sizes: NDArray[np.int64], share: float) -> NDArray[np.int64]:
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


def _shuffle_rows(dataset: Dataset, rows: NDArray[np.int64], seed: tuple[int, int, int]) -> NDArray[np.int64]:
    by_name = np.array(sorted(rows.tolist(), key=dataset.images.get_name), np.int64)
    return by_name[np.random.default_rng(seed).permutation(len(by_name))]
