"""Suggests which images of a cluster that looks alike may be versions of one photo.

All frames of a fixed camera look alike, so that nearly all of each pair agrees. What all have in common is taken away;
versions of one photo then agree in what is left, and other photos do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.datasets.duplicates.alignment import Matrix, move_picture
from lince.datasets.duplicates.comparisons import Pair, PairComparer
from lince.datasets.duplicates.time_limit import UNLIMITED, TimeLimit
from lince.datasets.image_stats import THUMBNAIL_SIDE

_MIN_CLUSTER_SIZE = 3  # images; the pairs of smaller ones are compared anyway
_MIN_CORRELATION = 0.25  # of what is left of two images
_MAX_SUGGESTIONS = 3  # per image, the best
_MAX_NEAREST = 6  # candidates per image, the nearest by hash
_MARGIN = 4  # pixels at the border of a thumbnail that are not compared
_ALIGNED_AT_ONCE = 32  # images, between two looks at the clock
_BLOCK_SIZE = 512  # images compared with all others at once
Entry = tuple[int, int, Matrix]  # the row of an image, its pose, and where it lies on the reference


def suggest_pairs(
    alike: Sequence[Pair], candidates: Sequence[Pair], comparer: PairComparer, limit: TimeLimit = UNLIMITED
) -> list[Pair]:
    """Return pairs in the clusters that the pairs ``alike`` connect, without those, the most promising first.

    The last ones are the first ``candidates`` of each image. Clusters whose turn comes after ``limit`` are left out.
    """
    suggested: list[tuple[float, Pair]] = []
    for cluster in _find_clusters(alike):
        if limit.is_over():
            break
        if len(cluster) >= _MIN_CLUSTER_SIZE:
            suggested += _suggest_in_cluster(cluster, comparer, limit)
            suggested += ((0.0, pair) for pair in _select_nearest(cluster, candidates))
    known = set(alike)
    ordered = dict.fromkeys(pair for _score, pair in sorted(suggested, key=lambda item: -item[0]))
    return [pair for pair in ordered if pair not in known]


def _select_nearest(cluster: dict[int, bool], candidates: Sequence[Pair]) -> Iterator[Pair]:
    """Yield the first ``candidates`` of each image of ``cluster``."""
    left = dict.fromkeys(cluster, _MAX_NEAREST)
    for pair in candidates:
        if any(left.get(row, 0) > 0 for row in pair[:2]):
            yield pair
            for row in pair[:2]:
                left[row] = left.get(row, 0) - 1


def _find_clusters(alike: Sequence[Pair]) -> list[dict[int, bool]]:
    """Return the images of each cluster, and whether each is mirrored in relation to the first of them.

    The first is the one with the most neighbours.
    """
    neighbours: dict[int, list[tuple[int, bool]]] = {}
    for first, second, is_mirrored in alike:
        neighbours.setdefault(first, []).append((second, bool(is_mirrored)))
        neighbours.setdefault(second, []).append((first, bool(is_mirrored)))
    clusters, seen = [], set[int]()
    for start in sorted(neighbours, key=lambda row: -len(neighbours[row])):
        if start in seen:
            continue
        cluster, queue = {start: False}, [start]
        for row in queue:
            for other, is_mirrored in neighbours[row]:
                if other not in cluster:
                    cluster[other] = cluster[row] != is_mirrored
                    queue.append(other)
        seen |= cluster.keys()
        clusters.append(cluster)
    return clusters


def _suggest_in_cluster(cluster: dict[int, bool], comparer: PairComparer, limit: TimeLimit) -> list[tuple[float, Pair]]:
    """Return (correlation, pair) for the best partners of each image of ``cluster``, whose first is the reference."""
    entries = _align_cluster(cluster, comparer, limit)
    rows = np.array([row for row, _pose, _matrix in entries])
    rests = _compute_rests(entries, comparer)
    suggested: dict[tuple[int, int], tuple[float, Pair]] = {}
    for start in range(0, len(entries), _BLOCK_SIZE):
        correlations = rests[start : start + _BLOCK_SIZE] @ rests.T
        for place, row_correlations in enumerate(correlations, start):
            row_correlations[rows == rows[place]] = -1
            for best in np.argsort(-row_correlations)[:_MAX_SUGGESTIONS].tolist():
                correlation, pair = float(row_correlations[best]), _make_pair(entries[place], entries[best])
                if correlation >= max(_MIN_CORRELATION, suggested.get(pair[:2], (0.0, pair))[0]):
                    suggested[pair[:2]] = correlation, pair
    return list(suggested.values())


def _align_cluster(cluster: dict[int, bool], comparer: PairComparer, limit: TimeLimit) -> list[Entry]:
    """Return the images of ``cluster`` that lie on its first one: row, pose, and matrix; those found until ``limit``.

    Where some are mirrored, things may be symmetric, so that each is taken in both poses.
    """
    reference, *others = cluster
    is_mixed = len(set(cluster.values())) > 1
    pairs = [(row, reference, pose) for row in others for pose in ((0, 1) if is_mixed else (int(cluster[row]),))]
    found: list[Entry] = []
    for start in range(0, len(pairs), _ALIGNED_AT_ONCE):
        if limit.is_over():
            break
        batch = pairs[start : start + _ALIGNED_AT_ONCE]
        aligned = zip(batch, comparer.align(batch), strict=True)
        found += ((row, pose, alignment.matrix) for (row, _, pose), alignment in aligned if alignment.similarity > 0)
    return [(reference, 0, np.eye(2, 3)), *found]


def _make_pair(one: Entry, other: Entry) -> Pair:
    """Return two images in the order of their rows, and the pose of the first as the second shows it."""
    first, second = sorted((one, other), key=lambda entry: entry[0])
    return first[0], second[0], first[1] ^ second[1]


def _compute_rests(entries: Sequence[Entry], comparer: PairComparer) -> NDArray[np.float32]:
    """Return what is left of each thumbnail without what all have in common, (N, pixels), with a norm of 1."""
    pictures = np.empty((len(entries), THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.float32)
    for index, (row, pose, matrix) in enumerate(entries):
        inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
        moved, covered = move_picture(comparer.get_thumbnail(row, pose).astype(np.float32), inverse)
        values = moved[covered] if covered.any() else moved
        pictures[index] = np.where(covered, (moved - values.mean()) / max(float(values.std()), 1.0), np.nan)
    common = np.nan_to_num(np.nanmedian(pictures, axis=0))
    rests = np.nan_to_num(pictures - common)[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].reshape(len(entries), -1)
    return np.asarray(rests / np.maximum(np.linalg.norm(rests, axis=1, keepdims=True), 1e-3), np.float32)
