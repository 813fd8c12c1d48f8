"""The state of what an edit can change - a photo, shape, class or comment - as a JSON object, read from and written to
the tables.

A state is what the journal keeps before and after an edit; ``None`` stands for a shape, class or comment that does not
exist. Two states are equal when their canonical texts are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa

from lince.i18n import _
from lince.splits import SPLITS
from lince.studio.store.fields import (
    refuse_field,
    take_choice,
    take_flag,
    take_integer,
    take_number,
    take_text,
)
from lince.studio.store.schema import classes, comments, photo_classes, photos, shapes

State = dict[str, Any]
PHOTO_STATES = ("new", "draft", "done", "skipped")
SHAPE_KINDS = ("box", "polygon", "mask")
SOURCES = ("person", "model", "import", "copied")
NEW_PHOTO: State = {"classes": [], "flag": "", "removed": False, "split": "", "state": "new"}
_MAX_POINTS = 100_000  # vertices of one polygon
_MAX_MASK = 10_000_000  # characters of a mask's runs
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_NUMBER = re.compile(r"[0-9]{1,15}")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class Target(NamedTuple):
    """What is edited: its kind (``photo``, ``shape``, ``class`` or ``comment``) and its id as text."""

    kind: str
    id: str


# Made once: to build a statement takes longer than SQLite needs for it.
_ALIVE = sa.select(classes.c.alive).where(classes.c.id == sa.bindparam("target"))
_SIZE = sa.select(photos.c.width, photos.c.height).where(photos.c.id == sa.bindparam("target"))
_PHOTO = sa.select(photos.c.flag, photos.c.removed, photos.c.split, photos.c.state).where(
    photos.c.id == sa.bindparam("target")
)
_PHOTO_CLASSES = (
    sa.select(photo_classes.c.class_id)
    .where(photo_classes.c.photo_id == sa.bindparam("target"))
    .order_by(photo_classes.c.class_id)
)
_SHAPE = sa.select(shapes).where(shapes.c.id == sa.bindparam("target"))
_ADD_SHAPE = sa.insert(shapes)
_CHANGE_SHAPE = sa.update(shapes).where(shapes.c.id == sa.bindparam("target"))
_REMOVE_SHAPE = sa.delete(shapes).where(shapes.c.id == sa.bindparam("target"))


class _Kind(NamedTuple):
    read: Callable[[sa.Connection, str], State | None]
    write: Callable[[sa.Connection, str, State | None, State | None], None]
    parse: Callable[[sa.Connection, State], State]


def format_state(state: State | None) -> str | None:
    """Return the canonical text of a state: equal for equal states, also where a page wrote 10 for 10.0."""
    if state is None:
        return None
    return _encode(_use_integers(state))


def _use_integers(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_use_integers(item) for item in value]
    if isinstance(value, dict):  # most values are no numbers; a call for each would take half of the time
        return {
            key: _use_integers(item) if isinstance(item, float | list | dict) else item for key, item in value.items()
        }
    return value


def parse_text(text: str | None) -> State | None:
    """Return the state that ``format_state`` wrote."""
    return None if text is None else json.loads(text)


def read_state(connection: sa.Connection, target: Target) -> State | None:
    """Return the present state of ``target``, ``None`` where there is none."""
    return _KINDS[target.kind].read(connection, target.id)


def write_state(connection: sa.Connection, target: Target, before: State | None, after: State | None) -> None:
    """Give ``target``, which is in the state ``before``, the one that ``parse_state`` returned; ``None`` removes it.

    How many shapes a photo has is counted by who calls this.
    """
    _KINDS[target.kind].write(connection, target.id, before, after)


def parse_state(connection: sa.Connection, target: Target, given: Any) -> State | None:
    """Return ``given``, which a page sent, as a state with all its fields. Raise ``EditRefusedError`` for none."""
    return read_and_parse(connection, target, given)[1]


def read_and_parse(connection: sa.Connection, target: Target, given: Any) -> tuple[State | None, State | None]:
    """Return the present state of ``target``, and ``given`` as ``parse_state`` does."""
    if target.kind not in _KINDS:
        raise refuse_field("target", target.kind, ", ".join(_KINDS))
    is_number = target.kind in ("photo", "class")
    if not (_NUMBER if is_number else _ID).fullmatch(target.id):
        raise refuse_field("id", target.id, "7" if is_number else "01890a5d-ac96-774b-bcce-b302099a8057")
    if given is None:
        if is_number:
            raise refuse_field("state", None, "{...}")
        return read_state(connection, target), None
    if not isinstance(given, dict):
        raise refuse_field("state", given, "{...}")
    state = _KINDS[target.kind].parse(connection, given)
    now = read_state(connection, target)
    if now is None and target.kind == "photo":
        raise refuse_field("id", target.id, _("the id of a photo of this project"))
    if now is not None and now.get("photo") != state.get("photo"):
        raise refuse_field("photo", state["photo"], str(now["photo"]))
    return now, state


def find_photo(target: Target, *states: State | None) -> int | None:
    """Return the id of the photo that ``target`` is on, given its states; ``None`` for a class."""
    if target.kind == "photo":
        return int(target.id)
    return next((int(state["photo"]) for state in states if state and "photo" in state), None)


def _require_class(connection: sa.Connection, class_id: int) -> int:
    alive = connection.execute(_ALIVE, {"target": class_id}).scalar_one_or_none()
    if not alive:
        raise refuse_field("class", class_id, _("the id of a class of this project"))
    return class_id


def _parse_photo(connection: sa.Connection, given: State) -> State:
    ids = given.get("classes", [])
    if not isinstance(ids, list):
        raise refuse_field("classes", ids, "[1, 2]")
    found = sorted({_require_class(connection, take_integer({"class": value}, "class")) for value in ids})
    return {
        "classes": found,
        "flag": take_text(given, "flag"),
        "removed": take_flag(given, "removed", False),
        "split": take_choice(given, "split", ("", *SPLITS), ""),
        "state": take_choice(given, "state", PHOTO_STATES, "new"),
    }


def _read_photo(connection: sa.Connection, photo_id: str) -> State | None:
    row = connection.execute(_PHOTO, {"target": int(photo_id)}).one_or_none()
    if row is None:
        return None
    ids = connection.execute(_PHOTO_CLASSES, {"target": int(photo_id)}).scalars().all()
    return {"classes": list(ids), **row._asdict(), "removed": bool(row.removed)}


def _write_photo(connection: sa.Connection, photo_id: str, _before: State | None, state: State | None) -> None:
    if state is None:
        raise ValueError("a photo has a state as long as the project exists")
    key, kept = int(photo_id), {name: state[name] for name in ("flag", "removed", "split", "state")}
    connection.execute(sa.update(photos).where(photos.c.id == key).values(**kept))
    connection.execute(sa.delete(photo_classes).where(photo_classes.c.photo_id == key))
    if state["classes"]:
        rows = [{"photo_id": key, "class_id": class_id} for class_id in state["classes"]]
        connection.execute(sa.insert(photo_classes), rows)


def _parse_shape(connection: sa.Connection, given: State) -> State:
    photo_id = take_integer(given, "photo", most=2**53)
    size = connection.execute(_SIZE, {"target": photo_id}).one_or_none()
    if size is None:
        raise refuse_field("photo", photo_id, _("the id of a photo of this project"))
    kind = take_choice(given, "kind", SHAPE_KINDS, "box")
    rings = _parse_rings(given.get("rings", []), kind)
    score = given.get("score")
    return {
        "box": _parse_box(given.get("box"), rings, (size.width, size.height)),
        "class": _require_class(connection, take_integer(given, "class")),
        "flags": take_integer(given, "flags", 0, 31),
        "kind": kind,
        "mask": _parse_mask(given, kind),
        "model": take_text(given, "model"),
        "photo": photo_id,
        "rings": rings,
        "score": None if score is None else take_number(score, "score"),
        "source": take_choice(given, "source", SOURCES, "person"),
        "z": take_integer(given, "z", 0),
    }


def _parse_box(given: Any, rings: list[list[list[float]]], size: tuple[int, int]) -> list[float]:
    """Return left, top, right, bottom; of a polygon those of its points. The box has area and lies on the photo."""
    points = [point for ring in rings for point in ring]
    if points:
        across, down = zip(*points, strict=True)
        given = [min(across), min(down), max(across), max(down)]
    if not isinstance(given, list) or len(given) != 4:
        raise refuse_field("box", given, _("[left, top, right, bottom] in pixels"))
    left, top, right, bottom = (take_number(value, "box") for value in given)
    width, height = size
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        shown = [round(side, 2) for side in (left, top, right, bottom)]
        raise refuse_field(
            "box", shown, _("a box with area within {width} x {height}").format(width=width, height=height)
        )
    return [left, top, right, bottom]


def _parse_rings(given: Any, kind: str) -> list[list[list[float]]]:
    if kind != "polygon":
        return []
    expected = "[[[x, y], [x, y], [x, y]]]"
    if (
        not isinstance(given, list) or not given or not all(isinstance(ring, list) and len(ring) > 2 for ring in given)
    ):  # a triangle
        raise refuse_field("rings", given, expected)
    if sum(map(len, given)) > _MAX_POINTS:
        raise refuse_field("rings", "...", _("at most {count} points").format(count=_MAX_POINTS))
    if not all(isinstance(point, list) and len(point) == 2 for ring in given for point in ring):
        raise refuse_field("rings", given, expected)
    return [[[take_number(value, "rings") for value in point] for point in ring] for ring in given]


def _parse_mask(given: State, kind: str) -> str:
    value = given.get("mask", "") if kind == "mask" else ""
    if not isinstance(value, str) or len(value) > _MAX_MASK or (kind == "mask" and not value) or not value.isascii():
        raise refuse_field("mask", value, _("the runs of a mask"))
    return value


def _read_shape(connection: sa.Connection, shape_id: str) -> State | None:
    row = connection.execute(_SHAPE, {"target": shape_id}).one_or_none()
    return None if row is None else to_shape_state(row)


def to_shape_state(row: sa.Row[Any]) -> State:
    """Return the state of a row of the table of shapes."""
    return {
        "box": [row.x0, row.y0, row.x1, row.y1],
        "class": row.class_id,
        "flags": row.flags,
        "kind": row.kind,
        "mask": row.mask,
        "model": row.model,
        "photo": row.photo_id,
        "rings": json.loads(row.rings) if row.rings else [],
        "score": row.score,
        "source": row.source,
        "z": row.z,
    }


def to_shape_row(shape_id: str, state: State) -> dict[str, Any]:
    """Return the columns of the table of shapes for a state."""
    x0, y0, x1, y1 = state["box"]
    kept = {name: state[name] for name in ("flags", "kind", "mask", "model", "score", "source", "z")}
    rings = json.dumps(state["rings"], separators=(",", ":")) if state["rings"] else ""
    ids = {"id": shape_id, "photo_id": state["photo"], "class_id": state["class"]}
    return {**ids, **kept, "x0": x0, "y0": y0, "x1": x1, "y1": y1, "rings": rings}


def _write_shape(connection: sa.Connection, shape_id: str, before: State | None, state: State | None) -> None:
    if state is None:
        connection.execute(_REMOVE_SHAPE, {"target": shape_id})
    elif before is None:
        connection.execute(_ADD_SHAPE, to_shape_row(shape_id, state))
    else:
        connection.execute(_CHANGE_SHAPE, {"target": shape_id, **to_shape_row(shape_id, state)})


def _parse_class(connection: sa.Connection, given: State) -> State:
    name = take_text(given, "name").strip()
    if not name:
        raise refuse_field("name", name, _("a name"))
    merged_into = given.get("merged_into")
    if merged_into is not None:
        _require_class(connection, take_integer(given, "merged_into"))
    colour = take_text(given, "colour")
    if not _COLOUR.fullmatch(colour):
        raise refuse_field("colour", colour, "#e67800")
    return {
        "alive": take_flag(given, "alive", True),
        "colour": colour,
        "key": take_choice(given, "key", ("", *"123456789"), ""),
        "merged_into": merged_into,
        "name": name,
        "position": take_integer(given, "position", 0),
    }


def _read_class(connection: sa.Connection, class_id: str) -> State | None:
    row = connection.execute(sa.select(classes).where(classes.c.id == int(class_id))).one_or_none()
    return None if row is None else to_class_state(row)


def to_class_state(row: sa.Row[Any]) -> State:
    """Return the state of a row of the table of classes."""
    kept = {name: getattr(row, name) for name in ("colour", "key", "merged_into", "name", "position")}
    return {"alive": bool(row.alive), **kept}


def _write_class(connection: sa.Connection, class_id: str, _before: State | None, state: State | None) -> None:
    if state is None:
        raise ValueError("a class keeps its id for ever; one that is no longer used is not alive")
    key = int(class_id)
    twin = sa.select(classes.c.id).where(classes.c.name == state["name"], classes.c.alive, classes.c.id != key)
    if state["alive"] and connection.execute(twin).first():
        raise refuse_field("name", state["name"], _("a name that no other class of the project has"))
    changed = connection.execute(sa.update(classes).where(classes.c.id == key).values(**state))
    if not changed.rowcount:
        connection.execute(sa.insert(classes).values(id=key, **state))


def _parse_comment(connection: sa.Connection, given: State) -> State:
    photo_id = take_integer(given, "photo", most=2**53)
    if connection.execute(sa.select(photos.c.id).where(photos.c.id == photo_id)).first() is None:
        raise refuse_field("photo", photo_id, _("the id of a photo of this project"))
    return {
        "done": take_flag(given, "done", False),
        "photo": photo_id,
        "shape": take_text(given, "shape"),
        "text": take_text(given, "text"),
        "who": take_text(given, "who"),
    }


def _read_comment(connection: sa.Connection, comment_id: str) -> State | None:
    row = connection.execute(sa.select(comments).where(comments.c.id == comment_id)).one_or_none()
    if row is None:
        return None
    return {"done": bool(row.done), "photo": row.photo_id, "shape": row.shape_id, "text": row.text, "who": row.who}


def _write_comment(connection: sa.Connection, comment_id: str, _before: State | None, state: State | None) -> None:
    connection.execute(sa.delete(comments).where(comments.c.id == comment_id))
    if state is not None:
        kept = {name: state[name] for name in ("done", "text", "who")}
        ids = {"id": comment_id, "photo_id": state["photo"], "shape_id": state["shape"]}
        connection.execute(sa.insert(comments).values(**ids, **kept))


_KINDS = {
    "photo": _Kind(_read_photo, _write_photo, _parse_photo),
    "shape": _Kind(_read_shape, _write_shape, _parse_shape),
    "class": _Kind(_read_class, _write_class, _parse_class),
    "comment": _Kind(_read_comment, _write_comment, _parse_comment),
}
