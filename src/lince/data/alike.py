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

from lince import files
from lince.data import flatfile
from lince.data.alignment import SIDE, likeness
from lince.data.dataset import Dataset
from lince.data.union import Union
from lince.errors import ImageError
from lince.messages import _
from lince.preprocess import Preprocess, fit, normalise
from lince.progress import SILENT, Progress

NEARLY = 0.7  # likeness from which two photos are held to be one: of 3,670 photos looked at by eye, none wrong above
SMALLEST = 48  # pixels of the shorter side; below it, different digits look alike
_BITS = 12  # of 64 in which the hashes of one picture may differ
_SCALES = (1.0, 0.93, 0.86)
_FREQUENCIES = 12
_SPEC = Preprocess(SIDE, SIDE, channels="grey", mean=(0.0,), std=(1.0,))
_PARTNERS = 16  # of one photo that are compared at most: the nearest, which leads to all that are connected
_LOOKED_AT = 4096  # photos with an equal quarter; more are empty ones
_MANY = 50_000  # photos from which not all hashes are compared with all others
_BATCH, _BLOCK = 1024, 2**24
_VERSION = 1
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Pair:
    """Rows ``first`` < ``second`` that show the same; ``likeness`` is 1 for the same file, else at least ``NEARLY``."""

    first: int
    second: int
    likeness: float = 1.0
    near: bool = False


@dataclass(frozen=True)
class Looks:
    """What N photos look like: content ``keys``, ``thumbs`` uint8 (N, 64, 64), the shorter ``sides`` in pixels.

    The key of a photo that cannot be read is empty.
    """

    keys: list[str]
    thumbs: NDArray[np.uint8]
    sides: NDArray[np.int32]


def alike(dataset: Dataset, progress: Progress = SILENT, seen: Looks | None = None) -> tuple[Pair, ...]:
    """Return pairs of images that show the same, by rows, so many that they connect all that is alike.

    A file that is there often is paired with its first.

    What was found out about a content is kept in the cache folder, so that the second time is quick.
    """
    seen = seen or looks(dataset, progress)
    first_of: dict[str, int] = {}
    pairs = []
    for row, key in enumerate(seen.keys):
        first = first_of.setdefault(key, row)
        if key and first != row:
            pairs.append(Pair(first, row))
    rows = np.array([row for key, row in first_of.items() if key and seen.sides[row] >= SMALLEST], np.int64)
    return tuple(sorted([*pairs, *_near(seen.thumbs, rows, progress)], key=lambda pair: (pair.first, pair.second)))


def looks(dataset: Dataset, progress: Progress = SILENT) -> Looks:
    """Look at every image once, by all cores, or find in the cache what it looked like."""
    cache = _Cache(files.cache_folder() / "looks")
    keys: list[str] = []
    thumbs = np.zeros((len(dataset), SIDE, SIDE), np.uint8)
    sides = np.zeros(len(dataset), np.int32)
    with progress.stage(_("Looking for photos alike"), len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH):
            batch = range(start, min(start + _BATCH, len(dataset)))
            for row, (key, thumb, side) in zip(batch, pool.map(lambda i: _look(dataset, i, cache), batch), strict=True):
                keys.append(key)
                thumbs[row], sides[row] = thumb, side
            stage.advance(len(batch))
    cache.add(keys, thumbs, sides)
    return Looks(keys, thumbs, sides)


def hashes(thumbs: NDArray[np.uint8], scale: float = 1.0) -> Hashes:
    """Return the 64-bit hashes (N,) of the central ``scale`` of ``thumbs`` (N, 64, 64)."""
    # Cutting and transforming are one matrix from either side.
    basis = _cosines() @ _window(scale)
    found = np.empty(len(thumbs), np.uint64)
    for start in range(0, len(thumbs), _BATCH):
        part = thumbs[start : start + _BATCH].astype(np.float32)
        waves = basis @ part @ basis.T
        signs = np.packbits(waves[:, _ROWS, _COLUMNS] > 0, axis=1)
        found[start : start + _BATCH] = np.ascontiguousarray(signs).view(np.uint64)[:, 0]
    return found


def distances(one: Hashes, other: Hashes) -> NDArray[np.uint8]:
    """Return in how many bits hashes differ, arrays being broadcast."""
    return np.asarray(np.bitwise_count(one ^ other), np.uint8)


def _near(thumbs: NDArray[np.uint8], rows: NDArray[np.int64], progress: Progress) -> list[Pair]:
    """Return pairs that connect all that is alike: of a thousand frames of a still film 999, not half a million."""
    candidates = sorted(set(_candidates(thumbs[rows])))
    connected = Union(len(rows))
    found = []
    with progress.stage(_("Comparing photos"), len(candidates)) as stage:
        for _bits, one, other, mirrored in candidates:  # in no threads: pictures this small keep the interpreter busy
            stage.advance()
            if connected.joined(one, other):
                continue
            first, second = thumbs[rows[one]], thumbs[rows[other]]
            value = likeness(first[:, ::-1] if mirrored else first, second)
            if value >= NEARLY:
                connected.join(one, other)
                found.append(Pair(int(rows[one]), int(rows[other]), value, near=True))
    return found


def _candidates(thumbs: NDArray[np.uint8]) -> Iterator[tuple[int, int, int, bool]]:
    """Yield (bits that differ, one, other, mirrored), one < other, of hashes that are close."""
    whole = hashes(thumbs)
    find = _close if len(whole) <= _MANY else _close_by_quarters
    for scale in _SCALES:
        cut = whole if scale == 1.0 else hashes(thumbs, scale)
        for mirrored in (False, True):
            for bits, one, other in find(whole, cut ^ (_MIRROR if mirrored else np.uint64(0))):
                if one != other:
                    yield bits, min(one, other), max(one, other), mirrored


def _close(whole: Hashes, cut: Hashes) -> Iterator[tuple[int, int, int]]:
    step = max(1, _BLOCK // max(1, len(whole)))
    everything = np.arange(len(whole))
    for start in range(0, len(whole), step):
        apart = distances(cut[start : start + step, None], whole[None])
        for at in np.flatnonzero((apart <= _BITS).any(axis=1)).tolist():
            yield from _nearest(start + at, everything, apart[at])


def _close_by_quarters(whole: Hashes, cut: Hashes) -> Iterator[tuple[int, int, int]]:
    # Of very many, those are compared that agree in one of four quarters of their bits (Manku et al. 2007): all that
    # differ in at most three bits, and most of those that differ in some more.
    for shift in range(0, 64, 16):
        keys = (whole >> np.uint64(shift)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        wanted = (cut >> np.uint64(shift)) & np.uint64(0xFFFF)
        first, last = (np.searchsorted(keys[order], wanted, side) for side in ("left", "right"))
        for one in range(len(cut)):
            others = order[first[one] : last[one]][:_LOOKED_AT]
            yield from _nearest(one, others, distances(cut[one], whole[others]))


def _nearest(one: int, others: NDArray[np.int64], bits: NDArray[np.uint8]) -> Iterator[tuple[int, int, int]]:
    near = np.flatnonzero(bits <= _BITS)
    for at in near[np.argsort(bits[near], kind="stable")][:_PARTNERS].tolist():
        yield int(bits[at]), one, int(others[at])


def _look(dataset: Dataset, row: int, cache: _Cache) -> tuple[str, NDArray[np.uint8], int]:
    try:
        key = dataset.images.key(row)
        known = cache.find(key)
        if known is not None:
            return key, *known
        image = dataset.images.read(row, (SIDE, SIDE))
        height, width = dataset.images.size(row)
    except ImageError:
        return "", np.zeros((SIDE, SIDE), np.uint8), 0
    grey = normalise([fit(image, _SPEC)], _SPEC)[0, 0]
    return key, np.rint(grey).astype(np.uint8), min(height, width)


class _Cache:
    """What contents looked like, in files that are only ever added; a broken one is passed over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: list[flatfile.Columns] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        for path in sorted(folder.glob(f"{_VERSION}-*.columns")) if folder.is_dir() else []:
            try:
                columns = flatfile.read(path)[1]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            number = len(self._shards)
            self._shards.append(columns)
            self._places.update((bytes(key), (number, row)) for row, key in enumerate(columns["keys"]))

    def find(self, key: str) -> tuple[NDArray[np.uint8], int] | None:
        """Return the thumb and the shorter side of the content ``key``; ``None`` when it was never seen."""
        place = self._places.get(bytes.fromhex(key))
        if place is None:
            return None
        columns, row = self._shards[place[0]], place[1]
        return columns["thumbs"][row], int(columns["sides"][row])

    def add(self, keys: list[str], thumbs: NDArray[np.uint8], sides: NDArray[np.int32]) -> None:
        """Keep what is new."""
        new = {key: row for row, key in enumerate(keys) if key and bytes.fromhex(key) not in self._places}
        if not new:
            return
        rows = list(new.values())
        packed = np.frombuffer(bytes.fromhex("".join(new)), np.uint8).reshape(-1, 16)
        name = f"{_VERSION}-{files.digest(packed.tobytes())}.columns"
        flatfile.write(self._folder / name, {}, {"keys": packed, "thumbs": thumbs[rows], "sides": sides[rows]})


def _cosines() -> NDArray[np.float32]:
    """Return the first rows (12, 64) of the cosine transform."""
    place = np.arange(SIDE) + 0.5
    waves = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * place / SIDE)
    return np.asarray(waves * np.sqrt(2 / SIDE), np.float32)


def _window(scale: float) -> NDArray[np.float32]:
    """Return the matrix (64, 64) that brings the central ``scale`` of 64 values to 64 values."""
    place = np.clip(((np.arange(SIDE) + 0.5) / SIDE - 0.5) * SIDE * scale + SIDE / 2 - 0.5, 0, SIDE - 1)
    left = np.minimum(place.astype(np.int64), SIDE - 2)
    matrix = np.zeros((SIDE, SIDE), np.float32)
    matrix[np.arange(SIDE), left] = 1 - (place - left)
    matrix[np.arange(SIDE), left + 1] += place - left
    return matrix


# The 64 lowest waves but the mean, the lowest first; mirroring turns the sign of those that are odd from left to right.
_ORDER = sorted(
    ((row, column) for row in range(_FREQUENCIES) for column in range(_FREQUENCIES) if row or column),
    key=lambda wave: (sum(wave), wave[0]),
)[:64]
_ROWS, _COLUMNS = np.array(_ORDER).T
_MIRROR = np.packbits(_COLUMNS % 2 == 1).view(np.uint64)[0]
