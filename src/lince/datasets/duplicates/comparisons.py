"""Compares pairs of images by threads, and keeps what was found by their contents: a second check compares nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.datasets.content_cache import KEY_BYTES, ContentCache
from lince.datasets.dataset import Dataset
from lince.datasets.duplicates.alignment import Alignment, align_thumbnails
from lince.datasets.duplicates.likeness import PHOTO_SIDE, Likeness, compute_likeness, differ_clearly
from lince.datasets.duplicates.pose import are_versions, invert_pose, turn_picture
from lince.errors import ImageError

CACHE_VERSION = 1  # to be raised when the comparisons change; caches of other versions are deleted
_MAX_CACHE_BYTES = 2**25  # about 500,000 pairs
_MAX_PHOTOS = 256  # in memory, 192 KiB each
_MAX_DOUBT = 16.0  # grey levels of difference, up to which the second photo is also compared with the first
_NOT_ALIKE = Likeness(1e9, 1e9, -1.0, 1.0, 0.0)  # of photos that differ clearly, or of which one cannot be read
Pair = tuple[int, int, int]  # the rows of two images, and the pose in which the first is compared (``turn_picture``)


class PairComparer:
    """Compares images of a dataset, given their content ``keys`` and ``thumbnails``, uint8 (N, 64, 64)."""

    def __init__(self, dataset: Dataset, keys: Sequence[str], thumbnails: NDArray[np.uint8]) -> None:
        self.dataset, self._keys, self._thumbnails = dataset, keys, thumbnails
        folder = fileio.get_cache_folder()
        self._alignments = ContentCache(folder / "alignments", CACHE_VERSION, _MAX_CACHE_BYTES)
        self._likenesses = ContentCache(folder / "likenesses", CACHE_VERSION, _MAX_CACHE_BYTES)
        self._new_alignments: dict[bytes, NDArray[np.float64]] = {}
        self._new_likenesses: dict[bytes, NDArray[np.float64]] = {}
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._read_photo = lru_cache(_MAX_PHOTOS)(self._load_photo)

    def get_thumbnail(self, row: int, pose: int = 0) -> NDArray[np.uint8]:
        """Return the thumbnail of an image in a pose, uint8 (64, 64)."""
        return turn_picture(self._thumbnails[row], pose)

    def align(self, pairs: Sequence[Pair]) -> list[Alignment]:
        """Return how the thumbnails of each pair lie on each other."""
        # Threads do not help: the arrays are too small.
        found = self._compute(pairs, self._alignments, self._new_alignments, self._align_pair, map)
        return [Alignment(values[:6].reshape(2, 3), float(values[6])) for values in found]

    def compare_photos(self, pairs: Sequence[Pair]) -> list[Likeness]:
        """Return how well the photos of each pair agree; their thumbnails are alike."""
        found = self._compute(pairs, self._likenesses, self._new_likenesses, self._compare_pair, self._pool.map)
        return [Likeness(*values.tolist()) for values in found]

    def close(self) -> None:
        """Keep what was compared."""
        self._pool.shutdown()
        for cache, new in ((self._alignments, self._new_alignments), (self._likenesses, self._new_likenesses)):
            if new:
                cache.add(list(new), {"values": np.stack(list(new.values()))})

    def _compute(
        self,
        pairs: Sequence[Pair],
        cache: ContentCache,
        new: dict[bytes, NDArray[np.float64]],
        compute: Callable[[Pair], NDArray[np.float64]],
        run: Callable[..., Iterable[NDArray[np.float64]]],
    ) -> list[NDArray[np.float64]]:
        """Return what ``compute`` gives for each pair, from the cache where it is kept; ``run`` works as ``map``."""
        keys = [self._make_key(pair) for pair in pairs]
        missing = {
            key: pair for key, pair in zip(keys, pairs, strict=True) if key not in new and cache.find(key) is None
        }
        new.update(zip(missing, run(compute, missing.values()), strict=True))
        return [new[key] if key in new else _take_values(cache.find(key)) for key in keys]

    def _make_key(self, pair: Pair) -> bytes:
        """Return what identifies a comparison: the contents in their order, and the pose of the first."""
        first, second, pose = pair
        text = f"{self._keys[first]}{self._keys[second]}{int(pose)}"
        return bytes.fromhex(fileio.compute_digest(text.encode()))[:KEY_BYTES]

    def _align_pair(self, pair: Pair) -> NDArray[np.float64]:
        """Return the matrix and the similarity of an alignment, float64 (7,)."""
        alignment = align_thumbnails(self.get_thumbnail(pair[0], pair[2]), self.get_thumbnail(pair[1]))
        return np.append(alignment.matrix, alignment.similarity)

    def _compare_pair(self, pair: Pair) -> NDArray[np.float64]:
        """Return the fields of the likeness of two images, float64 (5,)."""
        first, second, pose = pair
        try:
            likeness = self._compare_in_order(first, second, pose)
            if not likeness.is_same_photo and likeness.structure <= _MAX_DOUBT:
                reverse = self._compare_in_order(second, first, invert_pose(pose))
                likeness = reverse if reverse.has_strong_grain else likeness
        except ImageError:
            likeness = _NOT_ALIKE
        return np.array(astuple(likeness), np.float64)

    def _compare_in_order(self, first: int, second: int, pose: int) -> Likeness:
        """Return how well the photo ``second`` lies on ``first`` in a pose."""
        key = self._make_key((first, second, pose))
        known = self._new_alignments.get(key)
        values = self._align_pair((first, second, pose)) if known is None else known
        matrix = values[:6].reshape(2, 3)
        if differ_clearly(self.get_thumbnail(first, pose), self.get_thumbnail(second), matrix):
            return _NOT_ALIKE
        (photo, side), (other, other_side) = self._read_photo(first), self._read_photo(second)
        return compute_likeness(turn_picture(photo, pose), other, matrix, min(side, other_side)) or _NOT_ALIKE

    def _load_photo(self, row: int) -> tuple[NDArray[np.uint8], int]:
        """Return an image at the size at which photos are compared, uint8 RGB (256, 256, 3), and its shorter side."""
        image = self.dataset.images.read_image(row, (PHOTO_SIDE, PHOTO_SIDE))
        photo = cv2.resize(image, (PHOTO_SIDE, PHOTO_SIDE), interpolation=cv2.INTER_AREA)
        return np.asarray(photo, np.uint8), min(image.shape[:2])


class VersionComparer:
    """Says which thumbnails, uint8 (N, 64, 64), of images with content ``keys`` show one picture in any pose."""

    def __init__(self, keys: Sequence[str], thumbnails: NDArray[np.uint8]) -> None:
        self._keys, self._thumbnails = keys, thumbnails
        self._cache = ContentCache(fileio.get_cache_folder() / "versions", CACHE_VERSION, _MAX_CACHE_BYTES)
        self._new: dict[bytes, bool] = {}

    def are_versions(self, first: int, second: int) -> bool:
        """Whether two images look like versions of one original, altered, turned or mirrored."""
        text = "".join(sorted((self._keys[first], self._keys[second])))
        key = bytes.fromhex(fileio.compute_digest(text.encode()))[:KEY_BYTES]
        known = self._cache.find(key)
        if known is not None:
            return bool(known["values"])
        if key not in self._new:
            self._new[key] = are_versions(self._thumbnails[first], self._thumbnails[second])
        return self._new[key]

    def close(self) -> None:
        """Keep what was compared."""
        self._cache.add(list(self._new), {"values": np.array(list(self._new.values()), np.uint8)})


def _take_values(row: dict[str, Any] | None) -> NDArray[np.float64]:
    """Return the values of a row that is in the cache."""
    return np.empty(0) if row is None else np.asarray(row["values"], np.float64)
