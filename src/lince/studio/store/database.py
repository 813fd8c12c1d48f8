"""Opens the database of a project: SQLite in one file, or PostgreSQL for a team, with its schema brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from lince.errors import DataError, UsageError
from lince.fileio import quote_path
from lince.formats.lince_project import APPLICATION_ID, is_project_file
from lince.i18n import _
from lince.studio.store import schema

_BUSY_MILLISECONDS = 10_000
_WRITES = "lince_writes"  # an execution option of connections that are about to write
_VERSION_TABLE = sa.table("alembic_version", sa.column("version_num"))


class ProjectBrokenError(DataError):
    """A project file that is damaged, of another program, or written by a newer lince."""


class NewerProjectError(ProjectBrokenError):
    """A project whose tables a newer lince has made."""


def open_sqlite(path: Path, is_read_only: bool = False) -> sa.Engine:
    """Return an engine for the SQLite file ``path``, which is made when it is not there.

    Transactions begin when told to (``begin_write``), are written to disk before they are answered
    (``synchronous=FULL``), and do not stop those who read (write-ahead log). Raise ``ProjectBrokenError`` when the file
    is not a project of lince.
    """
    check_file(path)
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_MILLISECONDS / 1000})
    sa.event.listen(engine, "connect", _prepare_sqlite_to_read if is_read_only else _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def open_postgresql(address: str, is_read_only: bool = False) -> sa.Engine:
    """Return an engine for ``address``, such as ``postgresql://user@host/database``. Raise ``UsageError``."""
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError as error:
        raise UsageError(
            _("{address} is no address of a database.").format(address=address),
            _("Expected an address such as {example}.").format(example="postgresql://ana@localhost/fotos"),
        ) from error
    if url.get_backend_name() != "postgresql":
        raise UsageError(
            _("{kind} is not supported.").format(kind=url.get_backend_name()),
            _("Expected an address such as {example}.").format(example="postgresql://ana@localhost/fotos"),
        )
    engine = sa.create_engine(url.set(drivername="postgresql+pg8000"), pool_pre_ping=True)
    return engine.execution_options(postgresql_readonly=True) if is_read_only else engine


def check_file(path: Path) -> None:
    """Raise ``ProjectBrokenError`` when ``path`` exists and is not an SQLite file that lince may write."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as stream:
        header = stream.read(72)
    if not is_project_file(header):
        raise ProjectBrokenError(
            _("{path} is not a project of lince.").format(path=path),
            _("Expected a file that lince studio has made."),
            _("Move the file away, or start in another folder: {command}").format(
                command=f"lince studio {quote_path(path.parent.parent / 'labels')}"
            ),
        )


def connect(engine: sa.Engine) -> sa.Connection:
    """Return a connection; where those in the pool were cut, as when PostgreSQL was started again, a new one."""
    try:
        return engine.connect()
    except ConnectionError:  # the driver's own errors are found by the pool, those of the system are not
        engine.dispose()
        return engine.connect()


@contextmanager
def begin_write(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection in a transaction that may write, and commit it; on an error everything is rolled back.

    There is one such transaction at a time, also where several servers share a PostgreSQL database.
    """
    with connect(engine.execution_options(**{_WRITES: True})) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(APPLICATION_ID)))
        yield connection


def create_or_upgrade(engine: sa.Engine, path: Path | None = None) -> None:
    """Make the tables where there are none, or bring those of an older lince up to date.

    ``path`` is the SQLite file, of which a copy is kept in ``backups`` before its schema changes. Raise
    ``NewerProjectError`` when a newer lince has written it; nothing is changed then.
    """
    revision = read_revision(engine)
    if revision is None:
        _create(engine)
    elif revision != schema.REVISION:
        from lince.studio.store import migration  # noqa: PLC0415  # Alembic takes a second to import

        migration.upgrade_tables(engine, revision, path)


def read_revision(engine: sa.Engine) -> str | None:
    """Return the revision of the schema, ``None`` for a database without tables of lince.

    Raise ``ProjectBrokenError`` when the file is damaged.
    """
    try:
        if not sa.inspect(engine).has_table(_VERSION_TABLE.name):
            return None
        with engine.connect() as connection:
            return str(connection.execute(sa.select(_VERSION_TABLE.c.version_num)).scalar_one())
    except DBAPIError as error:
        if _is_read_only(error):
            raise ProjectBrokenError(
                _("The project cannot be written: {reason}.").format(reason=error.orig),
                _("Expected a folder in which this user may write."),
                _("Change the permissions of the folder and of the files in it, or copy it to a place of your own."),
            ) from error
        raise ProjectBrokenError(
            _("The project cannot be read: {reason}.").format(reason=error.orig),
            _("Expected a whole file of lince studio."),
            _("Copies of it are in its folder backups: put the newest one in its place."),
        ) from error


def has_known_tables(engine: sa.Engine) -> bool:
    """Whether a database has all tables and columns that this lince reads, among others perhaps."""
    inspector = sa.inspect(engine)
    names = set(inspector.get_table_names())
    return all(
        name in names and {column["name"] for column in inspector.get_columns(name)} >= set(table.c.keys())
        for name, table in schema.metadata.tables.items()
    )


def _is_read_only(error: DBAPIError) -> bool:
    name = getattr(error.orig, "sqlite_errorname", "")
    return name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"))


def _create(engine: sa.Engine) -> None:
    with begin_write(engine) as connection:
        schema.metadata.create_all(connection)
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute(sa.insert(_VERSION_TABLE).values(version_num=schema.REVISION))
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:  # into the file itself, by whose header a project is known
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _begin_sqlite(connection: sa.Connection) -> None:
    # The lock is taken at once: a reader that begins to write later would be refused without waiting.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry | Any) -> None:
    # Without it, Python's sqlite3 begins transactions by itself, and not before every statement.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MILLISECONDS}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_sqlite_to_read(connection: sqlite3.Connection, _record: ConnectionPoolEntry | Any) -> None:
    connection.isolation_level = None
    for pragma in ("query_only=ON", f"busy_timeout={_BUSY_MILLISECONDS}"):
        connection.execute(f"PRAGMA {pragma}").close()
