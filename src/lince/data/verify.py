"""Looking at every image once before hours are spent on them: those that cannot be decoded are set aside."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import files
from lince.annotations import UNLABELLED, Rejected
from lince.data.dataset import Dataset
from lince.data.source import PixelImages
from lince.errors import DataError, ImageError, UsageError
from lince.messages import _
from lince.progress import SILENT, Progress

MOST_UNUSABLE = 0.01
_SHOWN = 10
_BATCH = 1024
_DIGEST = 16
T = TypeVar("T")


def keys(dataset: Dataset, progress: Progress = SILENT) -> list[str]:
    """Return the content key of every image, in order, by all cores. Raise ``ImageError`` on one that is gone."""
    return _for_all(dataset, dataset.images.key, _("Reading the images"), progress)


def verify(dataset: Dataset, progress: Progress = SILENT) -> Dataset:
    """Return ``dataset`` with every image that cannot be decoded moved to ``rejected``.

    Contents that were decoded well before, in any dataset, are remembered in the cache folder and only read again.
    Images that are no files, such as those of idx, need no look.
    """
    if isinstance(dataset.images, PixelImages):
        return dataset
    known = _Known(files.cache_folder() / "decoded.bin")
    verdicts = _for_all(dataset, lambda i: _verdict(dataset, i, known), _("Checking the images"), progress)
    known.add([verdict for verdict in verdicts if isinstance(verdict, str)])
    return dataset.without({i: verdict for i, verdict in enumerate(verdicts) if isinstance(verdict, Rejected)})


def require_usable(dataset: Dataset, allow: bool = False) -> None:
    """Raise ``DataError`` when more than 1 % of what was found is not usable, unless the user allows it."""
    count = len(dataset.rejected)
    if allow or count <= MOST_UNUSABLE * dataset.total:
        return
    first = "\n".join(f"  {refusal}" for refusal in dataset.rejected[:_SHOWN])
    raise DataError(
        _("{count:,} of {total:,} images or labels cannot be used:").format(count=count, total=dataset.total)
        + f"\n{first}"
        + (_("\n  and {more} more").format(more=count - _SHOWN) if count > _SHOWN else ""),
        _("Expected at most {share:.0%}.").format(share=MOST_UNUSABLE),
        _("Mend or remove them, or allow it with --allow-unusable."),
    )


def require_classes(dataset: Dataset) -> None:
    """Raise ``UsageError`` when no image as a whole has a class, but objects are marked on the images."""
    if dataset.objects is None or (dataset.class_ids != UNLABELLED).any():
        return
    raise UsageError(
        _("{root} marks {count:,} objects on its images.").format(root=dataset.root, count=len(dataset.objects)),
        _("Expected a class for each image: the model tells whole images apart."),
        _("Give a model that finds objects, or cut the objects out."),
    )


def require_objects(dataset: Dataset) -> None:
    """Raise ``UsageError`` when no objects are marked on the images, whatever class an image as a whole has."""
    if dataset.objects is not None:
        return
    raise UsageError(
        _("{root} marks no objects on its images.").format(root=dataset.root),
        _("Expected boxes: the model finds objects."),
        _("Give data with boxes, or a model that tells whole images apart."),
    )


class _Known:
    """The contents known to decode well, kept as sorted digests in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests = self._load()

    def __contains__(self, key: str) -> bool:
        wanted = np.array(bytes.fromhex(key), self._digests.dtype)
        at = int(np.searchsorted(self._digests, wanted))
        return at < len(self._digests) and bool(self._digests[at] == wanted)

    def add(self, found: list[str]) -> None:
        """Keep ``found`` too, together with what other processes have kept in the meantime."""
        added = np.frombuffer(bytes.fromhex("".join(found)), self._digests.dtype)
        if np.isin(added, self._digests).all():
            return
        files.write_bytes(self._path, np.union1d(self._load(), added).tobytes())

    def _load(self) -> NDArray[np.bytes_]:
        data = self._path.read_bytes() if self._path.exists() else b""
        return np.frombuffer(data[: len(data) // _DIGEST * _DIGEST], f"S{_DIGEST}")


def _verdict(dataset: Dataset, index: int, known: _Known) -> str | Rejected:
    """Return the key of an image that can be decoded, or its refusal."""
    try:
        key = dataset.images.key(index)
        if key not in known:
            dataset.images.read(index, at_least=(1, 1))
    except ImageError as error:
        name = dataset.images.name(index)
        reason = error.found.removeprefix(f"{dataset.images.path(index) or f'{dataset.root}: {name}'}: ").rstrip(".")
        return Rejected(name, reason, error.remedy.rstrip("."))
    return key


def _for_all(dataset: Dataset, work: Callable[[int], T], name: str, progress: Progress) -> list[T]:
    # Threads suffice: reading, hashing and decoding all release Python's lock.
    results: list[T] = []
    with progress.stage(name, len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH):
            batch = range(start, min(start + _BATCH, len(dataset)))
            results += pool.map(work, batch)
            stage.advance(len(batch))
    return results
