"""Measures every image of a dataset (size, format, orientation, light, sharpness, thumbnail), cached by content.

Each content is read once, decoded once, and measured by OpenCV, which does not hold Python's lock.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import fileio, images
from lince.annotations import RejectedItem
from lince.datasets.content_cache import ContentCache
from lince.datasets.dataset import Dataset
from lince.datasets.image_source import FileImages, PixelImages, TreeImages
from lince.errors import ImageError
from lince.i18n import _
from lince.preprocess import LUMA_WEIGHTS, PreprocessSpec, resize_to_input
from lince.progress import SILENT, Progress

CACHE_VERSION = 2  # to be raised when the measurements change; caches of other versions are deleted
THUMBNAIL_SIDE = 64
ANALYSIS_SIDE = 256  # pixels; larger images are reduced to about this shorter side before they are measured
_ANALYSIS_SIZE = (ANALYSIS_SIDE, ANALYSIS_SIDE)
_TILE_SIDE = 32  # pixels of the square tiles in which sharpness is measured
_BATCH_SIZE = 512  # images between two updates of the progress bar
_CHUNK_SIZE = 16  # images that a thread takes at once
_MAX_CACHE_BYTES = 2**29  # about 120,000 images
MAX_THUMBNAILS_IN_MEMORY = 2**14  # 64 MiB; those of a larger dataset are in a temporary file
_UNKNOWN_FORMAT = 255  # ``kind`` of images that do not come from a file
_STATS_DTYPE = np.dtype(
    [
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
_THUMBNAIL_SPEC = PreprocessSpec(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
StatsArray = NDArray[np.void]
Array = NDArray[np.uint8]
GreyArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ImageStats:
    """Measurements of N images, one row each in the order of the dataset; zeros for images that cannot be opened.

    ``columns`` is a structured array (N,) with these fields:

    - ``height``, ``width``: pixels, after applying the Exif orientation;
    - ``kind``: the image format as an index into ``images.IMAGE_FORMATS``, 255 for none;
    - ``orientation``: the Exif orientation, 1..8;
    - ``brightness``: mean of the grey values, 0..1;
    - ``bright_end``: their 99th percentile, 0..1;
    - ``contrast``: their standard deviation, 0..1;
    - ``sharpness``: standard deviation of the Laplacian in the sharpest tiles, in grey levels of 0..255.

    ``keys`` are the digests of the contents, 32 hexadecimal digits, empty for an image that cannot be opened;
    ``thumbnails`` uint8 (N, 64, 64) are grey. ``unreadable_images`` gives, by row, the reason why an image cannot be
    opened.
    """

    columns: StatsArray
    keys: list[str]
    thumbnails: Array
    unreadable_images: dict[int, RejectedItem]

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(height, width) of each upright image in pixels: int32 (N, 2), 0 where it cannot be opened."""
        return np.stack([self.columns["height"], self.columns["width"]], axis=1)

    def get_image_format(self, row: int) -> str | None:
        """Return the image format by content, such as ``jpeg``; ``None`` for an image without a file."""
        index = int(self.columns["kind"][row])
        return None if index == _UNKNOWN_FORMAT else images.IMAGE_FORMATS[index]


@dataclass(frozen=True, eq=False)
class _Measurement:
    """What is kept of one content: a record of ``_STATS_DTYPE`` as bytes, and the thumbnail."""

    record: bytes
    thumbnail: Array


_Outcome = tuple[str, _Measurement | RejectedItem | None]


@dataclass(frozen=True, eq=False)
class _Survey:
    """A dataset that is being measured; ``first_rows`` has the row that each content is measured for."""

    dataset: Dataset
    cache: ContentCache
    first_rows: dict[str, int] = field(default_factory=dict)


def compute_image_stats(dataset: Dataset, progress: Progress = SILENT) -> ImageStats:
    """Return the measurements of all images of ``dataset``, computed in parallel.

    Every file is read that this process has not read before; it is decoded only when its content is not in the cache
    yet, and once where several images have the same content.
    """
    survey = _Survey(dataset, _open_cache())
    stats = ImageStats(np.zeros(len(dataset), _STATS_DTYPE), [], _allocate_thumbnails(len(dataset)), {})
    stored = 0
    with (
        progress.open_stage(_("Analysing the photos"), len(dataset)) as stage,
        ThreadPoolExecutor(_count_threads(dataset)) as pool,
    ):
        for start in range(0, len(dataset), _BATCH_SIZE):
            rows = range(start, min(start + _BATCH_SIZE, len(dataset)))
            chunks = (rows[first : first + _CHUNK_SIZE] for first in range(0, len(rows), _CHUNK_SIZE))
            outcomes = pool.map(lambda chunk: [_measure_row(survey, row) for row in chunk], chunks)
            _fill_rows(survey, stats, rows, [outcome for found in outcomes for outcome in found])
            if rows.stop - stored >= MAX_THUMBNAILS_IN_MEMORY or rows.stop == len(dataset):
                _store_rows(survey, stats, range(stored, rows.stop))
                stored = rows.stop
            stage.advance(len(rows))
    return stats


class StatsRecorder:
    """Measures images that are decoded for another purpose, so that ``compute_image_stats`` need not decode them again.

    It can be used from several threads; ``store`` keeps what was measured.
    """

    def __init__(self) -> None:
        self._cache = _open_cache()
        self._new: dict[bytes, _Measurement] = {}

    def decode_image(self, key: str, data: bytes, min_size: tuple[int, int]) -> Array:
        """Return the image in ``data``, whose digest is ``key``, as ``images.decode_image`` does, and measure it."""
        digest = bytes.fromhex(key)
        if digest in self._new or self._cache.find(digest) is not None:
            return images.decode_image(data, min_size)
        image, analysed = images.decode_image_for_sizes(data, (min_size, _ANALYSIS_SIZE))
        self._new[digest] = _measure_file(data, analysed)
        return image

    def store(self, at_least: int = 1) -> None:
        """Keep the new measurements if there are ``at_least`` so many, 1 or more."""
        if len(self._new) < at_least:
            return
        new, self._new = self._new, {}
        digests, found = zip(*list(new.items()), strict=True)  # one step, while other threads measure
        records = np.stack([np.frombuffer(measurement.record, np.uint8) for measurement in found])
        self._cache.add(digests, {"records": records, "thumbs": np.stack([item.thumbnail for item in found])})


def _open_cache() -> ContentCache:
    """Return the cache of all measurements."""
    return ContentCache(fileio.get_cache_folder() / "looks", CACHE_VERSION, _MAX_CACHE_BYTES)


def _count_threads(dataset: Dataset) -> int | None:
    """Return how many threads measure: one for each core, more where most of the time is spent waiting for a store."""
    return None if isinstance(dataset.images, TreeImages) else os.cpu_count()


def _allocate_thumbnails(count: int) -> Array:
    """Return black thumbnails, uint8 (N, 64, 64): in memory, or, where there are many, in a temporary file."""
    shape = (count, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    if count <= MAX_THUMBNAILS_IN_MEMORY:
        return np.zeros(shape, np.uint8)
    fileio.get_cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=fileio.get_cache_folder()) as stream:
        return np.memmap(stream, np.uint8, "w+", shape=shape)


def _measure_row(survey: _Survey, row: int) -> _Outcome:
    """Return the content key and the measurement of one image, or why it cannot be opened.

    The measurement is ``None`` where another row with the same content has it.
    """
    source = survey.dataset.images
    key = ""
    try:
        known = source.find_known_key(row) if isinstance(source, FileImages) else ""
        is_read = not isinstance(source, PixelImages) and survey.cache.find(bytes.fromhex(known)) is None
        data = source.read_bytes(row) if is_read else None
        key = (known or source.compute_key(row)) if data is None else fileio.compute_digest(data)
        if survey.first_rows.setdefault(key, row) != row:  # one step, so that no two threads measure one content
            return key, None
        kept = survey.cache.find(bytes.fromhex(key))
        if kept is not None:
            return key, _Measurement(kept["records"].tobytes(), kept["thumbs"])
        if data is None:
            return key, _measure_pixels(source.read_image(row))
        return key, _measure_file(data, images.decode_image(data, _ANALYSIS_SIZE))
    except ImageError as error:
        reason = error.problem.removeprefix(f"{source.get_path(row)}: ").rstrip(".")
        return key, RejectedItem(source.get_name(row), reason, error.remedy.rstrip("."))


def _fill_rows(survey: _Survey, stats: ImageStats, rows: range, outcomes: list[_Outcome]) -> None:
    """Write the outcomes of the next ``rows`` to ``stats``; equal contents get what the first of them got."""
    repeats = []
    for row, (key, result) in zip(rows, outcomes, strict=True):
        stats.keys.append("" if isinstance(result, RejectedItem) else key)
        if isinstance(result, RejectedItem):
            stats.unreadable_images[row] = result
        elif result is None:
            repeats.append(row)
        else:
            stats.columns[row] = np.frombuffer(result.record, _STATS_DTYPE)[0]
            stats.thumbnails[row] = result.thumbnail
    for row in repeats:
        first = survey.first_rows[stats.keys[row]]
        if first in stats.unreadable_images:
            stats.keys[row] = ""
            name = survey.dataset.images.get_name(row)
            stats.unreadable_images[row] = replace(stats.unreadable_images[first], path=name)
        else:
            stats.columns[row], stats.thumbnails[row] = stats.columns[first], stats.thumbnails[first]


def _store_rows(survey: _Survey, stats: ImageStats, rows: range) -> None:
    """Add the measurements of ``rows`` to the cache."""
    kept = [row for row in rows if stats.keys[row] and survey.first_rows[stats.keys[row]] == row]
    records = stats.columns[kept].view(np.uint8).reshape(len(kept), _STATS_DTYPE.itemsize)
    survey.cache.add(
        [bytes.fromhex(stats.keys[row]) for row in kept], {"records": records, "thumbs": stats.thumbnails[kept]}
    )


def _measure_file(data: bytes, image: Array) -> _Measurement:
    """Return the measurement of an image file with content ``data``, decoded to ``image`` for ``_ANALYSIS_SIZE``."""
    kind = images.IMAGE_FORMATS.index(images.detect_format(data) or "")
    return _measure_image(image, *images.read_geometry(data), kind)


def _measure_pixels(image: Array) -> _Measurement:
    """Return the measurement of an image without a file."""
    return _measure_image(image, (image.shape[0], image.shape[1]), 1, _UNKNOWN_FORMAT)


def _measure_image(image: Array, size: tuple[int, int], orientation: int, kind: int) -> _Measurement:
    """Return the measurement of an image, uint8 RGB (H, W, 3), whose file has ``size`` (height, width)."""
    step = max(1, min(image.shape[:2]) // ANALYSIS_SIDE)
    grey = _to_grey(image[::step, ::step])
    thumbnail = _to_grey(resize_to_input(image, _THUMBNAIL_SPEC)) if step > 1 else _reduce_to_thumbnail(grey)
    record = (*size, kind, orientation, *_compute_light_stats(grey))
    return _Measurement(np.array([record], _STATS_DTYPE).tobytes(), np.rint(thumbnail).astype(np.uint8))


def _reduce_to_thumbnail(grey: GreyArray) -> GreyArray:
    """Return ``grey`` (H, W) at the size of a thumbnail: bilinear to twice its size, then the mean of 2 x 2 pixels."""
    double = cv2.resize(grey, (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(double, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _to_grey(image: Array) -> GreyArray:
    """Return the luma of an image, float32 (H, W), 0..255."""
    return np.asarray(cv2.transform(image.astype(np.float32), LUMA_WEIGHTS[None]), np.float32)


def _compute_light_stats(grey: GreyArray) -> tuple[float, float, float, float]:
    """Return brightness, bright end, contrast and sharpness of an image, (H, W), 0..255."""
    (mean,), (deviation,) = (values[:, 0] for values in cv2.meanStdDev(grey))
    counts = np.bincount(np.rint(grey[::2, ::2]).astype(np.uint8).ravel(), minlength=256).cumsum()
    bright_end = int(np.searchsorted(counts, 0.99 * counts[-1]))
    return float(mean) / 255, bright_end / 255, float(deviation) / 255, _compute_sharpness(grey)


def _compute_sharpness(grey: GreyArray) -> float:
    """Return the 95th percentile, over tiles, of the standard deviation of the Laplacian of ``grey`` (H, W).

    A high percentile is used so that an image with a sharp subject before a blurred background counts as sharp.
    """
    laplacian: GreyArray = np.asarray(cv2.Laplacian(grey, cv2.CV_32F, ksize=1), np.float32)[1:-1, 1:-1]
    rows, columns = laplacian.shape[0] // _TILE_SIDE, laplacian.shape[1] // _TILE_SIDE
    if not (rows and columns):
        return float(laplacian.std()) if laplacian.size else 0.0
    tiles = np.ascontiguousarray(laplacian[: rows * _TILE_SIDE, : columns * _TILE_SIDE])
    means, squares = (_average_tiles(values, rows) for values in (tiles, tiles * tiles))
    return _find_percentile(np.sqrt(np.maximum(squares - means * means, 0)), 0.95)


def _find_percentile(values: NDArray[Any], share: float) -> float:
    """Return the value below which ``share`` of the values lie, as ``np.percentile``, in a fraction of its time."""
    place = (values.size - 1) * share
    below, above = int(place), min(int(place) + 1, values.size - 1)
    ordered = np.partition(values, (below, above), axis=None)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def _average_tiles(values: GreyArray, rows: int) -> GreyArray:
    """Return the mean of each tile, (rows, columns)."""
    sums = values.reshape(rows, _TILE_SIDE, -1).sum(axis=1).reshape(rows, -1, _TILE_SIDE).sum(axis=2)
    return np.asarray(sums / _TILE_SIDE**2, np.float32)
