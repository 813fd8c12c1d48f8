"""Masks as run lengths without decoding them whole: overlaps, and crops in and out of them.

The counts are those of ``rle``: the pixels of an image column by column. Letters in shapes: A and B masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.rle import Counts

Window = tuple[int, int, int, int]


def compute_intersections(masks: Sequence[Counts], others: Sequence[Counts]) -> NDArray[np.int64]:
    """Return the number of pixels that each of ``masks`` (A) shares with each of ``others`` (B), int64 (A, B).

    All are of images of one size.
    """
    runs = [rle.find_foreground_runs(counts) for counts in masks]
    starts, ends = (np.concatenate([np.empty(0, np.int64), *(run[side] for run in runs)]) for side in (0, 1))
    offsets = np.concatenate([[0], np.cumsum([len(run[0]) for run in runs])]).astype(np.int64)
    shared = np.zeros((len(masks), len(others)), np.int64)
    for column, counts in enumerate(others):
        covered = _count_pixels_before(counts, ends) - _count_pixels_before(counts, starts)
        totals = np.concatenate([[0], np.cumsum(covered)])
        shared[:, column] = totals[offsets[1:]] - totals[offsets[:-1]]
    return shared


def compute_mask_ious(
    masks: Sequence[Counts], others: Sequence[Counts], is_crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the intersection over union of each of ``masks`` (A) with each of ``others`` (B), float64 (A, B).

    Where ``is_crowd`` (B,), the intersection is divided by the area of the mask alone, as COCO does. Two masks without
    pixels give 0.
    """
    shared = compute_intersections(masks, others)
    areas, other_areas = (np.array([rle.compute_area(counts) for counts in side], np.int64) for side in (masks, others))
    unions = areas[:, None] + other_areas - shared
    if is_crowd is not None:
        unions = np.where(is_crowd, areas[:, None], unions)
    return np.asarray(shared / np.maximum(unions, 1), np.float64)


def decode_crop(counts: Counts, height: int, window: Window) -> NDArray[np.bool_]:
    """Return the part of a mask inside ``window`` (left, top, right, bottom), bool (bottom - top, right - left).

    ``window`` is in whole pixels inside the image, which has ``height`` rows. Only its columns are decoded.
    """
    left, top, right, bottom = window
    bounds = np.clip(np.concatenate([[0], np.cumsum(counts)]), left * height, right * height)
    is_foreground = np.arange(len(counts)) % 2 == 1
    return np.repeat(is_foreground, np.diff(bounds)).reshape((height, right - left), order="F")[top:bottom]


def encode_crop(crop: NDArray[Any], left: int, top: int, size: tuple[int, int]) -> Counts:
    """Return the counts of the mask of an image of ``size`` (height, width) that is ``crop`` (h, w) at (left, top).

    Values of ``crop`` other than 0 are foreground; everything outside it is background.
    """
    height, width = size
    pixels = np.zeros((crop.shape[0] + 2, crop.shape[1]), np.bool_)
    pixels[1:-1] = crop != 0
    columns, rows = np.nonzero((pixels[1:] != pixels[:-1]).T)
    changes = (left + columns) * height + top + rows
    # A run that goes on at the top of the next column ends and starts at one position: the two cancel out.
    positions, multiplicity = np.unique(changes, return_counts=True)
    return rle.changes_to_counts(positions[multiplicity == 1].astype(np.int64), height * width)


def _count_pixels_before(counts: Counts, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many foreground pixels come before each of ``positions`` (P,), int64 (P,)."""
    starts, ends = rle.find_foreground_runs(counts)
    if not len(starts):
        return np.zeros(len(positions), np.int64)
    before = np.concatenate([[0], np.cumsum(ends - starts)])
    runs = np.searchsorted(starts, positions, side="right")
    return np.asarray(before[runs] - np.where(runs > 0, np.maximum(ends[runs - 1] - positions, 0), 0), np.int64)
