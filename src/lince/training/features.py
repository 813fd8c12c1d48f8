"""Features computed once and kept: a frozen backbone's answer to an image, on disk under (content, network, input).

A folder of the cache holds one network with one way of preparing images. Each run adds one shard (keys and rows)
for the images that it met first; shards are whole or not there, so a kill costs at most one shard's work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lince import files
from lince.annotations import Rejected
from lince.data import Dataset
from lince.errors import ImageError
from lince.messages import _
from lince.preprocess import Preprocess, fit, normalise
from lince.progress import SILENT, Progress
from lince.runtime.session import Session, cores

BATCH = 8
SHARD = 1024  # images between two writes
VERSION = 1  # of the decoder and the preparation: features of other versions are not used
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Features:
    """What the backbone answered: ``rows`` float32 (N, D) for ``keys`` (N content digests), and what was unreadable."""

    rows: NDArray[np.float32]
    keys: list[str]
    refused: dict[int, Rejected]
    computed: int


class FeatureCache:
    """The shards of one network and one preparation, in ``folder``."""

    def __init__(self, network: Path, spec: Preprocess, root: Path | None = None) -> None:
        recipe = json.dumps([VERSION, files.sha256(network), asdict(spec)], sort_keys=True)
        self.folder = (root or files.cache_folder()) / "features" / files.digest(recipe.encode())

    def load(self, wanted: set[str]) -> dict[str, NDArray[np.float32]]:
        """Return the cached rows (D,) of the ``wanted`` content keys."""
        found: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self.folder.glob("*.npz")):
            keys, rows = _read_shard(path)
            found.update((key, row) for key, row in zip(keys, rows, strict=True) if key in wanted)
        return found

    def add(self, keys: list[str], rows: NDArray[np.float32]) -> None:
        """Keep ``rows`` (N, D) under ``keys`` as one new shard."""
        name = files.digest("".join(keys).encode())
        with files.replacing(self.folder / f"{name}.npz") as aside, open(aside, "wb") as stream:
            np.savez(stream, keys=np.array(keys, "U32"), rows=rows)


def compute(dataset: Dataset, network: Path, spec: Preprocess, progress: Progress = SILENT) -> Features:
    """Return the features of every image of ``dataset``: from the cache, or from ``network`` (ONNX) and then cached.

    Images that cannot be read stand in ``refused`` by row, and have neither key nor row.
    """
    keys, refused = content_keys(dataset, progress)
    cache = FeatureCache(network, spec)
    known = cache.load(set(keys.values()))
    missing = {key: row for row, key in keys.items() if key not in known}
    if missing:
        work = _Computation(Session(network), spec, cache)
        with progress.stage(_("Computing features"), len(missing)) as stage:
            for batch, images in _prepared(dataset, list(missing.items()), spec):
                work.take(batch, images)
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

    def __init__(self, session: Session, spec: Preprocess, cache: FeatureCache) -> None:
        self.session, self.spec, self.cache = session, spec, cache
        self.rows: dict[str, NDArray[np.float32]] = {}
        self.broken: dict[str, Rejected] = {}
        self._unsaved: list[str] = []

    def take(self, keys: list[str], images: list[Image | Rejected]) -> None:
        """Embed one batch."""
        good: list[tuple[str, Image]] = []
        for key, image in zip(keys, images, strict=True):
            if isinstance(image, Rejected):
                self.broken[key] = image
            else:
                good.append((key, image))
        if good:
            (rows,) = self.session.run(normalise([image for _key, image in good], self.spec), ("embedding",))
            self.rows.update((key, row.copy()) for (key, _image), row in zip(good, rows, strict=True))
            self._unsaved += [key for key, _image in good]
        if len(self._unsaved) >= SHARD:
            self.save()

    def save(self) -> None:
        """Put what is not yet on disk into a shard."""
        if self._unsaved:
            self.cache.add(self._unsaved, np.stack([self.rows[key] for key in self._unsaved]))
            self._unsaved = []


def _prepared(
    dataset: Dataset, items: list[tuple[str, int]], spec: Preprocess
) -> Iterator[tuple[list[str], list[Image | Rejected]]]:
    # Two batches are decoded ahead by one thread while the network works on the one before.
    batches = [items[at : at + BATCH] for at in range(0, len(items), BATCH)]
    with ThreadPoolExecutor(1) as pool:
        ahead: list[Future[list[Image | Rejected]]] = []
        for number, batch in enumerate(batches):
            while len(ahead) < 3 and number + len(ahead) < len(batches):
                rows = [row for _, row in batches[number + len(ahead)]]
                ahead.append(pool.submit(_read_all, dataset, rows, spec))
            yield [key for key, _ in batch], ahead.pop(0).result()


def _read_all(dataset: Dataset, rows: list[int], spec: Preprocess) -> list[Image | Rejected]:
    return [_read(dataset, row, spec) for row in rows]


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


def _read_shard(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as shard:
            return shard["keys"].tolist(), shard["rows"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        path.unlink(missing_ok=True)  # a shard that the disk spoilt is computed again
        return [], np.empty((0, 0), np.float32)
