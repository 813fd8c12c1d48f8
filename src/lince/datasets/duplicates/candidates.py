"""Finds pairs of thumbnails that are worth aligning: their hashes differ in few bits.

The hashes of slightly smaller centre crops, turned a
little or not, and of mirror images are compared too. Among photos that nearly all look
alike, the fine structure decides which pairs are the most promising.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.datasets.duplicates.hashes import (
    MIRROR_BITS,
    HashArray,
    compute_hamming_distances,
    compute_perceptual_hashes,
    make_crop_matrix,
    turn_thumbnails,
)

_MAX_BIT_DISTANCE = 12  # of 64 bits, between the hashes of two candidates
_CROP_SCALES = (1.0, 0.93, 0.86)  # of the centre crops that are hashed, as a fraction of each side
_VIEWS = (*((scale, 0.0) for scale in _CROP_SCALES), (0.93, 5.0), (0.93, -5.0))  # crops, and degrees by which they turn
_MAX_PARTNERS = 16  # candidates per image and crop, the nearest by hash; enough to connect all duplicates
_MAX_CANDIDATES = 32  # per image, the best by fine structure
_MAX_BUCKET_SIZE = 4096  # images with an equal quarter of the hash; larger buckets hold images without content
_MAX_EXHAUSTIVE = 50_000  # images; above, only hashes with an equal quarter are compared
_BLOCK_SIZE = 2**18  # hash distances computed at once; they stay in the processor's cache
_MIN_DETAIL = 0.25  # correlation of the fine structure of two candidates
_DETAIL_SIZE = 2.0  # pixels, standard deviation of the blur whose difference from a thumbnail is its fine structure
_DETAIL_SIDE = 32  # pixels of the thumbnails whose fine structure is compared
_BATCH_SIZE = 4096  # pairs whose fine structure is compared at once
_MAX_BITS = 64
Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
_NOTHING: Found = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Candidates:
    """Pairs of thumbnails whose hashes are close, one row each.

    The hash of ``cropped``, seen by the view with the index ``views`` and mirrored where ``mirrored`` holds, differs
    from that of ``other`` in ``distances`` bits.
    """

    cropped: NDArray[np.int64]
    other: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    views: NDArray[np.int64]
    distances: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Candidates:
        """Return the candidates at ``rows``."""
        indices = self.cropped[rows], self.other[rows]
        return Candidates(*indices, self.mirrored[rows], self.views[rows], self.distances[rows])


def find_candidates(thumbnails: NDArray[np.uint8]) -> list[tuple[int, int, bool]]:
    """Return pairs of ``thumbnails``, uint8 (N, 64, 64), that may be alike, the most alike first.

    A pair is two rows in ascending order, and whether one of them is mirrored.
    """
    found = _find_close_pairs(thumbnails)
    first, second = np.minimum(found.cropped, found.other), np.maximum(found.cropped, found.other)
    order = np.lexsort((found.views, found.distances, found.mirrored, second, first))
    keys = np.stack([first, second, found.mirrored.astype(np.int64)])[:, order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    found = found.take(order[is_new])
    found = found.take(_select_promising(thumbnails, found))
    first, second = np.minimum(found.cropped, found.other), np.maximum(found.cropped, found.other)
    order = np.lexsort((found.mirrored, second, first, found.distances))
    return list(zip(first[order].tolist(), second[order].tolist(), found.mirrored[order].tolist(), strict=True))


def _select_promising(thumbnails: NDArray[np.uint8], found: Candidates) -> NDArray[np.int64]:
    """Return the rows of the candidates that are among the best of one of their images, the best first."""
    scores = _compare_details(thumbnails, found)
    left = np.full(len(thumbnails), _MAX_CANDIDATES).tolist()
    selected = []
    pairs = list(zip(found.cropped.tolist(), found.other.tolist(), strict=True))
    for index in np.argsort(-scores, kind="stable")[: int((scores >= _MIN_DETAIL).sum())].tolist():
        one, other = pairs[index]
        if left[one] > 0 or left[other] > 0:
            selected.append(index)
            left[one] -= 1
            left[other] -= 1
    return np.array(selected, np.int64)


def _compare_details(thumbnails: NDArray[np.uint8], found: Candidates) -> NDArray[np.float64]:
    """Return the correlation of the fine structure of each candidate, -1 to 1, without aligning them."""
    scores = np.empty(len(found.cropped))
    all_details, places = _compute_details(thumbnails, found.other, *_VIEWS[0])
    for view, settings in enumerate(_VIEWS):
        rows = np.flatnonzero(found.views == view)
        details, own_places = _compute_details(thumbnails, found.cropped[rows], *settings)
        for start in range(0, len(rows), _BATCH_SIZE):
            batch = rows[start : start + _BATCH_SIZE]
            first = details[own_places[found.cropped[batch]]]
            is_mirrored = found.mirrored[batch]
            first[is_mirrored] = first[is_mirrored][:, :, ::-1]
            second = all_details[places[found.other[batch]]]
            scores[batch] = np.einsum("kij,kij->k", first, second, dtype=np.float32)
    return scores


def _compute_details(
    thumbnails: NDArray[np.uint8], rows: NDArray[np.int64], scale: float, angle: float
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Return the fine structure of the thumbnails at ``rows``, (K, 32, 32), with a norm of 1, as a view shows it.

    The second result has the place of each of the ``rows`` among the K, int64 (N,).
    """
    unique_rows = np.unique(rows)
    places = np.zeros(len(thumbnails), np.int64)
    places[unique_rows] = np.arange(len(unique_rows))
    basis = make_crop_matrix(scale).reshape(_DETAIL_SIDE, 2, -1).mean(axis=1)
    details = np.empty((len(unique_rows), _DETAIL_SIDE, _DETAIL_SIDE), np.float16)
    for start in range(0, len(unique_rows), _BATCH_SIZE):
        batch = thumbnails[unique_rows[start : start + _BATCH_SIZE]].astype(np.float32)
        for row, picture in enumerate(basis @ turn_thumbnails(batch, angle) @ basis.T, start):
            fine = picture - cv2.GaussianBlur(picture, (0, 0), _DETAIL_SIZE)
            details[row] = fine / max(float(np.linalg.norm(fine)), 1e-3)
    return details, places


def _find_close_pairs(thumbnails: NDArray[np.uint8]) -> Candidates:
    """Return for each thumbnail, in each view, mirrored or not, those with the nearest hashes."""
    hashes = compute_perceptual_hashes(thumbnails)
    find = _close_hashes if len(hashes) <= _MAX_EXHAUSTIVE else _close_hashes_by_quarter
    parts = []
    for view, (scale, angle) in enumerate(_VIEWS):
        view_hashes = compute_perceptual_hashes(thumbnails, scale, angle) if view else hashes
        for mirrored in (False, True):
            found = find(hashes, view_hashes ^ (MIRROR_BITS if mirrored else np.uint64(0)))
            parts.append((*found, np.full(len(found[0]), mirrored), np.full(len(found[0]), view)))
    distances, cropped, other, is_mirrored, views = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Candidates(cropped, other, is_mirrored, views, distances)


def _close_hashes(hashes: HashArray, view_hashes: HashArray) -> Found:
    """Return (distances, i, j) for each view's hash i and its nearest hashes j, comparing all with all."""
    step = max(1, _BLOCK_SIZE // max(1, len(hashes)))
    everything = np.arange(len(hashes))
    parts = [_NOTHING]
    for start in range(0, len(hashes), step):
        distances = compute_hamming_distances(view_hashes[start : start + step, None], hashes[None])
        rows = np.arange(len(distances))
        distances[rows, rows + start] = _MAX_BITS  # no image is a copy of itself
        rows = np.flatnonzero((distances <= _MAX_BIT_DISTANCE).any(axis=1))
        parts += [_select_nearest(start + row, everything, distances[row]) for row in rows.tolist()]
    return _join(parts)


def _close_hashes_by_quarter(hashes: HashArray, view_hashes: HashArray) -> Found:
    """Return (distances, i, j) as ``_close_hashes``, comparing only hashes with an equal quarter of their bits.

    This finds all hashes that differ in at most three bits, and most of those that differ in a few more (Manku, Jain
    and Das Sarma 2007, "Detecting Near-Duplicates for Web Crawling").
    """
    parts = [_NOTHING]
    for shift in range(0, 64, 16):
        quarters = (hashes >> np.uint64(shift)) & np.uint64(0xFFFF)
        order = np.argsort(quarters, kind="stable")
        view_quarters = (view_hashes >> np.uint64(shift)) & np.uint64(0xFFFF)
        starts, ends = (np.searchsorted(quarters[order], view_quarters, side) for side in ("left", "right"))
        for i in np.flatnonzero(starts < ends).tolist():
            bucket = order[starts[i] : ends[i]][:_MAX_BUCKET_SIZE]
            bucket = bucket[bucket != i]
            parts.append(_select_nearest(i, bucket, compute_hamming_distances(view_hashes[i], hashes[bucket])))
    return _join(parts)


def _select_nearest(i: int, others: NDArray[np.int64], distances: NDArray[np.uint8]) -> Found:
    """Return (distances, i, j) for the ``_MAX_PARTNERS`` nearest of ``others``, up to ``_MAX_BIT_DISTANCE``."""
    near = np.flatnonzero(distances <= _MAX_BIT_DISTANCE)
    near = near[np.argsort(distances[near], kind="stable")][:_MAX_PARTNERS]
    return distances[near].astype(np.int64), np.full(len(near), i), others[near]


def _join(parts: list[Found]) -> Found:
    """Return the columns of all ``parts``."""
    distances, rows, others = (np.concatenate(column) for column in zip(*parts, strict=True))
    return distances, rows, others
