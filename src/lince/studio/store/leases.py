"""Hands out photos, so that two people do not label the same one: a lease of ten minutes, renewed while one looks."""

from __future__ import annotations

import time

import sqlalchemy as sa

from lince.studio.store.schema import photos

LEASE_SECONDS = 600.0
_OPEN_STATES = ("new", "draft")


def take_next(connection: sa.Connection, who: str, after: int | None = None, now: float | None = None) -> int | None:
    """Return the first photo after ``after`` that is not done and that nobody else has, and lease it to ``who``.

    After the last photo the first ones come again; ``None`` where there is none at all.
    """
    moment = time.time() if now is None else now
    free = _is_free(who, moment)
    query = sa.select(photos.c.id).where(photos.c.state.in_(_OPEN_STATES), ~photos.c.removed, free)
    if after is not None:
        query = query.where(photos.c.id != after).order_by((photos.c.id < after), photos.c.id)
    found = connection.execute(query.order_by(photos.c.id).limit(1)).scalar_one_or_none()
    if found is not None:
        renew_lease(connection, who, int(found), moment)
    return found


def renew_lease(connection: sa.Connection, who: str, photo_id: int, now: float | None = None) -> bool:
    """Lease a photo to ``who`` for ten more minutes; return whether nobody else has it."""
    moment = time.time() if now is None else now
    free = _is_free(who, moment)
    lease = {"assignee": who, "lease_until": moment + LEASE_SECONDS}
    return bool(connection.execute(sa.update(photos).where(photos.c.id == photo_id, free).values(**lease)).rowcount)


def _is_free(who: str, moment: float) -> sa.ColumnElement[bool]:
    """Return which photos nobody else has; a lease that ends too late is of a clock that was wrong."""
    is_over = (photos.c.lease_until < moment) | (photos.c.lease_until > moment + LEASE_SECONDS + 1)
    return photos.c.assignee.in_(("", who)) | is_over


def release_lease(connection: sa.Connection, who: str, photo_id: int) -> None:
    """Give back a photo that ``who`` has."""
    held = (photos.c.id == photo_id) & (photos.c.assignee == who)
    connection.execute(sa.update(photos).where(held).values(assignee="", lease_until=0.0))
