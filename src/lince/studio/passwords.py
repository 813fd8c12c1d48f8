"""Keeps passwords as scrypt hashes (RFC 7914), and compares a password with one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import unicodedata

from lince.errors import DataError
from lince.i18n import _

MIN_LENGTH, MAX_LENGTH = 8, 200  # characters
_LOG_COST, _BLOCK, _PARALLEL = 15, 8, 3  # as OWASP's Password Storage Cheat Sheet has them: 32 MiB, a fifth of a second
_MAX_MEMORY = 64 * 2**20
_NAME = "scrypt"
_one_at_a_time = threading.Lock()  # so that guesses cannot fill the memory


def hash_password(password: str) -> str:
    """Return the hash of ``password`` with a salt of its own, as ``scrypt$15$8$3$SALT$HASH``."""
    salt = secrets.token_bytes(16)
    hashed = _compute(password, salt, _LOG_COST, _BLOCK, _PARALLEL)
    words = [base64.b64encode(part).decode() for part in (salt, hashed)]
    return "$".join([_NAME, str(_LOG_COST), str(_BLOCK), str(_PARALLEL), *words])


def is_password(hashed: str, password: str) -> bool:
    """Whether ``password`` has the hash ``hashed``; takes as long where ``hashed`` is empty, for nobody."""
    try:
        name, cost, block, parallel, salt, expected = (hashed or _make_dummy()).split("$")
        found = _compute(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
        is_same = hmac.compare_digest(found, base64.b64decode(expected))
    except (ValueError, binascii.Error):  # written by another program
        return False
    return is_same and bool(hashed) and name == _NAME


def require_good_password(password: str, name: str) -> str:
    """Return ``password`` if it may be that of the person ``name``. Raise ``DataError``, which does not tell it."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH or "\0" in password:
        raise DataError(
            _("The password has {count} characters.").format(count=len(password)),
            _("Expected {low} to {high}, for example a sentence that only you know.").format(
                low=MIN_LENGTH, high=MAX_LENGTH
            ),
        )
    if len(set(password)) < 4 or password.casefold() == name.casefold():
        raise DataError(
            _("The password is too easy to guess."), _("Expected, for example, a sentence that only you know.")
        )
    return password


def _make_dummy() -> str:
    empty = base64.b64encode(bytes(16)).decode()
    return "$".join([_NAME, str(_LOG_COST), str(_BLOCK), str(_PARALLEL), empty, empty])


def _compute(password: str, salt: bytes, log_cost: int, block: int, parallel: int) -> bytes:
    # The same letters typed on two keyboards can differ in their code points.
    data = unicodedata.normalize("NFKC", password).encode("utf-8", "replace")
    with _one_at_a_time:
        return hashlib.scrypt(data, salt=salt, n=2**log_cost, r=block, p=parallel, maxmem=_MAX_MEMORY, dklen=32)
