"""The counts that pages show beside filters and classes, kept as long as they are true, and a little longer where there
are so many photos that counting takes a while."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from lince.studio.store.project import Project
from lince.studio.store.schema import comments, events, photo_classes, photos, shapes

_SHORT_SECONDS = 0.05  # counting that takes no longer is done after every change
_MAX_LOAD = 10.0  # counts may be older than now by so many times what counting takes


class LabelCounts(NamedTuple):
    """How many shapes have a class, on how many photos, and how many photos have it as a whole."""

    shapes: int = 0
    shape_photos: int = 0
    photos: int = 0


@dataclass(frozen=True)
class PhotoCounts:
    """Counts after event ``seq``: of each filter's photos, each split's, each person's, and of labels by class id.

    Photos that were removed from the project count in ``states["removed"]`` alone.
    """

    seq: int
    states: dict[str, int]
    splits: dict[str, int]
    people: dict[str, int]
    labels: dict[int, LabelCounts]


class CountCache:
    """Counts when something has changed, and with many photos at most a tenth of the time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: PhotoCounts | None = None
        self._key: tuple[int, int] | None = None
        self._due = 0.0  # when counting again is worth it, in seconds of ``time.monotonic``

    def get(self, project: Project) -> PhotoCounts:
        """Return counts of now, or of a moment ago; ``seq`` says of when."""
        with self._lock, project.read() as connection:
            key = _read_key(connection)
            if self._counts is None or (key != self._key and time.monotonic() >= self._due):
                begin = time.monotonic()
                self._counts, self._key = count_photos(connection, key[0]), key
                seconds = time.monotonic() - begin
                self._due = time.monotonic() + (_MAX_LOAD * seconds if seconds > _SHORT_SECONDS else 0.0)
            return self._counts


def count_photos(connection: sa.Connection, seq: int) -> PhotoCounts:
    """Return the counts after event ``seq``, the newest one."""
    states: Counter[str] = Counter(
        {"all": 0, "unlabelled": 0, "draft": 0, "done": 0, "skipped": 0, "flagged": 0, "commented": 0, "removed": 0}
    )
    splits: Counter[str] = Counter()
    people: Counter[str] = Counter()
    labelled = sa.select(photo_classes.c.photo_id).distinct().subquery()
    has_label = (photos.c.shapes > 0) | (labelled.c.photo_id.is_not(None))
    columns = (photos.c.removed, photos.c.state, photos.c.split, photos.c.assignee)
    each = sa.select(*columns, (photos.c.flag != "").label("is_flagged"), has_label.label("is_labelled"))
    # Grouped outside, since PostgreSQL does not see that two expressions with a value of their own are the same.
    rows = each.outerjoin(labelled, labelled.c.photo_id == photos.c.id).subquery()
    query: sa.Select[Any] = sa.select(*rows.c, sa.func.count()).group_by(*rows.c)
    for removed, state, split, person, is_flagged, is_labelled, count in connection.execute(query):
        if removed:
            states["removed"] += count
            continue
        name = "unlabelled" if state in ("new", "draft") and not is_labelled else "draft" if state == "new" else state
        for key in {"all", name} | ({"draft"} if state == "draft" else set()) | ({"flagged"} if is_flagged else set()):
            states[key] += count
        splits[split] += count
        people[person] += count
    states["commented"] = _count_commented(connection)
    return PhotoCounts(seq, dict(states), dict(splits), dict(people), _count_labels(connection))


def _read_key(connection: sa.Connection) -> tuple[int, int]:
    """Return what changes with every edit and every new photo."""
    newest = [sa.select(sa.func.coalesce(sa.func.max(column), 0)) for column in (events.c.seq, photos.c.id)]
    seq, photo_id = (int(connection.execute(query).scalar_one()) for query in newest)
    return seq, photo_id


def _count_commented(connection: sa.Connection) -> int:
    query = sa.select(sa.func.count(comments.c.photo_id.distinct())).where(~comments.c.done)
    return int(
        connection.execute(query.join(photos, photos.c.id == comments.c.photo_id).where(~photos.c.removed)).scalar_one()
    )


def _count_labels(connection: sa.Connection) -> dict[int, LabelCounts]:
    found: dict[int, LabelCounts] = {}
    removed = sa.select(photos.c.id).where(photos.c.removed)
    for table, is_shape in ((shapes, True), (photo_classes, False)):
        query = sa.select(table.c.class_id, sa.func.count(), sa.func.count(table.c.photo_id.distinct()))
        # Read from an index alone; what is on removed photos, of which there are few, is taken away again.
        of_all = connection.execute(query.group_by(table.c.class_id)).all()
        of_removed = query.where(table.c.photo_id.in_(removed)).group_by(table.c.class_id)
        gone = {class_id: (count, photo_count) for class_id, count, photo_count in connection.execute(of_removed)}
        for class_id, count, photo_count in of_all:
            less, photos_less = gone.get(class_id, (0, 0))
            old = found.get(class_id, LabelCounts())
            if is_shape:
                found[class_id] = old._replace(shapes=count - less, shape_photos=photo_count - photos_less)
            else:
                found[class_id] = old._replace(photos=photo_count - photos_less)
    return found
