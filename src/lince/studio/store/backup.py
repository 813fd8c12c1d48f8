"""Copies of the project file while it is in use: one an hour with edits, of which the last 24 and one for each of seven
days are kept."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path

from lince.fileio import replace_file

FOLDER = "backups"
INTERVAL_SECONDS = 3600.0
_HOURS, _DAYS = 24, 7
_PATTERN = "project-*.lince"
_STAMP = "project-%Y-%m-%d-%H%M%S"
_log = logging.getLogger(__name__)


def copy_database(path: Path, folder: Path) -> Path:
    """Write a whole copy of the SQLite file ``path`` to ``folder``, named by date and time, and return its path.

    Those who read and write need not wait. A copy that was broken off never has the name of a copy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{datetime.now().strftime(_STAMP)}.lince"
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(part),))
    replace_file(part, target)
    return target


def start_copy(path: Path, folder: Path) -> threading.Thread:
    """Copy the database in a thread of its own, then delete the copies that are no longer kept."""
    thread = threading.Thread(target=_copy_and_prune, args=(path, folder), name="lince-backup", daemon=True)
    thread.start()
    return thread


def prune_copies(folder: Path) -> None:
    """Delete the copies in ``folder`` but for the last 24, and the last one of each of the last seven days."""
    copies = sorted(folder.glob(_PATTERN))
    last_by_day = {path.name[: len("project-2026-01-31")]: path for path in copies}
    kept = {*copies[-_HOURS:], *sorted(last_by_day.values())[-_DAYS:]}
    for path in copies:
        if path not in kept:
            path.unlink(missing_ok=True)


def _copy_and_prune(path: Path, folder: Path) -> None:
    try:
        copy_database(path, folder)
        prune_copies(folder)
    except Exception:  # noqa: BLE001  # of any kind, such as a full disk: it must not end the labelling
        _log.exception("no copy of the project could be made")
