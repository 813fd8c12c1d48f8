"""One look at every photo, by all cores, remembered by content: does it open, its size, its light, its sharpness."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import files, images
from lince.annotations import Rejected
from lince.data import Dataset
from lince.data.source import PixelImages
from lince.errors import ImageError
from lince.messages import _
from lince.progress import SILENT, Progress

VERSION = 1  # of the figures below: others are not used
SIDE = 256  # pixels; a photo is brought near this before its light is measured
_BLOCK = 32  # pixels of the tiles in which sharpness is measured
_BATCH = 512
_NO_KIND = 255
_RECORD = np.dtype(
    [
        ("key", "S16"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("kind", "u1"),
        ("orientation", "u1"),
        ("brightness", "<f4"),
        ("bright_end", "<f4"),
        ("contrast", "<f4"),
        ("sharpness", "<f4"),
    ]
)
Columns = NDArray[np.void]


@dataclass(frozen=True, eq=False)
class Facts:
    """What the photos told, in the order of the dataset's rows; zeros for those that do not open.

    ``columns`` holds for each the upright ``height`` and ``width`` in pixels, the ``kind`` (index into
    ``images.KINDS``, 255 for none), the Exif ``orientation``, and in [0, 1] the mean ``brightness``, the
    ``bright_end`` (99th percentile) and the ``contrast`` (standard deviation); ``sharpness`` is the deviation of the
    Laplacian in the sharpest tiles, in grey levels. ``unreadable`` says by row why a photo does not open.
    """

    columns: Columns
    unreadable: dict[int, Rejected]

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(height, width) int32 (N, 2) of the upright photos."""
        return np.stack([self.columns["height"], self.columns["width"]], axis=1)

    def kind(self, row: int) -> str | None:
        """Return the kind of file that a photo really is."""
        number = int(self.columns["kind"][row])
        return None if number == _NO_KIND else images.KINDS[number]


def look(dataset: Dataset, progress: Progress = SILENT) -> Facts:
    """Open every photo of ``dataset`` once and return what it tells; contents met before are only read, not opened."""
    memory = _Memory(files.cache_folder() / f"facts-{VERSION}.npy")
    columns = np.zeros(len(dataset), _RECORD)
    unreadable: dict[int, Rejected] = {}
    with progress.stage(_("Looking at the photos"), len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH):
            rows = range(start, min(start + _BATCH, len(dataset)))
            for row, told in zip(rows, pool.map(lambda row: _one(dataset, row, memory), rows), strict=True):
                if isinstance(told, Rejected):
                    unreadable[row] = told
                else:
                    columns[row] = told
            stage.advance(len(rows))
    memory.keep(np.delete(columns, list(unreadable)))
    return Facts(columns, unreadable)


def _one(dataset: Dataset, row: int, memory: _Memory) -> tuple[object, ...] | Rejected:
    try:
        if isinstance(dataset.images, PixelImages):
            picture = dataset.images.read(row)
            return (b"", *picture.shape[:2], _NO_KIND, 1, *_light(picture))
        data = dataset.images.data(row)
        key = bytes.fromhex(files.digest(data))
        return memory.find(key) or _told(key, data)
    except ImageError as error:
        name = dataset.images.name(row)
        reason = error.found.removeprefix(f"{dataset.images.path(row)}: ").rstrip(".")
        return Rejected(name, reason, error.remedy.rstrip("."))


def _told(key: bytes, data: bytes) -> tuple[object, ...]:
    picture = images.decode(data, (SIDE, SIDE))
    kind = images.KINDS.index(images.kind(data) or "")
    return (key, *images.size(data), kind, images.orientation(data), *_light(picture))


def _light(picture: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Return brightness, bright end, contrast and sharpness of uint8 RGB (H, W, 3)."""
    step = max(1, min(picture.shape[:2]) // SIDE)
    grey = picture[::step, ::step].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    high = float(np.percentile(grey[::2, ::2], 99)) / 255
    return float(grey.mean()) / 255, high, float(grey.std()) / 255, _sharpness(grey)


def _sharpness(grey: NDArray[np.float32]) -> float:
    """Return the deviation of the Laplacian in the sharpest tiles: a photo with anything in focus has sharp ones."""
    edges = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    high, wide = edges.shape[0] // _BLOCK, edges.shape[1] // _BLOCK
    if not (high and wide):
        return float(edges.std()) if edges.size else 0.0
    tiles = edges[: high * _BLOCK, : wide * _BLOCK].reshape(high, _BLOCK, wide, _BLOCK)
    return float(np.percentile(tiles.std(axis=(1, 3)), 95))


class _Memory:
    """The figures of contents met before, sorted by digest in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = self._load()

    def find(self, key: bytes) -> tuple[object, ...] | None:
        """Return the record of a content, if it was met before."""
        at = int(np.searchsorted(self._records["key"], np.bytes_(key)))
        if at < len(self._records) and self._records["key"][at] == np.bytes_(key):
            return tuple(self._records[at].tolist())
        return None

    def keep(self, records: Columns) -> None:
        """Add ``records``, together with what other processes have kept in the meantime."""
        added = records[records["key"] != b""]
        if np.isin(added["key"], self._records["key"]).all():
            return
        both = np.concatenate([self._load(), added])
        _keys, first = np.unique(both["key"], return_index=True)
        with files.replacing(self._path) as aside, open(aside, "wb") as stream:
            np.save(stream, both[first], allow_pickle=False)

    def _load(self) -> Columns:
        try:
            records = np.load(self._path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return np.zeros(0, _RECORD)  # not there yet, or spoilt by the disk: looked at again
        return np.asarray(records) if records.dtype == _RECORD else np.zeros(0, _RECORD)
