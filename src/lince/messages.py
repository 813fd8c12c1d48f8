"""Everything a person reads, in English, Spanish and Portuguese (gettext).

The English text is the key: ``_("used {used} of {total}").format(used=3, total=4)``. The language is
``LINCE_LANG`` or else the system's; an unknown language falls back to English. Counts, decimals and shares that are
put into a text come out as its language writes them: 3,667 and 91.2% are 3.667 and 91,2% in Portuguese.
"""

from __future__ import annotations

import gettext
import os
import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "es", "pt")
LOCALE = Path(__file__).parent / "locale"
_NARROW = "\u202f"  # no-break, so a number never splits at the end of a line
_MARKS = {"es": (_NARROW, ","), "pt": (".", ",")}  # between thousands, before decimals
_VARIABLES = ("LINCE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
_SPOKEN: ContextVar[str | None] = ContextVar("spoken", default=None)


def language() -> str:
    """Return the two-letter language in force: that of ``speaking``, ``LINCE_LANG``, the system's, or ``en``."""
    spoken = _SPOKEN.get()
    if spoken is not None:
        return spoken
    for variable in _VARIABLES:
        code = os.environ.get(variable, "").lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"


@contextmanager
def speaking(code: str | None) -> Iterator[None]:
    """Speak the language ``code``, one of ``LANGUAGES``, within the block and the tasks begun there.

    A server answers each visitor in the visitor's language. ``None`` leaves the language as it is.
    """
    token = _SPOKEN.set(code if code in LANGUAGES else _SPOKEN.get())
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def translate(text: str) -> str:
    """Return ``text`` in the language in force; text without a translation comes back as it is."""
    return _Text(_catalogue(language()).gettext(text))


def translate_plural(one: str, many: str, count: int) -> str:
    """Return ``one`` or ``many`` in the language in force, as ``count`` asks."""
    return _Text(_catalogue(language()).ngettext(one, many, count))


def localised(number: str) -> str:
    """Return a number that Python wrote (``3,667``, ``0.912``, ``91.2%``) as the language in force writes it."""
    code = language()
    if code not in _MARKS:
        return number
    thousands, point = _MARKS[code]
    if code == "es":  # four digits stay together, and the sign stands apart
        number = re.sub(r"^(-?\d),(\d{3})(?!,)", r"\1\2", number).replace("%", _NARROW + "%")
    return number.translate({ord(","): thousands, ord("."): point})


_ = translate


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        """Write ``value``; g and e stay as Python writes them, because they stand where a person copies a choice."""
        text = str(super().format_field(value, format_spec))
        return localised(text) if "," in format_spec or format_spec[-1:] in ("f", "%") else text


_FORMATTER = _Formatter()


class _Text(str):
    """A translated text, whose numbers speak its language too."""

    __slots__ = ()

    def format(self, *args: object, **kwargs: object) -> str:
        """Return the text with its places filled."""
        return _FORMATTER.vformat(self, args, kwargs)


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    return gettext.translation("lince", LOCALE, languages=[code], fallback=True)
