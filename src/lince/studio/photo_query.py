"""Which photos the gallery shows, in which order, and what it shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lince.studio.photo_counts import LabelCounts
from lince.studio.store.schema import classes, comments, photo_classes, photos, shapes
from lince.validation import require_choice

STATE_FILTERS = ("all", "unlabelled", "draft", "done", "skipped", "flagged", "commented", "removed")


@dataclass(frozen=True)
class PhotoFilter:
    """What photos have in common: a state, a class, a split, a person, and a part of their names; empty for any."""

    state: str = "all"
    class_id: int | None = None
    split: str = ""
    person: str = ""
    search: str = ""

    def __post_init__(self) -> None:
        require_choice("filter", self.state, STATE_FILTERS)


def list_photo_ids(connection: sa.Connection, wanted: PhotoFilter) -> list[int]:
    """Return the ids of the photos that fit, in the order in which they came."""
    query = sa.select(photos.c.id).where(*_list_conditions(wanted)).order_by(photos.c.id)
    return list(connection.execute(query).scalars())


def list_photos(connection: sa.Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return what the gallery shows of the photos ``ids``, in that order: name, size, state, classes, boxes, flag."""
    rows = {row.id: row for row in connection.execute(sa.select(photos).where(photos.c.id.in_(ids)))}
    chosen: dict[int, list[int]] = {}
    pairs = sa.select(photo_classes).where(photo_classes.c.photo_id.in_(ids)).order_by(photo_classes.c.class_id)
    for photo_id, class_id in connection.execute(pairs):
        chosen.setdefault(photo_id, []).append(class_id)
    return [_describe(rows[photo_id], chosen.get(photo_id, [])) for photo_id in ids if photo_id in rows]


def list_classes(connection: sa.Connection, labels: Mapping[int, LabelCounts]) -> list[dict[str, Any]]:
    """Return the living classes in their order, with their counts in ``labels``."""
    query = sa.select(classes).where(classes.c.alive).order_by(classes.c.position, classes.c.id)
    kept = ("id", "name", "colour", "key", "position")
    return [
        {**{name: getattr(row, name) for name in kept}, **labels.get(row.id, LabelCounts())._asdict()}
        for row in connection.execute(query)
    ]


def _describe(row: sa.Row[Any], class_ids: list[int]) -> dict[str, Any]:
    kept = ("id", "path", "width", "height", "state", "split", "flag", "version", "shapes", "assignee", "digest")
    return {**{name: getattr(row, name) for name in kept}, "removed": bool(row.removed), "classes": class_ids}


def _list_conditions(wanted: PhotoFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [photos.c.removed if wanted.state == "removed" else ~photos.c.removed]
    has_class = sa.exists().where(photo_classes.c.photo_id == photos.c.id)
    by_state: dict[str, sa.ColumnElement[bool]] = {
        "unlabelled": photos.c.state.in_(("new", "draft")) & (photos.c.shapes == 0) & ~has_class,
        "draft": (photos.c.state == "draft") | ((photos.c.state == "new") & ((photos.c.shapes > 0) | has_class)),
        "done": photos.c.state == "done",
        "skipped": photos.c.state == "skipped",
        "flagged": photos.c.flag != "",
        "commented": sa.exists().where(comments.c.photo_id == photos.c.id, ~comments.c.done),
    }
    if wanted.state in by_state:
        conditions.append(by_state[wanted.state])
    if wanted.class_id is not None:
        of_shape = sa.exists().where(shapes.c.photo_id == photos.c.id, shapes.c.class_id == wanted.class_id)
        of_photo = has_class.where(photo_classes.c.class_id == wanted.class_id)
        conditions.append(of_shape | of_photo)
    if wanted.split:
        conditions.append(photos.c.split == ("" if wanted.split == "none" else wanted.split))
    if wanted.person:
        conditions.append(photos.c.assignee == wanted.person)
    if wanted.search:
        conditions.append(photos.c.path.icontains(wanted.search, autoescape=True))
    return conditions
