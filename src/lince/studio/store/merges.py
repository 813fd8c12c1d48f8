"""Finds the living class for one that was merged into another since."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import sqlalchemy as sa

from lince.i18n import _
from lince.studio.store.fields import EditRefusedError
from lince.studio.store.schema import classes
from lince.studio.store.states import State


def make_merge_follower(connection: sa.Connection) -> Callable[[State | None], State | None]:
    """Return a function that gives an earlier state of a photo or shape living classes: for a merged class, the one
    into which it was merged; the state itself where it has none of them.

    It raises ``EditRefusedError`` where a class was deleted. Classes must not change while it is used.
    """
    find_living = cache(partial(_find_living, connection))

    def follow(state: State | None) -> State | None:
        if state is not None and "class" in state:
            living = find_living(state["class"])
            return state if living == state["class"] else {**state, "class": living}
        if state is not None and "classes" in state:
            chosen = sorted({find_living(class_id) for class_id in state["classes"]})
            return state if chosen == state["classes"] else {**state, "classes": chosen}
        return state

    return follow


def _find_living(connection: sa.Connection, class_id: int) -> int:
    seen: set[int] = set()
    columns = (classes.c.name, classes.c.alive, classes.c.merged_into)
    while class_id not in seen:
        seen.add(class_id)
        row = connection.execute(sa.select(*columns).where(classes.c.id == class_id)).one()
        if row.alive:
            return class_id
        if row.merged_into is not None:
            class_id = row.merged_into
    raise EditRefusedError(
        "class",
        _("The class {name} was deleted since.").format(name=row.name),
        remedy=_("Bring the class back in the table of classes, then try again."),
    )
