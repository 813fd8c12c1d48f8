"""Collects the classes of images that have several, or none, while a format is read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, RejectedItem
from lince.label_sets import LabelSets

MIN_LISTED_SHARE = 0.05  # of the labelled images that have several classes, or none, where that is no mistake
_SEVERAL = 2


class LabelSetBuilder:
    """The images with several classes or none, by row; those with one need not be told."""

    def __init__(self) -> None:
        self._sets: dict[int, tuple[int, ...]] = {}
        self._empty: dict[int, RejectedItem] = {}

    def __contains__(self, row: int) -> bool:
        return row in self._sets

    def add(self, row: int, class_ids: Iterable[int], rejection: RejectedItem | None = None) -> None:
        """Say that the image at ``row`` has ``class_ids``.

        ``rejection`` is for an image without a class where that may be a mistake: it is left out where no image has
        several. Without it an image without a class is known to have none.
        """
        self._sets[row] = tuple(class_ids)
        if rejection is not None:
            self._empty[row] = rejection

    @property
    def has_sets(self) -> bool:
        """Whether the labels are sets: any image has several classes, or a list that is empty."""
        has_several = any(len(set(class_ids)) >= _SEVERAL for class_ids in self._sets.values())
        return has_several or any(not ids and row not in self._empty for row, ids in self._sets.items())

    def list_left_out(self) -> dict[int, RejectedItem]:
        """Return the images by row that may lack a class by mistake, where the labels are no sets."""
        return {} if self.has_sets else self._empty

    def build(self, class_ids: NDArray[np.int32], kept: NDArray[np.int64]) -> LabelSets | None:
        """Return the classes of the images at the rows ``kept``; ``None`` where the labels are no sets.

        ``class_ids`` int32 (N,) are those of all images that were read, ``UNLABELLED`` for those that were added here.
        """
        if not self.has_sets:
            return None
        sets = LabelSets.from_class_ids(class_ids, self._sets).select_images(kept)
        share = (sets.is_known & (sets.counts != 1)).sum() / max(1, sets.is_known.sum())
        return LabelSets(sets.starts, sets.class_ids, sets.is_known, bool(share >= MIN_LISTED_SHARE))


def choose_class_id(class_ids: Iterable[int]) -> int:
    """Return the only class of ``class_ids``, ``UNLABELLED`` where there are several or none."""
    distinct = set(class_ids)
    return next(iter(distinct)) if len(distinct) == 1 else UNLABELLED
