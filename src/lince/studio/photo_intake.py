"""Brings photos into a project: linked where they lie, or uploaded to its own folder."""

from __future__ import annotations

import itertools
import os
import secrets
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from lince import images
from lince.annotations import RejectedItem
from lince.errors import DataError, ImageError
from lince.fileio import compute_digest, write_bytes
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage.scan import looks_like_image
from lince.storage.tree import LocalFolder
from lince.studio.store.project import Project
from lince.studio.store.schema import photos

_BATCH = 512  # photos that are written in one transaction
_MAX_NAME = 120  # characters of the name of an uploaded photo
_RESERVED = frozenset('<>:"/\\|?*')  # in names on Windows


@dataclass(frozen=True)
class Intake:
    """What became of photos: how many are new, how many the project had, and which cannot be used and why."""

    added: int
    known: int
    rejected: tuple[RejectedItem, ...]


def link_folder(project: Project, folder: Path, progress: Progress = SILENT) -> Intake:
    """Add all photos in ``folder`` and the folders below it; they stay where they are and are never changed.

    Raise ``DataError`` where the folder has no photo, or is the project's own.
    """
    root = folder.expanduser().resolve()
    tree = LocalFolder(root)
    names = [name for name in tree.names if looks_like_image(name) and not _is_own(root / name, project)]
    if not names:
        raise DataError(
            _("{path} contains no photo.").format(path=folder),
            _("Expected a folder with JPEG, PNG or other photos in it."),
        )
    old = _list_known(project, root)
    reason = _("written by lince, so it is no photo of yours")
    added, known = 0, len(old.intersection(names))
    rejected = [RejectedItem(name, reason, kind="own-output") for name in tree.listing.left_out]
    names = [name for name in names if name not in old]
    with progress.open_stage(_("Adding the photos"), len(names)) as stage, ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in _iterate_batches(names):
            read = list(pool.map(lambda name: read_photo(root / name, str(root), name), batch))
            rejected += [item for item in read if isinstance(item, RejectedItem)]
            rows = [item for item in read if not isinstance(item, RejectedItem)]
            new = project.write(partial(insert_photos, rows=rows))
            added, known = added + len(new), known + len(rows) - len(new)
            stage.advance(len(batch))
    return Intake(added, known, tuple(rejected))


def _list_known(project: Project, root: Path) -> set[str]:
    """Return the names of the photos of the folder ``root`` that the project has; they need not be read again."""
    with project.read() as connection:
        return set(connection.execute(sa.select(photos.c.path).where(photos.c.root == str(root))).scalars())


def add_upload(project: Project, name: str, data: bytes) -> Intake:
    """Write an uploaded photo to the folder ``photos`` and add it, unless the project has the same content already.

    ``name`` is what the browser calls it; only its last part is used, made safe for every system. A photo that cannot
    be opened is rejected, and nothing is written.
    """
    digest = compute_digest(data)
    with project.read() as connection:
        same = connection.execute(sa.select(photos.c.id).where(photos.c.digest == digest, ~photos.c.removed)).first()
    if same:
        return Intake(0, 1, ())
    shown = clean_name(name)
    row = _measure(data, "", shown, shown)
    if isinstance(row, RejectedItem):
        return Intake(0, 0, (row,))
    row["path"] = _write_new(project.photo_folder, shown, data)
    project.write(lambda connection: insert_photos(connection, [row]))
    return Intake(1, 0, ())


class PhotoCopies:
    """Photos that are copied to a project as part of one import; where that fails, the copies are taken away again."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, int | None] = {}  # by content: the id of a photo that was there before
        self._written: list[Path] = []

    def __enter__(self) -> PhotoCopies:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._written if error else ():
            path.unlink(missing_ok=True)

    def add(self, name: str, data: bytes) -> dict[str, Any] | RejectedItem:
        """Return the columns of a photo that was copied, the ``id`` of one with the same content, or a rejection.

        Two photos of one import that are the same become two, since their labels may differ.
        """
        digest = compute_digest(data)
        if digest not in self._known:
            with self._project.read() as connection:
                same = sa.select(photos.c.id).where(photos.c.digest == digest, ~photos.c.removed)
                self._known[digest] = connection.execute(same).scalars().first()
        if (known := self._known[digest]) is not None:
            return {"id": known}
        shown = clean_name(name)
        row = _measure(data, "", shown, shown)
        if isinstance(row, RejectedItem):
            return row
        row["path"] = _write_new(self._project.photo_folder, shown, data)
        self._written.append(self._project.photo_folder / row["path"])
        return row


def clean_name(name: str) -> str:
    """Return the last part of a path from a browser as a file name that every system can have."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    letters = "".join("_" if letter in _RESERVED or not letter.isprintable() else letter for letter in last)
    stem, dot, suffix = letters.strip(" .").rpartition(".")
    stem = (stem if dot else suffix)[:_MAX_NAME].strip(" .") or "photo"
    return f"{stem}.{suffix[:8]}" if dot else stem


def read_photo(path: Path, root: str, name: str) -> dict[str, Any] | RejectedItem:
    """Return the columns of the photo at ``path``, or why it cannot be used; ``name`` is its path from ``root``."""
    try:
        return _measure(images.read_bytes(path), root, name, name)
    except ImageError as error:
        return RejectedItem(name, error.problem.rstrip("."), error.remedy.rstrip("."))


def insert_photos(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Add the photos that the project does not have yet, and return their ids."""
    new = []
    for row in rows:
        place = (photos.c.root == row["root"]) & (photos.c.path == row["path"])
        if connection.execute(sa.select(photos.c.id).where(place)).first() is None:
            new.append(connection.execute(sa.insert(photos).values(**row).returning(photos.c.id)).scalar_one())
    return new


def _measure(data: bytes, root: str, path: str, shown: str) -> dict[str, Any] | RejectedItem:
    try:
        (height, width), orientation = images.read_geometry(data)
        images.check_pixel_count(height, width)
        if not (height and width):
            height, width = images.decode_image(data).shape[:2]
    except ImageError as error:
        return RejectedItem(shown, error.problem.rstrip("."), error.remedy.rstrip("."))
    return {
        "root": root,
        "path": path,
        "digest": compute_digest(data),
        "width": width,
        "height": height,
        "orientation": orientation,
        "bytes": len(data),
        "added": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _write_new(folder: Path, name: str, data: bytes) -> str:
    """Write ``data`` under ``name``, or a name with a number where there is such a file, and return that name."""
    stem, dot, suffix = name.rpartition(".")
    stem = stem if dot else suffix
    ending = f".{suffix}" if dot else ""
    folder.mkdir(parents=True, exist_ok=True)
    for chosen in (name, *(f"{stem}-{number}{ending}" for number in range(2, 100)), f"{stem}-{_make_word()}{ending}"):
        target = folder / chosen
        try:
            target.touch(exist_ok=False)  # nobody else can take the name now
        except FileExistsError:
            continue
        try:
            write_bytes(target, data)
        except OSError:  # such as a full disk
            target.unlink(missing_ok=True)
            raise
        return chosen
    raise DataError(_("No free name for {name}.").format(name=name))


def _make_word() -> str:
    return f"{int(time.time())}-{secrets.token_hex(4)}"


def _is_own(path: Path, project: Project) -> bool:
    """Whether a photo lies in the project's own folders, such as the thumbnails of the cache."""
    return any(path.is_relative_to(project.folder / name) for name in ("cache", "backups", "runs"))


def _iterate_batches(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    iterator = iter(names)
    while batch := tuple(itertools.islice(iterator, _BATCH)):
        yield batch
