"""Looking at every image once before hours are spent on them: those that cannot be decoded are set aside."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import UNLABELLED, RejectedItem
from lince.datasets.dataset import Dataset
from lince.datasets.image_source import PixelImages
from lince.errors import DataError, ImageError, UsageError
from lince.i18n import _
from lince.progress import SILENT, Progress

MAX_UNUSABLE_FRACTION = 0.01
_MAX_LISTED = 10
_BATCH_SIZE = 1024
_DIGEST_BYTES = 16
T = TypeVar("T")


def compute_content_keys(dataset: Dataset, progress: Progress = SILENT) -> list[str]:
    """Return the content key of every image, in order, by all cores. Raise ``ImageError`` on one that is gone."""
    return _map_rows(dataset, dataset.images.compute_key, _("Reading the images"), progress)


def verify_images(dataset: Dataset, progress: Progress = SILENT) -> Dataset:
    """Return ``dataset`` with every image that cannot be decoded moved to ``rejected``.

    Contents that were decoded well before, in any dataset, are remembered in the cache folder and only read again.
    Images that are no files, such as those of idx, need no look.
    """
    if isinstance(dataset.images, PixelImages):
        return dataset
    known = _VerifiedKeys(fileio.get_cache_folder() / "decoded.bin")
    verdicts = _map_rows(dataset, lambda i: _verify_image(dataset, i, known), _("Checking the images"), progress)
    known.add([verdict for verdict in verdicts if isinstance(verdict, str)])
    return dataset.reject_rows({i: verdict for i, verdict in enumerate(verdicts) if isinstance(verdict, RejectedItem)})


def require_usable_dataset(dataset: Dataset, allow_unusable: bool = False) -> None:
    """Raise ``DataError`` when more than 1 % of what was found is not usable, unless the user allows it."""
    count = len(dataset.rejected)
    if allow_unusable or count <= MAX_UNUSABLE_FRACTION * dataset.total_count:
        return
    first = "\n".join(f"  {refusal}" for refusal in dataset.rejected[:_MAX_LISTED])
    raise DataError(
        _("{count:,} of {total:,} images or labels cannot be used:").format(count=count, total=dataset.total_count)
        + f"\n{first}"
        + (_("\n  and {more} more").format(more=count - _MAX_LISTED) if count > _MAX_LISTED else ""),
        _("Expected at most {share:.0%}.").format(share=MAX_UNUSABLE_FRACTION),
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


class _VerifiedKeys:
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
        fileio.write_bytes(self._path, np.union1d(self._load(), added).tobytes())

    def _load(self) -> NDArray[np.bytes_]:
        data = self._path.read_bytes() if self._path.exists() else b""
        return np.frombuffer(data[: len(data) // _DIGEST_BYTES * _DIGEST_BYTES], f"S{_DIGEST_BYTES}")


def _verify_image(dataset: Dataset, index: int, known: _VerifiedKeys) -> str | RejectedItem:
    """Return the key of an image that can be decoded, or its refusal."""
    try:
        key = dataset.images.compute_key(index)
        if key not in known:
            dataset.images.read_image(index, at_least=(1, 1))
    except ImageError as error:
        name = dataset.images.get_name(index)
        reason = error.problem.removeprefix(f"{dataset.images.get_path(index) or f'{dataset.root}: {name}'}: ").rstrip(
            "."
        )
        return RejectedItem(name, reason, error.remedy.rstrip("."))
    return key


def _map_rows(dataset: Dataset, work: Callable[[int], T], name: str, progress: Progress) -> list[T]:
    # Threads suffice: reading, hashing and decoding all release Python's lock.
    results: list[T] = []
    with progress.open_stage(name, len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(dataset)))
            results += pool.map(work, batch)
            stage.advance(len(batch))
    return results
