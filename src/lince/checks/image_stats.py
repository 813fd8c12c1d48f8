"""One look at every photo, by all cores, remembered by content: does it open, its size, its light, its sharpness."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio, images
from lince.annotations import RejectedItem
from lince.datasets import Dataset
from lince.datasets.image_source import PixelImages
from lince.errors import ImageError
from lince.i18n import _
from lince.progress import SILENT, Progress

CACHE_VERSION = 1  # of the figures below: others are not used
ANALYSIS_SIDE = 256  # pixels; a photo is brought near this before its light is measured
_TILE_SIDE = 32  # pixels of the tiles in which sharpness is measured
_BATCH_SIZE = 512
_UNKNOWN_FORMAT = 255
_STATS_DTYPE = np.dtype(
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
StatsArray = NDArray[np.void]


@dataclass(frozen=True, eq=False)
class ImageStats:
    """What the photos told, in the order of the dataset's rows; zeros for those that do not open.

    ``columns`` holds for each the upright ``height`` and ``width`` in pixels, the ``kind`` (index into
    ``images.KINDS``, 255 for none), the Exif ``orientation``, and in [0, 1] the mean ``brightness``, the
    ``bright_end`` (99th percentile) and the ``contrast`` (standard deviation); ``sharpness`` is the deviation of the
    Laplacian in the sharpest tiles, in grey levels. ``unreadable`` says by row why a photo does not open.
    """

    columns: StatsArray
    unreadable_images: dict[int, RejectedItem]

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(height, width) int32 (N, 2) of the upright photos."""
        return np.stack([self.columns["height"], self.columns["width"]], axis=1)

    def get_image_format(self, row: int) -> str | None:
        """Return the kind of file that a photo really is."""
        number = int(self.columns["kind"][row])
        return None if number == _UNKNOWN_FORMAT else images.IMAGE_FORMATS[number]


def compute_image_stats(dataset: Dataset, progress: Progress = SILENT) -> ImageStats:
    """Open every photo of ``dataset`` once and return what it tells; contents met before are only read, not opened."""
    memory = _StatsCache(fileio.get_cache_folder() / f"facts-{CACHE_VERSION}.npy")
    columns = np.zeros(len(dataset), _STATS_DTYPE)
    unreadable: dict[int, RejectedItem] = {}
    with progress.open_stage(_("Looking at the photos"), len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH_SIZE):
            rows = range(start, min(start + _BATCH_SIZE, len(dataset)))
            for row, told in zip(
                rows, pool.map(lambda row: _compute_row_stats(dataset, row, memory), rows), strict=True
            ):
                if isinstance(told, RejectedItem):
                    unreadable[row] = told
                else:
                    columns[row] = told
            stage.advance(len(rows))
    memory.store(np.delete(columns, list(unreadable)))
    return ImageStats(columns, unreadable)


def _compute_row_stats(dataset: Dataset, row: int, memory: _StatsCache) -> tuple[object, ...] | RejectedItem:
    try:
        if isinstance(dataset.images, PixelImages):
            picture = dataset.images.read_image(row)
            return (b"", *picture.shape[:2], _UNKNOWN_FORMAT, 1, *_compute_light_stats(picture))
        data = dataset.images.read_bytes(row)
        key = bytes.fromhex(fileio.compute_digest(data))
        return memory.find(key) or _compute_file_stats(key, data)
    except ImageError as error:
        name = dataset.images.get_name(row)
        reason = error.problem.removeprefix(f"{dataset.images.get_path(row)}: ").rstrip(".")
        return RejectedItem(name, reason, error.remedy.rstrip("."))


def _compute_file_stats(key: bytes, data: bytes) -> tuple[object, ...]:
    picture = images.decode_image(data, (ANALYSIS_SIDE, ANALYSIS_SIDE))
    kind = images.IMAGE_FORMATS.index(images.detect_format(data) or "")
    return (key, *images.read_size(data), kind, images.read_orientation(data), *_compute_light_stats(picture))


def _compute_light_stats(picture: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Return brightness, bright end, contrast and sharpness of uint8 RGB (H, W, 3)."""
    step = max(1, min(picture.shape[:2]) // ANALYSIS_SIDE)
    grey = picture[::step, ::step].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    high = float(np.percentile(grey[::2, ::2], 99)) / 255
    return float(grey.mean()) / 255, high, float(grey.std()) / 255, _compute_sharpness(grey)


def _compute_sharpness(grey: NDArray[np.float32]) -> float:
    """Return the deviation of the Laplacian in the sharpest tiles: a photo with anything in focus has sharp ones."""
    edges = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    high, wide = edges.shape[0] // _TILE_SIDE, edges.shape[1] // _TILE_SIDE
    if not (high and wide):
        return float(edges.std()) if edges.size else 0.0
    tiles = edges[: high * _TILE_SIDE, : wide * _TILE_SIDE].reshape(high, _TILE_SIDE, wide, _TILE_SIDE)
    return float(np.percentile(tiles.std(axis=(1, 3)), 95))


class _StatsCache:
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

    def store(self, records: StatsArray) -> None:
        """Add ``records``, together with what other processes have kept in the meantime."""
        added = records[records["key"] != b""]
        if np.isin(added["key"], self._records["key"]).all():
            return
        both = np.concatenate([self._load(), added])
        _keys, first = np.unique(both["key"], return_index=True)
        with fileio.atomic_file(self._path) as aside, open(aside, "wb") as stream:
            np.save(stream, both[first], allow_pickle=False)

    def _load(self) -> StatsArray:
        try:
            records = np.load(self._path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return np.zeros(0, _STATS_DTYPE)  # not there yet, or spoilt by the disk: looked at again
        return np.asarray(records) if records.dtype == _STATS_DTYPE else np.zeros(0, _STATS_DTYPE)
