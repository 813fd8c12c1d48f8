"""Compares two grey thumbnails after aligning them, so that crops, rotations and changes of brightness do not matter.

The alignment is that of Lucas and Kanade (1981) with an affine map and a linear change of brightness, from coarse to
fine (Baker and Matthews 2004, "Lucas-Kanade 20 Years On").
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

THUMBNAIL_SIDE = 64
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_PYRAMID_LEVELS = ((16, 12), (32, 8), (64, 4))  # (side in pixels, maximum number of iterations)
_MIN_COARSE_CORRELATION = 0.6  # at the coarsest level; pairs below it are not aligned any further
_MIN_OVERLAP = 0.5  # fraction of the thumbnail that the other one must cover
_MIN_CHANGE = 1e-3  # of a coefficient of the map, below which the iteration has converged
_DAMPING = 1e-5  # relative to the trace of the normal matrix; keeps images without texture from drifting


def compute_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8], start: Array | None = None) -> float:
    """Return how well the fine structure of two thumbnails, uint8 (64, 64), agrees after alignment: -1 to 1.

    ``start`` (2, 3) is the map of coordinates, centred and 1 wide, that the alignment starts from: by default none.

    This is the correlation of the differences between neighbouring pixels where ``second``, mapped onto ``first``,
    covers it. It is -1 when the alignment fails, overlaps too little, or is poor at the coarsest level already.
    """
    references, moving_images = _pyramid(first), _pyramid(second)
    matrix: Array = np.eye(3)[:2] if start is None else start
    for side, max_steps in _PYRAMID_LEVELS:
        aligned = _align(references[side], moving_images[side], matrix, max_steps)
        if aligned is None:
            return -1.0
        matrix = aligned
        (values,), covered = _sample_bilinear(moving_images[side].reshape(1, -1), side, matrix)
        if (
            side == _PYRAMID_LEVELS[0][0]
            and _masked_correlation(references[side].ravel(), values, covered) < _MIN_COARSE_CORRELATION
        ):
            return -1.0
    return _gradient_correlation(
        references[THUMBNAIL_SIDE],
        values.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE),
        covered.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE),
    )


def compute_gradient_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return how well the fine structure of two thumbnails, uint8 (64, 64), agrees as they are: -1 to 1."""
    return _gradient_correlation(first.astype(np.float64), second.astype(np.float64), np.ones(first.shape, np.bool_))


def _align(reference: Array, moving: Array, matrix: Array, max_steps: int) -> Array | None:
    """Return the affine map (2, 3) from ``reference`` to ``moving`` after up to ``max_steps`` Gauss-Newton iterations.

    The iteration starts from ``matrix``. ``None`` when less than half of the reference is covered, or the equations
    have no solution.
    """
    side = len(reference)
    gradient_y, gradient_x = np.gradient(moving)
    images = np.stack([moving, gradient_x * side, gradient_y * side]).reshape(3, -1)
    target = reference.ravel()
    for _step in range(max_steps):
        (values, dx, dy), covered = _sample_bilinear(images, side, matrix)
        if covered.mean() < _MIN_OVERLAP:
            return None
        # Unknowns: the six coefficients of the map, and a factor and an offset of the brightness. Pixels that are not
        # covered have weight 0.
        x, y, unit = _grid(side)
        system = np.stack([dx * x, dx * y, dx, dy * x, dy * y, dy, -target, -unit]) * covered
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


def _sample_bilinear(images: Array, side: int, matrix: Array) -> tuple[Array, Mask]:
    """Return ``images`` (K, side * side) sampled where ``matrix`` maps each pixel, and which points are inside.

    ``matrix`` (2, 3) maps the coordinates of ``_grid``. The samples are bilinear, float64 (K, side * side); points
    outside are sampled at the border.
    """
    x, y = (matrix @ _grid(side) + 0.5) * side - 0.5
    covered = (x >= 0) & (x <= side - 1) & (y >= 0) & (y <= side - 1)
    x, y = np.minimum(np.maximum(x, 0), side - 1.001), np.minimum(np.maximum(y, 0), side - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    x_weight, y_weight = x - left, y - top
    corner = top * side + left
    upper = images[:, corner] * (1 - x_weight) + images[:, corner + 1] * x_weight
    lower = images[:, corner + side] * (1 - x_weight) + images[:, corner + side + 1] * x_weight
    return upper * (1 - y_weight) + lower * y_weight, covered


def _gradient_correlation(first: Array, second: Array, covered: Mask) -> float:
    """Return the correlation of the gradients of two images (side, side) where ``second`` covers; -1 below half."""
    mask = covered[:-1, :-1] & covered[1:, :-1] & covered[:-1, 1:]
    if mask.mean() < _MIN_OVERLAP:
        return -1.0
    return _masked_correlation(_gradients(first), _gradients(second), np.tile(mask.ravel(), 2))


def _gradients(image: Array) -> Array:
    """Return the differences between neighbouring pixels, downwards and then to the right, as one vector."""
    return np.concatenate([np.diff(image, axis=0)[:, :-1].ravel(), np.diff(image, axis=1)[:-1].ravel()])


def _masked_correlation(first: Array, second: Array, mask: Mask) -> float:
    """Return the Pearson correlation of two vectors where ``mask`` holds; 0 when either is constant there."""
    first, second = first[mask], second[mask]
    first, second = first - first.mean(), second - second.mean()
    norm = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / norm) if norm > 1e-6 else 0.0


def _pyramid(thumbnail: NDArray[np.uint8]) -> dict[int, Array]:
    """Return the thumbnail at each side of the pyramid, averaged over 2 x 2 pixels."""
    levels = {THUMBNAIL_SIDE: thumbnail.astype(np.float64)}
    for side in (32, 16):
        levels[side] = levels[side * 2].reshape(side, 2, side, 2).mean(axis=(1, 3))
    return levels


@cache
def _grid(side: int) -> Array:
    """Return x, y and 1 of the pixel centres, float64 (3, side * side): the image spans -0.5..0.5 both ways."""
    centres = (np.arange(side) + 0.5) / side - 0.5
    x, y = np.meshgrid(centres, centres)
    return np.stack([x.ravel(), y.ravel(), np.ones(side * side)])
