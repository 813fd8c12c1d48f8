"""The class of every pixel: a network's map of logits to a class map of the photo's size, exact and in bounded memory.

The logits become probabilities at the resolution of the network's map; these are interpolated linearly between the
centres of its cells, without those of padding, and each pixel gets the channel with the highest value, of equals the
lowest. Most pixels need no interpolation: where the four cells around a pixel have the same channel on top, it is on
top between them, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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


def locate_pixels(map_size: tuple[int, int], size: tuple[int, int], spec: PreprocessSpec) -> tuple[GridAxis, GridAxis]:
    """Return where the rows and the columns of a photo of ``size`` (height, width) lie on a map of ``map_size``.

    The map covers the whole input of ``spec``. Cells whose centre is padding are not used.
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
    winners = probabilities.argmax(axis=0).astype(np.uint8)
    row_cells, row_starts = np.unique(rows.lower, return_index=True)
    column_cells, column_starts = np.unique(columns.lower, return_index=True)
    below, beside = rows.upper[row_starts], columns.upper[column_starts]
    corners = [winners[np.ix_(y, x)] for y in (row_cells, below) for x in (column_cells, beside)]
    is_mixed = (corners[0] != corners[1]) | (corners[0] != corners[2]) | (corners[0] != corners[3])
    class_map = np.empty((len(rows.lower), len(columns.lower)), np.uint8)
    row_ends, column_ends = np.append(row_starts[1:], len(rows.lower)), np.append(column_starts[1:], len(columns.lower))
    column_counts = column_ends - column_starts
    for start, end, values in zip(row_starts.tolist(), row_ends.tolist(), corners[0], strict=True):
        class_map[start:end] = np.repeat(values, column_counts)
    mixed_rows, mixed_columns = np.nonzero(is_mixed)
    row_bounds = np.stack([row_starts, row_ends], axis=1)[mixed_rows]
    column_bounds = np.stack([column_starts, column_ends], axis=1)[mixed_columns]
    for chunk in _split_cells(row_bounds, column_bounds, len(probabilities)):
        _fill_cells(class_map, probabilities, (rows, row_bounds[chunk]), (columns, column_bounds[chunk]))
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


def _split_cells(row_bounds: NDArray[np.int64], column_bounds: NDArray[np.int64], channels: int) -> Iterator[slice]:
    """Yield slices of cells that are interpolated at a time."""
    if not len(row_bounds):
        return
    largest = int(np.diff(row_bounds).max() * np.diff(column_bounds).max())
    step = max(1, _MAX_VALUES // (largest * channels))
    for start in range(0, len(row_bounds), step):
        yield slice(start, start + step)


def _fill_cells(
    class_map: ClassMap,
    probabilities: Planes,
    vertical: tuple[GridAxis, NDArray[np.int64]],
    horizontal: tuple[GridAxis, NDArray[np.int64]],
) -> None:
    """Write the highest channel of every pixel between the cells of the map whose pixels are given, in place.

    Each direction has its axis and the first and last pixel of each cell, (M, 2).
    """
    (rows, row_bounds), (columns, column_bounds) = vertical, horizontal
    top, bottom = rows.lower[row_bounds[:, 0]], rows.upper[row_bounds[:, 0]]
    left, right = columns.lower[column_bounds[:, 0]], columns.upper[column_bounds[:, 0]]
    corners = np.stack([probabilities[:, y, x].T for y in (top, bottom) for x in (left, right)])  # (4, M, K)
    # Between four cells the highest channel has at least the largest of the lowest values at the corners.
    is_possible = corners.max(axis=0) >= corners.min(axis=0).max(axis=1, keepdims=True)
    channels = np.flatnonzero(is_possible.any(axis=0))
    corners = corners[:, :, channels, None, None]
    down, across = _take_fractions(rows, row_bounds), _take_fractions(columns, column_bounds)
    down, across = down[:, None, :, None], across[:, None, None, :]
    upper = corners[0] * (1 - across) + corners[1] * across
    lower = corners[2] * (1 - across) + corners[3] * across
    winners = channels.astype(np.uint8)[(upper * (1 - down) + lower * down).argmax(axis=1)]
    for winner, (y, y_end), (x, x_end) in zip(winners, row_bounds.tolist(), column_bounds.tolist(), strict=True):
        class_map[y:y_end, x:x_end] = winner[: y_end - y, : x_end - x]


def _take_fractions(axis: GridAxis, bounds: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the fractions of the pixels of each cell, float32 (M, most pixels of a cell); what is missing repeats."""
    longest = int(np.diff(bounds).max())
    pixels = np.minimum(bounds[:, :1] + np.arange(longest), bounds[:, 1:] - 1)
    return np.asarray(axis.fraction[pixels], np.float32)
