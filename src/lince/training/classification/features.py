"""Computes the embeddings of a dataset with a frozen ONNX backbone, and caches them by image content."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import RejectedItem
from lince.datasets import Dataset
from lince.datasets.image_source import PixelImages
from lince.datasets.image_stats import MAX_THUMBNAILS_IN_MEMORY, StatsRecorder
from lince.errors import ImageError
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, count_cores, split_cores
from lince.inference.feature_cache import SHARD_SIZE, FeatureCache
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.preprocess import PreprocessSpec, normalise_images, resize_to_input
from lince.progress import SILENT, Progress

BATCH_SIZE = 2  # images in one call; with more, their maps leave the processor's cache and each takes a fifth longer
Image = NDArray[np.uint8]
Embedding = NDArray[np.float32]


@dataclass(frozen=True)
class ImageFeatures:
    """Embeddings of the readable images of a dataset, in row order.

    ``embeddings`` is float32 (N, D), ``keys`` are the N content digests; ``rejected`` maps the rows that could not be
    read to the reason; ``computed_count`` is how many images were not in the cache.
    """

    embeddings: NDArray[np.float32]
    keys: list[str]
    rejected: dict[int, RejectedItem]
    computed_count: int


def compute_features(
    dataset: Dataset, network: Path, spec: PreprocessSpec, progress: Progress = SILENT, workers: int | None = None
) -> ImageFeatures:
    """Return the embeddings of every image of ``dataset``, from the cache or computed with ``network``.

    ``network`` is the ONNX file of the backbone; what it computes is cached. Images that cannot be read are in
    ``rejected`` by row, and have neither a key nor an embedding. With no readable image the embeddings have shape (0,
    0). ``workers`` threads read images and compute, by default as many as suit the cores.
    """
    keys, rejected = compute_content_keys(dataset, progress)
    cache = FeatureCache(network, spec)
    cached = cache.load(set(keys.values()))
    missing_rows = {key: row for row, key in keys.items() if key not in cached}
    if missing_rows:
        collector, reader = _FeatureCollector(cache), _ImageReader(dataset, spec)
        with progress.open_stage(_("Extracting features"), len(missing_rows)) as stage:
            for batch, results in _compute_batches(reader, list(missing_rows.items()), network, workers):
                collector.add_batch(batch, results)
                reader.stats.store(MAX_THUMBNAILS_IN_MEMORY)
                stage.advance(len(batch))
        collector.flush()
        reader.stats.store()
        cached.update(collector.embeddings)
        rejected.update({row: collector.rejected[key] for row, key in keys.items() if key in collector.rejected})
    usable_rows = [row for row in sorted(keys) if row not in rejected]
    embeddings = np.stack([cached[keys[row]] for row in usable_rows]) if usable_rows else np.empty((0, 0), np.float32)
    return ImageFeatures(embeddings, [keys[row] for row in usable_rows], rejected, len(missing_rows))


def compute_content_keys(
    dataset: Dataset, progress: Progress = SILENT
) -> tuple[dict[int, str], dict[int, RejectedItem]]:
    """Return the content digest of each row, and the rows whose file cannot be read, in parallel."""
    keys: dict[int, str] = {}
    rejected: dict[int, RejectedItem] = {}
    with ThreadPoolExecutor(count_cores()) as pool, progress.open_stage(_("Reading"), len(dataset)) as stage:
        for row, key in enumerate(pool.map(lambda row: _read_key(dataset, row), range(len(dataset)), chunksize=64)):
            if isinstance(key, RejectedItem):
                rejected[row] = key
            else:
                keys[row] = key
            stage.advance()
    return keys, rejected


class _FeatureCollector:
    """Collects embeddings as they are computed and writes them to the cache in shards.

    ``embeddings`` and ``rejected`` are by content key.
    """

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        self.embeddings: dict[str, Embedding] = {}
        self.rejected: dict[str, RejectedItem] = {}
        self._unsaved: list[str] = []

    def add_batch(self, keys: list[str], results: list[Embedding | RejectedItem]) -> None:
        """Take the results of one batch, an embedding or a rejection for each key; write a shard when it is full."""
        for key, result in zip(keys, results, strict=True):
            if isinstance(result, RejectedItem):
                self.rejected[key] = result
            else:
                self.embeddings[key] = result
                self._unsaved.append(key)
        if len(self._unsaved) >= SHARD_SIZE:
            self.flush()

    def flush(self) -> None:
        """Write the embeddings that are not yet on disk as a shard."""
        if self._unsaved:
            self.cache.add(self._unsaved, np.stack([self.embeddings[key] for key in self._unsaved]))
            self._unsaved = []


class _ImageReader:
    """Reads the images of ``dataset`` at the size of a network's input, and measures each for the search of copies."""

    def __init__(self, dataset: Dataset, spec: PreprocessSpec) -> None:
        self.dataset, self.spec, self.stats = dataset, spec, StatsRecorder()

    def read(self, key: str, row: int) -> Image | RejectedItem:
        """Return the image of ``row`` with the digest ``key``, uint8 (H, W, 3), or why it cannot be read."""
        source, size = self.dataset.images, (self.spec.height, self.spec.width)
        try:
            if not isinstance(source, PixelImages):
                with suppress(ImageError):  # raised again below, with the name of the file
                    return resize_to_input(self.stats.decode_image(key, source.read_bytes(row), size), self.spec)
            return resize_to_input(source.read_image(row, size), self.spec)
        except ImageError as error:
            return make_rejected_item(self.dataset, row, error)


def _compute_batches(
    reader: _ImageReader, items: list[tuple[str, int]], network: Path, workers: int | None
) -> Iterator[tuple[list[str], list[Embedding | RejectedItem]]]:
    """Yield batches of content keys with their results, in order; several batches are computed concurrently."""
    calls, threads = split_cores()
    calls = calls if workers is None else max(1, workers)
    backend = OnnxRuntimeBackend(network, threads, share_cores=True)

    def embed_batch(batch: list[tuple[str, int]]) -> tuple[list[str], list[Embedding | RejectedItem]]:
        return [key for key, _row in batch], _embed_images(backend, [reader.read(*item) for item in batch], reader.spec)

    return ordered_map(embed_batch, iter_batches(items, BATCH_SIZE), calls, calls + 1)


def _embed_images(
    backend: OnnxRuntimeBackend, images: list[Image | RejectedItem], spec: PreprocessSpec
) -> list[Embedding | RejectedItem]:
    """Return for each of ``images`` its embedding (D,), or why it cannot be read."""
    readable = [image for image in images if not isinstance(image, RejectedItem)]
    embeddings = iter(backend.run(normalise_images(readable, spec), ("embedding",))[0]) if readable else iter(())
    return [image if isinstance(image, RejectedItem) else next(embeddings).copy() for image in images]


def _read_key(dataset: Dataset, row: int) -> str | RejectedItem:
    """Return the content digest of the image of ``row``, or why its file cannot be read."""
    try:
        return dataset.images.compute_key(row)
    except ImageError as error:
        return make_rejected_item(dataset, row, error)


def make_rejected_item(dataset: Dataset, row: int, error: ImageError) -> RejectedItem:
    """Return the record of an image that cannot be read, with the problem and the remedy of ``error``."""
    return RejectedItem(dataset.images.get_name(row), error.problem, error.remedy)
