"""Features of a dataset, computed once and kept: what a frozen backbone answers to each of its images."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Rejected
from lince.data import Dataset
from lince.errors import ImageError
from lince.messages import _
from lince.preprocess import Preprocess, fit, normalise
from lince.progress import SILENT, Progress
from lince.runtime.featurecache import SHARD, FeatureCache
from lince.runtime.inorder import batched, in_order
from lince.runtime.session import Session, cores, shares

BATCH = 8
Image = NDArray[np.uint8]
Row = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """What the backbone answered: ``rows`` float32 (N, D) for ``keys`` (N content digests), and what was unreadable."""

    rows: NDArray[np.float32]
    keys: list[str]
    refused: dict[int, Rejected]
    computed: int


def compute(dataset: Dataset, network: Path, spec: Preprocess, progress: Progress = SILENT) -> Features:
    """Return the features of every image of ``dataset``: from the cache, or from ``network`` (ONNX) and then cached.

    Images that cannot be read stand in ``refused`` by row, and have neither key nor row.
    """
    keys, refused = content_keys(dataset, progress)
    cache = FeatureCache(network, spec)
    known = cache.load(set(keys.values()))
    missing = {key: row for row, key in keys.items() if key not in known}
    if missing:
        work = _Computation(cache)
        with progress.stage(_("Computing features"), len(missing)) as stage:
            for batch, answers in _computed(dataset, list(missing.items()), network, spec):
                work.take(batch, answers)
                stage.advance(len(batch))
        work.save()
        known.update(work.rows)
        refused.update({row: work.broken[key] for row, key in keys.items() if key in work.broken})
    usable = [row for row in sorted(keys) if row not in refused]
    rows = np.stack([known[keys[row]] for row in usable]) if usable else np.empty((0, 0), np.float32)
    return Features(rows, [keys[row] for row in usable], refused, len(missing))


def content_keys(dataset: Dataset, progress: Progress = SILENT) -> tuple[dict[int, str], dict[int, Rejected]]:
    """Return each row's content digest, and the rows whose file cannot be read."""
    keys: dict[int, str] = {}
    refused: dict[int, Rejected] = {}
    with ThreadPoolExecutor(cores()) as pool, progress.stage(_("Reading"), len(dataset)) as stage:
        for row, key in enumerate(pool.map(lambda row: _key(dataset, row), range(len(dataset)), chunksize=64)):
            if isinstance(key, Rejected):
                refused[row] = key
            else:
                keys[row] = key
            stage.advance()
    return keys, refused


class _Computation:
    """The rows computed so far in this run, those not yet on disk, and the images that could not be read."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        self.rows: dict[str, Row] = {}
        self.broken: dict[str, Rejected] = {}
        self._unsaved: list[str] = []

    def take(self, keys: list[str], answers: list[Row | Rejected]) -> None:
        """Take in what became of one batch."""
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, Rejected):
                self.broken[key] = answer
            else:
                self.rows[key] = answer
                self._unsaved.append(key)
        if len(self._unsaved) >= SHARD:
            self.save()

    def save(self) -> None:
        """Put what is not yet on disk into a shard."""
        if self._unsaved:
            self.cache.add(self._unsaved, np.stack([self.rows[key] for key in self._unsaved]))
            self._unsaved = []


def _computed(
    dataset: Dataset, items: list[tuple[str, int]], network: Path, spec: Preprocess
) -> Iterator[tuple[list[str], list[Row | Rejected]]]:
    """Yield batches of keys with what became of their images; several batches are computed at one time."""
    calls, threads = shares()
    session = Session(network, threads, beside=True)

    def one(batch: list[tuple[str, int]]) -> tuple[list[str], list[Row | Rejected]]:
        return [key for key, _row in batch], _embedded(session, dataset, [row for _key, row in batch], spec)

    return in_order(one, batched(items, BATCH), calls, calls + 1)


def _embedded(session: Session, dataset: Dataset, rows: list[int], spec: Preprocess) -> list[Row | Rejected]:
    """Return what the network answers to the images of ``rows``, or why one cannot be read."""
    images = [_read(dataset, row, spec) for row in rows]
    good = [image for image in images if not isinstance(image, Rejected)]
    answers = iter(session.run(normalise(good, spec), ("embedding",))[0]) if good else iter(())
    return [image if isinstance(image, Rejected) else next(answers).copy() for image in images]


def _read(dataset: Dataset, row: int, spec: Preprocess) -> Image | Rejected:
    try:
        return fit(dataset.images.read(row, (spec.height, spec.width)), spec)
    except ImageError as error:
        return unreadable(dataset, row, error)


def _key(dataset: Dataset, row: int) -> str | Rejected:
    try:
        return dataset.images.key(row)
    except ImageError as error:
        return unreadable(dataset, row, error)


def unreadable(dataset: Dataset, row: int, error: ImageError) -> Rejected:
    """Return the record of an image that cannot be read, with the error's reason and remedy."""
    return Rejected(dataset.images.name(row), error.found, error.remedy)
