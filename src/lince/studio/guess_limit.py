"""Bounds how often a password may be guessed."""

from __future__ import annotations

import math
import threading
import time
from collections import deque

from lince.i18n import _
from lince.web.http_errors import ApiError

WINDOW_SECONDS = 300.0
PER_PERSON, PER_ADDRESS = 5, 30  # wrong passwords in that time: for one name from one address, and from one address
PER_NAME = 100  # for one name from all addresses
_MAX_KEPT = 10_000  # names and addresses that are remembered


class GuessLimit:
    """Counts the wrong passwords of the last five minutes by name and by the address that they came from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guesses: dict[tuple[str, str], deque[float]] = {}

    def take(self, name: str, address: str) -> None:
        """Count a guess before it is looked at, so that many at once gain nothing; raise ``ApiError`` (429)."""
        now = time.monotonic()
        with self._lock:
            self._forget_old(now)
            limits = dict(zip(_make_keys(name, address), (PER_PERSON, PER_ADDRESS, PER_NAME), strict=True))
            full = [key for key, most in limits.items() if len(self._guesses.get(key, ())) >= most]
            if full:
                seconds = max(self._guesses[key][0] for key in full) + WINDOW_SECONDS - now
                raise _make_error(seconds)
            for key in limits:
                self._guesses.setdefault(key, deque()).append(now)

    def forgive(self, name: str, address: str) -> None:
        """Take back the guess that was right, and what its person mistyped before."""
        person, *others = _make_keys(name, address)
        with self._lock:
            self._guesses.pop(person, None)
            for key in others:
                guesses = self._guesses.get(key)
                if guesses:
                    guesses.pop()

    def _forget_old(self, now: float) -> None:
        limit = now - WINDOW_SECONDS
        for key, guesses in list(self._guesses.items()):
            while guesses and guesses[0] <= limit:
                guesses.popleft()
            if not guesses:
                del self._guesses[key]
        while len(self._guesses) > _MAX_KEPT:
            del self._guesses[next(iter(self._guesses))]


def _make_keys(name: str, address: str) -> list[tuple[str, str]]:
    person = name.casefold()[:100]
    return [(person, address), ("", address), (person, "")]


def _make_error(seconds: float) -> ApiError:
    minutes = max(1, math.ceil(seconds / 60))
    message = _("Too many wrong passwords. Try again in {minutes} min.").format(minutes=minutes)
    return ApiError(429, "too-many-guesses", message, {"Retry-After": str(math.ceil(seconds))})
