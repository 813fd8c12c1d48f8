"""Cuts groups that hold too much of a dataset to be divided: images of a fixed camera, and chains of near copies.

Near copies are linked in pairs, so that a film, a camera that moves slowly, or one that does not move at all makes a
chain of images whose ends have little in common, and one group of everything. Images of a fixed camera are told apart
by what differs from the background. Everything else is cut into blocks: by time, where names count the images and
successive ones are more alike than others, and by likeness otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.datasets.duplicates.background import MAX_IMAGES, extract_foreground
from lince.datasets.film import MAX_SUCCESSIVE_DISTANCE, coarsen_thumbnails, measure_succession
from lince.datasets.union_find import UnionFind

MAX_SHARE = 2 / 3  # of all images, or of those of a class, that a group may hold before it is cut
MIN_CUT_SIZE = 10  # images; smaller groups are cut only where there would be too few groups
_MIN_STATIC_SHARE = 0.1  # of all images; smaller groups of near copies are not looked at for a fixed camera
_BLOCK_SIZE = 5  # units in a block at least, if there are enough
_MAX_BLOCKS = 20
_MIN_NUMBERED_SHARE = 0.8  # of the images of a group whose names must count them to cut it by time
BY_TIME, BY_BACKGROUND, BY_LIKENESS = "time", "background", "likeness"
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class GroupCut:
    """One group that was cut: how many images it held, into how many groups, and by what (``BY_TIME``, ...)."""

    image_count: int
    group_count: int
    method: str

    def to_dict(self) -> dict[str, int | str]:
        """Return the cut as a JSON object."""
        return {"images": self.image_count, "groups": self.group_count, "by": self.method}


@dataclass(frozen=True, eq=False)
class CutInput:
    """What is known of N images for cutting their groups.

    ``unit_ids`` (N,) number the images that no cut may separate. ``orders`` (K, N) are K ways of reading from the names
    the place of an image in time, -1 where its name does not count it. ``thumbnails`` are uint8 (N, 64, 64);
    ``presence`` (N, C) is 1 for each class that an image shows.
    """

    unit_ids: IntArray
    orders: IntArray
    thumbnails: NDArray[np.uint8]
    presence: IntArray


def cut_groups(inputs: CutInput, group_ids: IntArray, min_groups: int) -> tuple[IntArray, tuple[GroupCut, ...]]:
    """Return ``group_ids`` (N,) with groups cut that hold too much, and what was cut.

    Where there are fewer than ``min_groups``, the largest groups are cut whatever they hold.
    """
    ids, cuts = group_ids.copy(), []
    for group, size in enumerate(np.bincount(group_ids).tolist()):
        rows = np.flatnonzero(group_ids == group) if size >= MIN_CUT_SIZE else np.zeros(0, np.int64)
        if not len(rows):
            continue
        blocks, method = _cut_group(inputs, rows, _holds_too_much(inputs, rows), min_groups)
        cuts += _apply_cut(ids, rows, blocks, method)
    while (count := len(np.unique(ids))) < min_groups:
        sizes = np.bincount(ids)
        rows = np.flatnonzero(ids == int(sizes.argmax()))
        features = coarsen_thumbnails(inputs.thumbnails[rows])
        times = _find_times(inputs.orders[:, rows], features)
        blocks, method = _cut_blocks(inputs.unit_ids[rows], features, times, min_groups - count + 1)
        applied = _apply_cut(ids, rows, blocks, method)
        if not applied:
            break  # copies of one image
        cuts += applied
    return np.asarray(np.unique(ids, return_inverse=True)[1], np.int64), tuple(cuts)


def _cut_group(inputs: CutInput, rows: IntArray, is_too_large: bool, min_groups: int) -> tuple[IntArray, str]:
    """Return the block, (R,), of each of the ``rows`` of a group, all 0 where it stays whole, and the method."""
    whole = np.zeros(len(rows), np.int64)
    if not is_too_large and len(rows) < _MIN_STATIC_SHARE * len(inputs.unit_ids):
        return whole, BY_BACKGROUND
    thumbnails = inputs.thumbnails[rows]
    foreground = extract_foreground(thumbnails) if len(rows) <= MAX_IMAGES else None
    is_static = foreground is not None and foreground.is_static
    features = foreground.pixels if foreground is not None and is_static else coarsen_thumbnails(thumbnails)
    times = _find_times(inputs.orders[:, rows], features)
    if foreground is not None and is_static and times is None:
        blocks = _join_same(inputs.unit_ids[rows], foreground.find_same())
        if not is_too_large or np.bincount(blocks).max() <= MAX_SHARE * len(rows):
            return blocks, BY_BACKGROUND
    return _cut_blocks(inputs.unit_ids[rows], features, times, min_groups) if is_too_large else (whole, BY_LIKENESS)


def _apply_cut(ids: IntArray, rows: IntArray, blocks: IntArray, method: str) -> list[GroupCut]:
    """Give each of ``blocks`` (R,) of ``rows`` (R,) a number of its own in ``ids``, in place; return what was cut."""
    count = len(np.unique(blocks))
    if count < 2:
        return []
    ids[rows] = ids.max() + 1 + np.unique(blocks, return_inverse=True)[1]
    return [GroupCut(len(rows), count, method)]


def _holds_too_much(inputs: CutInput, rows: IntArray) -> bool:
    """Whether the ``rows`` of a group are too many of all images, or mostly show a class that little else shows."""
    if len(rows) > MAX_SHARE * len(inputs.unit_ids):
        return True
    totals, held = inputs.presence.sum(axis=0), inputs.presence[rows].sum(axis=0)
    return bool(((held > MAX_SHARE * totals) & (held >= len(rows) / 2)).any())


def _join_same(unit_ids: IntArray, pairs: list[tuple[int, int]]) -> IntArray:
    """Return the groups, (R,), of images that are in one unit or connected by ``pairs``."""
    forest = UnionFind(len(unit_ids))
    first_rows: dict[int, int] = {}
    for row, unit in enumerate(unit_ids.tolist()):
        forest.merge(first_rows.setdefault(unit, row), row)
    for first, second in pairs:
        forest.merge(first, second)
    return forest.get_group_ids()


def _find_times(orders: IntArray, features: FloatArray) -> IntArray | None:
    """Return that of ``orders`` (K, R) in which successive images are most alike by ``features`` (R, ...).

    ``None`` where names do not count most of the images, or successive ones are hardly more alike than others.
    """
    found, lowest = None, MAX_SUCCESSIVE_DISTANCE
    for order in orders:
        rows = np.argsort(order, kind="stable")[(order < 0).sum() :]
        if len(rows) < max(3, _MIN_NUMBERED_SHARE * len(order)):
            continue
        distance = measure_succession(features[rows])
        if distance <= lowest:
            found, lowest = order, distance
    return found


def _cut_blocks(
    unit_ids: IntArray, features: FloatArray, times: IntArray | None, min_blocks: int
) -> tuple[IntArray, str]:
    """Return the block, (R,), of each image, and the method: by ``times`` where there are any, else by ``features``.

    A unit is in the block of its first image.
    """
    known = np.full(len(unit_ids), -1) if times is None else times
    in_time = np.argsort(np.where(known < 0, np.iinfo(np.int64).max, known), kind="stable")
    firsts = in_time[np.sort(np.unique(unit_ids[in_time], return_index=True)[1])]
    count = min(max(len(firsts) // _BLOCK_SIZE, min_blocks), _MAX_BLOCKS, len(firsts))
    blocks = (_block_by_likeness if times is None else _block_by_time)(features[firsts], count)
    block_of_unit = dict(zip(unit_ids[firsts].tolist(), blocks.tolist(), strict=True))
    row_blocks = np.array([block_of_unit[unit] for unit in unit_ids.tolist()], np.int64)
    return row_blocks, BY_LIKENESS if times is None else BY_TIME


def _block_by_time(features: FloatArray, count: int) -> IntArray:
    """Return the block, (U,), of images in the order of time: ``count`` blocks of about the same size.

    A block ends where the image changes most, within a quarter of a block.
    """
    changes = np.abs(np.diff(features, axis=0)).mean(axis=1) if len(features) > 1 else np.zeros(0)
    size = len(features) / count
    starts = np.zeros(len(features), np.int64)
    for border in np.arange(1, count) * size:
        low, high = round(border - size / 4), max(round(border + size / 4), round(border - size / 4) + 1)
        starts[low + int(changes[low - 1 : high - 1].argmax())] = 1
    return np.asarray(starts.cumsum(), np.int64)


def _block_by_likeness(features: FloatArray, count: int) -> IntArray:
    """Return the block, (U,), of images, halved again and again between their extremes into about ``count`` blocks."""
    blocks = [np.arange(len(features))]
    while 4 * len(blocks) < 3 * count:
        blocks = [half for block in blocks for half in _halve(features, block)]
    numbers = np.empty(len(features), np.int64)
    for number, block in enumerate(blocks):
        numbers[block] = number
    return numbers


def _halve(features: FloatArray, block: IntArray) -> list[IntArray]:
    """Return the two halves of ``block`` (B,), ordered between the image farthest from the mean and its opposite."""
    if len(block) < 2:
        return [block]
    points = features[block]
    first = points[int(np.square(points - points.mean(axis=0)).sum(axis=1).argmax())]
    second = points[int(np.square(points - first).sum(axis=1).argmax())]
    order = np.argsort(points @ (second - first), kind="stable")
    return [np.sort(block[order[: len(block) // 2]]), np.sort(block[order[len(block) // 2 :]])]
