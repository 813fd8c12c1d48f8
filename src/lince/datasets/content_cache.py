"""Keeps what was computed of contents, such as thumbnails by the digest of a photo, in a folder of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.datasets import array_file

KEY_BYTES = 16
_MAX_SMALL_FILES = 32  # more files than that, each below ``_SMALL_BYTES``, are merged into one
_SMALL_BYTES = 2**20
Row = dict[str, Any]


class ContentCache:
    """Rows of named arrays by keys of 16 bytes, in files below ``folder`` that are added and never changed.

    Files that cannot be read, or of another ``version``, are ignored. When the files have more than ``max_bytes``, the
    oldest are deleted, so that the newest file is always kept.
    """

    def __init__(self, folder: Path, version: int, max_bytes: int) -> None:
        self._folder, self._version, self._max_bytes = folder, version, max_bytes
        self._files: dict[Path, array_file.Columns] = {}
        self._locations: dict[bytes, tuple[Path, int]] = {}
        for path in sorted(folder.glob(f"{version}-*.columns")) if folder.is_dir() else []:
            with suppress(OSError, ValueError, KeyError, TypeError):
                columns = array_file.read_columns(path)[1]
                self._locations.update((bytes(key), (path, row)) for row, key in enumerate(columns["keys"]))
                self._files[path] = columns

    def find(self, key: bytes) -> Row | None:
        """Return the row of ``key``, by column; ``None`` when it is not kept."""
        location = self._locations.get(key)
        if location is None:
            return None
        path, row = location
        return {name: column[row] for name, column in self._files[path].items() if name != "keys"}

    def add(self, keys: Sequence[bytes], columns: Mapping[str, NDArray[Any]]) -> None:
        """Write the rows whose keys are not kept yet to a new file; ``columns`` have one row for each key."""
        new_rows = {key: row for row, key in enumerate(keys) if key not in self._locations}
        if not new_rows:
            return
        rows = list(new_rows.values())
        packed = np.frombuffer(b"".join(new_rows), np.uint8).reshape(-1, KEY_BYTES)
        table = {"keys": packed} | {name: column[rows] for name, column in columns.items()}
        small = [path for path, known in self._files.items() if sum(c.nbytes for c in known.values()) < _SMALL_BYTES]
        if len(small) < _MAX_SMALL_FILES:
            small = []
        merged = [self._files[path] for path in small] + [table]
        self._write({name: np.concatenate([known[name] for known in merged]) for name in table})
        self._delete(small)
        self._delete_oldest()

    def _write(self, table: Mapping[str, NDArray[Any]]) -> None:
        """Write a file that is named by the digest of its keys."""
        name = f"{self._version}-{fileio.compute_digest(table['keys'].tobytes())}.columns"
        array_file.write_columns(self._folder / name, {}, table)

    def _delete_oldest(self) -> None:
        """Delete files of other versions, and the oldest until those that are left have at most ``max_bytes``."""
        found = []
        for path in self._folder.glob("*.columns"):
            with suppress(OSError):  # another process deleted it
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        found.sort(reverse=True)
        total = np.cumsum([size for _time, size, _path in found])
        prefix = f"{self._version}-"
        self._delete(
            path
            for rank, (_time, _size, path) in enumerate(found)
            if not path.name.startswith(prefix) or (rank and total[rank] > self._max_bytes)
        )

    @staticmethod
    def _delete(paths: Iterable[Path]) -> None:
        """Delete files; one that another process holds open on Windows stays until the next time."""
        for path in paths:
            with suppress(OSError):
                path.unlink()
