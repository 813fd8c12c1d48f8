"""Counts the pixels of one image by true and predicted class, and how well the contours agree.

Only counts are kept, never maps: they are added up over any number of images of any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lince.class_maps import BACKGROUND, VOID

CONTOUR_SHARE = 0.02  # of the diagonal of the image: the width of the band along a contour
_STRIP_PIXELS = 1 << 20  # counted at once, which bounds the memory
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """What the metrics need of one image of ``height`` x ``width`` pixels.

    Attributes:
        cells: int64 (M, 3), value of the class map in truth and in the prediction (0 is the background, i + 1 the class
            i), and the number of their pixels, 1 or more; in the order of the values. Void pixels are in none.
        contours: int64 (K, 3), value of a class that truth or prediction has, and the intersection and union of its two
            bands of contour pixels; empty where the truth has void pixels, along which nobody knows the contour.
    """

    height: int
    width: int
    cells: Counts
    contours: Counts

    @property
    def counted(self) -> int:
        """The number of pixels that are not void."""
        return int(self.cells[:, 2].sum())

    @property
    def has_void(self) -> bool:
        """Whether the truth has void pixels."""
        return self.counted < self.height * self.width

    def renumber(self, values: Counts) -> Self:
        """Return the counts with class value v as ``values[v]``, of int64 (C + 1,)."""
        cells = np.column_stack([values[self.cells[:, 0]], values[self.cells[:, 1]], self.cells[:, 2]])
        contours = np.column_stack([values[self.contours[:, 0]], self.contours[:, 1:]])
        order = np.lexsort((cells[:, 1], cells[:, 0]))
        return type(self)(self.height, self.width, cells[order], contours[np.argsort(contours[:, 0])])


def count_pixels(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], class_count: int) -> PixelCounts:
    """Return the counts of an image with the class maps ``truth`` and ``predicted``, uint8 (H, W), of ``class_count``.

    Values are 0 for the background, i + 1 for class i; 255 in the truth is void, which is not counted. The band of a
    contour is that of Boundary IoU (Cheng et al., CVPR 2021): the pixels of a class no further from its outside, beyond
    the border of the image too, than 2 % of the diagonal by rows and columns. Raises ``ValueError`` for maps of
    different sizes and for values of no class.
    """
    if truth.shape != predicted.shape or truth.ndim != 2 or truth.dtype != np.uint8 or predicted.dtype != np.uint8:
        raise ValueError(f"class maps {truth.dtype} {truth.shape} and {predicted.dtype} {predicted.shape} do not fit")
    size = class_count + 1
    table = _count_values(truth, predicted)
    is_valid = bool(not table[size:VOID].any() and not table[:, size:].any())
    if not is_valid:
        raise ValueError(f"class maps have values above {class_count}")
    confusion = table[:size, :size]
    truths, answers = np.nonzero(confusion)
    cells = np.column_stack([truths, answers, confusion[truths, answers]]).astype(np.int64)
    contours: list[tuple[int, int, int]] = []
    if not table[VOID].any():
        present = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
        contours = [_count_contours(truth, predicted, value) for value in present.tolist() if value != BACKGROUND]
    height, width = truth.shape
    return PixelCounts(height, width, cells, np.array(contours, np.int64).reshape(-1, 3))


def _count_values(truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> Counts:
    """Return the number of pixels, int64 (256, 256), by the values of ``truth`` and ``predicted``."""
    table = np.zeros(256 * 256, np.int64)
    rows = max(1, _STRIP_PIXELS // max(1, truth.shape[1]))
    for top in range(0, len(truth), rows):
        codes = truth[top : top + rows].astype(np.uint16) * np.uint16(256) + predicted[top : top + rows]
        table += np.bincount(codes.ravel(), minlength=len(table))
    return table.reshape(256, 256)


def _count_contours(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], value: int) -> tuple[int, int, int]:
    """Return ``value``, and how many pixels both contour bands of this class have, and how many any of them has."""
    width = max(1, round(CONTOUR_SHARE * float(np.hypot(*truth.shape))))
    covers_true, covers_predicted = truth == value, predicted == value
    either = covers_true | covers_predicted
    rows, columns = np.flatnonzero(either.any(axis=1)), np.flatnonzero(either.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # outside of it nothing is of the class
    bands = [mask & ~_erode(mask, width) for mask in (covers_true[box], covers_predicted[box])]
    return value, int((bands[0] & bands[1]).sum()), int((bands[0] | bands[1]).sum())


def _erode(mask: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Return which pixels of ``mask`` (H, W) have nothing outside within ``distance`` rows and columns."""
    eroded = np.zeros_like(mask)
    if min(mask.shape) > 2 * distance:
        inner = _find_runs(_find_runs(mask, 2 * distance + 1).T, 2 * distance + 1).T
        eroded[distance : len(mask) - distance, distance : mask.shape[1] - distance] = inner
    return eroded


def _find_runs(mask: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Return bool (H - length + 1, W): whether the next ``length`` rows of ``mask`` (H, W) are all set.

    Spans double from step to step, so that the time grows with the logarithm of ``length``.
    """
    span = 1
    while 2 * span <= length:
        mask = mask[:-span] & mask[span:]
        span *= 2
    rest = length - span
    return mask[: len(mask) - rest] & mask[rest:]
