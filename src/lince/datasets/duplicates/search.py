"""Finds duplicate images: the same file, or the same image resized, cropped, brightened or mirrored.

Each image is reduced to a grey thumbnail and a 64-bit perceptual hash, the signs of the low frequencies of its cosine
transform (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"). Images whose hashes, or
those of a slightly smaller centre crop or of the mirror image, differ in few bits are candidates; the aligned
thumbnails (``alignment.py``) decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.datasets import array_file
from lince.datasets.dataset import Dataset
from lince.datasets.duplicates.alignment import THUMBNAIL_SIDE, compute_similarity
from lince.datasets.union_find import UnionFind
from lince.errors import ImageError
from lince.i18n import _
from lince.preprocess import PreprocessSpec, normalise_images, resize_to_input
from lince.progress import SILENT, Progress

MIN_SIMILARITY = 0.7  # of two near duplicates; no false pair was above it among 3,670 photos checked by eye
MIN_IMAGE_SIDE = 48  # pixels of the shorter side; smaller images, such as digits, look alike too easily
_MAX_BIT_DISTANCE = 12  # of 64 bits, between the hashes of two candidates
_CROP_SCALES = (1.0, 0.93, 0.86)  # of the centre crops that are hashed, as a fraction of each side
_FREQUENCIES = 12  # of the cosine transform, in each direction
_THUMBNAIL_SPEC = PreprocessSpec(THUMBNAIL_SIDE, THUMBNAIL_SIDE, channels="grey", mean=(0.0,), std=(1.0,))
_MAX_PARTNERS = 16  # candidates per image and crop, the nearest by hash; enough to connect all duplicates
_MAX_BUCKET_SIZE = 4096  # images with an equal quarter of the hash; larger buckets hold images without content
_MAX_EXHAUSTIVE = 50_000  # images; above, only hashes with an equal quarter are compared
_BATCH_SIZE = 1024  # images
_BLOCK_SIZE = 2**24  # hash distances computed at once
_CACHE_VERSION = 1
HashArray = NDArray[np.uint64]


@dataclass(frozen=True)
class DuplicatePair:
    """Two images that show the same; ``first`` < ``second`` are rows of the dataset.

    ``similarity`` is 1 for equal files, and at least ``MIN_SIMILARITY`` for near duplicates.
    """

    first: int
    second: int
    similarity: float = 1.0
    is_near_duplicate: bool = False


@dataclass(frozen=True)
class ImageFingerprints:
    """What is compared of N images.

    ``keys`` identify the contents, empty for an image that cannot be read; ``thumbnails`` uint8 (N, 64, 64) are grey;
    ``short_sides`` int32 (N,) are the shorter sides of the images in pixels.
    """

    keys: list[str]
    thumbnails: NDArray[np.uint8]
    short_sides: NDArray[np.int32]


def find_duplicates(
    dataset: Dataset, progress: Progress = SILENT, fingerprints: ImageFingerprints | None = None
) -> tuple[DuplicatePair, ...]:
    """Return pairs of duplicate images, ordered by row: enough to connect every group of duplicates, not all pairs.

    Equal files are paired with the first of them; only this one is compared with other images. Images with a shorter
    side below ``MIN_IMAGE_SIDE`` pixels have exact duplicates only. ``fingerprints`` are computed unless they are
    given.
    """
    fingerprints = fingerprints or compute_fingerprints(dataset, progress)
    first_rows: dict[str, int] = {}
    pairs = []
    for row, key in enumerate(fingerprints.keys):
        first = first_rows.setdefault(key, row)
        if key and first != row:
            pairs.append(DuplicatePair(first, row))
    rows = [row for key, row in first_rows.items() if key and fingerprints.short_sides[row] >= MIN_IMAGE_SIDE]
    pairs += _find_near_duplicates(fingerprints.thumbnails, np.array(rows, np.int64), progress)
    return tuple(sorted(pairs, key=lambda pair: (pair.first, pair.second)))


def compute_fingerprints(dataset: Dataset, progress: Progress = SILENT) -> ImageFingerprints:
    """Return the fingerprints of all images of ``dataset``, computed in parallel.

    They are cached by content in the cache folder, so that a second run only reads the files.
    """
    cache = _FingerprintCache(fileio.get_cache_folder() / "looks")
    keys: list[str] = []
    thumbnails = np.zeros((len(dataset), THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)
    short_sides = np.zeros(len(dataset), np.int32)
    with progress.open_stage(_("Looking for similar photos"), len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(dataset)))
            fingerprints = pool.map(lambda row: _fingerprint_image(dataset, row, cache), batch)
            for row, (key, thumbnail, short_side) in zip(batch, fingerprints, strict=True):
                keys.append(key)
                thumbnails[row], short_sides[row] = thumbnail, short_side
            stage.advance(len(batch))
    cache.add(keys, thumbnails, short_sides)
    return ImageFingerprints(keys, thumbnails, short_sides)


def compute_perceptual_hashes(thumbnails: NDArray[np.uint8], scale: float = 1.0) -> HashArray:
    """Return the hashes, uint64 (N,), of ``thumbnails`` (N, 64, 64), or of their centre ``scale`` (0..1 of a side)."""
    # Crop and transform are one matrix, applied from both sides.
    basis = _cosine_basis() @ _crop_matrix(scale)
    hashes = np.empty(len(thumbnails), np.uint64)
    for start in range(0, len(thumbnails), _BATCH_SIZE):
        batch = thumbnails[start : start + _BATCH_SIZE].astype(np.float32)
        coefficients = basis @ batch @ basis.T
        signs = np.packbits(coefficients[:, _ROWS, _COLUMNS] > 0, axis=1)
        hashes[start : start + _BATCH_SIZE] = np.ascontiguousarray(signs).view(np.uint64)[:, 0]
    return hashes


def compute_hamming_distances(first: HashArray, second: HashArray) -> NDArray[np.uint8]:
    """Return the number of bits in which hashes differ, uint8; the arrays are broadcast."""
    return np.asarray(np.bitwise_count(first ^ second), np.uint8)


def _find_near_duplicates(
    thumbnails: NDArray[np.uint8], rows: NDArray[np.int64], progress: Progress
) -> list[DuplicatePair]:
    """Return pairs that connect the near duplicates among the images at ``rows``.

    Images that are connected already are not compared, so that a thousand frames of a still video give 999 pairs.
    """
    candidates = sorted(set(_candidate_pairs(thumbnails[rows])))
    forest = UnionFind(len(rows))
    pairs = []
    with progress.open_stage(_("Comparing photos"), len(candidates)) as stage:
        for _distance, i, j, mirrored in candidates:  # threads do not help: the arrays are too small
            stage.advance()
            if forest.is_connected(i, j):
                continue
            first, second = thumbnails[rows[i]], thumbnails[rows[j]]
            similarity = compute_similarity(first[:, ::-1] if mirrored else first, second)
            if similarity >= MIN_SIMILARITY:
                forest.merge(i, j)
                pairs.append(DuplicatePair(int(rows[i]), int(rows[j]), similarity, is_near_duplicate=True))
    return pairs


def _candidate_pairs(thumbnails: NDArray[np.uint8]) -> Iterator[tuple[int, int, int, bool]]:
    """Yield (distance, i, j, mirrored), i < j, for thumbnails with similar hashes; a pair may come repeatedly."""
    hashes = compute_perceptual_hashes(thumbnails)
    find = _close_hashes if len(hashes) <= _MAX_EXHAUSTIVE else _close_hashes_by_quarter
    for scale in _CROP_SCALES:
        crop_hashes = hashes if scale == 1.0 else compute_perceptual_hashes(thumbnails, scale)
        for mirrored in (False, True):
            for distance, i, j in find(hashes, crop_hashes ^ (_MIRROR_BITS if mirrored else np.uint64(0))):
                if i != j:
                    yield distance, min(i, j), max(i, j), mirrored


def _close_hashes(hashes: HashArray, crop_hashes: HashArray) -> Iterator[tuple[int, int, int]]:
    """Yield (distance, i, j) for each crop hash i and its nearest hashes j, comparing all with all."""
    step = max(1, _BLOCK_SIZE // max(1, len(hashes)))
    everything = np.arange(len(hashes))
    for start in range(0, len(hashes), step):
        distances = compute_hamming_distances(crop_hashes[start : start + step, None], hashes[None])
        for offset in np.flatnonzero((distances <= _MAX_BIT_DISTANCE).any(axis=1)).tolist():
            yield from _nearest_hashes(start + offset, everything, distances[offset])


def _close_hashes_by_quarter(hashes: HashArray, crop_hashes: HashArray) -> Iterator[tuple[int, int, int]]:
    """Yield (distance, i, j) as ``_close_hashes``, comparing only hashes with an equal quarter of their bits.

    This finds all hashes that differ in at most three bits, and most of those that differ in a few more (Manku, Jain
    and Das Sarma 2007, "Detecting Near-Duplicates for Web Crawling").
    """
    for shift in range(0, 64, 16):
        quarters = (hashes >> np.uint64(shift)) & np.uint64(0xFFFF)
        order = np.argsort(quarters, kind="stable")
        crop_quarters = (crop_hashes >> np.uint64(shift)) & np.uint64(0xFFFF)
        starts, ends = (np.searchsorted(quarters[order], crop_quarters, side) for side in ("left", "right"))
        for i in range(len(crop_hashes)):
            bucket = order[starts[i] : ends[i]][:_MAX_BUCKET_SIZE]
            yield from _nearest_hashes(i, bucket, compute_hamming_distances(crop_hashes[i], hashes[bucket]))


def _nearest_hashes(i: int, others: NDArray[np.int64], distances: NDArray[np.uint8]) -> Iterator[tuple[int, int, int]]:
    """Yield (distance, i, j) for the ``_MAX_PARTNERS`` nearest of ``others``, up to ``_MAX_BIT_DISTANCE``."""
    near = np.flatnonzero(distances <= _MAX_BIT_DISTANCE)
    for index in near[np.argsort(distances[near], kind="stable")][:_MAX_PARTNERS].tolist():
        yield int(distances[index]), i, int(others[index])


def _fingerprint_image(dataset: Dataset, row: int, cache: _FingerprintCache) -> tuple[str, NDArray[np.uint8], int]:
    """Return content key, thumbnail and shorter side of an image; an empty key when it cannot be read."""
    try:
        key = dataset.images.compute_key(row)
        cached = cache.find(key)
        if cached is not None:
            return key, *cached
        image = dataset.images.read_image(row, (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        height, width = dataset.images.read_size(row)
    except ImageError:
        return "", np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8), 0
    grey = normalise_images([resize_to_input(image, _THUMBNAIL_SPEC)], _THUMBNAIL_SPEC)[0, 0]
    return key, np.rint(grey).astype(np.uint8), min(height, width)


class _FingerprintCache:
    """Cache of thumbnails by content: files in ``folder`` that are added and never changed.

    Files that cannot be read are ignored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: list[array_file.Columns] = []
        self._locations: dict[bytes, tuple[int, int]] = {}
        for path in sorted(folder.glob(f"{_CACHE_VERSION}-*.columns")) if folder.is_dir() else []:
            try:
                columns = array_file.read_columns(path)[1]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            shard = len(self._shards)
            self._shards.append(columns)
            self._locations.update((bytes(key), (shard, row)) for row, key in enumerate(columns["keys"]))

    def find(self, key: str) -> tuple[NDArray[np.uint8], int] | None:
        """Return the thumbnail and the shorter side of the content ``key``; ``None`` when it is not cached."""
        location = self._locations.get(bytes.fromhex(key))
        if location is None:
            return None
        columns, row = self._shards[location[0]], location[1]
        return columns["thumbs"][row], int(columns["sides"][row])

    def add(self, keys: list[str], thumbnails: NDArray[np.uint8], short_sides: NDArray[np.int32]) -> None:
        """Write the fingerprints that are not cached yet to a new file, named by their digest."""
        new_rows = {key: row for row, key in enumerate(keys) if key and bytes.fromhex(key) not in self._locations}
        if not new_rows:
            return
        rows = list(new_rows.values())
        packed = np.frombuffer(bytes.fromhex("".join(new_rows)), np.uint8).reshape(-1, 16)
        name = f"{_CACHE_VERSION}-{fileio.compute_digest(packed.tobytes())}.columns"
        array_file.write_columns(
            self._folder / name, {}, {"keys": packed, "thumbs": thumbnails[rows], "sides": short_sides[rows]}
        )


def _cosine_basis() -> NDArray[np.float32]:
    """Return the first rows of the discrete cosine transform, float32 (12, 64)."""
    centres = np.arange(THUMBNAIL_SIDE) + 0.5
    basis = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * centres / THUMBNAIL_SIDE)
    return np.asarray(basis * np.sqrt(2 / THUMBNAIL_SIDE), np.float32)


def _crop_matrix(scale: float) -> NDArray[np.float32]:
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
_MIRROR_BITS = np.packbits(_COLUMNS % 2 == 1).view(np.uint64)[0]
