"""Pairs of duplicate images, and the pairs that were found among a set of images, kept until one of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.datasets import array_file

CACHE_VERSION = 1  # to be raised when the search changes; results of other versions are deleted
_MAX_KEPT = 64  # sets of images, the newest


@dataclass(frozen=True)
class DuplicatePair:
    """Two images that look alike; ``first`` < ``second`` are rows of the dataset.

    ``similarity`` is 1 for equal files, and at least ``MIN_SIMILARITY`` for near duplicates. ``is_same_photo`` is true
    for equal files and for versions of one photo, and false for photos that differ in detail, such as two frames of a
    fixed camera; ``is_certain``, when nothing but noise differs. ``is_turned``: one is the other mirrored, or turned
    by right angles.
    """

    first: int
    second: int
    similarity: float = 1.0
    is_near_duplicate: bool = False
    is_same_photo: bool = True
    is_certain: bool = True
    is_turned: bool = False


class PairFile:
    """The file with the pairs found among images with the given contents, sizes and classes."""

    def __init__(self, keys: Sequence[str], short_sides: NDArray[np.int32], label_codes: NDArray[np.int32]) -> None:
        digest = fileio.compute_digest("".join(keys).encode() + short_sides.tobytes() + label_codes.tobytes())
        self._path: Path = fileio.get_cache_folder() / "duplicates" / f"{CACHE_VERSION}-{digest}.columns"

    def load(self) -> tuple[DuplicatePair, ...] | None:
        """Return the pairs; ``None`` where there is no file that can be read."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            columns = array_file.read_columns(self._path)[1]
            lists = (columns["rows"].tolist(), columns["similarities"].tolist(), (columns["flags"] > 0).tolist())
            return tuple(
                DuplicatePair(rows[0], rows[1], found, *flags) for rows, found, flags in zip(*lists, strict=True)
            )
        return None

    def store(self, pairs: Sequence[DuplicatePair]) -> None:
        """Write ``pairs``, and delete the results that are too old."""
        values = np.array([astuple(pair) for pair in pairs], np.float64).reshape(-1, 7)
        columns: array_file.Columns = {
            "rows": values[:, :2].astype(np.int32),
            "similarities": values[:, 2],
            "flags": values[:, 3:].astype(np.uint8),
        }
        array_file.write_columns(self._path, {}, columns)
        found = []
        for path in self._path.parent.glob("*.columns"):
            with suppress(OSError):  # another process deleted it
                found.append((path.stat().st_mtime_ns, path))
        kept = [path for _time, path in sorted(found, reverse=True) if path.name.startswith(f"{CACHE_VERSION}-")]
        for _time, path in found:
            if path not in kept[:_MAX_KEPT]:
                with suppress(OSError):  # open in another process, on Windows
                    path.unlink()
