"""The people of a project: their names, roles and the hashes of their passwords."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from lince.annotations import get_class_colour
from lince.i18n import _
from lince.studio.store.fields import EditRefusedError
from lince.studio.store.schema import people

READER, LABELLER, REVIEWER, OWNER = "reader", "labeller", "reviewer", "owner"
ROLES = (READER, LABELLER, REVIEWER, OWNER)  # each may do what those before it may
_GONE = ""  # the role of somebody who was removed: the journal goes on naming them
_MAX_NAME = 40


@dataclass(frozen=True)
class Person:
    """A person: the name, which is also the id, the role, a colour ``#rrggbb``, and the hash of the password."""

    name: str
    role: str
    colour: str
    secret_hash: str = field(repr=False)


def list_people(connection: sa.Connection) -> list[Person]:
    """Return the people of the project by name, without those who were removed."""
    return [person for person in _list_all(connection) if person.role != _GONE]


def _list_all(connection: sa.Connection) -> list[Person]:
    found = [Person(row.id, row.role, row.colour, row.secret_hash) for row in connection.execute(sa.select(people))]
    return sorted(found, key=lambda person: person.name.casefold())


def find_person(known: Sequence[Person], name: str) -> Person | None:
    """Return the person who is called ``name``, in capitals or not."""
    wanted = _fold(name)
    return next((person for person in known if _fold(person.name) == wanted), None)


def save_person(connection: sa.Connection, name: str, role: str | None, secret_hash: str | None) -> Person:
    """Add a person, or change role and password of one; ``None`` leaves what is there.

    The first person of a project is an owner by default, others are labellers. Raise ``EditRefusedError`` for a name
    or role that cannot be, and where the project would have no owner any more.
    """
    known = list_people(connection)
    old = find_person(known, name)
    chosen = role or (old.role if old else LABELLER if known else OWNER)
    if chosen not in ROLES:
        raise EditRefusedError(
            "role",
            _("There is no role {name}.").format(name=repr(chosen)),
            _("Expected one of: {names}.").format(names=", ".join(ROLES)),
        )
    earlier = old or find_person(_list_all(connection), name)  # somebody who was removed comes back as the same
    name = earlier.name if earlier else _check_name(name)
    if old and chosen != OWNER:
        _require_other_owner(known, old)
    colour = old.colour if old else "#{:02x}{:02x}{:02x}".format(*get_class_colour(len(known)))
    person = Person(name, chosen, colour, (old.secret_hash if old else "") if secret_hash is None else secret_hash)
    _write(connection, person)
    return person


def remove_person(connection: sa.Connection, name: str) -> None:
    """Take somebody out of the project; what they did stays. Raise ``EditRefusedError`` for the last owner."""
    known = list_people(connection)
    old = find_person(known, name)
    if old is None:
        raise EditRefusedError("name", _("Nobody in this project is called {name}.").format(name=name))
    _require_other_owner(known, old)
    _write(connection, Person(old.name, _GONE, old.colour, ""))


def _write(connection: sa.Connection, person: Person) -> None:
    values = {"name": person.name, "role": person.role, "colour": person.colour, "secret_hash": person.secret_hash}
    changed = connection.execute(sa.update(people).where(people.c.id == person.name).values(**values))
    if not changed.rowcount:
        connection.execute(sa.insert(people).values(id=person.name, **values))


def _check_name(name: str) -> str:
    chosen = unicodedata.normalize("NFC", " ".join(name.split()))
    if not 1 <= len(chosen) <= _MAX_NAME or not chosen.isprintable():
        raise EditRefusedError(
            "name",
            _("{what} cannot be {found}.").format(what=_("A name"), found=repr(name[:100])),
            _("Expected 1 to {count} letters.").format(count=_MAX_NAME),
        )
    return chosen


def _require_other_owner(known: Sequence[Person], person: Person) -> None:
    owners = [one.name for one in known if one.role == OWNER]
    if owners == [person.name]:
        raise EditRefusedError(
            "last-owner",
            _("{name} is the only owner of the project.").format(name=person.name),
            remedy=_("Make somebody else an owner first."),
        )


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()
