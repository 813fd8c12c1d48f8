"""Perceptual hashes of thumbnails: pictures that look alike have hashes that differ in few bits.

A hash has 64 bits, the signs of the low frequencies of the cosine transform (Zauner 2010, "Implementation and
Benchmarking of Perceptual Image Hash Functions").
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.datasets.image_stats import THUMBNAIL_SIDE

_FREQUENCIES = 12  # of the cosine transform, in each direction
_BATCH_SIZE = 1024  # images
HashArray = NDArray[np.uint64]


def compute_perceptual_hashes(thumbnails: NDArray[np.uint8], scale: float = 1.0, angle: float = 0.0) -> HashArray:
    """Return the hashes, uint64 (N,), of ``thumbnails`` (N, 64, 64), or of their centre ``scale`` (0..1 of a side).

    The thumbnails are first turned by ``angle`` degrees.
    """
    return np.asarray(compute_wave_hashes(thumbnails, _make_basis(scale, angle))[0], np.uint64)


def compute_wave_hashes(thumbnails: NDArray[np.uint8], basis: NDArray[np.float32]) -> HashArray:
    """Return K hashes of each of ``thumbnails`` (N, 64, 64), uint64 (K, N), by the waves of ``basis`` (4096, 64 K)."""
    hashes = np.empty((basis.shape[1] // 64, len(thumbnails)), np.uint64)
    for start in range(0, len(thumbnails), _BATCH_SIZE):
        batch = thumbnails[start : start + _BATCH_SIZE].astype(np.float32)
        signs = np.packbits(batch.reshape(len(batch), -1) @ basis > 0, axis=1)
        hashes[:, start : start + _BATCH_SIZE] = np.ascontiguousarray(signs).view(np.uint64).T
    return hashes


def compute_hamming_distances(first: HashArray, second: HashArray) -> NDArray[np.uint8]:
    """Return the number of bits in which hashes differ, uint8; the arrays are broadcast."""
    return np.asarray(np.bitwise_count(first ^ second), np.uint8)


def turn_thumbnails(thumbnails: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    """Return ``thumbnails`` (N, 64, 64) turned by ``angle`` degrees around their centres."""
    if not angle:
        return thumbnails
    matrix = cv2.getRotationMatrix2D(((THUMBNAIL_SIDE - 1) / 2, (THUMBNAIL_SIDE - 1) / 2), angle, 1.0)
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return np.stack([cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE) for picture in thumbnails])


@cache
def _make_basis(scale: float, angle: float) -> NDArray[np.float32]:
    """Return the matrix, float32 (64 * 64, 64), from pixels of a thumbnail to the frequencies of a hash.

    Turning and cropping are part of it.
    """
    waves = turn_thumbnails(make_waves(scale), -angle)  # to turn what is measured is to turn the measure back
    return np.ascontiguousarray(waves.reshape(len(waves), -1).T)


def make_waves(scale: float = 1.0) -> NDArray[np.float32]:
    """Return the frequencies of a hash as pictures, float32 (64, 64, 64), in the centre ``scale`` of a thumbnail."""
    basis = _cosine_basis() @ make_crop_matrix(scale)
    return np.asarray(basis[_ROWS][:, :, None] * basis[_COLUMNS][:, None, :], np.float32)


def _cosine_basis() -> NDArray[np.float32]:
    """Return the first rows of the discrete cosine transform, float32 (12, 64)."""
    centres = np.arange(THUMBNAIL_SIDE) + 0.5
    basis = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * centres / THUMBNAIL_SIDE)
    return np.asarray(basis * np.sqrt(2 / THUMBNAIL_SIDE), np.float32)


def make_crop_matrix(scale: float) -> NDArray[np.float32]:
    """Return the matrix, float32 (64, 64), that resamples the centre ``scale`` of 64 values to 64 values, bilinear."""
    positions = np.clip(
        ((np.arange(THUMBNAIL_SIDE) + 0.5) / THUMBNAIL_SIDE - 0.5) * THUMBNAIL_SIDE * scale + THUMBNAIL_SIDE / 2 - 0.5,
        0,
        THUMBNAIL_SIDE - 1,
    )
    left = np.minimum(positions.astype(np.int64), THUMBNAIL_SIDE - 2)
    matrix = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.float32)
    matrix[np.arange(THUMBNAIL_SIDE), left] = 1 - (positions - left)
    matrix[np.arange(THUMBNAIL_SIDE), left + 1] += positions - left
    return matrix


# The 64 lowest frequencies without the mean, the lowest first. Mirroring the image flips the sign of those that are odd
# in the horizontal direction.
_FREQUENCY_PAIRS = sorted(
    ((row, column) for row in range(_FREQUENCIES) for column in range(_FREQUENCIES) if row or column),
    key=lambda pair: (sum(pair), pair[0]),
)[:64]
_ROWS, _COLUMNS = np.array(_FREQUENCY_PAIRS).T
MIRROR_BITS = np.packbits(_COLUMNS % 2 == 1).view(np.uint64)[0]
