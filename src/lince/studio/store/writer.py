"""The one thread that writes to a project: edits that wait are written in one transaction, each on its own savepoint.

Many threads that write to SQLite wait for one another unfairly (up to 1.6 s were measured), and each pays for a flush
of the disk. With one writer, ten labellers share a flush, and an edit that fails takes none of the others with it.
"""

from __future__ import annotations

import errno
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from lince.errors import DataError
from lince.i18n import _
from lince.studio.store.database import begin_write

_log = logging.getLogger(__name__)
_MAX_GROUP = 64  # edits in one transaction
_CUT_CODES = ("08", "57P")  # of PostgreSQL's errors: no connection, or one that the server ends
_Result = TypeVar("_Result")


class NotSavedError(DataError):
    """An edit that could not be written, for example because the disk is full; nothing of it was kept."""


class _Waiting(NamedTuple):
    action: Callable[[sa.Connection], Any]
    future: Future[Any]


class Writer:
    """Runs actions on a connection that may write, in the order in which they come, and answers after the commit.

    ``notify`` is called in the thread of the writer after each commit.
    """

    def __init__(self, engine: sa.Engine, notify: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._notify = notify
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._write_until_closed, name="lince-writer", daemon=True)
        self._thread.start()

    def run(self, action: Callable[[sa.Connection], _Result]) -> _Result:
        """Return what ``action`` returns, once it is on disk; what it raises is raised here, and nothing is kept.

        Raise ``NotSavedError`` when the transaction cannot be written.
        """
        return self.submit(action).result()

    def submit(self, action: Callable[[sa.Connection], _Result]) -> Future[_Result]:
        """Return at once; the future has what ``run`` would return or raise."""
        future: Future[_Result] = Future()
        with self._lock:
            if self._is_closed:
                raise _not_saved(_("the project is closed"))
            self._waiting.put(_Waiting(action, future))
        return future

    def close(self) -> None:
        """Write what waits, then end the thread."""
        with self._lock:
            self._is_closed = True
        self._waiting.put(None)
        self._thread.join()

    def _write_until_closed(self) -> None:
        while True:
            group, is_last = self._take_group()
            if group:
                self._write_group(group)
            if is_last:
                return

    def _take_group(self) -> tuple[list[_Waiting], bool]:
        """Return the actions that wait now, at least one, and whether the writer is to end after them."""
        group: list[_Waiting] = []
        while len(group) < _MAX_GROUP:
            try:
                waiting = self._waiting.get(block=not group)
            except queue.Empty:
                break
            if waiting is None:
                return group, True
            group.append(waiting)
        return group, False

    def _write_group(self, group: list[_Waiting]) -> None:
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with begin_write(self._engine) as connection:
                for waiting in group:
                    outcomes.append((waiting.future, *_attempt(connection, waiting.action)))  # noqa: PERF401  # kept if one raises
        except (sa.exc.DBAPIError, OSError) as error:
            reason = name_disk_fault(error.orig if isinstance(error, sa.exc.DBAPIError) else error)
            for waiting in group:
                waiting.future.set_exception(_not_saved(reason))
            return
        except BaseException as error:  # noqa: BLE001  # whoever waits must hear of it
            for waiting in group:
                waiting.future.set_exception(error)
            return
        for future, result, failure in outcomes:
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
        self._tell_news()

    def _tell_news(self) -> None:
        """Call ``notify``; what it raises must not end the thread that writes."""
        try:
            self._notify()
        except Exception:  # noqa: BLE001
            _log.exception("the news of an edit could not be told")


def _attempt(connection: sa.Connection, action: Callable[[sa.Connection], Any]) -> tuple[Any, BaseException | None]:
    """Return what ``action`` returns, or what it raises after what it wrote was taken back.

    A failure of the database itself (a full disk, a connection that was cut) is raised: it concerns the whole
    transaction.
    """
    savepoint = connection.begin_nested()
    try:
        result = action(connection)
        savepoint.commit()
    except (sa.exc.OperationalError, sa.exc.InterfaceError):
        raise
    except Exception as error:  # of any kind, since the edits of others must not be lost with it
        savepoint.rollback()
        if connection.invalidated:
            raise
        return None, error
    return result, None


def name_disk_fault(error: BaseException | None) -> str:
    """Return why nothing could be written, in the person's language where it is a fault that people meet."""
    code = _find_code(error)
    if isinstance(error, ConnectionError) or code.startswith(_CUT_CODES):
        return _("the database does not answer")
    if isinstance(error, OSError):
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return _("the disk is full") if is_full else _("the disk could not be written")
    known = {
        "53100": _("the disk is full"),  # of PostgreSQL
        "SQLITE_FULL": _("the disk is full"),
        "SQLITE_READONLY": _("the project cannot be written"),
        "SQLITE_IOERR": _("the disk could not be written"),
        "SQLITE_BUSY": _("another program holds the project"),
    }
    name = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
    return known.get(name) or known.get(code) or str(error)


def _find_code(error: BaseException | None) -> str:
    """Return the code of an error of PostgreSQL, that of a cut connection where its driver says so without one."""
    if type(error).__name__ == "InterfaceError" and type(error).__module__.startswith("pg8000"):
        return _CUT_CODES[0]
    found = error.args[0] if error is not None and error.args else None
    return str(found.get("C", "")) if isinstance(found, dict) else ""


def _not_saved(reason: str) -> NotSavedError:
    return NotSavedError(
        _("The edit was not saved: {reason}.").format(reason=reason),
        remedy=_(
            "Leave the page open. Free some space on the disk, or find out why the folder cannot be written; the page "
            "then saves by itself."
        ),
    )
