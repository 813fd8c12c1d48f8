"""Divides a dataset into training, validation and test: the one way in which ``split`` and ``train`` do it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lince.datasets.dataset import Dataset
from lince.datasets.duplicates.time_limit import UNLIMITED, TimeLimit
from lince.datasets.group_cuts import BY_BACKGROUND, BY_TIME, GroupCut
from lince.datasets.groups import MIN_GROUPS, ImageGroups, find_groups
from lince.datasets.stratified_split import (
    assign_folds,
    find_bound_rows,
    find_leaking_test_rows,
    find_split_leaks,
    find_validation_leaks,
    split_dataset,
)
from lince.i18n import _
from lince.number_format import format_count
from lince.progress import SILENT, Progress
from lince.splits import TEST, UNASSIGNED, VAL
from lince.tasks import find_usable_rows

# How a test image is related to an image outside of the test: equal files, versions of one photo, frames of one film,
# or one group by the pattern of names.
LEAK_KINDS = ("copies", "near_copies", "frames", "grouped")


@dataclass(frozen=True)
class DivisionOptions:
    """How a dataset is divided: the fractions ``val`` and ``test``, 0 to 0.9, and the ``seed``.

    ``together`` keeps images in one split that show the same; ``pattern`` is that of ``groups.find_groups``. ``folds``
    are the folds of cross-validation to assign, ``None`` for none.
    """

    val: float
    test: float
    seed: int
    together: bool = True
    pattern: str | None = None
    folds: int | None = None


@dataclass(frozen=True, eq=False)
class Division:
    """A dataset with its splits.

    ``groups`` are the images that were kept together, each a group of its own where nothing was looked for. ``folds``
    int8 (N,) are the folds from 0, -1 for none; ``None`` where none were asked for.
    """

    dataset: Dataset
    groups: ImageGroups
    folds: NDArray[np.int8] | None = None

    @property
    def leak_count(self) -> int:
        """The number of images outside of the test split that surely show the same as an image inside it."""
        return len(find_split_leaks(self.dataset, self.groups.related_ids))

    @property
    def val_leak_count(self) -> int:
        """The number of training images that surely show the same as a validation image."""
        return len(find_validation_leaks(self.dataset, self.groups.related_ids))

    @property
    def leaking_test_rows(self) -> NDArray[np.int64]:
        """The rows, ascending, of the test split that surely show the same as a training or validation image."""
        return find_leaking_test_rows(self.dataset, self.groups.related_ids)

    def count_leaks(self) -> dict[str, int]:
        """Return how many of ``leaking_test_rows`` there are of each kind, by ``LEAK_KINDS``, without zeros.

        An image counts for the closest kin that it has among the training and validation images.
        """
        partitions = (*self.groups.nested_ids, self.groups.related_ids)
        kinds = LEAK_KINDS[-len(partitions) :]
        totals = [len(find_leaking_test_rows(self.dataset, ids)) for ids in partitions]
        counts = np.diff(totals, prepend=0).tolist()  # each partition joins what the one before it does, and more
        return {kind: count for kind, count in zip(kinds, counts, strict=True) if count}

    def describe(self) -> list[str]:
        """Return the sentences that tell what was kept together, and which groups were cut."""
        lines = []
        if self.groups.grouped_count:
            reasons = ", ".join(f"{reason} {format_count(count)}" for reason, count in self.groups.reasons.items())
            grouped = _("{count:,} images grouped: {reasons}")
            lines.append(
                grouped.format(count=self.groups.grouped_count, reasons=reasons or _("blocks of a long group"))
            )
        if self.groups.undecided_count:
            lines.append(
                _(
                    "The time for comparing photos was over: {count:,} were not compared with all that may look like "
                    "them. They are kept in one split with those as far as possible. With a larger --budget, or none, "
                    "all are compared."
                ).format(count=self.groups.undecided_count)
            )
        lines += [describe_cut(cut) for cut in self.groups.cuts]
        unlike = self.groups.unlike_rows
        if unlike:
            lines.append(
                _(
                    "{count:,} photos, such as {name}, are named as altered copies of the same photos, but not all of "
                    "these look alike. If they are, as mosaics are, keep them together: lince split DATA --group "
                    "'{pattern}'"
                ).format(count=len(unlike), name=self.dataset.images.get_name(unlike[0]), pattern="{group}.rf.{id}")
            )
        return lines


def divide_dataset(
    dataset: Dataset, options: DivisionOptions, progress: Progress = SILENT, limit: TimeLimit = UNLIMITED
) -> Division:
    """Return ``dataset`` with every usable image in a split, as ``split_dataset`` draws it.

    The same images, options and seed give the same division, whichever command asks for it: images that no task can use
    or that cannot be read take no part in it. Nor do those in one group with an image of a validation or test split
    that came with the data: they stay in the training split, or join that split where they are in none. Photos are
    compared until ``limit``; what is undecided then stays together. Raises as ``find_groups``, ``split_dataset`` and
    ``assign_folds`` do.
    """
    groups = _find_usable_groups(dataset, options, progress, limit)
    readable = np.setdiff1d(np.arange(len(dataset)), groups.unreadable_rows)
    is_grouped = bool(groups.grouped_count or groups.cuts)
    splits = _follow_given_splits(dataset, groups.ids) if is_grouped else dataset.splits.copy()
    free = np.setdiff1d(readable, find_bound_rows(dataset, groups.ids)) if is_grouped else readable
    drawn = split_dataset(
        dataset.select(free), options.val, options.test, options.seed, groups.ids[free] if is_grouped else None
    )
    splits[free] = drawn.splits
    divided = replace(dataset, splits=splits)
    if options.folds is None:
        return Division(divided, groups)
    folds = np.full(len(dataset), -1, np.int8)
    ids = groups.ids[readable] if is_grouped else None
    folds[readable] = assign_folds(divided.select(readable), options.folds, options.seed, ids)
    return Division(divided, groups, folds)


def _follow_given_splits(dataset: Dataset, groups: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the splits of ``dataset``, (N,), where images without one follow those of their group that have one."""
    splits = dataset.splits.copy()
    for given in (VAL, TEST):  # the test split, where a group is in both
        follows = (dataset.splits == UNASSIGNED) & np.isin(groups, np.unique(groups[dataset.splits == given]))
        splits[follows] = given
    return splits


def describe_cut(cut: GroupCut) -> str:
    """Return the sentence that tells what was done with one group that holds too much."""
    if cut.method == BY_BACKGROUND:
        text = _(
            "{images:,} photos share one background, as of a fixed camera: they are told apart by what differs from it "
            "({groups:,} groups)."
        )
    elif cut.method == BY_TIME:
        text = _(
            "{images:,} photos look alike one after the other, as in a film: they are cut into {groups:,} blocks in "
            "the order of their numbers. Photos at the ends of neighbouring blocks look alike, so the test flatters a "
            "little."
        )
    else:
        text = _(
            "{images:,} photos look alike in a chain that holds too much to stay in one split: it is cut into "
            "{groups:,} blocks by likeness. Photos of different blocks may look alike, so the test flatters."
        )
    return text.format(images=cut.image_count, groups=cut.group_count)


def _find_usable_groups(
    dataset: Dataset, options: DivisionOptions, progress: Progress, limit: TimeLimit
) -> ImageGroups:
    """Return the groups of the usable images of ``dataset``; every other image is a group of its own."""
    ids = np.arange(len(dataset))
    if not options.together and options.pattern is None:
        return ImageGroups(ids, {}, related_ids=ids)
    rows = np.flatnonzero(find_usable_rows(dataset))
    found = find_groups(
        dataset.select(rows),
        progress,
        options.pattern,
        by_content=options.together,
        min_groups=max(MIN_GROUPS, options.folds or 0),
        limit=limit,
    )
    unreadable = tuple(rows[list(found.unreadable_rows)].tolist())
    ids, related_ids = (_spread_ids(part, rows, len(dataset)) for part in (found.ids, found.related_ids))
    unlike = tuple(rows[list(found.unlike_rows)].tolist())
    nested_ids = tuple(_spread_ids(part, rows, len(dataset)) for part in found.nested_ids)
    return replace(
        found,
        ids=ids,
        related_ids=related_ids,
        unreadable_rows=unreadable,
        unlike_rows=unlike,
        nested_ids=nested_ids,
    )


def _spread_ids(ids: NDArray[np.int64], rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the groups, (N,), of ``count`` images of which those at ``rows`` have ``ids``; the others are alone."""
    spread = np.arange(count)
    spread[rows] = rows[np.unique(ids, return_index=True)[1]][ids]
    return np.asarray(np.unique(spread, return_inverse=True)[1], np.int64)
