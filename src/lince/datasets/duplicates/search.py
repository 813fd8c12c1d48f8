"""Finds photos that are there more than once: the same file, or the same picture resized, cut, brightened, mirrored.

Each photo becomes a small grey picture and a hash of 64 signs of its cosine transform (Zauner 2010). Hashes that
differ in few bits, also those of a somewhat smaller cut and of the mirror image, name the pairs worth a look; then the
small pictures are laid over each other (``alignment.py``), which decides.
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

MIN_SIMILARITY = (
    0.7  # likeness from which two photos are held to be one: of 3,670 photos looked at by eye, none wrong above
)
MIN_IMAGE_SIDE = 48  # pixels of the shorter side; below it, different digits look alike
_MAX_BIT_DISTANCE = 12  # of 64 in which the hashes of one picture may differ
_CROP_SCALES = (1.0, 0.93, 0.86)
_FREQUENCIES = 12
_THUMBNAIL_SPEC = PreprocessSpec(THUMBNAIL_SIDE, THUMBNAIL_SIDE, channels="grey", mean=(0.0,), std=(1.0,))
_MAX_PARTNERS = 16  # of one photo that are compared at most: the nearest, which leads to all that are connected
_MAX_BUCKET_SIZE = 4096  # photos with an equal quarter; more are empty ones
_MAX_EXHAUSTIVE = 50_000  # photos from which not all hashes are compared with all others
_BATCH_SIZE, _BLOCK_SIZE = 1024, 2**24
_CACHE_VERSION = 1
HashArray = NDArray[np.uint64]


@dataclass(frozen=True)
class DuplicatePair:
    """Rows ``first`` < ``second`` that show the same; ``likeness`` is 1 for the same file, else at least ``NEARLY``."""

    first: int
    second: int
    similarity: float = 1.0
    is_near_duplicate: bool = False


@dataclass(frozen=True)
class ImageFingerprints:
    """What N photos look like: content ``keys``, ``thumbs`` uint8 (N, 64, 64), the shorter ``sides`` in pixels.

    The key of a photo that cannot be read is empty.
    """

    keys: list[str]
    thumbnails: NDArray[np.uint8]
    short_sides: NDArray[np.int32]


def find_duplicates(
    dataset: Dataset, progress: Progress = SILENT, fingerprints: ImageFingerprints | None = None
) -> tuple[DuplicatePair, ...]:
    """Return pairs of images that show the same, by rows, so many that they connect all that is alike.

    A file that is there often is paired with its first.

    What was found out about a content is kept in the cache folder, so that the second time is quick.
    """
    fingerprints = fingerprints or compute_fingerprints(dataset, progress)
    first_of: dict[str, int] = {}
    pairs = []
    for row, key in enumerate(fingerprints.keys):
        first = first_of.setdefault(key, row)
        if key and first != row:
            pairs.append(DuplicatePair(first, row))
    rows = np.array(
        [row for key, row in first_of.items() if key and fingerprints.short_sides[row] >= MIN_IMAGE_SIDE], np.int64
    )
    return tuple(
        sorted(
            [*pairs, *_find_near_duplicates(fingerprints.thumbnails, rows, progress)],
            key=lambda pair: (pair.first, pair.second),
        )
    )


def compute_fingerprints(dataset: Dataset, progress: Progress = SILENT) -> ImageFingerprints:
    """Look at every image once, by all cores, or find in the cache what it looked like."""
    cache = _FingerprintCache(fileio.get_cache_folder() / "looks")
    keys: list[str] = []
    thumbs = np.zeros((len(dataset), THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)
    sides = np.zeros(len(dataset), np.int32)
    with progress.open_stage(_("Looking for photos alike"), len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(dataset)))
            for row, (key, thumb, side) in zip(
                batch, pool.map(lambda i: _fingerprint_image(dataset, i, cache), batch), strict=True
            ):
                keys.append(key)
                thumbs[row], sides[row] = thumb, side
            stage.advance(len(batch))
    cache.add(keys, thumbs, sides)
    return ImageFingerprints(keys, thumbs, sides)


def compute_perceptual_hashes(thumbnails: NDArray[np.uint8], scale: float = 1.0) -> HashArray:
    """Return the 64-bit hashes (N,) of the central ``scale`` of ``thumbs`` (N, 64, 64)."""
    # Cutting and transforming are one matrix from either side.
    basis = _cosine_basis() @ _crop_matrix(scale)
    found = np.empty(len(thumbnails), np.uint64)
    for start in range(0, len(thumbnails), _BATCH_SIZE):
        part = thumbnails[start : start + _BATCH_SIZE].astype(np.float32)
        waves = basis @ part @ basis.T
        signs = np.packbits(waves[:, _ROWS, _COLUMNS] > 0, axis=1)
        found[start : start + _BATCH_SIZE] = np.ascontiguousarray(signs).view(np.uint64)[:, 0]
    return found


def compute_hamming_distances(one: HashArray, other: HashArray) -> NDArray[np.uint8]:
    """Return in how many bits hashes differ, arrays being broadcast."""
    return np.asarray(np.bitwise_count(one ^ other), np.uint8)


def _find_near_duplicates(
    thumbs: NDArray[np.uint8], rows: NDArray[np.int64], progress: Progress
) -> list[DuplicatePair]:
    """Return pairs that connect all that is alike: of a thousand frames of a still film 999, not half a million."""
    candidates = sorted(set(_candidate_pairs(thumbs[rows])))
    connected = UnionFind(len(rows))
    found = []
    with progress.open_stage(_("Comparing photos"), len(candidates)) as stage:
        for _bits, one, other, mirrored in candidates:  # in no threads: pictures this small keep the interpreter busy
            stage.advance()
            if connected.is_connected(one, other):
                continue
            first, second = thumbs[rows[one]], thumbs[rows[other]]
            value = compute_similarity(first[:, ::-1] if mirrored else first, second)
            if value >= MIN_SIMILARITY:
                connected.merge(one, other)
                found.append(DuplicatePair(int(rows[one]), int(rows[other]), value, is_near_duplicate=True))
    return found


def _candidate_pairs(thumbs: NDArray[np.uint8]) -> Iterator[tuple[int, int, int, bool]]:
    """Yield (bits that differ, one, other, mirrored), one < other, of hashes that are close."""
    whole = compute_perceptual_hashes(thumbs)
    find = _close_hashes if len(whole) <= _MAX_EXHAUSTIVE else _close_hashes_by_quarter
    for scale in _CROP_SCALES:
        cut = whole if scale == 1.0 else compute_perceptual_hashes(thumbs, scale)
        for mirrored in (False, True):
            for bits, one, other in find(whole, cut ^ (_MIRROR_BITS if mirrored else np.uint64(0))):
                if one != other:
                    yield bits, min(one, other), max(one, other), mirrored


def _close_hashes(whole: HashArray, cut: HashArray) -> Iterator[tuple[int, int, int]]:
    step = max(1, _BLOCK_SIZE // max(1, len(whole)))
    everything = np.arange(len(whole))
    for start in range(0, len(whole), step):
        apart = compute_hamming_distances(cut[start : start + step, None], whole[None])
        for at in np.flatnonzero((apart <= _MAX_BIT_DISTANCE).any(axis=1)).tolist():
            yield from _nearest_hashes(start + at, everything, apart[at])


def _close_hashes_by_quarter(whole: HashArray, cut: HashArray) -> Iterator[tuple[int, int, int]]:
    # Of very many, those are compared that agree in one of four quarters of their bits (Manku et al. 2007): all that
    # differ in at most three bits, and most of those that differ in some more.
    for shift in range(0, 64, 16):
        keys = (whole >> np.uint64(shift)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        wanted = (cut >> np.uint64(shift)) & np.uint64(0xFFFF)
        first, last = (np.searchsorted(keys[order], wanted, side) for side in ("left", "right"))
        for one in range(len(cut)):
            others = order[first[one] : last[one]][:_MAX_BUCKET_SIZE]
            yield from _nearest_hashes(one, others, compute_hamming_distances(cut[one], whole[others]))


def _nearest_hashes(one: int, others: NDArray[np.int64], bits: NDArray[np.uint8]) -> Iterator[tuple[int, int, int]]:
    near = np.flatnonzero(bits <= _MAX_BIT_DISTANCE)
    for at in near[np.argsort(bits[near], kind="stable")][:_MAX_PARTNERS].tolist():
        yield int(bits[at]), one, int(others[at])


def _fingerprint_image(dataset: Dataset, row: int, cache: _FingerprintCache) -> tuple[str, NDArray[np.uint8], int]:
    try:
        key = dataset.images.compute_key(row)
        known = cache.find(key)
        if known is not None:
            return key, *known
        image = dataset.images.read_image(row, (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        height, width = dataset.images.read_size(row)
    except ImageError:
        return "", np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8), 0
    grey = normalise_images([resize_to_input(image, _THUMBNAIL_SPEC)], _THUMBNAIL_SPEC)[0, 0]
    return key, np.rint(grey).astype(np.uint8), min(height, width)


class _FingerprintCache:
    """What contents looked like, in files that are only ever added; a broken one is passed over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: list[array_file.Columns] = []
        self._locations: dict[bytes, tuple[int, int]] = {}
        for path in sorted(folder.glob(f"{_CACHE_VERSION}-*.columns")) if folder.is_dir() else []:
            try:
                columns = array_file.read_columns(path)[1]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            number = len(self._shards)
            self._shards.append(columns)
            self._locations.update((bytes(key), (number, row)) for row, key in enumerate(columns["keys"]))

    def find(self, key: str) -> tuple[NDArray[np.uint8], int] | None:
        """Return the thumb and the shorter side of the content ``key``; ``None`` when it was never seen."""
        place = self._locations.get(bytes.fromhex(key))
        if place is None:
            return None
        columns, row = self._shards[place[0]], place[1]
        return columns["thumbs"][row], int(columns["sides"][row])

    def add(self, keys: list[str], thumbs: NDArray[np.uint8], sides: NDArray[np.int32]) -> None:
        """Keep what is new."""
        new = {key: row for row, key in enumerate(keys) if key and bytes.fromhex(key) not in self._locations}
        if not new:
            return
        rows = list(new.values())
        packed = np.frombuffer(bytes.fromhex("".join(new)), np.uint8).reshape(-1, 16)
        name = f"{_CACHE_VERSION}-{fileio.compute_digest(packed.tobytes())}.columns"
        array_file.write_columns(
            self._folder / name, {}, {"keys": packed, "thumbs": thumbs[rows], "sides": sides[rows]}
        )


def _cosine_basis() -> NDArray[np.float32]:
    """Return the first rows (12, 64) of the cosine transform."""
    place = np.arange(THUMBNAIL_SIDE) + 0.5
    waves = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * place / THUMBNAIL_SIDE)
    return np.asarray(waves * np.sqrt(2 / THUMBNAIL_SIDE), np.float32)


def _crop_matrix(scale: float) -> NDArray[np.float32]:
    """Return the matrix (64, 64) that brings the central ``scale`` of 64 values to 64 values."""
    place = np.clip(
        ((np.arange(THUMBNAIL_SIDE) + 0.5) / THUMBNAIL_SIDE - 0.5) * THUMBNAIL_SIDE * scale + THUMBNAIL_SIDE / 2 - 0.5,
        0,
        THUMBNAIL_SIDE - 1,
    )
    left = np.minimum(place.astype(np.int64), THUMBNAIL_SIDE - 2)
    matrix = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.float32)
    matrix[np.arange(THUMBNAIL_SIDE), left] = 1 - (place - left)
    matrix[np.arange(THUMBNAIL_SIDE), left + 1] += place - left
    return matrix


# The 64 lowest waves but the mean, the lowest first; mirroring turns the sign of those that are odd from left to right.
_WAVES = sorted(
    ((row, column) for row in range(_FREQUENCIES) for column in range(_FREQUENCIES) if row or column),
    key=lambda wave: (sum(wave), wave[0]),
)[:64]
_ROWS, _COLUMNS = np.array(_WAVES).T
_MIRROR_BITS = np.packbits(_COLUMNS % 2 == 1).view(np.uint64)[0]
