"""Splits a dataset into training, validation and test by ``stratification``: reproducible, and keeping given splits."""

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
from lince.tasks import find_usable_rows
from lince.validation import require_in_range

MAX_REUNITED_SHARE = 0.2  # of the images; with more in groups, groups are drawn instead of images


def split_dataset(
    dataset: Dataset, val: float, test: float, seed: int, groups: NDArray[np.int64] | None = None
) -> Dataset:
    """Return ``dataset`` with every usable image in the training, validation or test split.

    ``val`` and ``test`` are fractions, 0 to 0.9, of the images that are not in a given validation or test split. A
    split that the data brings is kept, and nothing is drawn for it. Each class gets its fraction to within one image,
    and at least one image per split when it has as many images as there are splits. The same image names and ``seed``
    give the same split on every machine, whatever the order of the rows. Images that no task can learn from
    (``lince.tasks.find_usable_rows``) stay unassigned, unless the data brings a split for them.

    Images with the same number in ``groups``, int64 (N,), stay together. With groups, and where the dataset has
    objects, the fractions are kept for every class as nearly as that allows (``stratify_units``); an image counts for
    each class that it shows. A few groups change the split of a few images only.

    Raises ``UsageError`` when the fractions leave nothing to train on, and ``DataError`` when a split would stay empty
    because too many images belong together.
    """
    require_in_range("--val", val, 0.0, 0.9)
    require_in_range("--test", test, 0.0, 0.9)
    if val + test >= 1:
        raise UsageError(_("val {val} and test {test} leave no images for training.").format(val=val, test=test))
    if groups is None or _count_grouped(dataset, groups) > MAX_REUNITED_SHARE * len(dataset):
        return replace(dataset, splits=_draw_splits(dataset, val, test, seed, groups))
    splits = _draw_splits(dataset, val, test, seed, None)
    parts = set(splits.tolist())
    _reunite_groups(dataset, splits, groups)
    if set(splits.tolist()) != parts:  # a small split had nothing but members of groups
        splits = _draw_splits(dataset, val, test, seed, groups)
    return replace(dataset, splits=splits)


def _draw_splits(
    dataset: Dataset, val: float, test: float, seed: int, groups: NDArray[np.int64] | None
) -> NDArray[np.int8]:
    """Return the splits, int8 (N,), that ``split_dataset`` draws; ``groups`` stay together where they are given."""
    splits = dataset.splits.copy()
    has_unclassified = (dataset.class_ids[_pool_mask(dataset, splits)] == UNLABELLED).any()
    if groups is not None or dataset.objects is not None or has_unclassified:
        _assign_splits(dataset, splits, _split_fractions(dataset, val, test), seed, groups)
        return splits
    for split, fraction in _splits_to_draw(dataset, val, test):
        _draw_split(dataset, splits, split, fraction, seed)
    splits[_pool_mask(dataset, splits)] = TRAIN
    return splits


def _count_grouped(dataset: Dataset, groups: NDArray[np.int64]) -> int:
    """Return how many images of the pool share their group with another one of the pool."""
    numbers = groups[_pool_mask(dataset, dataset.splits)]
    return int((np.bincount(numbers)[numbers] > 1).sum()) if len(numbers) else 0


def _reunite_groups(dataset: Dataset, splits: NDArray[np.int8], groups: NDArray[np.int64]) -> None:
    """Move images, in place, so that every group of the pool of ``dataset`` is in one split of the drawn ``splits``.

    A group goes to the split that holds most of it, the first of several by name. For each image that is moved, one
    without a group that shows the same classes goes the other way, if there is one: every class keeps its share.
    """
    rows = np.flatnonzero(_pool_mask(dataset, dataset.splits))
    rows = np.array(sorted(rows.tolist(), key=dataset.images.get_name), np.int64)
    sizes = np.bincount(groups[rows])
    shown = [row.tobytes() for row in compute_class_presence(dataset)]
    singles: dict[tuple[int, bytes], list[int]] = {}
    for row in rows[sizes[groups[rows]] == 1].tolist():
        singles.setdefault((int(splits[row]), shown[row]), []).append(row)
    members_of: dict[int, list[int]] = {}
    for row in rows[sizes[groups[rows]] > 1].tolist():
        members_of.setdefault(int(groups[row]), []).append(row)
    for members in members_of.values():
        held = splits[members].tolist()
        target = max(held, key=held.count)
        for row in [row for row in members if splits[row] != target]:
            source, splits[row] = int(splits[row]), target
            others = singles.get((target, shown[row]))
            if others:
                splits[others.pop()] = source


def assign_folds(dataset: Dataset, count: int, seed: int, groups: NDArray[np.int64] | None = None) -> NDArray[np.int8]:
    """Return the fold of every usable image outside the test split, int8 (N,) in 0..``count`` - 1; -1 for the others.

    Folds are stratified, and ``groups`` kept together, as in ``split_dataset``. Raises ``UsageError`` for fewer than 2
    or more than 100 folds, and ``DataError`` when there are fewer groups than folds.
    """
    require_in_range("--folds", count, 2, 100)
    rows = np.flatnonzero(_pool_mask(dataset, dataset.splits) | (find_usable_rows(dataset) & (dataset.splits == VAL)))
    parts = _assign_grouped_rows(dataset, rows, np.full(count, 1 / count), seed, groups)
    folds = np.full(len(dataset), -1, np.int8)
    folds[rows] = parts
    return folds


def find_split_leaks(dataset: Dataset, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows, ascending, outside of the test split that share a group with an image inside it.

    They are leaks only where the test split came with the data; ``split_dataset`` never separates a group.
    """
    return _find_rows_like(groups, dataset.splits != TEST, dataset.splits == TEST)


def find_validation_leaks(dataset: Dataset, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows, ascending, of the training split that share a group with a validation image."""
    return _find_rows_like(groups, dataset.splits == TRAIN, dataset.splits == VAL)


def find_bound_rows(dataset: Dataset, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows, ascending, of no or the training split that share a group with one of a given other split.

    They cannot be drawn for another split without a leak.
    """
    is_given = (dataset.splits == VAL) | (dataset.splits == TEST)
    return _find_rows_like(groups, ~is_given, is_given)


def find_leaking_test_rows(dataset: Dataset, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows, ascending, of the test split that share a group with a training or validation image."""
    is_seen = (dataset.splits == TRAIN) | (dataset.splits == VAL)
    return _find_rows_like(groups, dataset.splits == TEST, is_seen)


def _find_rows_like(
    groups: NDArray[np.int64], candidates: NDArray[np.bool_], others: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the rows of ``candidates`` (N,) that share a group with one of ``others`` (N,)."""
    return np.flatnonzero(candidates & np.isin(groups, np.unique(groups[others]))).astype(np.int64)


def _splits_to_draw(dataset: Dataset, val: float, test: float) -> list[tuple[int, float]]:
    """Return (split, fraction) for each split to draw; the fraction is of what is left when it is its turn."""
    given_splits = set(np.unique(dataset.splits[find_usable_rows(dataset)]).tolist())
    draws = []
    if test > 0 and TEST not in given_splits:
        draws.append((TEST, test))
    if val > 0 and VAL not in given_splits:
        draws.append((VAL, val / (1 - test) if draws else val))
    return draws


def _pool_mask(dataset: Dataset, splits: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return bool (N,): the usable images that may be drawn for any split."""
    return np.asarray(((splits == UNASSIGNED) | (splits == TRAIN)) & find_usable_rows(dataset))


def _split_fractions(dataset: Dataset, val: float, test: float) -> dict[int, float]:
    """Return the fraction of the pool for each split: training, and those that are drawn."""
    fractions: dict[int, float] = {}
    for split, fraction in _splits_to_draw(dataset, val, test):
        fractions[split] = fraction * (1 - sum(fractions.values()))
    return {TRAIN: 1 - sum(fractions.values()), **fractions}


def _assign_splits(
    dataset: Dataset, splits: NDArray[np.int8], fractions: dict[int, float], seed: int, groups: NDArray[np.int64] | None
) -> None:
    """Assign the images of the pool to the splits of ``fractions``, in place; ``groups`` stay together."""
    rows = np.flatnonzero(_pool_mask(dataset, splits))
    parts = _assign_grouped_rows(dataset, rows, np.array([*fractions.values()]), seed, groups)
    splits[rows] = np.array([*fractions], np.int8)[parts]


def _assign_grouped_rows(
    dataset: Dataset,
    rows: NDArray[np.int64],
    fractions: NDArray[np.float64],
    seed: int,
    groups: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """Return the index of the part, int64 (R,), of each of ``rows`` (R,), keeping ``groups`` together.

    ``fractions`` (P,) are the sizes of the parts. Groups are ordered by the name of their first image, so that their
    numbers do not matter.
    """
    rows_by_name = sorted(range(len(rows)), key=lambda i: dataset.images.get_name(int(rows[i])))
    order = np.array(rows_by_name, np.int64)
    numbers = np.arange(len(rows)) if groups is None else groups[rows]
    first_positions, units = np.unique(numbers[order], return_index=True, return_inverse=True)[1:]
    units = np.argsort(np.argsort(first_positions))[units]  # units in the order of the name of their first image
    count = len(first_positions)
    labels = np.zeros((count, len(dataset.classes) + 1), np.int64)
    np.add.at(labels, units, compute_class_presence(dataset)[rows[order]])
    sizes = np.bincount(units, minlength=count)
    parts = stratify_units(labels, sizes, fractions, np.random.default_rng(seed))
    _fill_empty_parts(parts, sizes, fractions)
    _require_all_splits(parts, fractions, len(rows))
    row_parts = np.empty(len(rows), np.int64)
    row_parts[order] = parts[units]
    return row_parts


def compute_class_presence(dataset: Dataset) -> NDArray[np.int64]:
    """Return int64 (N, K + 1): 1 for each class that an image shows; the last column is for images without any."""
    presence = np.zeros((len(dataset), len(dataset.classes) + 1), np.int64)
    labelled = np.flatnonzero(dataset.class_ids != UNLABELLED)
    presence[labelled, dataset.class_ids[labelled]] = 1
    if dataset.label_sets is not None:
        presence[dataset.label_sets.image_ids, dataset.label_sets.class_ids] = 1
    if dataset.objects is not None:
        presence[dataset.objects.image_ids, dataset.objects.class_ids] = 1
    presence[:, -1] = ~presence.any(axis=1)
    return presence


def _fill_empty_parts(parts: NDArray[np.int64], sizes: NDArray[np.int64], fractions: NDArray[np.float64]) -> None:
    """Give every part with a fraction above 0 a group, where there are enough, by changing ``parts`` (G,) in place.

    The part with most images for its fraction gives its smallest group; ``sizes`` (G,) are the images of the groups.
    """
    for part in np.flatnonzero(fractions > 0).tolist():
        counts = np.bincount(parts, minlength=len(fractions))
        givers = np.flatnonzero((counts > 1) & (fractions > 0))
        if counts[part] or not len(givers):
            continue
        images = np.bincount(parts, weights=sizes, minlength=len(fractions))
        giver = givers[int((images[givers] / fractions[givers]).argmax())]
        members = np.flatnonzero(parts == giver)
        parts[members[int(sizes[members].argmin())]] = part


def _require_all_splits(parts: NDArray[np.int64], fractions: NDArray[np.float64], image_count: int) -> None:
    """Raise ``DataError`` when a part with a fraction above 0 got no unit."""
    expected_parts = np.flatnonzero(fractions > 0)
    if not len(parts) or np.isin(expected_parts, parts).all():
        return
    raise DataError(
        _("{images:,} images form only {groups:,} groups, and each group must stay in one split.").format(
            images=image_count, groups=len(parts)
        ),
        _("Expected enough groups for {parts} splits; otherwise there is data leakage.").format(
            parts=len(expected_parts)
        ),
        _("Collect photos of other scenes, or ask for fewer splits."),
    )


def _draw_split(dataset: Dataset, splits: NDArray[np.int8], split: int, fraction: float, seed: int) -> None:
    """Put ``fraction`` of the pool, class by class, into ``split``; changes ``splits`` in place."""
    pool = _pool_mask(dataset, splits)
    sizes = np.bincount(dataset.class_ids[pool], minlength=len(dataset.classes))
    for class_id, count in enumerate(compute_quotas(sizes, fraction)):
        rows = np.flatnonzero(pool & (dataset.class_ids == class_id))
        drawn = _shuffle_rows(dataset, rows, (seed, split, class_id))[:count]
        splits[drawn] = split


def compute_quotas(sizes: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Return how many images of each class to take, int64 (K,), so that the sum is ``fraction`` of all.

    ``sizes`` (K,) are the numbers of images. The largest-remainder method (Hamilton) distributes what rounding leaves
    over. A class of two or more images gives at least one and keeps at least one.
    """
    exact = sizes * fraction
    quotas = np.floor(exact + 1e-9).astype(np.int64)
    missing = round(float(exact.sum())) - int(quotas.sum())
    order = np.argsort(-(exact - quotas), kind="stable")
    quotas[order[: max(0, missing)]] += 1
    limits = np.maximum(sizes - 1, 0)
    return np.asarray(np.clip(quotas, np.minimum(1, limits), limits), np.int64)


def _shuffle_rows(dataset: Dataset, rows: NDArray[np.int64], seed: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return ``rows`` in an order that depends only on the image names and ``seed``."""
    by_name = np.array(sorted(rows.tolist(), key=dataset.images.get_name), np.int64)
    return by_name[np.random.default_rng(seed).permutation(len(by_name))]
