"""The classes of images that may have several each, or none, as flat columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes, concatenate_ranges


@dataclass(frozen=True)
class LabelSets:
    """The classes of N images that may have several each, or none, as flat columns.

    Raises ``ValueError`` when the columns do not fit each other.

    Attributes:
        starts: int64 (N + 1,), first class of each image in ``class_ids``; the last is their number M.
        class_ids: int32 (M,), ascending and without repetition within an image.
        is_known: bool (N,), whether the labels say which classes an image has; one that is known may have none.
        is_listed: whether the labels list several classes on purpose, as columns of 0 and 1 do, in more than a few
            images; ``False`` where the few that have several may be mistakes.
    """

    starts: NDArray[np.int64]
    class_ids: NDArray[np.int32]
    is_known: NDArray[np.bool_]
    is_listed: bool = True

    def __post_init__(self) -> None:
        count = len(self.is_known)
        if self.starts.shape != (count + 1,) or self.starts[-1] != len(self.class_ids):
            raise ValueError(f"{count} label sets do not fit {len(self.class_ids)} classes")
        if (self.counts[~self.is_known] > 0).any():
            raise ValueError("an image whose classes are not known has some")

    def __len__(self) -> int:
        return len(self.is_known)

    @classmethod
    def from_class_ids(
        cls, class_ids: NDArray[Any], sets: Mapping[int, Iterable[int]], is_listed: bool = True
    ) -> LabelSets:
        """Return the sets of images that have the class in ``class_ids`` (N,), or those of ``sets`` by row.

        A row with ``UNLABELLED`` that is not in ``sets`` is not known.
        """
        lists = [[class_id] if class_id != UNLABELLED else [] for class_id in class_ids.tolist()]
        is_known = np.asarray(class_ids != UNLABELLED)
        for row, members in sets.items():
            lists[row], is_known[row] = sorted(set(members)), True
        starts = np.cumsum([0, *map(len, lists)]).astype(np.int64)
        return cls(starts, np.array([one for members in lists for one in members], np.int32), is_known, is_listed)

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.bool_]) -> LabelSets:
        """Return the sets of N images, all known, from bool (N, C)."""
        starts = np.concatenate([[0], np.cumsum(matrix.sum(axis=1))]).astype(np.int64)
        return cls(starts, np.nonzero(matrix)[1].astype(np.int32), np.ones(len(matrix), bool))

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of classes of each image, int64 (N,)."""
        return np.diff(self.starts)

    @property
    def image_ids(self) -> NDArray[np.int64]:
        """The image index of each entry of ``class_ids``, int64 (M,), ascending."""
        return np.repeat(np.arange(len(self)), self.counts)

    def get_class_ids(self, image: int) -> list[int]:
        """Return the class ids of ``image``, ascending."""
        return [int(one) for one in self.class_ids[self.starts[image] : self.starts[image + 1]]]

    def to_matrix(self, class_count: int) -> NDArray[np.bool_]:
        """Return bool (N, C): which image has which of ``class_count`` classes."""
        matrix = np.zeros((len(self), class_count), bool)
        matrix[self.image_ids, self.class_ids] = True
        return matrix

    def select_images(self, images: NDArray[np.int64]) -> LabelSets:
        """Return the sets of the images at ``images``, in that order."""
        counts = self.counts[images]
        rows = concatenate_ranges(self.starts[:-1][images], counts)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return LabelSets(starts, self.class_ids[rows], self.is_known[images], self.is_listed)

    def renumber(self, new_ids: NDArray[Any]) -> LabelSets:
        """Return the sets with the class ids ``new_ids[old]``; classes that become one count once in an image."""
        pairs = np.unique(np.stack([self.image_ids, np.asarray(new_ids, np.int64)[self.class_ids]], axis=1), axis=0)
        counts = np.bincount(pairs[:, 0], minlength=len(self))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return LabelSets(starts, pairs[:, 1].astype(np.int32), self.is_known, self.is_listed)

    @classmethod
    def concatenate(cls, parts: Sequence[LabelSets]) -> LabelSets:
        """Return the sets of all ``parts``, one after the other."""
        starts = np.cumsum([0, *np.concatenate([part.counts for part in parts])]).astype(np.int64)
        return cls(
            starts,
            np.concatenate([part.class_ids for part in parts]),
            np.concatenate([part.is_known for part in parts]),
            any(part.is_listed for part in parts),
        )


def list_image_classes(classes: Classes, class_ids: NDArray[Any], label_sets: LabelSets | None, row: int) -> list[str]:
    """Return the names of the classes of the image at ``row`` as a whole: of its set, where there are sets."""
    if label_sets is not None:
        return [classes.names[class_id] for class_id in label_sets.get_class_ids(row)]
    return [] if class_ids[row] == UNLABELLED else [classes.names[class_ids[row]]]
