"""Masks as run-length encoding (RLE), compatible with the COCO API, in numpy.

The counts of a mask (H, W) are the lengths of its runs, with the pixels taken column by column: first the number of
background pixels (0 if the first pixel is foreground), then of foreground pixels, and so on; they sum to H * W.

Their string form is COCO's compressed RLE: from the fourth on, each count is stored as the difference to the one two
before it; a value is split into groups of five bits, lowest first. Bit 6 of a group is set if another follows, bit 5 of
the last group is the sign, and 48 is added to make an ASCII character.
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
_MAX_GROUPS = 10  # 50 bits: more than an image has pixels, and a sum of such values still fits into int64
_GRID_STEPS = 5  # the COCO API rounds vertices to fifths of a pixel
_MAX_COORDINATE = 2.0**40  # pixels; a vertex farther away gives the same mask when clipped to this distance
_MAX_CROSSINGS_PER_BATCH = 2**20


def mask_to_counts(mask: NDArray[Any]) -> Counts:
    """Return the counts of ``mask`` (H, W), any dtype; values other than 0 are foreground."""
    if mask.ndim != 2:
        raise ValueError(f"a mask must be (H, W), not {mask.shape}")
    flat = np.asarray(mask != 0).ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0] if len(flat) and flat[0] else []
    return np.diff(np.concatenate([[0], first, changes, [len(flat)]])).astype(np.int64)


def counts_to_mask(counts: Counts, height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask bool (``height``, ``width``) of ``counts``, in Fortran order.

    The counts must be valid for that size: see ``require_valid_counts``.
    """
    is_foreground = np.zeros(len(counts), np.bool_)
    is_foreground[1::2] = True
    return np.repeat(is_foreground, counts).reshape((height, width), order="F")


def encode(mask: NDArray[Any]) -> str:
    """Return ``mask`` (H, W) as a compressed RLE string."""
    return counts_to_string(mask_to_counts(mask))


def decode(text: str, height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask bool (``height``, ``width``) of a compressed RLE string; raise ``DataError`` if it is invalid."""
    return counts_to_mask(require_valid_counts(string_to_counts(text), height, width), height, width)


def counts_to_string(counts: Counts) -> str:
    """Return ``counts`` as a compressed RLE string."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    characters = np.zeros((len(values), _MAX_GROUPS), np.uint8)
    is_used = np.zeros(characters.shape, np.bool_)
    continues = np.ones(len(values), np.bool_)
    for group in range(_MAX_GROUPS):
        low = values & 31
        values = values >> 5
        is_used[:, group] = continues
        continues = continues & (values != np.where(low & 16, -1, 0))
        characters[:, group] = low + 32 * continues + 48
    return characters[is_used].tobytes().decode("ascii")


def string_to_counts(text: str) -> Counts:
    """Return the counts of a compressed RLE string; raise ``DataError`` when it is malformed.

    Whether they fit an image is checked by ``require_valid_counts``.
    """
    groups = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    last_groups = np.flatnonzero(groups < 32)
    if not len(last_groups) or last_groups[-1] != len(groups) - 1 or groups.min() < 0 or groups.max() > 63:
        raise _invalid_counts_error(_("a mask whose run lengths are truncated or damaged"))
    first_groups = np.concatenate([[0], last_groups[:-1] + 1])
    lengths = last_groups - first_groups + 1
    if lengths.max() > _MAX_GROUPS:
        raise _invalid_counts_error(_("a mask whose run lengths are larger than any image"))
    shifts = 5 * (np.arange(len(groups)) - np.repeat(first_groups, lengths))
    values = np.add.reduceat((groups & 31) << shifts, first_groups)
    values -= np.where(groups[last_groups] & 16, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def require_valid_counts(counts: Counts, height: int, width: int) -> Counts:
    """Return ``counts``; raise ``DataError`` unless they are valid for an image of (``height``, ``width``) pixels.

    Each must be in 0..H * W, and their sum H * W.
    """
    pixels = height * width
    if (counts < 0).any() or (counts > pixels).any():
        raise _invalid_counts_error(
            _("a mask with a run length that no image of {width} x {height} has"), height, width
        )
    total = int(counts.sum())
    if total != pixels:
        problem = _("a mask of {total:,} pixels for an image of {width} x {height}")
        raise _invalid_counts_error(problem, height, width, total)
    return counts


def compute_area(counts: Counts) -> int:
    """Return the number of foreground pixels."""
    return int(counts[1::2].sum())


def compute_bounding_box(counts: Counts, height: int) -> Box:
    """Return the box (left, top, right, bottom) around the foreground, with the conventions of ``geometry``.

    ``height`` is that of the image in pixels. All zeros when there is no foreground.
    """
    starts, ends = find_foreground_runs(counts)
    if not len(starts):
        return 0.0, 0.0, 0.0, 0.0
    first, last = starts // height, (ends - 1) // height
    spans_columns = bool((first != last).any())  # then it includes the last row and the first
    top = 0 if spans_columns else int((starts % height).min())
    bottom = height if spans_columns else int(((ends - 1) % height).max()) + 1
    return float(first[0]), float(top), float(last[-1] + 1), float(bottom)


def merge_counts(masks: Sequence[Counts]) -> Counts:
    """Return the union of ``masks``, at least one, all of the same image size."""
    pixels = int(masks[0].sum())
    runs = [find_foreground_runs(counts) for counts in masks]
    positions = np.concatenate([bounds for run in runs for bounds in run])
    steps = np.concatenate(
        [np.full(len(bounds), step) for run in runs for step, bounds in zip((1, -1), run, strict=True)]
    )
    order = np.lexsort((-steps, positions))
    depth = np.cumsum(steps[order])
    changes = (depth > 0) != (np.concatenate([[0], depth[:-1]]) > 0)
    return changes_to_counts(positions[order][changes], pixels)


def polygons_to_counts(rings: Sequence[NDArray[Any]], height: int, width: int) -> Counts:
    """Return the mask of a polygon on an image of (``height``, ``width``): the union of its rings (K, 2).

    The pixels are exactly those of the COCO API's ``frPyObjects`` and ``merge``: vertices are rounded to fifths of a
    pixel, and a pixel belongs to a ring that contains its centre by the even-odd rule.
    """
    if not rings:
        return np.array([height * width], np.int64)
    ring_counts = [_polygon_to_counts(np.asarray(ring, np.float64), height, width) for ring in rings]
    return merge_counts(ring_counts) if len(ring_counts) > 1 else ring_counts[0]


def mask_to_polygons(mask: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Return rings (K, 2) along the pixel edges of ``mask`` (H, W), one for each connected part, topmost first.

    Parts are 4-connected: pixels that touch only at a corner are separate. A hole is joined to its part's ring by a
    slit along the middle of a row of pixels, there and back, so that ``polygons_to_counts`` of the rings, or filling
    them by the even-odd rule, gives the mask again.
    """
    is_foreground = np.asarray(mask != 0)
    corners, across, down = _find_corners(is_foreground)
    next_corner, parts, holes = _trace_contours(is_foreground, corners, across, down)
    points = corners.astype(np.float64).tolist()
    for start, hole in _find_slits(is_foreground, corners, down, next_corner, holes):
        _join_hole(points, next_corner, start, hole)
    return [_contour_points(points, next_corner, start) for start in parts]


def _polygon_to_counts(ring: NDArray[np.float64], height: int, width: int) -> Counts:
    """Return the counts of the mask of one ring (K, 2).

    The value of a pixel changes where the ring crosses its column's centre line an odd number of times.
    """
    corners = np.trunc(_GRID_STEPS * np.clip(ring, -_MAX_COORDINATE, _MAX_COORDINATE) + 0.5).astype(np.int64)
    ends = np.roll(corners, -1, axis=0)
    sides = np.concatenate([corners, ends], axis=1)
    sides = sides[corners[:, 0] != ends[:, 0]]
    is_backwards = _runs_backwards(sides)
    sides = np.where(is_backwards[:, None], sides[:, [2, 3, 0, 1]], sides)
    positions = np.concatenate(
        [np.empty(0, np.int64), *(_column_crossings(batch, height, width) for batch in _batch_sides(sides, width))]
    )
    changes, multiplicity = np.unique(positions, return_counts=True)
    return changes_to_counts(changes[multiplicity % 2 == 1], height * width)


def _runs_backwards(sides: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which sides (x, y, x, y) run towards lower values along their longer direction."""
    dx, dy = sides[:, 2] - sides[:, 0], sides[:, 3] - sides[:, 1]
    return np.where(np.abs(dx) >= np.abs(dy), dx < 0, dy < 0)


def _batch_sides(sides: NDArray[np.int64], width: int) -> list[NDArray[np.int64]]:
    """Return ``sides`` in batches that limit the memory for their crossings with ``width`` columns."""
    batch_size = max(1, _MAX_CROSSINGS_PER_BATCH // max(1, width))
    return [sides[start : start + batch_size] for start in range(0, len(sides), batch_size)]


def _column_crossings(sides: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Return where ``sides`` cross the centre lines of columns, as pixel positions in column order."""
    low, high = np.minimum(sides[:, 0], sides[:, 2]), np.maximum(sides[:, 0], sides[:, 2])
    # The centre of column c is between the grid lines 5 c + 2 and 5 c + 3.
    first = np.maximum(-((2 - low) // _GRID_STEPS), 0)
    last = np.minimum((high - 3) // _GRID_STEPS, width - 1)
    counts = np.maximum(last - first + 1, 0)
    rows = np.repeat(np.arange(len(sides)), counts)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    crossing_heights = _crossing_heights(sides[rows], _GRID_STEPS * columns + 2)
    tops = np.ceil(np.clip((crossing_heights + 0.5) / _GRID_STEPS - 0.5, 0, height)).astype(np.int64)
    return np.asarray(columns * height + tops, np.int64)


def _crossing_heights(sides: NDArray[np.int64], line: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the upper of the two grid points of each side at the grid lines x = ``line`` and ``line`` + 1."""
    left, top = sides[:, 0], sides[:, 1]
    dx, dy = sides[:, 2] - left, sides[:, 3] - top
    is_flat = np.abs(dx) >= np.abs(dy)
    slope = np.where(is_flat, dy, dx) / np.where(is_flat, dx, dy)
    first, second = (np.trunc(top + slope * (x - left) + 0.5) for x in (line, line + 1))
    return np.where(is_flat, np.minimum(first, second), top + _last_step_before(left, slope, line))


def _last_step_before(
    left: NDArray[np.int64], slope: NDArray[np.float64], line: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the last step of a steep side at which its rounded x is still on its first grid line.

    Steps are counted downwards from the side's upper end.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        guess = np.floor((line + 0.5 - left) / slope)
    step = np.nan_to_num(guess) - 2
    for _iteration in range(4):
        next_x = np.trunc(left + slope * (step + 1) + 0.5)
        step = step + np.where(slope > 0, next_x <= line, next_x > line)
    return step


def _find_corners(is_foreground: NDArray[np.bool_]) -> tuple[Counts, Counts, Counts]:
    """Return the corners of a mask's contours, and the corner each is joined to along its row and along its column.

    Corners are int64 (N, 2), x and y, row by row. Where two foreground pixels touch only at a corner it occurs twice,
    once for each pixel.
    """
    padded = np.pad(is_foreground, 1)
    upper, lower = padded[:-1], padded[1:]
    is_corner = upper[:, :-1] ^ upper[:, 1:] ^ lower[:, :-1] ^ lower[:, 1:]
    is_double = (upper[:, :-1] == lower[:, 1:]) & (upper[:, 1:] == lower[:, :-1]) & (upper[:, :-1] != upper[:, 1:])
    y, x = np.nonzero(is_corner | is_double)
    multiplicity = 1 + is_double[y, x]
    is_second = np.arange(multiplicity.sum()) - np.repeat(np.cumsum(multiplicity) - multiplicity, multiplicity)
    upper_left = np.repeat(upper[y, x], multiplicity)
    x, y = np.repeat(x, multiplicity), np.repeat(y, multiplicity)
    # Along a row, every second corner ends an edge; so along a column, once the two of a double corner are in the right
    # order: the edge from the left and the one from above belong together where the upper left pixel is foreground.
    order = np.lexsort((is_second ^ ~upper_left, y, x))
    down = np.empty(len(order), np.int64)
    down[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    return np.stack([x, y], axis=1), np.arange(len(x)) ^ 1, down


def _trace_contours(
    is_foreground: NDArray[np.bool_], corners: Counts, across: Counts, down: Counts
) -> tuple[list[int], list[int], list[int]]:
    """Return the corner that follows each along its contour, and the first corner of every part and of every hole.

    Parts run clockwise (in image coordinates), holes counter-clockwise.
    """
    next_corner = [-1] * len(corners)
    parts: list[int] = []
    holes: list[int] = []
    row_neighbour, column_neighbour = across.tolist(), down.tolist()
    for start, (x, y) in enumerate(corners.tolist()):
        if next_corner[start] >= 0:
            continue
        is_part = bool(is_foreground[y, x])
        (parts if is_part else holes).append(start)
        following = -1
        corner = start
        while following != start:
            middle = row_neighbour[corner]
            following = column_neighbour[middle]
            _link_corners(next_corner, (corner, middle, following) if is_part else (following, middle, corner))
            corner = following
    return next_corner, parts, holes


def _link_corners(next_corner: list[int], path: tuple[int, int, int]) -> None:
    """Record that the three corners of ``path`` follow each other."""
    next_corner[path[0]], next_corner[path[1]] = path[1], path[2]


def _find_slits(
    is_foreground: NDArray[np.bool_], corners: Counts, down: Counts, next_corner: list[int], holes: list[int]
) -> list[tuple[int, int]]:
    """Return for each hole (corner before the first edge to its left, leftmost upper corner of the hole).

    Where several holes have the same edge to their left, the one farthest along the contour comes first: joining it
    leaves the rest of the edge for the others.
    """
    height = len(is_foreground) + 1
    edge_tops = np.flatnonzero(corners[:, 1] < corners[down, 1])
    positions = corners[edge_tops, 0] * height + corners[edge_tops, 1]
    order = np.argsort(positions)
    slits = []
    for hole in holes:
        leftmost = min(_contour_corners(next_corner, hole), key=lambda corner: tuple(corners[corner].tolist()))
        x, y = corners[leftmost].tolist()
        outside = np.flatnonzero(~is_foreground[y, :x])
        edge = (outside[-1] + 1 if len(outside) else 0) * height + y
        top = int(edge_tops[order[np.searchsorted(positions, edge, "right", sorter=order) - 1]])
        bottom = int(down[top])
        downwards = next_corner[top] == bottom
        slits.append((-y if downwards else y, top if downwards else bottom, leftmost))
    return [(edge_start, hole) for _position, edge_start, hole in sorted(slits)]


def _join_hole(points: list[list[float]], next_corner: list[int], start: int, hole: int) -> None:
    """Join a hole to a contour by a slit from the edge after ``start`` to the edge at the hole's corner ``hole``."""
    x, (hole_x, y) = points[start][0], points[hole]
    first = len(points)
    slit_y = y + 0.5
    points += [[x, slit_y], [hole_x, slit_y], [hole_x, slit_y], [x, slit_y]]
    # A hole runs counter-clockwise: downwards on its left.
    next_corner += [first + 1, next_corner[hole], first + 3, next_corner[start]]
    next_corner[hole], next_corner[start] = first + 2, first


def _contour_corners(next_corner: list[int], start: int) -> list[int]:
    """Return the corners of the contour through ``start``, in order."""
    corners = [start]
    while (corner := next_corner[corners[-1]]) != start:
        corners.append(corner)
    return corners


def _contour_points(points: list[list[float]], next_corner: list[int], start: int) -> NDArray[np.float64]:
    """Return the points (K, 2) of the contour through ``start``."""
    return np.array([points[corner] for corner in _contour_corners(next_corner, start)])


def find_foreground_runs(counts: Counts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first pixel of each foreground run and the one after its last, in column order.

    Empty runs are left out.
    """
    ends = np.cumsum(counts)
    starts, stops = ends[:-1:2], ends[1::2]
    is_nonempty = stops > starts
    return starts[is_nonempty], stops[is_nonempty]


def changes_to_counts(changes: NDArray[np.int64], pixels: int) -> Counts:
    """Return the counts of a mask of ``pixels`` pixels whose value changes at the ascending positions ``changes``."""
    inner = changes[changes < pixels]
    return np.diff(np.concatenate([[0], inner, [pixels]])).astype(np.int64)


def _invalid_counts_error(problem: str, height: int = 0, width: int = 0, total: int = 0) -> DataError:
    """Return the ``DataError`` for ``problem``, a translated text with the other arguments as placeholders."""
    return DataError(
        problem.format(height=height, width=width, total=total),
        _("Expected run lengths over the whole image."),
        _("Export it again, or remove it."),
    )
