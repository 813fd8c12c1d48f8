"""Applies edits: each compares the present state with what its author saw, changes it, and adds to the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from lince.i18n import _
from lince.studio.store.fields import EditRefusedError
from lince.studio.store.schema import classes, events, photo_classes, photos, shapes
from lince.studio.store.states import (
    State,
    Target,
    find_photo,
    format_state,
    parse_text,
    read_and_parse,
    write_state,
)

SAVED, STALE = "saved", "stale"
# Made once: to build a statement takes longer than SQLite needs for it.
_DONE = sa.select(events).where(events.c.key == sa.bindparam("edit"))
_OTHER_AUTHOR = (
    sa.select(events.c.who).where(events.c.act == sa.bindparam("edit"), events.c.who != sa.bindparam("author")).limit(1)
)
_RAISE_VERSION = (
    sa.update(photos)
    .where(photos.c.id == sa.bindparam("photo"))
    .values(version=photos.c.version + 1, shapes=photos.c.shapes + sa.bindparam("more", type_=sa.Integer))
    .returning(photos.c.version)
)
_ADD_EVENT = sa.insert(events).returning(events.c.seq)


@dataclass(frozen=True)
class Author:
    """Who edits, and in which session (a tab of a browser); both are kept in the journal."""

    who: str
    session: str = ""


@dataclass(frozen=True)
class Act:
    """What edits have in common: they are undone as one.

    ``key`` is made by the page and permanent; ``is_wide`` is whether it is an act on the project (a class renamed, many
    photos changed at once) and not on one photo. ``undoes`` is the key of the act that this one takes back.
    """

    key: str
    author: Author
    is_wide: bool = False
    kind: str = "edit"
    undoes: str | None = None


@dataclass(frozen=True)
class Edit:
    """One change of one target: from the state ``before``, which its author saw, to ``after``; ``None`` for absence.

    ``key`` is made by the page and permanent, so that an edit that is sent again is not made again. Edits with the same
    ``act`` are undone as one; an edit without is an act of its own. ``texts`` are the canonical texts of the two
    states, where they are known already.
    """

    key: str
    target: Target
    before: Any
    after: Any
    act: str | None = None
    texts: tuple[str | None, str | None] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of an edit: ``saved`` or ``stale``.

    ``seq`` is its number in the journal and ``version`` that of the photo after it. Of a stale edit, which changed
    nothing, ``now`` is the present state of the target and ``seq`` that of the event that made it so.
    """

    key: str
    status: str
    seq: int | None
    version: int | None
    now: State | None
    target_id: str
    who: str = ""


def apply_edit(connection: sa.Connection, edit: Edit, act: Act) -> Outcome:
    """Make an edit, unless its key is in the journal already, and return what became of it.

    It is stale when the target is no longer in the state ``before``; changes of other shapes of the photo do not
    matter. Raise ``EditRefusedError`` when ``after`` is no state, or the act is of another person, who would undo it.
    """
    done = connection.execute(_DONE, {"edit": edit.key}).one_or_none()
    if done is not None:
        return _describe(done)
    _require_own_act(connection, act)
    target = _number_class(connection, edit)
    now, after = read_and_parse(connection, target, edit.after)
    if format_state(now) != format_state(edit.before):
        last = _find_last(connection, target)
        seq, who = (last.seq, last.who) if last else (None, "")
        return Outcome(edit.key, STALE, seq, None, now, target.id, who)
    outcome = make_change(connection, Edit(edit.key, target, now, after), act)
    require_living_classes(connection, [target])
    return outcome


def _require_own_act(connection: sa.Connection, act: Act) -> None:
    who = connection.execute(_OTHER_AUTHOR, {"edit": act.key, "author": act.author.who}).scalar_one_or_none()
    if who is not None:
        raise EditRefusedError("act", _("{who} has changed it since.").format(who=who))


def require_living_classes(connection: sa.Connection, targets: Iterable[Target]) -> None:
    """Raise ``EditRefusedError`` where a class among ``targets`` is no longer alive and labels still use it."""
    ids = [int(target.id) for target in targets if target.kind == "class"]
    if not ids:
        return
    for table in (shapes, photo_classes):
        query = sa.select(classes.c.name, sa.func.count()).join(table, table.c.class_id == classes.c.id)
        query = query.where(classes.c.id.in_(ids), ~classes.c.alive).group_by(classes.c.name)
        for name, count in connection.execute(query):
            raise EditRefusedError(
                "in-use",
                _("{count} labels use the class {name}.").format(count=count, name=name),
                _("Expected none, since they would be lost."),
                _("Give them another class, or merge it into another one."),
            )


def make_change(connection: sa.Connection, edit: Edit, act: Act) -> Outcome:
    """Write the state ``edit.after``, which was checked, and its event; raise the version of the photo by one."""
    photo_id = find_photo(edit.target, edit.before, edit.after)
    write_state(connection, edit.target, edit.before, edit.after)
    is_shape = edit.target.kind == "shape"
    more = (edit.after is not None) - (edit.before is not None) if is_shape else 0
    version = _raise_version(connection, photo_id, more)
    row = {
        "key": edit.key,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": act.author.who,
        "session": act.author.session,
        "act": act.key,
        "wide": act.is_wide,
        "photo_id": photo_id,
        "version": version,
        "kind": act.kind,
        "target": edit.target.kind,
        "target_id": edit.target.id,
        "before": format_state(edit.before),
        "after": format_state(edit.after),
        "undoes": act.undoes,
    }
    seq = connection.execute(_ADD_EVENT, row).scalar_one()
    return Outcome(edit.key, SAVED, seq, version, edit.after, edit.target.id, act.author.who)


def apply_act(connection: sa.Connection, edits: Iterable[Edit], act: Act) -> list[Outcome]:
    """Make all ``edits`` or none; raise ``ConflictError`` with the first stale one."""
    outcomes = []
    for edit in edits:
        outcome = apply_edit(connection, edit, act)
        if outcome.status == STALE:
            raise ConflictError(outcome)
        outcomes.append(outcome)
    return outcomes


class ConflictError(EditRefusedError):
    """An act that cannot be made because somebody changed one of its targets since; ``outcome`` says which and who."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("conflict", _("{who} has changed it since.").format(who=outcome.who))
        self.outcome = outcome


def _describe(row: sa.Row[Any]) -> Outcome:
    return Outcome(row.key, SAVED, row.seq, row.version, parse_text(row.after), row.target_id, row.who)


def _number_class(connection: sa.Connection, edit: Edit) -> Target:
    """Return the target; a new class gets the next id, which no other had."""
    if edit.target.kind != "class" or edit.target.id:
        return edit.target
    newest = connection.execute(sa.select(sa.func.max(classes.c.id))).scalar_one()
    return Target("class", str(0 if newest is None else newest + 1))


def _raise_version(connection: sa.Connection, photo_id: int | None, more: int) -> int | None:
    """Return the new version of a photo, which has ``more`` shapes now."""
    if photo_id is None:
        return None
    return int(connection.execute(_RAISE_VERSION, {"photo": photo_id, "more": more}).scalar_one())


def _find_last(connection: sa.Connection, target: Target) -> sa.Row[Any] | None:
    query = sa.select(events).where(events.c.target == target.kind, events.c.target_id == target.id)
    return connection.execute(query.order_by(events.c.seq.desc()).limit(1)).one_or_none()
