"""Who may use the studio: a token in the first address is exchanged for a signed cookie, which outlives the server."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from lince.fileio import get_cache_folder, write_bytes

SECRET_BYTES = 32
_SECRET_FILE = "studio-secret"  # noqa: S105  # a name
_SEPARATOR = "."


@dataclass(frozen=True)
class Sessions:
    """The token of this start of the studio, and the cookies that it gives for it.

    A cookie names a person and is signed with ``secret``, so that a page that was open when the studio was started
    again goes on and sends what it still had to save. Browsers send cookies to all ports of a machine; hence the port
    in the name of the cookie.
    """

    port: int
    person: str
    secret: bytes = field(repr=False)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def cookie_name(self) -> str:
        """The name of the cookie."""
        return f"lince-{self.port}"

    def is_token(self, given: str) -> bool:
        """Whether ``given`` is the token of the first address; compared in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())

    def make_cookie(self) -> str:
        """Return a new cookie; nothing that a client sent is in it."""
        content = _SEPARATOR.join([self.person.encode().hex(), secrets.token_hex(16)])
        return _SEPARATOR.join([content, self._sign(content)])

    def find_person(self, cookie: str) -> str | None:
        """Return the person that a cookie names, ``None`` where its signature is wrong."""
        content, _separator, signature = cookie.rpartition(_SEPARATOR)
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(content).encode()):
            return None
        return bytes.fromhex(content.partition(_SEPARATOR)[0]).decode()

    def _sign(self, content: str) -> str:
        key = self.secret + str(self.port).encode()
        return hmac.new(key, content.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


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
