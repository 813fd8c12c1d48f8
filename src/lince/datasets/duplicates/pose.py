"""Compares two thumbnails of which one may be turned by any angle, mirrored, or cut: versions of one original.

A pose by right angles is a number: 1 for a mirror image, and 2 for each quarter turn after that. The search for other
poses is coarse: the middle of one thumbnail is compared with that of the other in every pose of a grid, and the
alignment (``alignment.py``) starts from the best ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lince.datasets.duplicates.alignment import compute_gradient_correlation, compute_similarity
from lince.datasets.duplicates.hashes import (
    HashArray,
    compute_hamming_distances,
    compute_perceptual_hashes,
    compute_wave_hashes,
    make_waves,
)
from lince.datasets.image_stats import THUMBNAIL_SIDE

MIN_VERSION_SIMILARITY = 0.45  # of two versions; among 480 pairs of unrelated photos none was above 0.25
_MIN_COARSE_LIKENESS = 0.4  # correlation of the middles in the best pose; below it the alignment hardly ever succeeds
_POSES = 8  # by right angles
_SIDE = 16  # pixels of the thumbnails that the search compares
_RADIUS = 0.38  # of the middle that is compared, as a fraction of the side
_ANGLE_STEP = 15  # degrees between two poses; the alignment bridges the rest
_SCALES = (1.0, 0.8, 1.25)
_POSES_TRIED = 5  # best poses from which the alignment starts
_MIN_TURNED_SIMILARITY = 0.8  # of images without a telling name, one of which is turned by right angles or mirrored
_MAX_TURNED_BITS = 6  # of 64, between the perceptual hashes of the two
_MAX_TURNED_PARTNERS = 4  # of one image in one turn, the nearest by hash
_MAX_EXHAUSTIVE = 20_000  # images; in larger sets turned copies are found by their names only
_BLOCK_SIZE = 2**18  # hash distances computed at once; they stay in the processor's cache
FloatArray = NDArray[np.float64]
Pixel = TypeVar("Pixel", bound=np.generic)


def are_versions(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    """Whether two thumbnails, uint8 (64, 64), show one picture, altered, turned or mirrored: in either direction."""
    return any(
        compute_similarity(reference, moving, _list_poses()[pose]) >= MIN_VERSION_SIMILARITY
        for reference, moving in ((first, second), (second, first))
        for pose in _find_best_poses(reference, moving)
    )


def turn_picture(picture: NDArray[Pixel], pose: int) -> NDArray[Pixel]:
    """Return a picture, (side, side) or with channels, in one of the eight poses by right angles."""
    mirrored = picture[:, ::-1] if pose & 1 else picture
    return np.ascontiguousarray(np.rot90(mirrored, pose >> 1)) if pose else picture


def invert_pose(pose: int) -> int:
    """Return the pose that takes a picture in ``pose`` back."""
    return pose if pose & 1 else (-pose) % _POSES


def find_turned_pairs(thumbnails: NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    """Return pairs of ``thumbnails``, uint8 (N, 64, 64), that may show one picture turned by right angles.

    A pair is two rows in ascending order, and the pose in which the first looks like the second. Nothing is aligned, so
    a picture that was also cut is not found; mirror images alone are left to ``candidates.find_candidates``.
    """
    if not 2 <= len(thumbnails) <= _MAX_EXHAUSTIVE:
        return []
    hashes, pairs = compute_perceptual_hashes(thumbnails), []
    for pose, turned_hashes in enumerate(compute_wave_hashes(thumbnails, _make_turned_basis()), 2):
        for i, j in _near_hashes(turned_hashes, hashes):
            turned = turn_picture(thumbnails[i], pose)
            if i < j and compute_gradient_correlation(turned, thumbnails[j]) >= _MIN_TURNED_SIMILARITY:
                pairs.append((i, j, pose))
    return pairs


@cache
def _make_turned_basis() -> NDArray[np.float32]:
    """Return the waves of a hash for the poses from 2 on, float32 (4096, 384): to turn these back turns a picture."""
    turned = [turn_picture(wave, invert_pose(pose)) for pose in range(2, _POSES) for wave in make_waves()]
    return np.ascontiguousarray(np.stack(turned).reshape(len(turned), -1).T)


def _near_hashes(first: HashArray, second: HashArray) -> Iterator[tuple[int, int]]:
    """Yield (i, j) for each of the hashes ``first`` and the nearest of ``second``, at most ``_MAX_TURNED_BITS`` off."""
    step = max(1, _BLOCK_SIZE // len(second))
    for start in range(0, len(first), step):
        distances = compute_hamming_distances(first[start : start + step, None], second[None])
        for row in np.flatnonzero((distances <= _MAX_TURNED_BITS).any(axis=1)).tolist():
            near = np.flatnonzero(distances[row] <= _MAX_TURNED_BITS)
            for j in near[np.argsort(distances[row, near], kind="stable")][:_MAX_TURNED_PARTNERS].tolist():
                yield start + row, j


def _find_best_poses(reference: NDArray[np.uint8], moving: NDArray[np.uint8]) -> list[int]:
    """Return the numbers of the poses in which the middle of ``moving`` is most like that of ``reference``."""
    (target,), candidates = _sample_middle(reference, _list_poses()[:1]), _sample_middle(moving, _list_poses())
    likeness = candidates @ target
    best = np.argsort(-likeness, kind="stable")[:_POSES_TRIED]
    return [int(pose) for pose in best if likeness[pose] >= _MIN_COARSE_LIKENESS]


def _sample_middle(thumbnail: NDArray[np.uint8], poses: FloatArray) -> FloatArray:
    """Return the middle of ``thumbnail`` in each of ``poses`` (P, 2, 3), centred and of length 1: (P, points)."""
    step = THUMBNAIL_SIDE // _SIDE
    pixels = thumbnail.astype(np.float64).reshape(_SIDE, step, _SIDE, step).mean(axis=(1, 3)).ravel()
    x, y = np.moveaxis((poses @ _list_points() + 0.5) * _SIDE - 0.5, 1, 0).clip(0, _SIDE - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    x_weight, y_weight, corner = x - left, y - top, top * _SIDE + left
    upper = pixels[corner] * (1 - x_weight) + pixels[corner + 1] * x_weight
    lower = pixels[corner + _SIDE] * (1 - x_weight) + pixels[corner + _SIDE + 1] * x_weight
    values = upper * (1 - y_weight) + lower * y_weight
    values -= values.mean(axis=1, keepdims=True)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6), np.float64)


@cache
def _list_points() -> FloatArray:
    """Return x, y and 1 of the pixels in the middle of a thumbnail, (3, points); the side is 1, its centre 0."""
    centres = (np.arange(_SIDE) + 0.5) / _SIDE - 0.5
    x, y = np.meshgrid(centres, centres)
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return np.asarray(points[:, points[0] ** 2 + points[1] ** 2 <= _RADIUS**2])


@cache
def _list_poses() -> FloatArray:
    """Return the maps of all poses, (P, 2, 3): sizes, sides and angles; the first leaves everything as it is."""
    poses = []
    for scale in _SCALES:
        for side in (1, -1):
            for angle in np.deg2rad(np.arange(0, 360, _ANGLE_STEP)):
                turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
                poses.append(np.column_stack([scale * turn @ np.diag([side, 1]), np.zeros(2)]))
    return np.stack(poses)
