"""Verifies that all images can be decoded before training or evaluation, and computes their content digests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import NOTICE_KINDS, RejectedItem
from lince.datasets.dataset import Dataset
from lince.datasets.image_source import PixelImages
from lince.errors import DataError, ImageError
from lince.formats import class_folders, file_names
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage import scan

_FEW_UNUSABLE = 5  # images and labels: of a small dataset one in a hundred would be one broken photo, or none
_MAX_LISTED = 10  # unusable items in the error message
_BATCH_SIZE = 1024  # images between two progress reports
_DIGEST_BYTES = 16
T = TypeVar("T")


def compute_content_keys(dataset: Dataset, progress: Progress = SILENT) -> list[str]:
    """Return the content digest of every image, in row order, computed by several threads.

    Raises ``ImageError`` for an image that cannot be read.
    """
    return _map_rows(dataset, dataset.images.compute_key, _("Reading the images"), progress)


def verify_images(dataset: Dataset, progress: Progress = SILENT) -> Dataset:
    """Return ``dataset`` with every image that cannot be decoded moved to ``rejected``.

    The digests of images that were decoded before, in any dataset, are kept in the cache folder; such an image is only
    read and hashed again. Images that are not in files (pixel arrays, such as those of idx) are not checked.
    """
    if isinstance(dataset.images, PixelImages):
        return dataset
    verified = _VerifiedKeys(fileio.get_cache_folder() / "decoded.bin")
    outcomes = _map_rows(dataset, lambda i: _verify_image(dataset, i, verified), _("Checking the images"), progress)
    verified.add([outcome for outcome in outcomes if isinstance(outcome, str)])
    return dataset.reject_rows({i: outcome for i, outcome in enumerate(outcomes) if isinstance(outcome, RejectedItem)})


def count_tolerated(total: int) -> int:
    """Return how many of ``total`` images and labels may be unusable: a hundredth, or a few of a small dataset.

    A few are up to five, while they are fewer than one in forty. Such a loss is an accident, and it is enough to name
    what is left out; a larger one mostly means that the dataset was taken for something that it is not.
    """
    return max(total // 100, min(_FEW_UNUSABLE, max(0, total - 1) // 40))


def require_usable_dataset(dataset: Dataset, allow_unusable: bool = False) -> None:
    """Raise ``DataError`` when more images and labels than ``count_tolerated`` are unusable, unless ``allow_unusable``.

    Unlabelled images do not count, nor rejections by which nothing is lost, nor files among the photos that are none by
    their names, such as a README in a class folder: no label speaks of them.
    """
    unusable = [item for item in dataset.rejected if item.kind not in {"unlabelled", *NOTICE_KINDS}]
    if {*dataset.format.split(" + ")} <= {class_folders.NAME, file_names.NAME}:
        unusable = [item for item in unusable if item.kind != "unusable" or scan.may_hold_pixels(item.path)]
    count, tolerated = len(unusable), count_tolerated(dataset.total_count)
    if allow_unusable or count <= tolerated:
        return
    lines = "\n".join(f"  {item}" for item in unusable[:_MAX_LISTED])
    raise DataError(
        _("{count:,} of {total:,} images or labels cannot be used:").format(count=count, total=dataset.total_count)
        + f"\n{lines}"
        + (_("\n  and {more} more").format(more=count - _MAX_LISTED) if count > _MAX_LISTED else ""),
        _(
            "Expected at most {count:,}: one in a hundred, or up to {few} while they are fewer than one in forty."
        ).format(count=tolerated, few=_FEW_UNUSABLE),
        _("Fix or remove them, or allow it with --allow-unusable."),
    )


class _VerifiedKeys:
    """The digests of all images known to be decodable, as sorted 16-byte records in one cache file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests = self._load()

    def __contains__(self, key: str) -> bool:
        digest = np.array(bytes.fromhex(key), self._digests.dtype)
        position = int(np.searchsorted(self._digests, digest))
        return position < len(self._digests) and bool(self._digests[position] == digest)

    def add(self, keys: list[str]) -> None:
        """Add ``keys`` to the file, merged with what other processes have added meanwhile."""
        digests = np.frombuffer(bytes.fromhex("".join(keys)), self._digests.dtype)
        if np.isin(digests, self._digests).all():
            return
        fileio.write_bytes(self._path, np.union1d(self._load(), digests).tobytes())

    def _load(self) -> NDArray[np.bytes_]:
        """Return the sorted digests of the file; an incomplete record at its end is ignored."""
        data = self._path.read_bytes() if self._path.exists() else b""
        return np.frombuffer(data[: len(data) // _DIGEST_BYTES * _DIGEST_BYTES], f"S{_DIGEST_BYTES}")


def _verify_image(dataset: Dataset, index: int, verified: _VerifiedKeys) -> str | RejectedItem:
    """Return the digest of the image at ``index``, or why it cannot be decoded."""
    try:
        key = dataset.images.compute_key(index)
        if key not in verified:
            dataset.images.read_image(index, min_size=(1, 1))
    except ImageError as error:
        name = dataset.images.get_name(index)
        reason = error.problem.removeprefix(f"{dataset.images.get_path(index) or f'{dataset.root}: {name}'}: ").rstrip(
            "."
        )
        return RejectedItem(name, reason, error.remedy.rstrip("."))
    return key


def _map_rows(dataset: Dataset, function: Callable[[int], T], name: str, progress: Progress) -> list[T]:
    """Return ``function(row)`` for every row, in order, computed by threads, with the progress stage ``name``."""
    # Threads are enough: reading, hashing and decoding release the GIL.
    results: list[T] = []
    with progress.open_stage(name, len(dataset)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(dataset)))
            results += pool.map(function, batch)
            stage.advance(len(batch))
    return results
