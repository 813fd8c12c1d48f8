"""Remembers the digests of files for the life of the process, so that steps of one training do not read all twice."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable

_MAX_FILES = 2**17  # whose digests are kept, some 30 MiB
_SETTLED_NS = 2_000_000_000  # a file that changed so shortly before may change again under the same time


class DigestMemo:
    """The digests of files, each with the size and the times that the file had; can be used from several threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}

    def find(self, path: str) -> str:
        """Return the digest of the file at ``path`` if that is known and the file still the same, else nothing."""
        state, digest = self._known.get(path, ((), ""))
        return digest if digest and _read_state(path) == state else ""

    def get_digest(self, path: str, compute: Callable[[], str]) -> str:
        """Return the digest of the file at ``path``, from ``compute`` unless it is known.

        A file that changed in the last two seconds, and what is no plain file, is computed each time.
        """
        known = self.find(path)
        if known:
            return known
        state, digest = _read_state(path), compute()
        if state is not None and len(self._known) < _MAX_FILES and _read_state(path) == state:
            self._known[path] = state, digest
        return digest


def _read_state(path: str) -> tuple[int, ...] | None:
    """Return what tells that a file is unchanged; ``None`` for what is no plain file, or too new to tell."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode) or max(found.st_mtime_ns, found.st_ctime_ns) > time.time_ns() - _SETTLED_NS:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
