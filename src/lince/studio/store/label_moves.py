"""Gives very many shapes another class, removes them, or brings earlier ones back, in a handful of statements.

One by one, the 100,000 shapes of a class would keep everybody waiting for half a minute. The journal gets the same
events as always: the state before an event is the text that the last event of the shape left, and the state after it
is an earlier text, or differs in the number of the class alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from lince.studio.store.edits import SAVED, STALE, Act, ConflictError, Outcome
from lince.studio.store.merges import make_merge_follower
from lince.studio.store.schema import events, photos, shapes
from lince.studio.store.states import parse_text, to_shape_row

_MANY = 1000  # shapes; fewer are moved one by one
_MANY_BACK = 1000  # shapes; fewer are brought back one by one
_PART = 5000  # shapes that are read and written at a time
_ORDER = (shapes.c.photo_id, shapes.c.z, shapes.c.id)
_earlier = events.alias("earlier")
_later = events.alias("later")
# For one transaction: the shapes that are brought back, with the numbers of their first and last event that is taken
# back, and of the newest of all.
_reverted = sa.Table(
    "reverted",
    sa.MetaData(),
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("newest", sa.BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
)


class ClassMove(NamedTuple):
    """An act that gave its shapes, all of the class ``old``, the class ``new``, and changed nothing else of them."""

    act: str
    old: int
    new: int


def move_shapes(connection: sa.Connection, class_id: int, into: int | None, act: Act, first: int) -> int:
    """Give the shapes of a class the class ``into``, or remove them, and return how many events the act has then.

    It has ``first`` already. Shapes that the journal does not know are left as they are.
    """
    of_class = (shapes.c.class_id == class_id) & _is_known()
    count = connection.execute(sa.select(sa.func.count()).select_from(shapes).where(of_class)).scalar_one()
    if not count:
        return first
    last = sa.select(sa.func.max(events.c.seq)).where(*_is_of_shape()).correlate(shapes).scalar_subquery()
    text = _earlier.c.after
    columns = {
        **_list_constants(act),
        "key": _make_key(act, first, _ORDER),
        "photo_id": shapes.c.photo_id,
        "version": _make_version(shapes.c.photo_id, _ORDER),
        "target_id": shapes.c.id,
        "before": text,
        "after": sa.null() if into is None else _replace_class(text, class_id, into),
    }
    source = shapes.join(photos, photos.c.id == shapes.c.photo_id).join(_earlier, _earlier.c.seq == last)
    rows = sa.select(*columns.values()).select_from(source).where(shapes.c.class_id == class_id).order_by(*_ORDER)
    connection.execute(sa.insert(events).from_select(list(columns), rows))
    if into is None:
        connection.execute(sa.delete(shapes).where(of_class))
    else:
        connection.execute(sa.update(shapes).where(of_class).values(class_id=into))
    _raise_versions(connection, act)
    return first + int(count)


def find_move(connection: sa.Connection, act: str) -> ClassMove | None:
    """Return what an act did to very many shapes if it gave them another class, and nobody touched them since."""
    of_act = _of_act(_earlier, act)
    counted = sa.select(sa.func.count(), sa.func.min(_earlier.c.seq)).where(of_act)
    count, first = connection.execute(counted).one()
    if count < _MANY:
        return None
    row = connection.execute(sa.select(events.c.before, events.c.after).where(events.c.seq == first)).one()
    before, after = parse_text(row.before), parse_text(row.after)
    if before is None or after is None:
        return None
    move = ClassMove(act, int(before["class"]), int(after["class"]))
    is_move = _earlier.c.after == _replace_class(_earlier.c.before, move.old, move.new)
    same_shape = (_later.c.target == "shape", _later.c.target_id == _earlier.c.target_id)
    is_last = ~sa.exists().where(*same_shape, _later.c.seq > _earlier.c.seq)
    alike = sa.select(sa.func.count()).select_from(_earlier).where(of_act, is_move, is_last)
    return move if connection.execute(alike).scalar_one() == count else None


def reverse_move(connection: sa.Connection, move: ClassMove, wanted: int, act: Act, first: int) -> list[Outcome]:
    """Give the shapes of ``move`` the class ``wanted`` that they had, or that took its place; the outcomes lack states.

    ``act`` has ``first`` events already.
    """
    if wanted == move.new:
        return []
    of_move = _of_act(_earlier, move.act)
    order = (_earlier.c.seq,)
    columns = {
        **_list_constants(act),
        "key": _make_key(act, first, order),
        "photo_id": _earlier.c.photo_id,
        "version": _make_version(_earlier.c.photo_id, order),
        "target_id": _earlier.c.target_id,
        "before": _earlier.c.after,
        "after": _replace_class(_earlier.c.before, move.old, wanted),
    }
    source = _earlier.join(photos, photos.c.id == _earlier.c.photo_id)
    rows = sa.select(*columns.values()).select_from(source).where(of_move).order_by(*order)
    connection.execute(sa.insert(events).from_select(list(columns), rows))
    moved = sa.select(_earlier.c.target_id).where(of_move)
    connection.execute(sa.update(shapes).where(shapes.c.id.in_(moved)).values(class_id=wanted))
    _raise_versions(connection, act)
    return _list_outcomes(connection, act)


def has_many_shapes(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> bool:
    """Whether the events that fit are of so many shapes that these are brought back by ``bring_back_shapes``."""
    some = sa.select(events.c.seq).where(condition, _is_shape(events)).limit(_MANY_BACK).subquery()
    return connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() >= _MANY_BACK


def bring_back_shapes(
    connection: sa.Connection, condition: sa.ColumnElement[bool], act: Act, first: int, is_checked: bool
) -> list[Outcome]:
    """Bring the shapes of the events that fit back to what they were before; the outcomes lack states.

    ``act`` has ``first`` events already. With ``is_checked``, raise ``ConflictError`` where somebody changed one of
    them since. Raise ``EditRefusedError`` where a shape had a class that was deleted.
    """
    _reverted.create(connection)  # after an error it is gone with the savepoint
    _list_reverted(connection, condition, is_checked)
    merged = _write_earlier(connection)
    _add_events_back(connection, act, first, merged)
    _reverted.drop(connection)
    _raise_versions(connection, act)
    return _list_outcomes(connection, act)


def _list_reverted(connection: sa.Connection, condition: sa.ColumnElement[bool], is_checked: bool) -> None:
    """Fill the table of the shapes that are brought back, but for those that are already as they were."""
    number = sa.func.max(events.c.seq)
    newest = sa.select(sa.func.max(_later.c.seq)).where(
        _later.c.target == "shape", _later.c.target_id == events.c.target_id
    )
    last = newest.correlate(events).scalar_subquery() if is_checked else number
    spans = sa.select(events.c.target_id, sa.func.min(events.c.seq), number, last).where(condition, _is_shape(events))
    connection.execute(
        sa.insert(_reverted).from_select(["id", "first", "last", "newest"], spans.group_by(events.c.target_id))
    )
    if is_checked:
        _require_last(connection)
    begun, ended = _earlier, _later
    same = (
        sa.select(_reverted.c.id)
        .join(begun, begun.c.seq == _reverted.c.first)
        .join(ended, ended.c.seq == _reverted.c.newest)
    )
    same = same.where(begun.c.before.is_not_distinct_from(ended.c.after))
    connection.execute(sa.delete(_reverted).where(_reverted.c.id.in_(same)))


def _require_last(connection: sa.Connection) -> None:
    """Raise ``ConflictError`` where a shape is no longer what its last event that is taken back made of it."""
    query = (
        sa.select(_later)
        .select_from(_reverted)
        .join(_earlier, _earlier.c.seq == _reverted.c.last)
        .join(_later, _later.c.seq == _reverted.c.newest)
        .where(_reverted.c.last != _reverted.c.newest, _earlier.c.after.is_distinct_from(_later.c.after))
    )
    found = connection.execute(query.limit(1)).one_or_none()
    if found is not None:
        now = parse_text(found.after)
        raise ConflictError(Outcome(found.key, STALE, found.seq, found.version, now, found.target_id, found.who))


def _write_earlier(connection: sa.Connection) -> dict[int, int]:
    """Write the earlier states of the shapes; return the living class for each one that was merged since."""
    connection.execute(sa.delete(shapes).where(shapes.c.id.in_(sa.select(_reverted.c.id))))
    follow, merged = make_merge_follower(connection), dict[int, int]()
    wanted = sa.select(_reverted.c.id, _earlier.c.before).join(_earlier, _earlier.c.seq == _reverted.c.first)
    wanted = wanted.where(_earlier.c.before.is_not(None)).order_by(_reverted.c.first)
    for part in connection.execute(wanted, execution_options={"yield_per": _PART}).partitions():
        rows = []
        for shape_id, text in part:
            earlier = parse_text(text) or {}
            state = follow(earlier) or earlier
            if state is not earlier:
                merged[earlier["class"]] = state["class"]
            rows.append(to_shape_row(shape_id, state))
        connection.execute(sa.insert(shapes), rows)
    return merged


def _add_events_back(connection: sa.Connection, act: Act, first: int, merged: dict[int, int]) -> None:
    order = (_reverted.c.first,)
    after: sa.ColumnElement[Any] = _earlier.c.before
    for old, living in merged.items():
        after = _replace_class(after, old, living)
    columns = {
        **_list_constants(act),
        "key": _make_key(act, first, order),
        "photo_id": _earlier.c.photo_id,
        "version": _make_version(_earlier.c.photo_id, order),
        "target_id": _reverted.c.id,
        "before": _later.c.after,
        "after": after,
    }
    source = _reverted.join(_earlier, _earlier.c.seq == _reverted.c.first).join(
        _later, _later.c.seq == _reverted.c.newest
    )
    source = source.join(photos, photos.c.id == _earlier.c.photo_id)
    rows = sa.select(*columns.values()).select_from(source).order_by(*order)
    connection.execute(sa.insert(events).from_select(list(columns), rows))


def _is_shape(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return which events are of shapes; nearly all are, so that an index on that would be read from end to end."""
    return table.c.target.concat("") == "shape"


def _list_outcomes(connection: sa.Connection, act: Act) -> list[Outcome]:
    made = sa.select(events.c.key, events.c.seq, events.c.version, events.c.target_id)
    made = made.where(_of_act(events, act.key)).order_by(events.c.seq)
    return [
        Outcome(key, SAVED, seq, version, None, target_id, act.author.who)
        for key, seq, version, target_id in connection.execute(made)
    ]


def _is_of_shape() -> tuple[sa.ColumnElement[bool], ...]:
    return events.c.target == "shape", events.c.target_id == shapes.c.id


def _is_known() -> sa.ColumnElement[bool]:
    return sa.exists(sa.select(events.c.seq).where(*_is_of_shape()).correlate(shapes))


def _list_constants(act: Act) -> dict[str, sa.ColumnElement[Any]]:
    """Return what all new events have in common, as ``bulk.change_many`` writes it."""
    constants = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": act.author.who,
        "session": act.author.session,
        "act": act.key,
        "kind": act.kind,
        "target": "shape",
    }
    return {
        **{name: sa.literal(value) for name, value in constants.items()},
        "wide": sa.literal(act.is_wide, sa.Boolean),
        "undoes": sa.literal(act.undoes, sa.String),
    }


def _make_key(act: Act, first: int, order: tuple[Any, ...]) -> sa.ColumnElement[Any]:
    number = sa.cast(sa.func.row_number().over(order_by=order) + (first - 1), sa.String)
    key = sa.literal(f"{act.key}:").concat(number)
    # The first event of an act has its key.
    return key if first else sa.case((number == "0", sa.literal(act.key)), else_=key)


def _make_version(photo_id: sa.ColumnElement[Any], order: tuple[Any, ...]) -> sa.ColumnElement[Any]:
    return photos.c.version + sa.func.row_number().over(partition_by=photo_id, order_by=order)


def _replace_class(text: sa.ColumnElement[Any], old: int, new: int) -> sa.ColumnElement[Any]:
    """Return the canonical text of a shape with another class; quotes within its own texts are escaped."""
    return sa.func.replace(text, f'"class":{old},"flags":', f'"class":{new},"flags":')


def _of_act(table: sa.FromClause, act: str) -> sa.ColumnElement[bool]:
    """Return which rows of the journal are those of an act on shapes."""
    return (table.c.act == act) & _is_shape(table)


def _raise_versions(connection: sa.Connection, act: Act) -> None:
    """Give the photos of an act, whose events are written, their new versions and counts of shapes."""
    newest = sa.select(sa.func.max(events.c.version)).where(events.c.photo_id == photos.c.id).scalar_subquery()
    count = sa.select(sa.func.count()).select_from(shapes).where(shapes.c.photo_id == photos.c.id).scalar_subquery()
    concerned = sa.select(events.c.photo_id).where(_of_act(events, act.key))
    raised = sa.update(photos).where(photos.c.id.in_(concerned)).values(version=newest, shapes=count)
    connection.execute(raised)
