"""Lists the acts of the journal for people: who, when, what, and on how many photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from lince.studio.store.schema import events, photos
from lince.studio.store.states import parse_text


@dataclass(frozen=True)
class ListedAct:
    """An act: its last event ``seq`` (to which the project can be brought back), author, moment and ``what``.

    ``what`` is a code: the kind of an undo, redo, restore or import, else target and change, such as ``shape.add``.
    ``name`` is that of the class or photo concerned; ``count`` is the number of events, ``photos`` of photos.
    """

    seq: int
    first: int
    act: str
    who: str
    at: str
    wide: bool
    what: str
    name: str
    photo: int | None
    count: int
    photos: int

    def to_dict(self) -> dict[str, Any]:
        """Return the act as JSON for pages."""
        return asdict(self)


def list_acts(connection: sa.Connection, before: int | None = None, count: int = 50) -> Sequence[ListedAct]:
    """Return the newest ``count`` acts before event ``before``, newest first.

    The events of an act follow one another, since one thread writes them in one transaction.
    """
    acts: list[ListedAct] = []
    while len(acts) < count:
        query = sa.select(events).order_by(events.c.seq.desc()).limit(1)
        last = connection.execute(query if before is None else query.where(events.c.seq < before)).one_or_none()
        if last is None:
            break
        acts.append(_describe(connection, last))
        before = acts[-1].first
    return acts


def count_act(connection: sa.Connection, act: str) -> tuple[int, int]:
    """Return how many events an act has, and how many photos it concerns."""
    counted = sa.select(sa.func.count(), sa.func.count(events.c.photo_id.distinct())).where(events.c.act == act)
    row = connection.execute(counted).one()
    return int(row[0]), int(row[1])


def _describe(connection: sa.Connection, last: sa.Row[Any]) -> ListedAct:
    counted = sa.select(sa.func.min(events.c.seq), sa.func.count(), sa.func.count(events.c.photo_id.distinct()))
    first, count, photo_count = connection.execute(counted.where(events.c.act == last.act)).one()
    row = last
    if count > 1:  # what a class did tells more than what became of its labels
        whole = sa.select(events).where(events.c.act == last.act)
        ordered = whole.order_by((events.c.target != "class"), events.c.seq).limit(1)
        row = connection.execute(ordered).one()
    photo_id = last.photo_id if photo_count == 1 else None
    return ListedAct(
        seq=last.seq,
        first=first,
        act=last.act,
        who=last.who,
        at=last.at,
        wide=bool(last.wide),
        what=last.kind if last.kind != "edit" else f"{row.target}.{_find_change(row)}",
        name=_find_name(connection, row, photo_id),
        photo=photo_id,
        count=count,
        photos=photo_count,
    )


def _find_change(row: sa.Row[Any]) -> str:
    """Return ``add``, ``remove``, or the first field that an event changed: ``merge`` for a class that was merged."""
    before, after = parse_text(row.before), parse_text(row.after)
    if before is None or after is None:
        return "add" if before is None else "remove"
    if row.target == "class" and before["alive"] != after["alive"]:
        return "revive" if after["alive"] else "remove" if after["merged_into"] is None else "merge"
    order = ("removed", "classes", "split", "flag", "state", "name", "colour", "key", "position", "class", "done")
    return next((name for name in order if before.get(name) != after.get(name)), "change")


def _find_name(connection: sa.Connection, row: sa.Row[Any], photo_id: int | None) -> str:
    if row.target == "class":
        state = parse_text(row.after) or parse_text(row.before) or {}
        return str(state.get("name", ""))
    if photo_id is None:
        return ""
    return str(connection.execute(sa.select(photos.c.path).where(photos.c.id == photo_id)).scalar_one_or_none() or "")
