"""Features of a dataset, computed once and kept: what a frozen backbone answers to each of its images."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import RejectedItem
from lince.datasets import Dataset
from lince.errors import ImageError
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, count_cores, split_cores
from lince.inference.feature_cache import SHARD_SIZE, FeatureCache
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.preprocess import PreprocessSpec, normalise_images, resize_to_input
from lince.progress import SILENT, Progress

BATCH_SIZE = 8
Image = NDArray[np.uint8]
Embedding = NDArray[np.float32]


@dataclass(frozen=True)
class ImageFeatures:
    """What the backbone answered: ``rows`` float32 (N, D) for ``keys`` (N content digests), and what was unreadable."""

    embeddings: NDArray[np.float32]
    keys: list[str]
    rejected: dict[int, RejectedItem]
    computed_count: int


def compute_features(
    dataset: Dataset, network: Path, spec: PreprocessSpec, progress: Progress = SILENT
) -> ImageFeatures:
    """Return the features of every image of ``dataset``: from the cache, or from ``network`` (ONNX) and then cached.

    Images that cannot be read stand in ``refused`` by row, and have neither key nor row.
    """
    keys, refused = compute_content_keys(dataset, progress)
    cache = FeatureCache(network, spec)
    known = cache.load(set(keys.values()))
    missing = {key: row for row, key in keys.items() if key not in known}
    if missing:
        work = _FeatureCollector(cache)
        with progress.open_stage(_("Computing features"), len(missing)) as stage:
            for batch, answers in _compute_batches(dataset, list(missing.items()), network, spec):
                work.add_batch(batch, answers)
                stage.advance(len(batch))
        work.flush()
        known.update(work.embeddings)
        refused.update({row: work.rejected[key] for row, key in keys.items() if key in work.rejected})
    usable = [row for row in sorted(keys) if row not in refused]
    rows = np.stack([known[keys[row]] for row in usable]) if usable else np.empty((0, 0), np.float32)
    return ImageFeatures(rows, [keys[row] for row in usable], refused, len(missing))


def compute_content_keys(
    dataset: Dataset, progress: Progress = SILENT
) -> tuple[dict[int, str], dict[int, RejectedItem]]:
    """Return each row's content digest, and the rows whose file cannot be read."""
    keys: dict[int, str] = {}
    refused: dict[int, RejectedItem] = {}
    with ThreadPoolExecutor(count_cores()) as pool, progress.open_stage(_("Reading"), len(dataset)) as stage:
        for row, key in enumerate(pool.map(lambda row: _read_key(dataset, row), range(len(dataset)), chunksize=64)):
            if isinstance(key, RejectedItem):
                refused[row] = key
            else:
                keys[row] = key
            stage.advance()
    return keys, refused


class _FeatureCollector:
    """The rows computed so far in this run, those not yet on disk, and the images that could not be read."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        self.embeddings: dict[str, Embedding] = {}
        self.rejected: dict[str, RejectedItem] = {}
        self._unsaved: list[str] = []

    def add_batch(self, keys: list[str], answers: list[Embedding | RejectedItem]) -> None:
        """Take in what became of one batch."""
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, RejectedItem):
                self.rejected[key] = answer
            else:
                self.embeddings[key] = answer
                self._unsaved.append(key)
        if len(self._unsaved) >= SHARD_SIZE:
            self.flush()

    def flush(self) -> None:
        """Put what is not yet on disk into a shard."""
        if self._unsaved:
            self.cache.add(self._unsaved, np.stack([self.embeddings[key] for key in self._unsaved]))
            self._unsaved = []


def _compute_batches(
    dataset: Dataset, items: list[tuple[str, int]], network: Path, spec: PreprocessSpec
) -> Iterator[tuple[list[str], list[Embedding | RejectedItem]]]:
    """Yield batches of keys with what became of their images; several batches are computed at one time."""
    calls, threads = split_cores()
    session = OnnxRuntimeBackend(network, threads, share_cores=True)

    def one(batch: list[tuple[str, int]]) -> tuple[list[str], list[Embedding | RejectedItem]]:
        return [key for key, _row in batch], _embed_rows(session, dataset, [row for _key, row in batch], spec)

    return ordered_map(one, iter_batches(items, BATCH_SIZE), calls, calls + 1)


def _embed_rows(
    session: OnnxRuntimeBackend, dataset: Dataset, rows: list[int], spec: PreprocessSpec
) -> list[Embedding | RejectedItem]:
    """Return what the network answers to the images of ``rows``, or why one cannot be read."""
    images = [_read_image(dataset, row, spec) for row in rows]
    good = [image for image in images if not isinstance(image, RejectedItem)]
    answers = iter(session.run(normalise_images(good, spec), ("embedding",))[0]) if good else iter(())
    return [image if isinstance(image, RejectedItem) else next(answers).copy() for image in images]


def _read_image(dataset: Dataset, row: int, spec: PreprocessSpec) -> Image | RejectedItem:
    try:
        return resize_to_input(dataset.images.read_image(row, (spec.height, spec.width)), spec)
    except ImageError as error:
        return make_rejected_item(dataset, row, error)


def _read_key(dataset: Dataset, row: int) -> str | RejectedItem:
    try:
        return dataset.images.compute_key(row)
    except ImageError as error:
        return make_rejected_item(dataset, row, error)


def make_rejected_item(dataset: Dataset, row: int, error: ImageError) -> RejectedItem:
    """Return the record of an image that cannot be read, with the error's reason and remedy."""
    return RejectedItem(dataset.images.get_name(row), error.problem, error.remedy)
