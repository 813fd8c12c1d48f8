"""Who may sign in to the studio: the people of the project, kept in memory for the check of every request."""

from __future__ import annotations

import threading
import time

import sqlalchemy as sa

from lince.i18n import _
from lince.studio.guess_limit import GuessLimit
from lince.studio.passwords import is_password
from lince.studio.store import people
from lince.studio.store.people import Person
from lince.studio.store.project import Project
from lince.web.http_errors import ApiError

_KEPT_SECONDS = 5.0  # another process, such as lince studio --set-password, may change them


class PeopleBook:
    """The people of an open project, read again after five seconds and after each change by this process."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._limit = GuessLimit()
        self._known: list[Person] = []
        self._read_at: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether what is in memory may be out of date."""
        return self._read_at is None or time.monotonic() - self._read_at > _KEPT_SECONDS

    def read(self) -> list[Person]:
        """Read the people from the project, and return them; those in memory where it cannot be read just now."""
        with self._lock:
            try:
                with self._project.read() as connection:
                    self._known = people.list_people(connection)
            except sa.exc.DBAPIError:
                if self._read_at is None:
                    raise
            self._read_at = time.monotonic()
            return self._known

    def find(self, name: str) -> Person | None:
        """Return a person who has a password and is called ``name``, from memory."""
        person = people.find_person(self._known, name)
        return person if person and person.secret_hash else None

    def sign_in(self, name: str, password: str, address: str) -> Person:
        """Return the person with that name and password; raise ``ApiError``: 401 for none, 429 for too many guesses.

        An unknown name takes as long as a wrong password, and gets the same answer.
        """
        self._limit.take(name, address)
        self.read()
        person = self.find(name)
        if not is_password(person.secret_hash if person else "", password) or person is None:
            raise ApiError(401, "wrong-password", _("The name or the password is wrong."))
        self._limit.forgive(name, address)
        return person
