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
LOCALE_FOLDER = Path(__file__).parent / "locale"
_NARROW_SPACE = "\u202f"  # no-break, so a number never splits at the end of a line
_SEPARATORS = {"es": (_NARROW_SPACE, ","), "pt": (".", ",")}  # between thousands, before decimals
_LANGUAGE_VARIABLES = ("LINCE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
_ACTIVE_LANGUAGE: ContextVar[str | None] = ContextVar("spoken", default=None)


def get_language() -> str:
    """Return the two-letter language in force: that of ``speaking``, ``LINCE_LANG``, the system's, or ``en``."""
    spoken = _ACTIVE_LANGUAGE.get()
    if spoken is not None:
        return spoken
    for variable in _LANGUAGE_VARIABLES:
        code = os.environ.get(variable, "").lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"


@contextmanager
def use_language(code: str | None) -> Iterator[None]:
    """Speak the language ``code``, one of ``LANGUAGES``, within the block and the tasks begun there.

    A server answers each visitor in the visitor's language. ``None`` leaves the language as it is.
    """
    token = _ACTIVE_LANGUAGE.set(code if code in LANGUAGES else _ACTIVE_LANGUAGE.get())
    try:
        yield
    finally:
        _ACTIVE_LANGUAGE.reset(token)


def translate(text: str) -> str:
    """Return ``text`` in the language in force; text without a translation comes back as it is."""
    return _LocalisedText(_load_catalogue(get_language()).gettext(text))


def translate_plural(one: str, many: str, count: int) -> str:
    """Return ``one`` or ``many`` in the language in force, as ``count`` asks."""
    return _LocalisedText(_load_catalogue(get_language()).ngettext(one, many, count))


def localise_number(number: str) -> str:
    """Return a number that Python wrote (``3,667``, ``0.912``, ``91.2%``) as the language in force writes it."""
    code = get_language()
    if code not in _SEPARATORS:
        return number
    thousands, point = _SEPARATORS[code]
    if code == "es":  # four digits stay together, and the sign stands apart
        number = re.sub(r"^(-?\d),(\d{3})(?!,)", r"\1\2", number).replace("%", _NARROW_SPACE + "%")
    return number.translate({ord(","): thousands, ord("."): point})


_ = translate


class _LocalisedFormatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        """Write ``value``; g and e stay as Python writes them, because they stand where a person copies a choice."""
        text = str(super().format_field(value, format_spec))
        return localise_number(text) if "," in format_spec or format_spec[-1:] in ("f", "%") else text


_FORMATTER = _LocalisedFormatter()


class _LocalisedText(str):
    """A translated text, whose numbers speak its language too."""

    __slots__ = ()

    def format(self, *args: object, **kwargs: object) -> str:
        """Return the text with its places filled."""
        return _FORMATTER.vformat(self, args, kwargs)


@cache
def _load_catalogue(code: str) -> gettext.NullTranslations:
    return gettext.translation("lince", LOCALE_FOLDER, languages=[code], fallback=True)
