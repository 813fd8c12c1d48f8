"""Reads a project of the studio: ``project.lince``, an SQLite file, with the standard library alone.

Linked photos stay where they are, so their names are full paths; uploaded ones are in the folder ``photos`` beside the
file. The class ids of the dataset are dense, in the order that the studio shows.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lince.errors import DataError
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.format import Capability, Format
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLITS, UNASSIGNED
from lince.storage.tree import DataLocation

NAME = "project"
FILE_NAME = "project.lince"
PHOTO_FOLDER = "photos"  # beside the file; the root of uploaded photos
REVISIONS = ("0001",)  # of the tables that are read here
APPLICATION_ID = 0x4C696E63  # "Linc", in the header of the file
CLASSIFICATION, DETECTION = "classification", "detection"
_SQLITE_HEADER = b"SQLite format 3\0"
_APPLICATION_ID_BYTES, _JOURNAL_MODE_BYTES = slice(68, 72), slice(18, 20)  # of the header of an SQLite file
_PHOTO_QUERY = "SELECT id, root, path, width, height, state, split, removed FROM photos ORDER BY id"
_SHAPE_QUERY = "SELECT photo_id, class_id, x0, y0, x1, y1, rings, mask, flags FROM shapes ORDER BY photo_id, z, id"


def detect(location: DataLocation) -> str | None:
    """Return the name of the project file at ``location``, ``None`` where there is none."""
    name = _find_file(location)
    return _("project of the studio: {name}").format(name=name) if name else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read all labelled photos of the project.

    A photo has a label when it has a class or shapes, or is done, which makes one without shapes a photo of nothing.
    The others, skipped and removed ones are rejected, as are photos whose file is gone. Raise ``DataError`` when the
    file is damaged, or was written by a newer lince.
    """
    path = location.tree.root / _require_file(location)
    with _open_database(location, path) as database:
        reader = _ProjectReader(database, path, ObjectTableBuilder(options))
        with progress.open_stage(_("Reading the labels"), 1) as stage:
            table = reader.read(location)
            stage.advance()
    return table


def is_project_file(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (at least 72 bytes) is a project of the studio."""
    return head.startswith(_SQLITE_HEADER) and int.from_bytes(head[_APPLICATION_ID_BYTES], "big") == APPLICATION_ID


def _find_file(location: DataLocation) -> str | None:
    name = location.file or FILE_NAME
    if not name.endswith(".lince") or not location.tree.has(name):
        return None
    return name if is_project_file(location.tree.head(name, 72)) else None


def _require_file(location: DataLocation) -> str:
    name = _find_file(location)
    if name is None:
        raise DataError(
            _("{path} contains no project of the studio.").format(path=location.path),
            _("Expected a file {name} that lince studio has made.").format(name=FILE_NAME),
        )
    return name


@contextmanager
def _open_database(location: DataLocation, path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that only reads; what a studio that is running has not yet moved to the file is read too."""
    try:
        if location.is_local:
            opened = _connect(path)
        else:
            opened = sqlite3.connect(":memory:")
            content = bytearray(location.tree.read(_require_file(location)))
            content[_JOURNAL_MODE_BYTES] = b"\1\1"  # a file in memory has no write-ahead log
            opened.deserialize(bytes(content))
        with closing(opened) as database:
            [(revision,)] = database.execute("SELECT version_num FROM alembic_version").fetchall()
            if revision not in REVISIONS:
                raise DataError(
                    _("{path} was written by a newer lince.").format(path=path),
                    _("Expected the layout {revision}, found {found}.").format(revision=REVISIONS[-1], found=revision),
                    _("Install that version of lince to read it."),
                )
            yield database
    except (sqlite3.DatabaseError, ValueError) as error:
        raise DataError(
            _("{path} cannot be read: {reason}.").format(path=path, reason=error),
            _("Expected a whole project of lince studio."),
            _("Copies of it are in its folder backups: put the newest one in its place."),
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    """Return a connection to a local file; one in a folder that cannot be written is read as it is."""
    address = path.absolute().as_uri()
    opened = sqlite3.connect(f"{address}?mode=ro", uri=True, timeout=30)
    try:
        opened.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError:
        opened.close()
        return sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True)
    return opened


class _ProjectReader:
    """Adds the photos and shapes of one project to a table."""

    def __init__(self, database: sqlite3.Connection, path: Path, builder: ObjectTableBuilder) -> None:
        self._database = database
        self._path = path
        self._builder = builder
        rows = database.execute("SELECT id, name FROM classes WHERE alive ORDER BY position, id").fetchall()
        self._class_names = [name for _class_id, name in rows]
        self._class_ids = {class_id: index for index, (class_id, _name) in enumerate(rows)}
        self._task = dict(database.execute("SELECT key, value FROM meta").fetchall()).get("task", CLASSIFICATION)
        self._photo_classes: dict[int, list[int]] = {}
        for photo_id, class_id in database.execute("SELECT photo_id, class_id FROM photo_classes"):
            self._photo_classes.setdefault(photo_id, []).append(class_id)
        self._has_several = any(len(class_ids) > 1 for class_ids in self._photo_classes.values())
        self._shape_counts = Counter(photo_id for (photo_id,) in database.execute("SELECT photo_id FROM shapes"))

    def read(self, location: DataLocation) -> LabelTable:
        """Return the table of all photos."""
        rows_by_photo = {}
        for photo in self._database.execute(_PHOTO_QUERY):
            row = self._add_photo(location, *photo)
            if row is not None:
                rows_by_photo[photo[0]] = row
        if self._task == DETECTION:
            for shape in self._database.execute(_SHAPE_QUERY):
                self._add_shape(rows_by_photo, *shape)
        table = self._builder.build_table(location.tree, NAME, self._class_names)
        if self._task == DETECTION:
            return table
        return replace(table, objects=None)

    def _add_photo(
        self, location: DataLocation, photo_id: int, root: str, path: str, width: int, height: int, *labels: Any
    ) -> int | None:
        """Return the row of a photo, ``None`` where it is rejected."""
        name = str(Path(root, path)) if root else f"{PHOTO_FOLDER}/{path}"
        state, split, removed = labels
        kind, reason, remedy = self._find_obstacle(photo_id, state, bool(removed))
        if not kind and not (Path(name).is_file() if root else location.tree.has(name)):
            kind, reason, remedy = "no-image", _("the file is not there"), _("put it back, or remove it in the studio")
        if kind:
            self._builder.reject(name, reason, remedy, kind=kind)
            return None
        chosen = self._photo_classes.get(photo_id, [])
        class_ids = [self._class_ids[class_id] for class_id in chosen] if self._task == CLASSIFICATION else None
        return self._builder.add_image(name, SPLITS.get(split, UNASSIGNED), (height, width), class_ids)

    def _find_obstacle(self, photo_id: int, state: str, removed: bool) -> tuple[str, str, str]:
        """Return the kind of rejection, the reason and what to do; three empty texts where the photo has a label."""
        if removed:
            return "unlabelled", _("removed from the project"), ""
        if state == "skipped":
            return "unlabelled", _("skipped in the studio"), _("label it there to use it")
        if self._task == DETECTION:
            known = state == "done" or self._shape_counts[photo_id]
        else:
            count = len(self._photo_classes.get(photo_id, []))
            known = count > 0 or (state == "done" and self._has_several)
        return ("", "", "") if known else ("unlabelled", _("not labelled yet"), _("label it in the studio"))

    def _add_shape(self, rows_by_photo: dict[int, int], photo_id: int, class_id: int, *geometry: Any) -> None:
        *sides, rings, mask, flags = geometry
        if photo_id not in rows_by_photo:
            return  # told with its photo
        left, top, right, bottom = map(float, sides)
        outlines = [np.array(ring, np.float64) for ring in json.loads(rings)] if rings else []
        found = RawObject(
            self._class_ids[class_id], (left, top, right, bottom), str(self._path), None, flags, outlines, mask
        )
        self._builder.add(rows_by_photo[photo_id], found)


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.LABELS
    | Capability.BOXES
    | Capability.OUTLINES
    | Capability.MASKS
    | Capability.SPLITS
    | Capability.FLAGS
    | Capability.CLASSES
    | Capability.NEGATIVES
    | Capability.MULTI_RING_OUTLINES
    | Capability.EXTERNAL_PATHS,
)
