"""News for the pages: edits of others by their number in the journal, and who looks at which photo."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lince.studio.store import journal, journal_list
from lince.studio.store.project import Project
from lince.studio.store.schema import events
from lince.studio.store.states import parse_text

_HEARTBEAT_SECONDS = 15.0
_PRESENCE_SECONDS = 40.0  # after which somebody who says nothing is no longer shown
_BATCH = 500
_MAX_EDITS = 50  # events of a wide act that are told one by one
_MAX_PHOTOS = 2000  # that a wide act names


@dataclass
class Presence:
    """Who looks at which photo, and when they last said so (``time.monotonic``)."""

    who: str
    photo_id: int | None
    at: float


class EventHub:
    """Wakes the open streams after each commit, from any thread, and keeps who is present."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakers: set[asyncio.Event] = set()
        self._present: dict[str, Presence] = {}
        self._is_closed = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say in which loop the streams are."""
        self._loop = loop

    def notify(self) -> None:
        """Wake all streams, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self._is_closed = True
        self._wake()

    def set_presence(self, session: str, who: str, photo_id: int | None) -> None:
        """Note, from any thread, that ``who`` looks at a photo, ``None`` for none."""
        self._present[session] = Presence(who, photo_id, time.monotonic())
        self.notify()

    def list_present(self) -> list[dict[str, Any]]:
        """Return who is there now, as session, person and photo."""
        limit = time.monotonic() - _PRESENCE_SECONDS
        self._present = {session: one for session, one in self._present.items() if one.at > limit}
        return [{"session": key, "who": one.who, "photo": one.photo_id} for key, one in self._present.items()]

    async def stream(
        self, project: Project, after: int, is_allowed: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[str]:
        """Yield server-sent events: ``edit`` with the journal's numbers above ``after`` as ids, and ``presence``.

        An act on very many photos is one event ``wide``, with the photos concerned, or ``null`` for too many to name.
        The stream ends when ``is_allowed`` no longer holds, for example for somebody who was removed.
        """
        waker = asyncio.Event()
        self._wakers.add(waker)
        shown: list[dict[str, Any]] | None = None
        try:
            while not self._is_closed and is_allowed():
                for name, row in await asyncio.to_thread(_read_news, project, after):
                    after = row["seq"]
                    yield _format(name, row, after)
                present = self.list_present()
                if present != shown:
                    shown = present
                    yield _format("presence", present)
                try:
                    await asyncio.wait_for(waker.wait(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                waker.clear()
        finally:
            self._wakers.discard(waker)

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.set()


def describe_event(row: sa.Row[Any]) -> dict[str, Any]:
    """Return an event of the journal as JSON, for pages."""
    kept = ("seq", "key", "at", "who", "session", "act", "version", "kind", "target", "target_id", "undoes")
    described = {name: getattr(row, name) for name in kept}
    return {**described, "photo": row.photo_id, "before": parse_text(row.before), "after": parse_text(row.after)}


def _read_news(project: Project, after: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the next news with their kinds; the events of a wide act follow one another."""
    news: list[tuple[str, dict[str, Any]]] = []
    with project.read() as connection:
        for row in journal.list_events(connection, after, _BATCH):
            if row.seq <= after:
                continue
            is_many = row.wide and journal_list.count_act(connection, row.act)[0] > _MAX_EDITS
            news.append(("wide", _describe_act(connection, row)) if is_many else ("edit", describe_event(row)))
            after = news[-1][1]["seq"]
    return news


def _describe_act(connection: sa.Connection, row: sa.Row[Any]) -> dict[str, Any]:
    """Return an act as one: ``seq`` of its last event, author, and up to 2000 photos."""
    of_act = events.c.act == row.act
    last = connection.execute(sa.select(sa.func.max(events.c.seq)).where(of_act)).scalar_one()
    chosen = sa.select(events.c.photo_id).where(of_act, events.c.photo_id.is_not(None)).distinct()
    ids = list(connection.execute(chosen.limit(_MAX_PHOTOS + 1)).scalars())
    kept = {name: getattr(row, name) for name in ("at", "who", "session", "act", "kind")}
    return {**kept, "seq": last, "photos": ids if len(ids) <= _MAX_PHOTOS else None}


def _format(name: str, value: Any, number: int | None = None) -> str:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"
