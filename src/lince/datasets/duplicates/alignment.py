"""Aligns two grey pictures, so that crops, rotations and changes of brightness do not matter when they are compared.

The alignment is that of Lucas and Kanade (1981) with an affine map and a linear change of brightness, from coarse to
fine (Baker and Matthews 2004, "Lucas-Kanade 20 Years On").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.datasets.image_stats import THUMBNAIL_SIDE

Array = NDArray[np.float32]
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]
_PYRAMID_LEVELS = ((16, 12), (32, 8), (64, 4))  # (side in pixels, maximum number of iterations)
_MIN_COARSE_CORRELATION = 0.6  # at the coarsest level; pairs below it are not aligned any further
_MIN_SIMILARITY = 0.35  # at the next levels; pairs below it are not aligned any further
_MIN_OVERLAP = 0.5  # fraction of the thumbnail that the other one must cover
_MIN_CHANGE = 1e-3  # of a coefficient of the map, below which the iteration has converged
_DAMPING = 1e-5  # relative to the trace of the normal matrix; keeps images without texture from drifting
_SAMPLING = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True, eq=False)
class Alignment:
    """How a picture lies on another one.

    ``matrix`` float64 (2, 3) maps places of the first picture to those of the second; both span -0.5..0.5 each way.
    ``similarity`` is the correlation of the differences between neighbouring pixels, -1 to 1, where the second covers
    the first.
    """

    matrix: Matrix
    similarity: float


def align_thumbnails(first: NDArray[np.uint8], second: NDArray[np.uint8], start: Matrix | None = None) -> Alignment:
    """Return how ``second`` lies on ``first``, both uint8 (64, 64).

    ``start`` is the map of places that the alignment starts from: by default that of a picture on itself.
    The similarity is -1 when the alignment fails, overlaps too little, or is poor at the coarsest level already.
    """
    references, moving_pictures = _make_pyramid(first), _make_pyramid(second)
    matrix: Matrix = np.eye(3)[:2] if start is None else start
    similarity = -1.0
    for side, max_steps in _PYRAMID_LEVELS:
        aligned = align_pictures(references[side], moving_pictures[side], matrix, max_steps)
        if aligned is None:
            return Alignment(matrix, -1.0)
        matrix = aligned
        moved, covered = move_picture(moving_pictures[side], matrix)
        if (
            side == _PYRAMID_LEVELS[0][0]
            and compute_correlation(references[side][covered], moved[covered]) < _MIN_COARSE_CORRELATION
        ):
            return Alignment(matrix, -1.0)
        similarity = _correlate_gradients(references[side], moved, covered)
        if side > _PYRAMID_LEVELS[0][0] and similarity < _MIN_SIMILARITY:
            break
    return Alignment(matrix, similarity)


def compute_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8], start: Matrix | None = None) -> float:
    """Return how well the fine structure of two thumbnails, uint8 (64, 64), agrees after alignment: -1 to 1.

    ``start`` is as in ``align_thumbnails``.
    """
    return align_thumbnails(first, second, start).similarity


def compute_gradient_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return how well the fine structure of two thumbnails, uint8 (64, 64), agrees as they are: -1 to 1."""
    covered = np.ones(first.shape, np.bool_)
    return _correlate_gradients(first.astype(np.float32), second.astype(np.float32), covered)


def align_pictures(reference: Array, moving: Array, matrix: Matrix, max_steps: int) -> Matrix | None:
    """Return the map from ``reference`` to ``moving`` (side, side) after up to ``max_steps`` Gauss-Newton iterations.

    The iteration starts from ``matrix``. ``None`` when less than half of the reference is covered, or the equations
    have no solution.
    """
    side = len(reference)
    slopes = (cv2.Sobel(moving, cv2.CV_32F, *axis, ksize=1, scale=side / 2) for axis in ((1, 0), (0, 1)))
    pictures = cv2.merge([moving, *slopes])
    target = reference.ravel()
    x, y = _make_grid(side)
    system = np.empty((8, side * side), np.float32)
    for _step in range(max_steps):
        sampled, covered = move_picture(pictures, matrix)
        if np.count_nonzero(covered) < _MIN_OVERLAP * covered.size:
            return None
        values, dx, dy = (cv2.extractChannel(sampled, channel).ravel() for channel in range(3))
        # Unknowns: the six coefficients of the map, and a factor and an offset of the brightness. Pixels that are not
        # covered have weight 0.
        weights = covered.ravel().astype(np.float32)
        np.multiply(dx, weights, out=system[2])
        np.multiply(dy, weights, out=system[5])
        for row, place in ((0, x), (1, y)):
            np.multiply(system[2], place, out=system[row])
            np.multiply(system[5], place, out=system[row + 3])
        np.multiply(target, -weights, out=system[6])
        np.negative(weights, out=system[7])
        normal = (system @ system.T).astype(np.float64)
        normal[np.arange(6), np.arange(6)] += _DAMPING * np.trace(normal)
        try:
            change = np.linalg.solve(normal + 1e-9 * np.eye(8), -(system @ values).astype(np.float64))
        except np.linalg.LinAlgError:
            return None
        matrix = matrix + change[:6].reshape(2, 3)
        if np.abs(change[:6]).max() < _MIN_CHANGE:
            break
    return matrix


def move_picture(picture: NDArray[Any], matrix: Matrix) -> tuple[NDArray[Any], Mask]:
    """Return ``picture``, float32 (side, side) or with channels, sampled where ``matrix`` maps each pixel.

    The second result says which of the pixels are inside of the picture; those outside are sampled at its border.
    """
    side = len(picture)
    centre = (side - 1) / 2
    shift = side * matrix[:, 2] + centre - matrix[:, :2].sum(axis=1) * centre
    in_pixels = np.column_stack([matrix[:, :2], shift])
    moved = cv2.warpAffine(picture, in_pixels, (side, side), flags=_SAMPLING, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(_make_ones(side), in_pixels, (side, side), flags=_SAMPLING)
    return np.asarray(moved), np.asarray(inside > 0.999)


def compute_correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the Pearson correlation of two vectors; 0 when either is constant."""
    if not first.size:
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt(float(first @ first) * float(second @ second)))
    return float(first @ second) / norm if norm > 1e-6 else 0.0


def _correlate_gradients(first: Array, second: Array, covered: Mask) -> float:
    """Return the correlation of the gradients of two pictures where ``second`` covers; -1 below half."""
    mask = covered[:-1, :-1] & covered[1:, :-1] & covered[:-1, 1:]
    if mask.mean() < _MIN_OVERLAP:
        return -1.0
    return compute_correlation(_compute_gradients(first, mask), _compute_gradients(second, mask))


def _compute_gradients(picture: Array, mask: Mask) -> Array:
    """Return the differences between neighbouring pixels, downwards and then to the right, as one vector."""
    down, right = np.diff(picture, axis=0)[:, :-1], np.diff(picture, axis=1)[:-1]
    return np.concatenate([down[mask], right[mask]])


def _make_pyramid(thumbnail: NDArray[np.uint8]) -> dict[int, Array]:
    """Return the thumbnail at each side of the pyramid, averaged over 2 x 2 pixels."""
    levels = {THUMBNAIL_SIDE: thumbnail.astype(np.float32)}
    for side in (32, 16):
        levels[side] = np.asarray(cv2.resize(levels[side * 2], (side, side), interpolation=cv2.INTER_AREA), np.float32)
    return levels


@cache
def _make_grid(side: int) -> tuple[Array, Array]:
    """Return x and y of the pixel centres, float32 (side * side,) each: the picture spans -0.5..0.5 both ways."""
    centres = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    x, y = np.meshgrid(centres, centres)
    return x.ravel(), y.ravel()


@cache
def _make_ones(side: int) -> Array:
    """Return a white picture, float32 (side, side)."""
    return np.ones((side, side), np.float32)
