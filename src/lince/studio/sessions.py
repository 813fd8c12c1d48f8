"""Who may use the studio: a token in the first address, or a password, is exchanged for a signed cookie, which outlives
the server."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from starlette.responses import Response

from lince.fileio import get_cache_folder, write_bytes
from lince.studio.people_book import PeopleBook
from lince.studio.store.people import OWNER

SECRET_BYTES = 32
_SECRET_FILE = "studio-secret"  # noqa: S105  # a name
_SEPARATOR = "."
_MAX_AGE_SECONDS = 7 * 24 * 3600.0  # of a cookie that a password was exchanged for


@dataclass(frozen=True)
class Sessions:
    """The token of this start of the studio, and the cookies that it gives for it.

    A cookie names a person and is signed with ``secret``, so that a page that was open when the studio was started
    again goes on and sends what it still had to save. Browsers send cookies to all ports of a machine; hence the port
    in the name of the cookie. With ``people``, everybody signs in with a password and the token lets nobody in; a
    cookie is then good for seven days, or until the password changes or the person is removed.
    """

    port: int
    person: str
    secret: bytes = field(repr=False)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    people: PeopleBook | None = None

    @property
    def cookie_name(self) -> str:
        """The name of the cookie."""
        return f"lince-{self.port}"

    def is_token(self, given: str) -> bool:
        """Whether ``given`` is the token of the first address; compared in constant time."""
        is_same = hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())
        return is_same and self.people is None

    def make_cookie(self, person: str = "") -> str:
        """Return a new cookie for ``person`` (at this machine by default); nothing that a client sent is in it."""
        name = person or self.person
        content = _SEPARATOR.join([name.encode().hex(), str(int(time.time())), secrets.token_hex(16)])
        return _SEPARATOR.join([content, self._sign(content, name)])

    def set_cookie(self, response: Response, person: str = "", is_encrypted: bool = False) -> None:
        """Give the browser a new cookie, which no script can read and which comes back over TLS alone if it came so."""
        cookie = self.make_cookie(person) if person else self.make_cookie()
        response.set_cookie(self.cookie_name, cookie, httponly=True, samesite="strict", path="/", secure=is_encrypted)

    def find_person(self, cookie: str) -> str | None:
        """Return the person that a cookie names, ``None`` where its signature is wrong or it no longer counts."""
        content, _separator, signature = cookie.rpartition(_SEPARATOR)
        name, made = _read_content(content)
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(content, name).encode()):
            return None
        if self.people is None:
            return name
        is_new = time.time() - made < _MAX_AGE_SECONDS
        return name if is_new and self.people.find(name) else None

    def find_role(self, person: str) -> str:
        """Return the role of somebody whom a cookie names; whoever sits at this machine owns the project."""
        if self.people is None:
            return OWNER if person else ""
        found = self.people.find(person)
        return found.role if found else ""

    def _find_hash(self, name: str) -> str:
        """Return the hash of a person's password, which the cookie depends on."""
        person = self.people.find(name) if self.people else None
        return person.secret_hash if person else ""

    def _sign(self, content: str, name: str) -> str:
        way = "password" if self.people else "token"
        key = _SEPARATOR.join([self.secret.hex(), str(self.port), way, self._find_hash(name)]).encode()
        return hmac.new(key, content.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _read_content(content: str) -> tuple[str, int]:
    """Return the name in a cookie and the second of 1970 in which it was made; nothing of a cookie of another kind."""
    try:
        name, made, _nonce = content.split(_SEPARATOR)
        return bytes.fromhex(name).decode(), int(made[:15])
    except ValueError:
        return "", 0


def load_secret(folder: Path | None = None) -> bytes:
    """Return the secret of this user on this machine, made at the first call; nobody else can read its file."""
    path = (folder or get_cache_folder()) / _SECRET_FILE
    if not path.is_file() or len(path.read_bytes()) != SECRET_BYTES:
        write_bytes(path, secrets.token_bytes(SECRET_BYTES))
        os.chmod(path, 0o600)
    return path.read_bytes()


def get_person() -> str:
    """Return the name of the person at this machine, as its system has it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in containers
        return "me"
