"""Whether one small grey picture shows the same as another, cut, turned or brightened a little: they are laid over it.

Lucas and Kanade 1981 with an affine map and a change of brightness, coarse to fine (Baker and Matthews 2004).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

THUMBNAIL_SIDE = 64
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_PYRAMID_LEVELS = ((16, 12), (32, 8), (64, 4))  # side in pixels, steps at most
_MIN_COARSE_CORRELATION = 0.6  # correlation at the coarsest side below which nobody looks closer
_MIN_OVERLAP = 0.5  # share of the picture that both must show
_MIN_CHANGE = 1e-3
_DAMPING = 1e-5  # keeps flat pictures from sliding away


def compute_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return how much the fine structure of two pictures (64, 64) agrees where they overlap best, -1 to 1.

    It is the correlation of the differences between neighbouring pixels, after ``second`` was laid over ``first``;
    -1 where they have nothing to do with each other at all.
    """
    ones, others = _pyramid(first), _pyramid(second)
    matrix: Array = np.eye(3)[:2]
    for side, most in _PYRAMID_LEVELS:
        found = _align(ones[side], others[side], matrix, most)
        if found is None:
            return -1.0
        matrix = found
        (values,), covered = _sample_bilinear(others[side].reshape(1, -1), side, matrix)
        if (
            side == _PYRAMID_LEVELS[0][0]
            and _masked_correlation(ones[side].ravel(), values, covered) < _MIN_COARSE_CORRELATION
        ):
            return -1.0
    return _gradient_correlation(
        ones[THUMBNAIL_SIDE],
        values.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE),
        covered.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE),
    )


def _align(one: Array, other: Array, matrix: Array, most: int) -> Array | None:
    """Return the map (2, 3) from ``one`` to ``other``, made better in up to ``most`` steps, or ``None``."""
    side = len(one)
    slope_y, slope_x = np.gradient(other)
    pictures = np.stack([other, slope_x * side, slope_y * side]).reshape(3, -1)
    wanted = one.ravel()
    for _step in range(most):
        (values, dx, dy), covered = _sample_bilinear(pictures, side, matrix)
        if covered.mean() < _MIN_OVERLAP:
            return None
        # Six numbers of the map; a factor and an offset of the brightness. What is not covered has no say.
        x, y, unit = _grid(side)
        system = np.stack([dx * x, dx * y, dx, dy * x, dy * y, dy, -wanted, -unit]) * covered
        normal = system @ system.T
        normal[np.arange(6), np.arange(6)] += _DAMPING * np.trace(normal)
        try:
            change = np.linalg.solve(normal + 1e-9 * np.eye(8), -(system @ values))
        except np.linalg.LinAlgError:
            return None
        matrix = matrix + change[:6].reshape(2, 3)
        if np.abs(change[:6]).max() < _MIN_CHANGE:
            break
    return matrix


def _sample_bilinear(pictures: Array, side: int, matrix: Array) -> tuple[Array, Mask]:
    """Return ``pictures`` (K, side * side) where ``matrix`` leads each pixel of their partner, and which lie within."""
    at_x, at_y = (matrix @ _grid(side) + 0.5) * side - 0.5
    covered = (at_x >= 0) & (at_x <= side - 1) & (at_y >= 0) & (at_y <= side - 1)
    at_x, at_y = np.minimum(np.maximum(at_x, 0), side - 1.001), np.minimum(np.maximum(at_y, 0), side - 1.001)
    left, top = at_x.astype(np.int64), at_y.astype(np.int64)
    right, low = at_x - left, at_y - top
    corner = top * side + left
    upper = pictures[:, corner] * (1 - right) + pictures[:, corner + 1] * right
    lower = pictures[:, corner + side] * (1 - right) + pictures[:, corner + side + 1] * right
    return upper * (1 - low) + lower * low, covered


def _gradient_correlation(one: Array, other: Array, covered: Mask) -> float:
    inner = covered[:-1, :-1] & covered[1:, :-1] & covered[:-1, 1:]
    if inner.mean() < _MIN_OVERLAP:
        return -1.0
    return _masked_correlation(_gradients(one), _gradients(other), np.tile(inner.ravel(), 2))


def _gradients(picture: Array) -> Array:
    return np.concatenate([np.diff(picture, axis=0)[:, :-1].ravel(), np.diff(picture, axis=1)[:-1].ravel()])


def _masked_correlation(one: Array, other: Array, where: Mask) -> float:
    one, other = one[where], other[where]
    one, other = one - one.mean(), other - other.mean()
    spread = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / spread) if spread > 1e-6 else 0.0


def _pyramid(picture: NDArray[np.uint8]) -> dict[int, Array]:
    found = {THUMBNAIL_SIDE: picture.astype(np.float64)}
    for side in (32, 16):
        found[side] = found[side * 2].reshape(side, 2, side, 2).mean(axis=(1, 3))
    return found


@cache
def _grid(side: int) -> Array:
    """Return x, y and 1 (3, side * side) of the pixels' middles, the picture's own middle being (0, 0), its side 1."""
    middle = (np.arange(side) + 0.5) / side - 0.5
    x, y = np.meshgrid(middle, middle)
    return np.stack([x.ravel(), y.ravel(), np.ones(side * side)])
