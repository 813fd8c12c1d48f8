"""What the journal of edits allows: undo and redo without end, the history of a photo, any earlier state, a replay.

Nothing is taken out of the journal. An undo is an act that swaps the states before and after of another one; a redo is
the undo of an undo; going back to a moment is one act as well, which can itself be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from lince.studio.store.bulk import change_many, iterate_chunks, read_many
from lince.studio.store.edits import SAVED, Act, Author, ConflictError, Edit, Outcome, require_living_classes
from lince.studio.store.label_moves import bring_back_shapes, find_move, has_many_shapes, reverse_move
from lince.studio.store.merges import make_merge_follower
from lince.studio.store.schema import classes, comments, events, photos, shapes
from lince.studio.store.states import (
    NEW_PHOTO,
    State,
    Target,
    format_state,
    parse_text,
    read_state,
)

States = dict[Target, str]
_PART = 5000  # targets that are changed at a time


class _PastAct(NamedTuple):
    key: str
    undoes: str | None


class _Move(NamedTuple):
    """A target with its present state and the wanted one, and the canonical texts of both."""

    target: Target
    now: State | None
    wanted: State | None
    texts: tuple[str | None, str | None]


class _Span(NamedTuple):
    """A target, and the numbers of its first and last event of those that are reverted."""

    target: Target
    first: int
    last: int


class Stacks(NamedTuple):
    """The acts that a person can undo and redo in one scope, oldest first."""

    undo: list[str]
    redo: list[str]


def find_stacks(connection: sa.Connection, who: str, photo_id: int | None) -> Stacks:
    """Return what ``who`` can undo and redo on a photo, or, with ``None``, of the acts on the project.

    A new act empties what can be redone, as in other programs; it stays in the journal.
    """
    undo: list[str] = []
    redo: list[str] = []
    for act in _list_acts(connection, who, photo_id):
        if act.undoes is None:
            undo.append(act.key)
            redo.clear()
        elif undo and act.undoes == undo[-1]:
            undo.pop()
            redo.append(act.key)
        elif redo and act.undoes == redo[-1]:
            redo.pop()
            undo.append(act.key)
    return Stacks(undo, redo)


def undo_act(connection: sa.Connection, key: str, author: Author, photo_id: int | None) -> list[Outcome]:
    """Take back the last act of ``author`` on a photo, or on the project; return what it changed, nothing for none.

    ``key`` is that of the new act, made by the page: sent again, it returns the same. Raise ``ConflictError`` when
    somebody else changed the same target since.
    """
    stack = find_stacks(connection, author.who, photo_id).undo
    return _reverse(connection, stack, Act(key, author, photo_id is None, "undo"))


def redo_act(connection: sa.Connection, key: str, author: Author, photo_id: int | None) -> list[Outcome]:
    """Make the act again that was undone last; the rest is as for ``undo_act``."""
    stack = find_stacks(connection, author.who, photo_id).redo
    return _reverse(connection, stack, Act(key, author, photo_id is None, "redo"))


def restore_states(
    connection: sa.Connection, key: str, author: Author, photo_id: int | None, seq: int
) -> list[Outcome]:
    """Bring a photo, or the whole project, back to what it was after event ``seq``, as one new act.

    Classes that were made since are no longer alive, since an id stays for ever.
    """
    done = _find_done(connection, key)
    if done:
        return done
    act = Act(key, author, photo_id is None, "restore")
    condition = events.c.seq > seq
    if photo_id is not None:
        condition &= events.c.photo_id == photo_id
    return _revert(connection, condition, act)


def list_history(connection: sa.Connection, photo_id: int, count: int = 1000) -> Sequence[sa.Row[Any]]:
    """Return the newest ``count`` events of a photo, newest first."""
    query = sa.select(events).where(events.c.photo_id == photo_id)
    return connection.execute(query.order_by(events.c.seq.desc()).limit(count)).all()


def list_events(connection: sa.Connection, after: int, count: int = 1000) -> Sequence[sa.Row[Any]]:
    """Return the events with a number above ``after``, oldest first, at most ``count``."""
    return connection.execute(sa.select(events).where(events.c.seq > after).order_by(events.c.seq).limit(count)).all()


def replay_events(connection: sa.Connection, until: int | None = None) -> States:
    """Return the canonical text of the state of every target that exists after event ``until`` (the last, if none)."""
    states: States = {}
    query = sa.select(events.c.target, events.c.target_id, events.c.after).order_by(events.c.seq)
    if until is not None:
        query = query.where(events.c.seq <= until)
    for kind, target_id, after in connection.execute(query):
        if after is None:
            states.pop(Target(kind, target_id), None)
        else:
            states[Target(kind, target_id)] = after
    return states


def read_all(connection: sa.Connection) -> States:
    """Return the canonical text of the present state of every target, as ``replay_events`` gives it.

    Photos that nobody has touched are left out.
    """
    states: States = {}
    for kind, table in (("photo", photos), ("class", classes), ("shape", shapes), ("comment", comments)):
        for target_id in connection.execute(sa.select(table.c.id)).scalars():
            target = Target(kind, str(target_id))
            text = format_state(read_state(connection, target))
            if text is not None and not (kind == "photo" and text == format_state(NEW_PHOTO)):
                states[target] = text
    return states


def without_new_photos(states: States) -> States:
    """Return ``states`` without the photos that are as they came."""
    new = format_state(NEW_PHOTO)
    return {target: text for target, text in states.items() if not (target.kind == "photo" and text == new)}


def _list_acts(connection: sa.Connection, who: str, photo_id: int | None) -> Iterable[_PastAct]:
    condition = (events.c.who == who) & (events.c.wide == (photo_id is None))
    if photo_id is not None:
        condition &= events.c.photo_id == photo_id
    first = sa.func.min(events.c.seq)
    query = sa.select(events.c.act, sa.func.min(events.c.undoes)).where(condition).group_by(events.c.act)
    return [_PastAct(*row) for row in connection.execute(query.order_by(first))]


def _reverse(connection: sa.Connection, stack: list[str], act: Act) -> list[Outcome]:
    """Take back the act on top of ``stack``."""
    done = _find_done(connection, act.key)
    if done or not stack:
        return done
    act = Act(act.key, act.author, act.is_wide, act.kind, stack[-1])
    return _revert(connection, events.c.act == stack[-1], act, is_checked=True)


def _list_spans(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[_Span]:
    """Return the targets of the events that fit, classes first, those that were changed last before the others."""
    first, last = sa.func.min(events.c.seq), sa.func.max(events.c.seq)
    query = sa.select(events.c.target, events.c.target_id, first, last).where(condition)
    rows = connection.execute(query.group_by(events.c.target, events.c.target_id))
    spans = [_Span(Target(kind, target_id), begin, end) for kind, target_id, begin, end in rows]
    return sorted(spans, key=lambda span: (span.target.kind != "class", -span.last))


def _revert(
    connection: sa.Connection, condition: sa.ColumnElement[bool], act: Act, is_checked: bool = False
) -> list[Outcome]:
    """Bring the targets of all events that fit back to what they were before the first of them, as one act.

    With ``is_checked``, raise ``ConflictError`` where one is no longer what its last event made of it. An act can have
    100,000 events: they are read and written in parts, and of so many the outcomes do not hold the states. Very many
    shapes are brought back at once.
    """
    outcomes: list[Outcome] = []
    are_many = has_many_shapes(connection, condition)
    spans = _list_spans(connection, condition & (events.c.target != "shape") if are_many else condition)
    for part in iterate_chunks(spans, _PART):
        made = _make_moves(connection, _list_moves(connection, part, is_checked), act, len(outcomes))
        outcomes += made if len(spans) <= _PART else [replace(outcome, now=None) for outcome in made]
    move = find_move(connection, act.undoes) if are_many and is_checked and act.undoes else None
    if move is not None:
        wanted = make_merge_follower(connection)({"class": move.old}) or {}
        outcomes += reverse_move(connection, move, wanted["class"], act, len(outcomes))
    elif are_many:
        outcomes += bring_back_shapes(connection, condition, act, len(outcomes), is_checked)
    require_living_classes(connection, [span.target for span in spans])
    return outcomes


def _list_moves(connection: sa.Connection, spans: Sequence[_Span], is_checked: bool) -> list[_Move]:
    texts: dict[int, Any] = {}
    columns = (events.c.seq, events.c.before, events.c.after)
    for chunk in iterate_chunks([span.first for span in spans] + [span.last for span in spans]):
        for row in connection.execute(sa.select(*columns).where(events.c.seq.in_(chunk))):
            texts[row.seq] = row
    states = read_many(connection, [span.target for span in spans])
    moves = []
    for target, first, last in spans:
        now = states[target]
        now_text = format_state(now)
        if is_checked and now_text != texts[last].after:
            event = connection.execute(_last_event(target)).one()
            raise ConflictError(Outcome(event.key, "stale", event.seq, event.version, now, target.id, event.who))
        text = texts[first].before
        before = parse_text(text)
        if before is None and target.kind == "class" and now is not None:
            before = {**now, "alive": False}  # an id stays for ever
            text = format_state(before)
        moves.append(_Move(target, now, before, (now_text, text)))
    return moves


def _make_moves(connection: sa.Connection, moves: Sequence[_Move], act: Act, first: int) -> list[Outcome]:
    """Change all targets that are not in the wanted state yet; the act has ``first`` events already.

    Classes come first, and until all have their state, none of them is alive, since two may exchange their names.
    """
    wanted = [move for move in moves if move.texts[0] != move.texts[1]]
    ids = [int(move.target.id) for move in wanted if move.target.kind == "class"]
    connection.execute(sa.update(classes).where(classes.c.id.in_(ids)).values(alive=False))
    edits = [Edit("", move.target, move.now, move.wanted, texts=move.texts) for move in wanted]
    of_classes = [edit for edit in edits if edit.target.kind == "class"]
    outcomes = change_many(connection, of_classes, act, first)
    follow = make_merge_follower(connection)
    others = [_follow(edit, follow) for edit in edits if edit.target.kind != "class"]
    return outcomes + change_many(connection, others, act, first + len(of_classes))


def _follow(edit: Edit, follow: Callable[[State | None], State | None]) -> Edit:
    after = follow(edit.after)
    return edit if after is edit.after else replace(edit, after=after, texts=None)


def _find_done(connection: sa.Connection, key: str) -> list[Outcome]:
    """Return the outcomes of the act ``key`` that is in the journal already."""
    rows = connection.execute(sa.select(events).where(events.c.act == key).order_by(events.c.seq)).all()
    return [
        Outcome(row.key, SAVED, row.seq, row.version, parse_text(row.after), row.target_id, row.who) for row in rows
    ]


def _last_event(target: Target) -> sa.Select[Any]:
    query = sa.select(events).where(events.c.target == target.kind, events.c.target_id == target.id)
    return query.order_by(events.c.seq.desc()).limit(1)
