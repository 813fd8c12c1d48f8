"""Keeps two processes from training in one run folder: an open file that the operating system locks.

The lock ends with the process, however it ends, so that a run that was killed can be resumed at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lince.errors import TrainingError
from lince.fileio import lock_file
from lince.i18n import _

LOCK_FILE = ".lock"


@contextmanager
def hold_run_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the run in ``folder``; raise ``TrainingError`` when another process, or thread, holds it.

    On a disk that knows no locks there is none.
    """
    path = folder / LOCK_FILE
    handle = _open_locked(path)
    try:
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        if os.name != "nt":  # there an open file cannot be deleted
            path.unlink(missing_ok=True)
        os.close(handle)
        if os.name == "nt":
            with suppress(OSError):
                path.unlink()


def _open_locked(path: Path) -> int:
    """Return the open lock file; raise ``TrainingError`` when it is locked already."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not lock_file(handle):
            holder = os.pread(handle, 20, 0).decode("ascii", "replace") if hasattr(os, "pread") else ""
            os.close(handle)
            raise TrainingError(
                _("Another process is training in {folder}.").format(folder=path.parent)
                + (" " + _("Its number is {number}.").format(number=holder) if holder else ""),
                _("Expected a run that no other process works on."),
                _("Wait until it ends, or end it there with Ctrl+C."),
            )
        if _is_file_at(handle, path):
            return handle
        os.close(handle)  # the process that held it has deleted it meanwhile


def _is_file_at(handle: int, path: Path) -> bool:
    """Return whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
