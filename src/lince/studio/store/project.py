"""A project that is open: reads of its database, edits through its one writer, copies of it every hour."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import sqlalchemy as sa

from lince.errors import DataError, LinceError
from lince.formats.lince_project import CLASSIFICATION, DETECTION, FILE_NAME, PHOTO_FOLDER
from lince.i18n import _
from lince.studio.store import backup, journal
from lince.studio.store.database import (
    NewerProjectError,
    connect,
    create_or_upgrade,
    has_known_tables,
    open_postgresql,
    open_sqlite,
)
from lince.studio.store.edits import Act, Author, Edit, Outcome, apply_act, apply_edit
from lince.studio.store.schema import events, meta
from lince.studio.store.writer import Writer
from lince.validation import require_choice
from lince.version import __version__

TASKS = (CLASSIFICATION, DETECTION)
_FIRST_VALUES: dict[str, Callable[[], str]] = {
    "created": lambda: datetime.now(UTC).isoformat(timespec="seconds"),
    "project": lambda: str(uuid.uuid4()),
}
_Result = TypeVar("_Result")


class ReadOnlyError(DataError):
    """A project of a newer lince, which this one shows and does not change."""


class Project:
    """An open project. Reads may come from any thread; edits are written one after the other by one thread.

    ``folder`` holds ``project.lince`` (unless ``database`` is the address of a PostgreSQL database), ``photos``,
    ``cache`` and ``backups``. ``notify`` is called after each commit, in the thread of the writer. Raise
    ``ProjectBrokenError`` when the file cannot be used; it is left as it is. With ``shows_newer``, a project of a newer
    lince that still has everything this one reads is opened to be looked at: ``newer`` is then the version that wrote
    it last, and every write raises ``ReadOnlyError``.
    """

    def __init__(
        self,
        folder: Path,
        database: str | None = None,
        notify: Callable[[], None] = lambda: None,
        shows_newer: bool = False,
    ) -> None:
        self.folder = folder
        self.file = None if database else folder / FILE_NAME
        self.newer: str | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.engine = self._open(database, shows_newer)
        self._notify = notify
        self._last_backup = time.monotonic()
        if self.newer is None:
            self._writer = Writer(self.engine, self._after_commit)
            self._writer.run(_set_first_values)

    def _open(self, database: str | None, shows_newer: bool) -> sa.Engine:
        path = self.folder / FILE_NAME
        engine = open_postgresql(database) if database else open_sqlite(path)
        try:
            create_or_upgrade(engine, self.file)
        except NewerProjectError:
            is_shown = shows_newer and has_known_tables(engine)
            engine.dispose()
            if not is_shown:
                raise
            engine = open_postgresql(database, is_read_only=True) if database else open_sqlite(path, is_read_only=True)
            with engine.connect() as connection:
                query = sa.select(meta.c.value).where(meta.c.key == "lince")
                self.newer = connection.execute(query).scalar_one_or_none() or ""
        return engine

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def photo_folder(self) -> Path:
        """The folder of the photos that were uploaded; linked ones stay where they are."""
        return self.folder / PHOTO_FOLDER

    def close(self) -> None:
        """Write what waits, and close the database."""
        if self.newer is None:
            self._writer.close()
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees one state of the project, whatever is written meanwhile."""
        with connect(self.engine) as connection, connection.begin():
            yield connection

    def write(self, action: Callable[[sa.Connection], _Result]) -> _Result:
        """Return what ``action`` returns once it is on disk (see ``Writer.run``)."""
        self.require_writable()
        return self._writer.run(action)

    def require_writable(self) -> None:
        """Raise ``ReadOnlyError`` for a project of a newer lince."""
        if self.newer is not None:
            raise ReadOnlyError(*describe_newer(self.newer))

    def apply_edits(self, edits: Sequence[Edit], author: Author) -> list[Outcome | LinceError]:
        """Make edits of one photo each on its own; return what became of each: its outcome, or why it was refused."""
        self.require_writable()
        futures = [self._writer.submit(_make_action(edit, Act(edit.act or edit.key, author))) for edit in edits]
        return [_wait(future) for future in futures]

    def apply_act(self, edits: Iterable[Edit], act: Act) -> list[Outcome]:
        """Make all ``edits`` as one act, or none of them; raise ``ConflictError`` or ``EditRefusedError``."""
        given = list(edits)
        return self.write(lambda connection: apply_act(connection, given, act))

    def undo(self, key: str, author: Author, photo_id: int | None = None) -> list[Outcome]:
        """Take back the last act of ``author`` on a photo, or on the project (see ``journal.undo_act``)."""
        return self.write(lambda connection: journal.undo_act(connection, key, author, photo_id))

    def redo(self, key: str, author: Author, photo_id: int | None = None) -> list[Outcome]:
        """Make the act again that was undone last (see ``journal.redo_act``)."""
        return self.write(lambda connection: journal.redo_act(connection, key, author, photo_id))

    def restore(self, key: str, author: Author, seq: int, photo_id: int | None = None) -> list[Outcome]:
        """Bring a photo or the project back to what it was after event ``seq`` (see ``journal.restore_states``)."""
        return self.write(lambda connection: journal.restore_states(connection, key, author, photo_id, seq))

    def read_meta(self) -> dict[str, str]:
        """Return what is known of the project as a whole: its task, id, when it was created and by which lince."""
        with self.read() as connection:
            return {row.key: row.value for row in connection.execute(sa.select(meta))}

    def set_task(self, task: str) -> None:
        """Say what the labels are for: ``classification`` (classes of photos) or ``detection`` (shapes on them)."""
        value = require_choice("task", task, TASKS)
        self.write(lambda connection: _set_value(connection, "task", value))

    def get_last_seq(self) -> int:
        """Return the number of the newest event, 0 for none."""
        with self.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(events.c.seq))).scalar_one() or 0)

    def _after_commit(self) -> None:
        if self.file is not None and time.monotonic() - self._last_backup >= backup.INTERVAL_SECONDS:
            self._last_backup = time.monotonic()
            backup.start_copy(self.file, self.folder / backup.FOLDER)
        self._notify()


def describe_newer(version: str) -> tuple[str, str, str]:
    """Return what was found, what was expected and what to do, for a project that ``version`` of lince wrote last."""
    if not version:
        return (
            _(
                "The project was written by a newer lince than this one, {own}: nothing in it can be changed here."
            ).format(own=__version__),
            "",
            _("Install the newest lince, then start the studio again."),
        )
    return (
        _("The project was last written by lince {version}: this one, {own}, shows it and changes nothing.").format(
            version=version, own=__version__
        ),
        "",
        _("To go on labelling, install lince {version} or a later one, then start the studio again.").format(
            version=version
        ),
    )


def _make_action(edit: Edit, act: Act) -> Callable[[sa.Connection], Outcome]:
    return lambda connection: apply_edit(connection, edit, act)


def _wait(future: Future[Outcome]) -> Outcome | LinceError:
    try:
        return future.result()
    except LinceError as error:
        return error


def _set_first_values(connection: sa.Connection) -> None:
    known = {row.key: row.value for row in connection.execute(sa.select(meta))}
    for key, make_value in _FIRST_VALUES.items():
        if key not in known:
            connection.execute(sa.insert(meta).values(key=key, value=make_value()))
    if known.get("lince") != __version__:  # which wrote it last: an older one tells the person
        _set_value(connection, "lince", __version__)


def _set_value(connection: sa.Connection, key: str, value: str) -> None:
    if not connection.execute(sa.update(meta).where(meta.c.key == key).values(value=value)).rowcount:
        connection.execute(sa.insert(meta).values(key=key, value=value))
