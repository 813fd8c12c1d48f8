"""Acts on the project: a field of many photos changed at once, a class merged into another one or deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from lince.i18n import _
from lince.studio.store.bulk import change_many, iterate_chunks, read_many, read_photos
from lince.studio.store.edits import STALE, Act, ConflictError, Edit, Outcome, require_living_classes
from lince.studio.store.fields import EditRefusedError
from lince.studio.store.label_moves import move_shapes
from lince.studio.store.schema import events, photo_classes, shapes
from lince.studio.store.states import State, Target, parse_state, read_state

_PART = 5000  # edits that are written at a time


class ActCounts(NamedTuple):
    """How many shapes and how many photos an act changed, and the number of its last event (0 for none)."""

    shapes: int
    photos: int
    seq: int


def change_photos(
    connection: sa.Connection, ids: Iterable[int], fields: Mapping[str, Any], act: Act, seen: int | None = None
) -> ActCounts:
    """Give all photos ``ids`` the ``fields`` of a photo's state, as one act; those that have them stay as they are.

    Raise ``EditRefusedError`` for an unknown photo or field, and ``ConflictError`` when somebody else changed one of
    them after event ``seen``, the last one that the page had heard of; nothing is changed then.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted or _is_done(connection, act):
        return _count(connection, act)
    now = read_photos(connection, wanted)
    new = _check_fields(connection, wanted, now, fields)
    if seen is not None:
        _require_unchanged(connection, wanted, seen, act)
    edits = (
        Edit("", Target("photo", str(photo_id)), now[photo_id], {**now[photo_id], **new})
        for photo_id in wanted
        if any(now[photo_id][name] != value for name, value in new.items())
    )
    _write_in_parts(connection, edits, act)
    return _count(connection, act)


def retire_class(connection: sa.Connection, class_id: int, into: int | None, act: Act) -> ActCounts:
    """Take a class out of use, as one act.

    Its labels get the class ``into``; without one, its shapes are removed and its photos lose it. The id stays, so
    that the act can be undone. Raise ``EditRefusedError`` for a class that is not alive.
    """
    if _is_done(connection, act):
        return _count(connection, act)
    target = Target("class", str(class_id))
    before = _require_living(connection, class_id)
    if into is not None:
        _require_living(connection, into)
    if into == class_id:
        raise EditRefusedError("class", _("A class cannot be merged into itself."))
    after = {**before, "alive": False, "merged_into": into}
    change_many(connection, [Edit("", target, before, after)], act)
    number = move_shapes(connection, class_id, into, act, 1)
    labels = chain(_move_shapes(connection, class_id, into), _move_photos(connection, class_id, into))
    _write_in_parts(connection, labels, act, number)
    require_living_classes(connection, [target])
    return _count(connection, act)


def _check_fields(
    connection: sa.Connection, ids: Sequence[int], now: Mapping[int, State], fields: Mapping[str, Any]
) -> State:
    """Return ``fields`` as a photo's state has them."""
    missing = [photo_id for photo_id in ids if photo_id not in now]
    if missing:
        raise EditRefusedError("photo", _("There is no such photo in this project."))
    unknown = sorted(fields.keys() - now[ids[0]].keys())
    if unknown:
        raise EditRefusedError(
            "field", _("{what} cannot be {found}.").format(what="field", found=", ".join(unknown)[:200])
        )
    state = parse_state(connection, Target("photo", str(ids[0])), {**now[ids[0]], **fields}) or {}
    return {name: state[name] for name in fields}


def _require_unchanged(connection: sa.Connection, ids: Sequence[int], seen: int, act: Act) -> None:
    newer = sa.select(events).where(
        events.c.seq > seen, events.c.target == "photo", events.c.session != act.author.session
    )
    wanted = set(ids)
    for row in connection.execute(newer.order_by(events.c.seq.desc())):
        if row.photo_id in wanted:
            raise ConflictError(Outcome(act.key, STALE, row.seq, row.version, None, row.target_id, row.who))


def _require_living(connection: sa.Connection, class_id: int) -> State:
    state = read_state(connection, Target("class", str(class_id)))
    if state is None or not state["alive"]:
        raise EditRefusedError("class", _("There is no such class in this project."))
    return state


def _move_shapes(connection: sa.Connection, class_id: int, into: int | None) -> Iterator[Edit]:
    query = sa.select(shapes.c.id).where(shapes.c.class_id == class_id).order_by(shapes.c.photo_id, shapes.c.z)
    for chunk in iterate_chunks(list(connection.execute(query).scalars())):
        targets = [Target("shape", shape_id) for shape_id in chunk]
        for target, before in read_many(connection, targets).items():
            if before is not None:
                yield Edit("", target, before, None if into is None else {**before, "class": into})


def _move_photos(connection: sa.Connection, class_id: int, into: int | None) -> Iterator[Edit]:
    query = (
        sa.select(photo_classes.c.photo_id)
        .where(photo_classes.c.class_id == class_id)
        .order_by(photo_classes.c.photo_id)
    )
    for chunk in iterate_chunks(list(connection.execute(query).scalars())):
        for photo_id, before in read_photos(connection, chunk).items():
            left = {one for one in before["classes"] if one != class_id} | ({into} - {None})
            # A photo that was done because it had this class alone is to be looked at again.
            state = "new" if not left and before["state"] == "done" else before["state"]
            yield Edit("", Target("photo", str(photo_id)), before, {**before, "classes": sorted(left), "state": state})


def _write_in_parts(connection: sa.Connection, edits: Iterator[Edit], act: Act, first: int = 0) -> None:
    """Write edits, of which there may be 100,000, some thousands at a time; the act has ``first`` events already."""
    while part := list(islice(edits, _PART)):
        change_many(connection, part, act, first)
        first += len(part)


def _is_done(connection: sa.Connection, act: Act) -> bool:
    return connection.execute(sa.select(events.c.seq).where(events.c.act == act.key).limit(1)).first() is not None


def _count(connection: sa.Connection, act: Act) -> ActCounts:
    query = sa.select(events.c.target, sa.func.count(), sa.func.max(events.c.seq)).where(events.c.act == act.key)
    counts = {target: (count, seq) for target, count, seq in connection.execute(query.group_by(events.c.target))}
    last = max((seq for _count_of, seq in counts.values()), default=0)
    return ActCounts(counts.get("shape", (0, 0))[0], counts.get("photo", (0, 0))[0], last)
