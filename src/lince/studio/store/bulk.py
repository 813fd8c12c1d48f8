"""Writes acts on many photos and labels in few statements.

One by one, the 100,000 labels of a class would keep the one writer busy for minutes, and everybody else waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from lince.studio.store.edits import SAVED, Act, Edit, Outcome, make_change
from lince.studio.store.schema import events, photo_classes, photos, shapes
from lince.studio.store.states import State, Target, find_photo, format_state, read_state, to_shape_row, to_shape_state

_CHUNK = 500  # ids in one statement
_Item = TypeVar("_Item")
_PHOTO_FIELDS = ("flag", "removed", "split", "state")


def iterate_chunks(ids: Sequence[_Item], size: int = _CHUNK) -> Iterator[Sequence[_Item]]:
    """Yield parts of ``ids`` of ``size``; the default is what one statement can take."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def read_many(connection: sa.Connection, targets: Iterable[Target]) -> dict[Target, State | None]:
    """Return the present state of every target, as ``states.read_state`` does for one."""
    found: dict[Target, State | None] = {}
    photo_ids, shape_ids = [], []
    for target in targets:
        if target.kind == "photo":
            photo_ids.append(int(target.id))
        elif target.kind == "shape":
            shape_ids.append(target.id)
            found[target] = None
        else:
            found[target] = read_state(connection, target)
    found.update({Target("photo", str(key)): state for key, state in read_photos(connection, photo_ids).items()})
    for chunk in iterate_chunks(shape_ids):
        for row in connection.execute(sa.select(shapes).where(shapes.c.id.in_(chunk))):
            found[Target("shape", row.id)] = to_shape_state(row)
    return found


def read_photos(connection: sa.Connection, ids: Sequence[int]) -> dict[int, State]:
    """Return the state of each photo by its id; those that do not exist are left out."""
    states: dict[int, State] = {}
    columns = [photos.c[name] for name in ("id", *_PHOTO_FIELDS)]
    for chunk in iterate_chunks(ids):
        for photo_id, flag, removed, split, state in connection.execute(
            sa.select(*columns).where(photos.c.id.in_(chunk))
        ):
            states[photo_id] = {
                "classes": [],
                "flag": flag,
                "removed": bool(removed),
                "split": split,
                "state": state,
            }
        pairs = sa.select(photo_classes).where(photo_classes.c.photo_id.in_(chunk)).order_by(photo_classes.c.class_id)
        for photo_id, class_id in connection.execute(pairs):
            states[photo_id]["classes"].append(class_id)
    return states


def change_many(connection: sa.Connection, edits: Sequence[Edit], act: Act, first: int = 0) -> list[Outcome]:
    """Write the states ``after`` of ``edits``, which were checked, and their events, as ``make_change`` does for one.

    The first event of the act has its key, the others that key and a number; ``first`` is how many the act has already.
    Classes are written before photos and shapes.
    """
    ordered = sorted(edits, key=lambda edit: edit.target.kind != "class")
    keyed = [replace(edit, key=f"{act.key}:{place}" if place else act.key) for place, edit in enumerate(ordered, first)]
    outcomes = [make_change(connection, edit, act) for edit in keyed if edit.target.kind not in _WRITERS]
    many = [edit for edit in keyed if edit.target.kind in _WRITERS]
    for kind, write in _WRITERS.items():
        chosen = [edit for edit in many if edit.target.kind == kind]
        if chosen:
            write(connection, chosen)
    return outcomes + _add_events(connection, many, act)


def _write_photos(connection: sa.Connection, edits: Sequence[Edit]) -> None:
    rows = [
        {"photo": int(edit.target.id), **{f"new_{name}": edit.after[name] for name in _PHOTO_FIELDS}} for edit in edits
    ]
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in _PHOTO_FIELDS}
    connection.execute(sa.update(photos).where(photos.c.id == sa.bindparam("photo")).values(**values), rows)
    changed = [edit for edit in edits if edit.before is None or edit.before["classes"] != edit.after["classes"]]
    for chunk in iterate_chunks([int(edit.target.id) for edit in changed]):
        connection.execute(sa.delete(photo_classes).where(photo_classes.c.photo_id.in_(chunk)))
    pairs = [
        {"photo_id": int(edit.target.id), "class_id": class_id}
        for edit in changed
        for class_id in edit.after["classes"]
    ]
    if pairs:
        connection.execute(sa.insert(photo_classes), pairs)


def _write_shapes(connection: sa.Connection, edits: Sequence[Edit]) -> None:
    for chunk in iterate_chunks([edit.target.id for edit in edits]):
        connection.execute(sa.delete(shapes).where(shapes.c.id.in_(chunk)))
    rows = [to_shape_row(edit.target.id, edit.after) for edit in edits if edit.after is not None]
    if rows:
        connection.execute(sa.insert(shapes), rows)
    more: dict[int, int] = {}
    for edit in edits:
        photo_id = int((edit.after or edit.before)["photo"])
        more[photo_id] = more.get(photo_id, 0) + (edit.after is not None) - (edit.before is not None)
    counts = [{"photo": photo_id, "more": count} for photo_id, count in more.items() if count]
    if counts:
        raised = sa.update(photos).where(photos.c.id == sa.bindparam("photo"))
        connection.execute(raised.values(shapes=photos.c.shapes + sa.bindparam("more")), counts)


_WRITERS = {"photo": _write_photos, "shape": _write_shapes}


def _add_events(connection: sa.Connection, edits: Sequence[Edit], act: Act) -> list[Outcome]:
    """Add the events of ``edits`` on photos and shapes, and raise the versions of their photos."""
    if not edits:
        return []
    photo_ids = [find_photo(edit.target, edit.before, edit.after) for edit in edits]
    versions = _read_versions(connection, sorted({photo_id for photo_id in photo_ids if photo_id is not None}))
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    rows: list[dict[str, Any]] = []
    for edit, photo_id in zip(edits, photo_ids, strict=True):
        if photo_id is not None:
            versions[photo_id] += 1
        before, after = edit.texts or (format_state(edit.before), format_state(edit.after))
        rows.append(
            {
                "key": edit.key,
                "at": moment,
                "who": act.author.who,
                "session": act.author.session,
                "act": act.key,
                "wide": act.is_wide,
                "photo_id": photo_id,
                "version": None if photo_id is None else versions[photo_id],
                "kind": act.kind,
                "target": edit.target.kind,
                "target_id": edit.target.id,
                "before": before,
                "after": after,
                "undoes": act.undoes,
            }
        )
    newest = connection.execute(sa.select(sa.func.coalesce(sa.func.max(events.c.seq), 0))).scalar_one()
    connection.execute(sa.insert(events), rows)
    numbers = [{"photo": photo_id, "new": version} for photo_id, version in versions.items()]
    raised = sa.update(photos).where(photos.c.id == sa.bindparam("photo")).values(version=sa.bindparam("new"))
    connection.execute(raised, numbers)
    added = sa.select(events.c.key, events.c.seq).where(events.c.act == act.key, events.c.seq > newest)
    numbers_by_key = {row.key: row.seq for row in connection.execute(added)}
    return [
        Outcome(
            row["key"], SAVED, numbers_by_key[row["key"]], row["version"], edit.after, edit.target.id, act.author.who
        )
        for edit, row in zip(edits, rows, strict=True)
    ]


def _read_versions(connection: sa.Connection, ids: Sequence[int]) -> dict[int, int]:
    columns = (photos.c.id, photos.c.version)
    return {
        row.id: row.version
        for chunk in iterate_chunks(ids)
        for row in connection.execute(sa.select(*columns).where(photos.c.id.in_(chunk)))
    }
