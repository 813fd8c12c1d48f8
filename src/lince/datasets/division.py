"""Divides a dataset into training, validation and test: the one way in which ``split`` and ``train`` do it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lince.datasets.dataset import Dataset
from lince.datasets.group_cuts import BY_BACKGROUND, BY_TIME, GroupCut
from lince.datasets.groups import MIN_GROUPS, ImageGroups, find_groups
from lince.datasets.stratified_split import assign_folds, find_leaking_test_rows, find_split_leaks, split_dataset
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.tasks import find_usable_rows


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
        """The number of images outside of the test split that are in one group with an image inside it."""
        return len(find_split_leaks(self.dataset, self.groups.ids))

    @property
    def leaking_test_rows(self) -> NDArray[np.int64]:
        """The rows, ascending, of the test split that are in one group with a training or validation image."""
        return find_leaking_test_rows(self.dataset, self.groups.ids)

    def describe(self) -> list[str]:
        """Return the sentences that tell what was kept together, and which groups were cut."""
        lines = []
        if self.groups.grouped_count:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.groups.reasons.items())
            grouped = _("{count:,} images grouped: {reasons}")
            lines.append(
                grouped.format(count=self.groups.grouped_count, reasons=reasons or _("blocks of a long group"))
            )
        return lines + [describe_cut(cut) for cut in self.groups.cuts]


def divide_dataset(dataset: Dataset, options: DivisionOptions, progress: Progress = SILENT) -> Division:
    """Return ``dataset`` with every usable image in a split, as ``split_dataset`` draws it.

    The same images, options and seed give the same division, whichever command asks for it: images that no task can use
    or that cannot be read take no part in it. Raises as ``find_groups``, ``split_dataset`` and ``assign_folds`` do.
    """
    groups = _find_usable_groups(dataset, options, progress)
    readable = np.setdiff1d(np.arange(len(dataset)), groups.unreadable_rows)
    usable = dataset.select(readable)
    ids = groups.ids[readable] if groups.grouped_count or groups.cuts else None
    drawn = split_dataset(usable, options.val, options.test, options.seed, ids)
    splits = dataset.splits.copy()
    splits[readable] = drawn.splits
    divided = replace(dataset, splits=splits)
    if options.folds is None:
        return Division(divided, groups)
    folds = np.full(len(dataset), -1, np.int8)
    folds[readable] = assign_folds(drawn, options.folds, options.seed, ids)
    return Division(divided, groups, folds)


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


def _find_usable_groups(dataset: Dataset, options: DivisionOptions, progress: Progress) -> ImageGroups:
    """Return the groups of the usable images of ``dataset``; every other image is a group of its own."""
    ids = np.arange(len(dataset))
    if not options.together and options.pattern is None:
        return ImageGroups(ids, {})
    rows = np.flatnonzero(find_usable_rows(dataset))
    found = find_groups(
        dataset.select(rows),
        progress,
        options.pattern,
        by_content=options.together,
        min_groups=max(MIN_GROUPS, options.folds or 0),
    )
    ids[rows] = rows[np.unique(found.ids, return_index=True)[1]][found.ids]
    unreadable = tuple(rows[list(found.unreadable_rows)].tolist())
    return replace(found, ids=np.unique(ids, return_inverse=True)[1].astype(np.int64), unreadable_rows=unreadable)
