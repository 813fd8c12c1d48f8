"""Finds duplicate images: the same file, or the same image resized, cropped, brightened turned or mirrored.

Each image is reduced to a grey thumbnail and a perceptual hash. Images whose hashes are close are candidates
(``candidates.py``); thumbnails that agree after alignment look alike (``alignment.py``); whether they are versions of
one photo or two photos of things that look alike is decided on larger pictures (``likeness.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lince.datasets.dataset import Dataset
from lince.datasets.duplicates.candidates import find_candidates
from lince.datasets.duplicates.clusters import suggest_pairs
from lince.datasets.duplicates.comparisons import Pair, PairComparer
from lince.datasets.duplicates.likeness import Likeness
from lince.datasets.duplicates.pairs import DuplicatePair, PairFile
from lince.datasets.duplicates.pose import find_turned_pairs
from lince.datasets.duplicates.time_limit import UNLIMITED, TimeLimit
from lince.datasets.image_stats import ImageStats, compute_image_stats
from lince.datasets.union_find import UnionFind
from lince.i18n import _
from lince.progress import SILENT, Progress

__all__ = [
    "DuplicatePair",
    "DuplicateSearch",
    "ImageFingerprints",
    "compute_fingerprints",
    "find_duplicates",
    "get_fingerprints",
    "search_duplicates",
]
MIN_SIMILARITY = 0.7  # of two near duplicates; no false pair was above it among 3,670 photos checked by eye
MIN_IMAGE_SIDE = 48  # pixels of the shorter side; smaller images, such as digits, look alike too easily
_BATCH_SIZE = 32  # pairs that are compared at once, before those are left out that are connected by then


@dataclass(frozen=True)
class ImageFingerprints:
    """What is compared of N images.

    ``keys`` identify the contents, empty for an image that cannot be read; ``thumbnails`` uint8 (N, 64, 64) are grey;
    ``short_sides`` int32 (N,) are the shorter sides of the images in pixels.
    """

    keys: list[str]
    thumbnails: NDArray[np.uint8]
    short_sides: NDArray[np.int32]

    def select(self, rows: NDArray[np.int64]) -> ImageFingerprints:
        """Return the fingerprints of the images at ``rows``."""
        return ImageFingerprints([self.keys[row] for row in rows], self.thumbnails[rows], self.short_sides[rows])


@dataclass(frozen=True, eq=False)
class DuplicateSearch:
    """The pairs of duplicates of a dataset (``find_duplicates``), and the fingerprints that they were found by.

    ``undecided`` are the rows of the pairs that may look alike and were not compared before the time was over.
    """

    fingerprints: ImageFingerprints
    pairs: tuple[DuplicatePair, ...]
    undecided: tuple[tuple[int, int], ...] = ()

    def reorder(self, order: NDArray[np.int64]) -> DuplicateSearch:
        """Return what was found of the same images in the ``order`` (N,) of their rows."""
        places = np.argsort(order).tolist()
        moved = ((places[pair.first], places[pair.second], pair) for pair in self.pairs)
        pairs = (replace(pair, first=min(one, other), second=max(one, other)) for one, other, pair in moved)
        undecided = ((places[first], places[second]) for first, second in self.undecided)
        return DuplicateSearch(self.fingerprints.select(order), tuple(pairs), tuple(undecided))


def find_duplicates(
    dataset: Dataset, progress: Progress = SILENT, fingerprints: ImageFingerprints | None = None
) -> tuple[DuplicatePair, ...]:
    """Return pairs of duplicate images, ordered by row: enough to connect every group of duplicates, not all pairs.

    Equal files are paired with the first of them; only this one is compared with other images. Images with a shorter
    side below ``MIN_IMAGE_SIDE`` pixels have exact duplicates only. ``fingerprints`` are computed unless they are
    given. What was found is kept until a content or a class changes.
    """
    return search_duplicates(dataset, fingerprints or compute_fingerprints(dataset, progress), progress).pairs


def search_duplicates(
    dataset: Dataset, fingerprints: ImageFingerprints, progress: Progress = SILENT, limit: TimeLimit = UNLIMITED
) -> DuplicateSearch:
    """Return what ``find_duplicates`` finds until ``limit``, and the pairs that were not compared by then."""
    pair_file = PairFile(fingerprints.keys, fingerprints.short_sides, dataset.label_codes)
    kept = pair_file.load()
    if kept is not None:
        return DuplicateSearch(fingerprints, kept)
    first_rows: dict[str, int] = {}
    pairs = []
    for row, key in enumerate(fingerprints.keys):
        first = first_rows.setdefault(key, row)
        if key and first != row:
            pairs.append(DuplicatePair(first, row))
    rows = [row for key, row in first_rows.items() if key and fingerprints.short_sides[row] >= MIN_IMAGE_SIDE]
    search = _NearSearch(dataset, fingerprints, progress, limit)
    pairs += search.find_pairs(np.array(rows, np.int64))
    pairs.sort(key=lambda pair: (pair.first, pair.second))
    if not search.undecided:
        pair_file.store(pairs)
    return DuplicateSearch(fingerprints, tuple(pairs), tuple(search.undecided))


def compute_fingerprints(dataset: Dataset, progress: Progress = SILENT) -> ImageFingerprints:
    """Return the fingerprints of all images of ``dataset``, computed in parallel.

    They are cached by content in the cache folder, so that a second run only reads the files.
    """
    return get_fingerprints(compute_image_stats(dataset, progress))


def get_fingerprints(stats: ImageStats) -> ImageFingerprints:
    """Return the fingerprints of images that have been measured."""
    return ImageFingerprints(stats.keys, stats.thumbnails, stats.sizes.min(axis=1))


class _NearSearch:
    """Looks for near duplicates until ``limit``; ``undecided`` are the pairs that were not compared by then."""

    def __init__(self, dataset: Dataset, fingerprints: ImageFingerprints, progress: Progress, limit: TimeLimit) -> None:
        self._dataset, self._fingerprints, self._progress, self._limit = dataset, fingerprints, progress, limit
        self._count = len(fingerprints.keys)
        self.undecided: list[tuple[int, int]] = []

    def find_pairs(self, rows: NDArray[np.int64]) -> list[DuplicatePair]:
        """Return pairs that connect the near duplicates among the images at ``rows``."""
        thumbnails = self._fingerprints.thumbnails
        candidates: list[Pair] = [
            (int(rows[first]), int(rows[second]), is_mirrored)
            for first, second, is_mirrored in find_candidates(thumbnails[rows])
        ]
        turned = [(int(rows[i]), int(rows[j]), pose) for i, j, pose in find_turned_pairs(thumbnails[rows])]
        if not candidates and not turned:
            return []
        comparer = PairComparer(self._dataset, self._fingerprints.keys, thumbnails)
        try:
            alike = self._find_alike(candidates, comparer)
            suggested = suggest_pairs(list(alike), candidates, comparer, self._limit)
            same = self._find_same_photos([*alike, *suggested, *turned], comparer)
            similarities = alike | {
                pair: alignment.similarity for pair, alignment in zip(same, comparer.align(list(same)), strict=True)
            }
        finally:
            comparer.close()
        found = ((pair, similarity, same.get(pair)) for pair, similarity in similarities.items())
        return [
            DuplicatePair(
                first, second, similarity, True, like is not None, like is not None and like.is_certain, pose > 0
            )
            for (first, second, pose), similarity, like in found
        ]

    def _find_alike(self, candidates: list[Pair], comparer: PairComparer) -> dict[Pair, float]:
        """Return pairs that connect all images whose thumbnails are alike, with their similarities.

        Images that are connected already are not compared, so that a thousand frames of a still video need about as
        many comparisons.
        """
        forest = UnionFind(self._count)
        alike: dict[Pair, float] = {}
        for separate in self._iter_batches(_("Comparing photos"), candidates, forest):
            for pair, alignment in zip(separate, comparer.align(separate), strict=True):
                if alignment.similarity >= MIN_SIMILARITY and forest.merge(pair[0], pair[1]):
                    alike[pair] = alignment.similarity
        return alike

    def _find_same_photos(self, pairs: list[Pair], comparer: PairComparer) -> dict[Pair, Likeness]:
        """Return those of ``pairs`` that connect the versions of each photo.

        Turned pairs and pairs with two labels come last, because not all of them count as copies, and then must not
        stand for a pair that does.
        """
        codes = self._dataset.label_codes
        pairs = sorted(pairs, key=lambda pair: (pair[2] > 0, bool(codes[pair[0]] != codes[pair[1]])))
        forest = UnionFind(self._count)
        same: dict[Pair, Likeness] = {}
        for separate in self._iter_batches(_("Comparing photos that look alike"), pairs, forest):
            alignments = zip(separate, comparer.align(separate), strict=True)
            similar = [pair for pair, alignment in alignments if alignment.similarity >= MIN_SIMILARITY]
            found = zip(similar, comparer.compare_photos(similar), strict=True)
            same |= {pair: like for pair, like in found if like.is_same_photo and forest.merge(pair[0], pair[1])}
        return same

    def _iter_batches(self, name: str, pairs: list[Pair], forest: UnionFind) -> Iterator[list[Pair]]:
        """Yield ``pairs`` in batches without those that ``forest`` connects by then; keep the rest after the limit."""
        with self._progress.open_stage(name, len(pairs)) as stage:
            for start in range(0, len(pairs), _BATCH_SIZE):
                if self._limit.is_over():
                    rest = (pair[:2] for pair in pairs[start:])
                    self.undecided += [pair for pair in rest if not forest.is_connected(*pair)]
                    return
                batch = pairs[start : start + _BATCH_SIZE]
                yield [pair for pair in batch if not forest.is_connected(pair[0], pair[1])]
                stage.advance(len(batch))
