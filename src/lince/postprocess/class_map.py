"""The class of every pixel: a network's map of logits to a class map of the photo's size, exact and in bounded memory.

The logits become probabilities at the resolution of the network's map; these are interpolated linearly between the
centres of its cells, without those of padding, and each pixel gets the channel with the highest value, of equals the
lowest. Most pixels need no interpolation: where the four cells around a pixel have the same channel on top, it is on
top between them, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.postprocess.softmax import softmax
from lince.preprocess import PreprocessSpec, compute_content_box

_MAX_VALUES = 2**20  # interpolated at a time: 4 MB
Planes = NDArray[np.float32]
Places = NDArray[np.floating[Any]]
ClassMap = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class GridAxis:
    """Where the pixels of one side of a photo lie on the side of a map with ``cells`` cells.

    Pixel ``i`` lies between the cells ``lower[i]`` and ``upper[i]``, the part ``fraction[i]`` (0..1, float32) of the
    way. ``lower`` ascends.
    """

    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    fraction: NDArray[np.float32]

    def select(self, start: int, stop: int) -> GridAxis:
        """Return the pixels ``start`` to ``stop``."""
        return GridAxis(self.lower[start:stop], self.upper[start:stop], self.fraction[start:stop])


def compute_probabilities(logits: NDArray[np.float32]) -> Planes:
    """Return the softmax over the channels of ``logits`` (N, K, h, w), float32 of the same shape."""
    return softmax(logits)


@lru_cache(maxsize=8)
def locate_pixels(map_size: tuple[int, int], size: tuple[int, int], spec: PreprocessSpec) -> tuple[GridAxis, GridAxis]:
    """Return where the rows and the columns of a photo of ``size`` (height, width) lie on a map of ``map_size``.

    The map covers the whole input of ``spec``. Cells whose centre is padding are not used. Nobody changes the result:
    that of the last sizes is kept, for the frames of a video.
    """
    return locate_places(map_size, size, spec, np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)


def locate_places(
    map_size: tuple[int, int], size: tuple[int, int], spec: PreprocessSpec, ys: Places, xs: Places
) -> tuple[GridAxis, GridAxis]:
    """Return where ``ys`` (N,) and ``xs`` (M,), ascending, in pixels of a photo of ``size``, lie on a map of it.

    The centre of the first pixel is at 0.5. Otherwise as ``locate_pixels``.
    """
    top, left, bottom, right = compute_content_box(*size, spec)
    return (
        _locate_on_axis(map_size[0], ys / size[0], (top, bottom), spec.height),
        _locate_on_axis(map_size[1], xs / size[1], (left, right), spec.width),
    )


def compute_class_map(probabilities: Planes, size: tuple[int, int], spec: PreprocessSpec) -> ClassMap:
    """Return the most probable channel of every pixel, uint8 (H, W), of a photo of ``size`` (height, width).

    ``probabilities`` float32 (K, h, w), at most 256 channels, are of the photo as ``spec`` brings it to the network.
    """
    rows, columns = locate_pixels(probabilities.shape[1:], size, spec)
    return choose_classes(probabilities, rows, columns)


def choose_classes(probabilities: Planes, rows: GridAxis, columns: GridAxis) -> ClassMap:
    """Return the highest channel of ``probabilities`` (K, h, w) at every pixel, uint8 (rows, columns)."""
    winners = _find_highest(probabilities)
    row_starts, column_starts = _find_starts(rows.lower), _find_starts(columns.lower)
    ys = rows.lower[row_starts], rows.upper[row_starts]
    xs = columns.lower[column_starts], columns.upper[column_starts]
    corners = [winners[y][:, x] for y in ys for x in xs]
    is_mixed = (corners[0] != corners[1]) | (corners[0] != corners[2]) | (corners[0] != corners[3])
    row_bounds, column_bounds = _pair_bounds(row_starts, rows), _pair_bounds(column_starts, columns)
    row_counts, column_counts = row_bounds[:, 1] - row_bounds[:, 0], column_bounds[:, 1] - column_bounds[:, 0]
    class_map = corners[0].repeat(column_counts, axis=1).repeat(row_counts, axis=0)
    mixed_rows, mixed_columns = is_mixed.nonzero()
    table = np.ascontiguousarray(probabilities.reshape(len(probabilities), -1).T)  # (h * w, K)
    width = probabilities.shape[2]
    for chunk in _split_cells(len(mixed_rows), int(row_counts.max() * column_counts.max()) * table.shape[1]):
        down, across = mixed_rows[chunk], mixed_columns[chunk]
        places = np.stack([y[down] * width + x[across] for y in ys for x in xs])
        _fill_cells(class_map, table[places], (rows, row_bounds[down]), (columns, column_bounds[across]))
    return class_map


def interpolate_plane(plane: Planes, rows: GridAxis, columns: GridAxis) -> Planes:
    """Return ``plane`` (h, w) at every pixel, float32 (rows, columns), interpolated linearly."""
    across = plane[:, columns.lower] * (1 - columns.fraction) + plane[:, columns.upper] * columns.fraction
    fraction = rows.fraction[:, None]
    return np.asarray(across[rows.lower] * (1 - fraction) + across[rows.upper] * fraction, np.float32)


def _locate_on_axis(cells: int, shares: Places, content: tuple[int, int], side: int) -> GridAxis:
    """Return where places at ``shares`` (0..1) of the part ``content`` of an input ``side`` pixels long lie."""
    start, end = content
    positions = (start + shares * (end - start)) * cells / side - 0.5
    first, last = np.ceil(start * cells / side - 0.5), np.floor(end * cells / side - 0.5)
    if first > last:  # no cell has its centre on the photo: the one in which it lies
        first = last = np.floor((start + end) / 2 * cells / side)
    first, last = max(0.0, float(first)), min(cells - 1.0, float(last))
    positions = np.clip(positions, first, last)
    lower = np.minimum(np.floor(positions), max(first, last - 1)).astype(np.int64)
    upper = np.minimum(lower + 1, int(last))
    return GridAxis(lower, upper, (positions - lower).astype(np.float32))


def _find_starts(lower: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first pixel of each cell, of pixels between the cells ``lower``, which ascend, and the next ones."""
    return np.flatnonzero(np.diff(lower, prepend=-1))


def _pair_bounds(starts: NDArray[np.int64], axis: GridAxis) -> NDArray[np.int64]:
    """Return the first pixel and the end of each cell, int64 (N, 2)."""
    return np.stack([starts, np.append(starts[1:], len(axis.lower))], axis=1)


def _find_highest(planes: Planes) -> ClassMap:
    """Return the highest channel of ``planes`` (K, ...), of equals the lowest, uint8 (...)."""
    highest, winners = planes[0], np.zeros(planes.shape[1:], np.uint8)
    for channel in range(1, len(planes)):
        winners[planes[channel] > highest] = channel
        highest = np.maximum(highest, planes[channel])
    return winners


def _split_cells(count: int, values: int) -> Iterator[slice]:
    """Yield slices of ``count`` cells, up to ``values`` of each, that are interpolated at a time."""
    step = max(1, _MAX_VALUES // values)
    for start in range(0, count, step):
        yield slice(start, start + step)


def _fill_cells(
    class_map: ClassMap,
    corners: Planes,
    vertical: tuple[GridAxis, NDArray[np.int64]],
    horizontal: tuple[GridAxis, NDArray[np.int64]],
) -> None:
    """Write the highest channel of every pixel between some cells of the map, in place.

    ``corners`` (4, M, K) are the probabilities around the pixels of each of M cells. Each direction has its axis and
    the first and last pixel of each cell, (M, 2).
    """
    (rows, row_bounds), (columns, column_bounds) = vertical, horizontal
    ys, xs = _list_pixels(row_bounds), _list_pixels(column_bounds)
    down, across = rows.fraction[ys][:, :, None], columns.fraction[xs][:, None, :]
    # Between four cells the highest channel has at least the largest of the lowest values at the corners.
    is_possible = corners.max(axis=0) >= corners.min(axis=0).max(axis=1, keepdims=True)
    is_pair = is_possible.sum(axis=1) == 2
    places = ys[:, :, None] * class_map.shape[1] + xs[:, None, :]
    for choose, is_chosen in ((_choose_of_two, is_pair), (_choose_of_all, ~is_pair)):
        chosen = is_chosen.nonzero()[0]
        if len(chosen):
            values = choose(corners[:, chosen], is_possible[chosen], down[chosen], across[chosen])
            class_map.reshape(-1)[places[chosen]] = values


def _choose_of_two(corners: Planes, is_possible: NDArray[np.bool_], down: Planes, across: Planes) -> ClassMap:
    """Return the higher of the only two possible channels of each cell at its pixels, uint8 (M, H, W)."""
    first = is_possible.argmax(axis=1)
    second = is_possible.shape[1] - 1 - is_possible[:, ::-1].argmax(axis=1)
    cells = np.arange(len(first))
    difference = _interpolate_cells(corners[:, cells, second] - corners[:, cells, first], down, across)
    channels = np.stack([first, second]).astype(np.uint8)[:, :, None, None]
    return np.asarray(np.where(difference > 0, channels[1], channels[0]), np.uint8)


def _choose_of_all(corners: Planes, is_possible: NDArray[np.bool_], down: Planes, across: Planes) -> ClassMap:
    """Return the highest channel of each cell at its pixels, of equals the lowest, uint8 (M, H, W)."""
    channels = np.flatnonzero(is_possible.any(axis=0))
    planes = np.stack([_interpolate_cells(corners[:, :, channel], down, across) for channel in channels.tolist()])
    return np.asarray(channels.astype(np.uint8)[_find_highest(planes)], np.uint8)


def _interpolate_cells(corners: Planes, down: Planes, across: Planes) -> Planes:
    """Return the values at the pixels of each cell, float32 (M, H, W).

    ``corners`` (4, M) are around them; ``down`` (M, H, 1) and ``across`` (M, 1, W) are the parts of the way.
    """
    left_top, right_top, left_bottom, right_bottom = corners[:, :, None, None]
    top = left_top + (right_top - left_top) * across
    bottom = left_bottom + (right_bottom - left_bottom) * across
    bottom -= top
    values = bottom * down
    values += top
    return np.asarray(values, np.float32)


def _list_pixels(bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pixels of each cell, int64 (M, most pixels of a cell); the last repeats where there are fewer."""
    longest = int(np.diff(bounds).max())
    return np.asarray(np.minimum(bounds[:, :1] + np.arange(longest), bounds[:, 1:] - 1), np.int64)
