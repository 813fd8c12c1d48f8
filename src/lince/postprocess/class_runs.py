"""A class map as runs of equal pixels: small in memory, and areas, centres and boxes are sums over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince import rle

_STRIP_PIXELS = 2**22  # of a class map that are compared at a time

ClassMap = NDArray[np.uint8]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class ClassRuns:
    """A class map of ``size`` (height, width) as runs along its rows, from the top left; none is in two rows.

    ``values`` uint8 (R,) are their classes, ``starts`` int64 (R,) their first pixels, counted row by row.
    """

    values: NDArray[np.uint8]
    starts: NDArray[np.int64]
    size: tuple[int, int]

    @classmethod
    def from_map(cls, class_map: ClassMap) -> ClassRuns:
        """Return the runs of ``class_map`` (H, W), which has at least one pixel."""
        height, width = class_map.shape
        step = max(1, _STRIP_PIXELS // width)
        starts = []
        for top in range(0, height, step):
            strip = class_map[top : top + step]
            is_start = np.ones(strip.shape, np.bool_)
            np.not_equal(strip[:, 1:], strip[:, :-1], out=is_start[:, 1:])
            starts.append(np.flatnonzero(is_start) + top * width)
        joined = np.concatenate(starts).astype(np.int64)
        return cls(class_map.reshape(-1)[joined], joined, (height, width))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of pixels of each run, int64 (R,)."""
        return np.diff(self.starts, append=self.size[0] * self.size[1])

    def to_map(self) -> ClassMap:
        """Return the class map, uint8 (H, W)."""
        return np.repeat(self.values, self.lengths).reshape(self.size)

    def count_pixels(self, count: int) -> NDArray[np.int64]:
        """Return the pixels of each of the values 0 to ``count`` - 1, int64 (count,)."""
        return np.bincount(self.values, self.lengths, count)[:count].astype(np.int64)

    def compute_centre(self, value: int) -> tuple[float, float] | None:
        """Return x and y of the mean of the pixels with ``value``; ``None`` where there is none."""
        left, top, lengths = self._select(value)
        total = lengths.sum()
        if not total:
            return None
        return float(((left + lengths / 2) * lengths).sum() / total), float(((top + 0.5) * lengths).sum() / total)

    def compute_box(self, value: int) -> Box | None:
        """Return left, top, right, bottom around the pixels with ``value``; ``None`` where there is none."""
        left, top, lengths = self._select(value)
        if not len(left):
            return None
        return float(left.min()), float(top.min()), float((left + lengths).max()), float(top.max() + 1)

    def _select(self, value: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the column, the row and the length of each run of ``value``, int64 each."""
        is_value = self.values == value
        top, left = np.divmod(self.starts[is_value], self.size[1])
        return left, top, self.lengths[is_value]


def encode_masks(class_map: ClassMap, values: Sequence[int]) -> list[str]:
    """Return the pixels of each of ``values`` in ``class_map`` (H, W) as compressed RLE (see ``rle``)."""
    turned = ClassRuns.from_map(np.ascontiguousarray(class_map.T))  # RLE goes down the columns
    ends = turned.starts + turned.lengths
    masks = []
    for value in values:
        is_value = turned.values == value
        first, last = turned.starts[is_value], ends[is_value]
        is_new = np.append(True, first[1:] != last[:-1])[: len(first)]  # others go on in the next column
        is_end = np.append(is_new[1:], True)[: len(first)]
        bounds = np.stack([first[is_new], last[is_end]], axis=1).ravel()
        counts = np.diff(bounds, prepend=0, append=class_map.size).astype(np.int64)
        masks.append(rle.counts_to_string(counts[:-1] if counts[-1] == 0 else counts))
    return masks
