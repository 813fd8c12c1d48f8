"""Masks as run lengths, in plain numpy: the text that holds them, what they cover, and the way from and to outlines.

The counts of a mask (H, W) are the lengths of its runs, the pixels taken column by column: first how many do not
belong to it (0 when the first pixel does), then how many do, and so on; together H * W. Their text is the one of the
COCO API ("compressed RLE"): each count but the first three less the one two before it, in groups of five bits, lowest
first, bit 6 set where a group follows and bit 5 of the last one as sign, 48 added to make a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.errors import DataError
from lince.i18n import _

Counts = NDArray[np.int64]
Box = tuple[float, float, float, float]
_MAX_GROUPS = 10  # 50 bits: more than any image has pixels, and sums of them still fit an int64
_GRID_STEPS = 5  # the COCO API rounds corners to fifths of a pixel
_MAX_COORDINATE = 2.0**40  # pixels; whatever lies beyond goes round the image in the same way
_MAX_CROSSINGS_PER_BATCH = 2**20


def mask_to_counts(mask: NDArray[Any]) -> Counts:
    """Return the run lengths of ``mask`` (H, W), in which anything but 0 belongs."""
    if mask.ndim != 2:
        raise ValueError(f"a mask must be (H, W), not {mask.shape}")
    flat = np.asarray(mask != 0).ravel(order="F")
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0] if len(flat) and flat[0] else []
    return np.diff(np.concatenate([[0], first, turns, [len(flat)]])).astype(np.int64)


def counts_to_mask(counts: Counts, height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask (``height``, ``width``) of ``counts``, Fortran-ordered; they must have passed ``checked``."""
    runs = np.zeros(len(counts), np.bool_)
    runs[1::2] = True
    return np.repeat(runs, counts).reshape((height, width), order="F")


def encode(mask: NDArray[Any]) -> str:
    """Return the text of the run lengths of ``mask`` (H, W)."""
    return counts_to_string(mask_to_counts(mask))


def decode(text: str, height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask (``height``, ``width``) that ``text`` holds; raise ``DataError`` when it does not fit."""
    return counts_to_mask(require_valid_counts(string_to_counts(text), height, width), height, width)


def counts_to_string(counts: Counts) -> str:
    """Return the text of ``counts``."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    letters = np.zeros((len(values), _MAX_GROUPS), np.uint8)
    used = np.zeros(letters.shape, np.bool_)
    going = np.ones(len(values), np.bool_)
    for group in range(_MAX_GROUPS):
        low = values & 31
        values = values >> 5
        used[:, group] = going
        going = going & (values != np.where(low & 16, -1, 0))
        letters[:, group] = low + 32 * going + 48
    return letters[used].tobytes().decode("ascii")


def string_to_counts(text: str) -> Counts:
    """Return the counts that ``text`` holds; raise ``DataError`` when it is no such text."""
    groups = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    lasts = np.flatnonzero(groups < 32)
    if not len(lasts) or lasts[-1] != len(groups) - 1 or groups.min() < 0 or groups.max() > 63:
        raise _invalid_counts_error(_("a mask whose run lengths are cut off or damaged"))
    firsts = np.concatenate([[0], lasts[:-1] + 1])
    lengths = lasts - firsts + 1
    if lengths.max() > _MAX_GROUPS:
        raise _invalid_counts_error(_("a mask whose run lengths are larger than any image"))
    shifts = 5 * (np.arange(len(groups)) - np.repeat(firsts, lengths))
    values = np.add.reduceat((groups & 31) << shifts, firsts)
    values -= np.where(groups[lasts] & 16, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def require_valid_counts(counts: Counts, height: int, width: int) -> Counts:
    """Return ``counts``; raise ``DataError`` unless they are run lengths of an image of (``height``, ``width``)."""
    pixels = height * width
    if (counts < 0).any() or (counts > pixels).any():
        raise _invalid_counts_error(
            _("a mask with a run length that no image of {width} x {height} has"), height, width
        )
    total = int(counts.sum())
    if total != pixels:
        found = _("a mask of {total:,} pixels for an image of {width} x {height}")
        raise _invalid_counts_error(found, height, width, total)
    return counts


def compute_area(counts: Counts) -> int:
    """Return how many pixels belong to the mask."""
    return int(counts[1::2].sum())


def compute_bounding_box(counts: Counts, height: int) -> Box:
    """Return the box around the mask of an image ``height`` pixels high; all zeros when nothing belongs to it."""
    starts, ends = _foreground_runs(counts)
    if not len(starts):
        return 0.0, 0.0, 0.0, 0.0
    first, last = starts // height, (ends - 1) // height
    whole = bool((first != last).any())  # a run that goes on in the next column touches both edges
    top = 0 if whole else int((starts % height).min())
    bottom = height if whole else int(((ends - 1) % height).max()) + 1
    return float(first[0]), float(top), float(last[-1] + 1), float(bottom)


def merge_counts(masks: Sequence[Counts]) -> Counts:
    """Return what belongs to any of ``masks``, at least one, all of one image."""
    pixels = int(masks[0].sum())
    runs = [_foreground_runs(counts) for counts in masks]
    places = np.concatenate([bounds for run in runs for bounds in run])
    steps = np.concatenate(
        [np.full(len(bounds), step) for run in runs for step, bounds in zip((1, -1), run, strict=True)]
    )
    order = np.lexsort((-steps, places))
    depth = np.cumsum(steps[order])
    turns = (depth > 0) != (np.concatenate([[0], depth[:-1]]) > 0)
    return _changes_to_counts(places[order][turns], pixels)


def polygons_to_counts(rings: Sequence[NDArray[Any]], height: int, width: int) -> Counts:
    """Return the mask of an outline on an image of (``height``, ``width``), the rings (K, 2) laid over each other.

    The pixels are those that the COCO API's ``frPyObjects`` and ``merge`` give: corners are rounded to fifths of a
    pixel, and a pixel belongs to a ring that goes round its middle (even-odd within one ring).
    """
    if not rings:
        return np.array([height * width], np.int64)
    found = [_polygon_to_counts(np.asarray(ring, np.float64), height, width) for ring in rings]
    return merge_counts(found) if len(found) > 1 else found[0]


def mask_to_polygons(mask: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Return rings (K, 2) along the edges of the pixels of ``mask`` (H, W), one for each part, the topmost first.

    Pixels that touch at a corner alone are parts of their own. A ring goes round a hole by a slit half a pixel off the
    edges, there and back, so that ``of_rings`` of the rings is the mask again, and so is an even-odd filling.
    """
    inside = np.asarray(mask != 0)
    corners, across, down = _find_corners(inside)
    following, parts, holes = _trace_contours(inside, corners, across, down)
    points = corners.astype(np.float64).tolist()
    for start, hole in _find_slits(inside, corners, down, following, holes):
        _join_hole(points, following, start, hole)
    return [_contour_points(points, following, start) for start in parts]


def _polygon_to_counts(ring: NDArray[np.float64], height: int, width: int) -> Counts:
    corners = np.trunc(_GRID_STEPS * np.clip(ring, -_MAX_COORDINATE, _MAX_COORDINATE) + 0.5).astype(np.int64)
    ends = np.roll(corners, -1, axis=0)
    sides = np.concatenate([corners, ends], axis=1)
    sides = sides[corners[:, 0] != ends[:, 0]]
    turned = _runs_backwards(sides)
    sides = np.where(turned[:, None], sides[:, [2, 3, 0, 1]], sides)
    places = np.concatenate(
        [np.empty(0, np.int64), *(_column_crossings(part, height, width) for part in _batch_sides(sides, width))]
    )
    found, times = np.unique(places, return_counts=True)
    return _changes_to_counts(found[times % 2 == 1], height * width)


def _runs_backwards(sides: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which sides (x, y, x, y) lead backwards along the direction in which they are longer."""
    across, down = sides[:, 2] - sides[:, 0], sides[:, 3] - sides[:, 1]
    return np.where(np.abs(across) >= np.abs(down), across < 0, down < 0)


def _batch_sides(sides: NDArray[np.int64], width: int) -> list[NDArray[np.int64]]:
    per_part = max(1, _MAX_CROSSINGS_PER_BATCH // max(1, width))
    return [sides[start : start + per_part] for start in range(0, len(sides), per_part)]


def _column_crossings(sides: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Return where ``sides`` cross the middles of columns, as places in the image taken column by column."""
    low, high = np.minimum(sides[:, 0], sides[:, 2]), np.maximum(sides[:, 0], sides[:, 2])
    # The middle of column c lies between the grid lines 5 c + 2 and 5 c + 3.
    first = np.maximum(-((2 - low) // _GRID_STEPS), 0)
    last = np.minimum((high - 3) // _GRID_STEPS, width - 1)
    counts = np.maximum(last - first + 1, 0)
    rows = np.repeat(np.arange(len(sides)), counts)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    grid = _crossing_heights(sides[rows], _GRID_STEPS * columns + 2)
    tops = np.ceil(np.clip((grid + 0.5) / _GRID_STEPS - 0.5, 0, height)).astype(np.int64)
    return np.asarray(columns * height + tops, np.int64)


def _crossing_heights(sides: NDArray[np.int64], line: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the upper of the two grid points of each side at the grid lines x = ``line`` and ``line`` + 1."""
    left, top = sides[:, 0], sides[:, 1]
    across, down = sides[:, 2] - left, sides[:, 3] - top
    flat = np.abs(across) >= np.abs(down)
    slope = np.where(flat, down, across) / np.where(flat, across, down)
    here, there = (np.trunc(top + slope * (x - left) + 0.5) for x in (line, line + 1))
    return np.where(flat, np.minimum(here, there), top + _last_step_before(left, slope, line))


def _last_step_before(
    left: NDArray[np.int64], slope: NDArray[np.float64], line: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the step of a steep side, counted downwards, after which it leaves one grid line for its neighbour."""
    with np.errstate(divide="ignore", invalid="ignore"):
        guess = np.floor((line + 0.5 - left) / slope)
    step = np.nan_to_num(guess) - 2
    for _again in range(4):
        ahead = np.trunc(left + slope * (step + 1) + 0.5)
        step = step + np.where(slope > 0, ahead <= line, ahead > line)
    return step


def _find_corners(inside: NDArray[np.bool_]) -> tuple[Counts, Counts, Counts]:
    """Return where the edge of a mask turns, and which corner the edge leads to from each, across and down.

    Corners are int64 (N, 2), x and y, by rows. Where two pixels touch at a corner, it stands twice: once for each.
    """
    apart = np.pad(inside, 1)
    upper, lower = apart[:-1], apart[1:]
    odd = upper[:, :-1] ^ upper[:, 1:] ^ lower[:, :-1] ^ lower[:, 1:]
    touching = (upper[:, :-1] == lower[:, 1:]) & (upper[:, 1:] == lower[:, :-1]) & (upper[:, :-1] != upper[:, 1:])
    y, x = np.nonzero(odd | touching)
    times = 1 + touching[y, x]
    second = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    upper_left = np.repeat(upper[y, x], times)
    x, y = np.repeat(x, times), np.repeat(y, times)
    # Along a row, edges end and begin by turns; so they do along a column, once the twins stand in the right order:
    # the edge from the left and the one from above belong together where the upper left pixel is inside.
    order = np.lexsort((second ^ ~upper_left, y, x))
    down = np.empty(len(order), np.int64)
    down[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    return np.stack([x, y], axis=1), np.arange(len(x)) ^ 1, down


def _trace_contours(
    inside: NDArray[np.bool_], corners: Counts, across: Counts, down: Counts
) -> tuple[list[int], list[int], list[int]]:
    """Return which corner follows each, and the first corner of each part and of each hole; they go opposite ways."""
    following = [-1] * len(corners)
    parts: list[int] = []
    holes: list[int] = []
    aside, below = across.tolist(), down.tolist()
    for start, (x, y) in enumerate(corners.tolist()):
        if following[start] >= 0:
            continue
        is_part = bool(inside[y, x])
        (parts if is_part else holes).append(start)
        there = -1
        here = start
        while there != start:
            middle = aside[here]
            there = below[middle]
            _link_corners(following, (here, middle, there) if is_part else (there, middle, here))
            here = there
    return following, parts, holes


def _link_corners(following: list[int], way: tuple[int, int, int]) -> None:
    following[way[0]], following[way[1]] = way[1], way[2]


def _find_slits(
    inside: NDArray[np.bool_], corners: Counts, down: Counts, following: list[int], holes: list[int]
) -> list[tuple[int, int]]:
    """Return for each hole the corner before the edge that it sees to its left, and its own upper left corner.

    Where several see one edge, the one that is farthest along comes first: joining it leaves the way to the others.
    """
    height = len(inside) + 1
    tops = np.flatnonzero(corners[:, 1] < corners[down, 1])
    places = corners[tops, 0] * height + corners[tops, 1]
    order = np.argsort(places)
    found = []
    for hole in holes:
        leftmost = min(_contour_corners(following, hole), key=lambda corner: tuple(corners[corner].tolist()))
        x, y = corners[leftmost].tolist()
        outside = np.flatnonzero(~inside[y, :x])
        edge = (outside[-1] + 1 if len(outside) else 0) * height + y
        top = int(tops[order[np.searchsorted(places, edge, "right", sorter=order) - 1]])
        bottom = int(down[top])
        downwards = following[top] == bottom
        found.append((-y if downwards else y, top if downwards else bottom, leftmost))
    return [(start, hole) for _along, start, hole in sorted(found)]


def _join_hole(points: list[list[float]], following: list[int], start: int, hole: int) -> None:
    """Cut the edge after ``start`` and that of the hole at its upper left corner, and join them by a slit."""
    x, (hole_x, y) = points[start][0], points[hole]
    first = len(points)
    middle = y + 0.5
    points += [[x, middle], [hole_x, middle], [hole_x, middle], [x, middle]]
    # A hole goes round against the clock: downwards on its left.
    following += [first + 1, following[hole], first + 3, following[start]]
    following[hole], following[start] = first + 2, first


def _contour_corners(following: list[int], start: int) -> list[int]:
    found = [start]
    while (there := following[found[-1]]) != start:
        found.append(there)
    return found


def _contour_points(points: list[list[float]], following: list[int], start: int) -> NDArray[np.float64]:
    return np.array([points[corner] for corner in _contour_corners(following, start)])


def _foreground_runs(counts: Counts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the runs that belong to the mask start and end; empty ones left out."""
    ends = np.cumsum(counts)
    starts, stops = ends[:-1:2], ends[1::2]
    real = stops > starts
    return starts[real], stops[real]


def _changes_to_counts(turns: NDArray[np.int64], pixels: int) -> Counts:
    """Return the counts of a mask that changes at the ascending places ``turns``."""
    inner = turns[turns < pixels]
    return np.diff(np.concatenate([[0], inner, [pixels]])).astype(np.int64)


def _invalid_counts_error(found: str, height: int = 0, width: int = 0, total: int = 0) -> DataError:
    return DataError(
        found.format(height=height, width=width, total=total),
        _("Expected run lengths over the whole image."),
        _("Export it anew, or remove it."),
    )
