"""Measures every image of a dataset (size, format, orientation, brightness, contrast, sharpness), cached by content."""

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

CACHE_VERSION = 1  # to be raised when the measurements change; caches of other versions are ignored
ANALYSIS_SIDE = 256  # pixels; larger images are reduced to about this shorter side before they are measured
_TILE_SIDE = 32  # pixels of the square tiles in which sharpness is measured
_BATCH_SIZE = 512  # images between two updates of the progress bar
_UNKNOWN_FORMAT = 255  # ``kind`` of images that do not come from a file
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
    """Measurements of N images, one row each in the order of the dataset; zeros for images that cannot be opened.

    ``columns`` is a structured array (N,) with these fields:

    - ``key``: 16 bytes, the digest of the file; empty for images that do not come from a file;
    - ``height``, ``width``: pixels, after applying the Exif orientation;
    - ``kind``: the image format as an index into ``images.IMAGE_FORMATS``, 255 for none;
    - ``orientation``: the Exif orientation, 1..8;
    - ``brightness``: mean of the grey values, 0..1;
    - ``bright_end``: their 99th percentile, 0..1;
    - ``contrast``: their standard deviation, 0..1;
    - ``sharpness``: standard deviation of the Laplacian in the sharpest tiles, in grey levels of 0..255.

    ``unreadable_images`` gives, by row, the reason why an image cannot be opened.
    """

    columns: StatsArray
    unreadable_images: dict[int, RejectedItem]

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(height, width) of each upright image in pixels: int32 (N, 2), 0 where it cannot be opened."""
        return np.stack([self.columns["height"], self.columns["width"]], axis=1)

    def get_image_format(self, row: int) -> str | None:
        """Return the image format by content, such as ``jpeg``; ``None`` for an image without a file."""
        index = int(self.columns["kind"][row])
        return None if index == _UNKNOWN_FORMAT else images.IMAGE_FORMATS[index]


def compute_image_stats(dataset: Dataset, progress: Progress = SILENT) -> ImageStats:
    """Return the measurements of all images of ``dataset``, computed in parallel.

    Every file is read; it is decoded only when its content is not in the cache yet.
    """
    cache = _StatsCache(fileio.get_cache_folder() / f"facts-{CACHE_VERSION}.npy")
    columns = np.zeros(len(dataset), _STATS_DTYPE)
    unreadable: dict[int, RejectedItem] = {}
    with progress.open_stage(_("Analysing the photos"), len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH_SIZE):
            rows = range(start, min(start + _BATCH_SIZE, len(dataset)))
            records = pool.map(lambda row: _compute_row_stats(dataset, row, cache), rows)
            for row, record in zip(rows, records, strict=True):
                if isinstance(record, RejectedItem):
                    unreadable[row] = record
                else:
                    columns[row] = record
            stage.advance(len(rows))
    cache.store(np.delete(columns, list(unreadable)))
    return ImageStats(columns, unreadable)


def _compute_row_stats(dataset: Dataset, row: int, cache: _StatsCache) -> tuple[object, ...] | RejectedItem:
    """Return the record of one image (the fields of ``_STATS_DTYPE``), or why it cannot be opened."""
    try:
        if isinstance(dataset.images, PixelImages):
            image = dataset.images.read_image(row)
            return (b"", *image.shape[:2], _UNKNOWN_FORMAT, 1, *_compute_light_stats(image))
        data = dataset.images.read_bytes(row)
        key = bytes.fromhex(fileio.compute_digest(data))
        return cache.find(key) or _compute_file_stats(key, data)
    except ImageError as error:
        name = dataset.images.get_name(row)
        reason = error.problem.removeprefix(f"{dataset.images.get_path(row)}: ").rstrip(".")
        return RejectedItem(name, reason, error.remedy.rstrip("."))


def _compute_file_stats(key: bytes, data: bytes) -> tuple[object, ...]:
    """Return the record of an image file with content ``data``. Raise ``ImageError`` when it cannot be decoded."""
    image = images.decode_image(data, (ANALYSIS_SIDE, ANALYSIS_SIDE))
    format_index = images.IMAGE_FORMATS.index(images.detect_format(data) or "")
    return (key, *images.read_size(data), format_index, images.read_orientation(data), *_compute_light_stats(image))


def _compute_light_stats(image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Return brightness, bright end, contrast and sharpness of an image, uint8 RGB (H, W, 3)."""
    step = max(1, min(image.shape[:2]) // ANALYSIS_SIDE)
    grey = image[::step, ::step].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    bright_end = float(np.percentile(grey[::2, ::2], 99)) / 255
    return float(grey.mean()) / 255, bright_end, float(grey.std()) / 255, _compute_sharpness(grey)


def _compute_sharpness(grey: NDArray[np.float32]) -> float:
    """Return the 95th percentile, over tiles, of the standard deviation of the Laplacian of ``grey`` (H, W).

    A high percentile is used so that an image with a sharp subject before a blurred background counts as sharp.
    """
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    rows, columns = laplacian.shape[0] // _TILE_SIDE, laplacian.shape[1] // _TILE_SIDE
    if not (rows and columns):
        return float(laplacian.std()) if laplacian.size else 0.0
    tiles = laplacian[: rows * _TILE_SIDE, : columns * _TILE_SIDE].reshape(rows, _TILE_SIDE, columns, _TILE_SIDE)
    return float(np.percentile(tiles.std(axis=(1, 3)), 95))


class _StatsCache:
    """A file with the records of all images measured so far, sorted by the digest of their content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = self._load()

    def find(self, key: bytes) -> tuple[object, ...] | None:
        """Return the record of the content with digest ``key``; ``None`` when it has not been measured."""
        index = int(np.searchsorted(self._records["key"], np.bytes_(key)))
        if index < len(self._records) and self._records["key"][index] == np.bytes_(key):
            return tuple(self._records[index].tolist())
        return None

    def store(self, records: StatsArray) -> None:
        """Add ``records`` to the file, keeping what other processes have added to it in the meantime."""
        new_records = records[records["key"] != b""]
        if np.isin(new_records["key"], self._records["key"]).all():
            return
        merged = np.concatenate([self._load(), new_records])
        _keys, first = np.unique(merged["key"], return_index=True)
        with fileio.atomic_file(self._path) as aside, open(aside, "wb") as stream:
            np.save(stream, merged[first], allow_pickle=False)

    def _load(self) -> StatsArray:
        """Return the records of the file; none when it is missing, damaged or of another layout."""
        try:
            records = np.load(self._path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return np.zeros(0, _STATS_DTYPE)  # missing or damaged: everything is measured again
        return np.asarray(records) if records.dtype == _STATS_DTYPE else np.zeros(0, _STATS_DTYPE)
