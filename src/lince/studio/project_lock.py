"""Keeps two studios from opening one project file: each would hide the edits of its people from those of the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lince.errors import UsageError
from lince.fileio import lock_file
from lince.i18n import _

LOCK_FILE = ".studio-lock"


@contextmanager
def hold_project(folder: Path) -> Iterator[None]:
    """Hold the project in ``folder``, which is made when it is not there, until the block or the process ends.

    Raise ``UsageError`` when another studio holds it. On a disk that knows no locks, or that cannot be written, there
    is none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # opening the project says why
        yield
        return
    try:
        if not lock_file(handle):
            holder = os.pread(handle, 20, 0).decode("ascii", "replace") if hasattr(os, "pread") else ""
            raise UsageError(
                _("Another lince studio has the project in {folder} open.").format(folder=folder)
                + (" " + _("Its number is {number}.").format(number=holder) if holder else ""),
                _("Expected a project that no other studio serves."),
                _("Open the address that the other one printed, or end it there with Ctrl+C."),
            )
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)
