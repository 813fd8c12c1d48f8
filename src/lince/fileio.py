"""Files and folders that are either whole or not there: written aside, then renamed; and their digests."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def atomic_file(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success it takes ``path``'s place, on failure it goes away.

    The bytes are flushed to the disk before the rename, so a crash leaves the old file or the new one. What can be
    computed again need not be ``durable``: a crash of the machine may then leave it cut off, and it costs no wait.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        if durable:
            _flush(aside)
        os.chmod(aside, 0o666 & ~_current_umask())
        os.replace(aside, path)
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` to fill; on success it becomes ``path``, on failure it goes away.

    ``path`` must not exist, or be an empty folder; ``FileExistsError`` says that somebody was quicker.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield aside
        os.chmod(aside, 0o777 & ~_current_umask())
        with suppress(OSError):  # not there, or not empty: the rename tells
            path.rmdir()
        _rename_folder(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all."""
    with atomic_file(path) as aside:
        aside.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON (UTF-8, no NaN), whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def compute_digest(data: bytes | memoryview) -> str:
    """Return the 32 hex digits (128 bits of BLAKE2b) that name this content."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def compute_sha256(path: Path) -> str:
    """Return the SHA-256 of the file at ``path`` as 64 hex digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def get_cache_folder() -> Path:
    """Return the folder of what can be computed again: ``LINCE_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("LINCE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lince"


def _rename_folder(aside: Path, path: Path) -> None:
    try:
        os.rename(aside, path)
    except OSError as error:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        raise


def _flush(path: Path) -> None:
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def _current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
