"""Test data: the pen strokes of a scanned digit, by thinning it and walking along its middle line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]  # clockwise from above
Line = list[tuple[float, float]]


def first_of_each(folder: Path) -> dict[int, NDArray[np.uint8]]:
    """Return the first test digit of each class in MNIST's files."""
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(), np.uint8, offset=8)
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as stream:
        pictures = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    return {digit: pictures[int(np.argmax(labels == digit))] for digit in range(10)}


def strokes(picture: NDArray[np.uint8]) -> list[Line]:
    """Return the smoothed strokes of a scanned digit (28, 28), as points (x, y) in 0..1 of the canvas."""
    large = np.kron(picture.astype(float), np.ones((3, 3)))
    for axis in (0, 1):
        large = sum(np.roll(large, shift, axis) for shift in (-1, 0, 1)) / 3
    thin = thinned(large > 110)
    return [smoothed(line, thin.shape[0]) for line in walked(thin) if len(line) > 4]


def smoothed(line: list[tuple[int, int]], side: int) -> Line:
    """Return a path with each point replaced by the mean of its neighbours; both ends stay."""
    points = np.array(line, float)
    for _i in range(3):
        points[1:-1] = (points[:-2] + points[1:-1] + points[2:]) / 3
    kept = points[:: max(1, len(points) // 40)]
    kept = kept if (kept[-1] == points[-1]).all() else np.vstack([kept, points[-1:]])
    return [((x + 0.5) / side, (y + 0.5) / side) for y, x in kept]


def thinned(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the skeleton of ``ink``, one pixel wide (Zhang and Suen 1984)."""
    ink = np.pad(ink, 1)
    changed = True
    while changed:
        changed = False
        for turn in (0, 1):
            ring = np.stack([np.roll(ink, (-dy, -dx), (0, 1)) for dy, dx in _AROUND])
            count = ring.sum(axis=0)
            rises = (~ring & np.roll(ring, -1, axis=0)).sum(axis=0)
            up, right, down, left = ring[0], ring[2], ring[4], ring[6]
            spared = up & right & left | up & down & left if turn else up & right & down | right & down & left
            gone = ink & (count >= 2) & (count <= 6) & (rises == 1) & ~spared
            ink = ink & ~gone
            changed |= bool(gone.any())
    return ink[1:-1, 1:-1]


def walked(thin: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Return paths over every pixel of ``thin``: from free ends first, straight on at branches."""
    left = {(int(y), int(x)) for y, x in np.argwhere(thin)}
    whole = set(left)
    lines = []
    while left:
        at = min(left, key=lambda pixel: (_count(pixel, left) != 1, pixel))
        line = [*sorted(_near(at, whole) - left)[:1], at]  # joined to an earlier path
        left.discard(at)
        while ways := _near(line[-1], left):
            line.append(min(ways, key=lambda pixel: _bend(line, pixel)))
            left.discard(line[-1])
        line += sorted(_near(line[-1], whole) - set(line[-3:]))[:1]
        lines.append(line)
    return lines


def _near(at: tuple[int, int], among: set[tuple[int, int]]) -> set[tuple[int, int]]:
    return {(at[0] + dy, at[1] + dx) for dy, dx in _AROUND} & among


def _count(at: tuple[int, int], among: set[tuple[int, int]]) -> int:
    return len(_near(at, among))


def _bend(line: list[tuple[int, int]], pixel: tuple[int, int]) -> float:
    """Return how much ``pixel`` turns from the direction of the last steps."""
    if len(line) < 2:
        return 0.0
    back = line[-min(5, len(line))]
    before = np.subtract(line[-1], back) / np.linalg.norm(np.subtract(line[-1], back))
    step = np.subtract(pixel, line[-1])
    return -float(before @ step / np.linalg.norm(step))
