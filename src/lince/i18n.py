"""Translates messages to English, Spanish and Portuguese (gettext), and formats numbers for the language.

The English text is the key: ``_("used {used} of {total}").format(used=3, total=4)``. The language is ``LINCE_LANG`` or
the system's; an unknown one falls back to English. Numbers formatted into a translated text with a ``,``, ``e``, ``f``,
``g`` or ``%`` format follow its language: 3,667 and 91.2% are 3.667 and 91,2% in Portuguese. The value of an option
stays as it is typed: ``--lr 0.0015``.
"""

from __future__ import annotations

import gettext
import locale
import os
import re
import string
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

LOCALE_FOLDER = Path(__file__).parent / "locale"
NARROW_SPACE = "\u202f"  # narrow no-break space, so that a number is never split at the end of a line


class Language(NamedTuple):
    """A language: its own name for itself, and how it writes numbers.

    ``thousands`` separates groups of three digits, ``decimal`` is the decimal point, ``percent`` follows a percentage.
    A number is grouped when ``minimum_grouping_digits`` or more digits come before its last group: with 2, 3667 stays
    whole and 12 345 is grouped (the rule of that name in Unicode's locale data, CLDR).
    """

    name: str
    thousands: str = ","
    decimal: str = "."
    percent: str = "%"
    minimum_grouping_digits: int = 1


# One row a language; the catalogues, the language menu of the page that tries a model, and the scripts read this table.
LANGUAGES = {
    "en": Language("English"),
    "es": Language("Español", NARROW_SPACE, ",", f"{NARROW_SPACE}%", minimum_grouping_digits=2),
    "pt": Language("Português", ".", ","),
}
_LANGUAGE_VARIABLES = ("LINCE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
_TYPED = "\0"  # marks the format of a number that is to be typed
_ACTIVE_LANGUAGE: ContextVar[str | None] = ContextVar("active_language", default=None)


def get_language() -> str:
    """Return the two-letter code of the current language, one of ``LANGUAGES``.

    That is the language of the enclosing ``use_language``, else the first known one in ``LINCE_LANG``, ``LC_ALL``,
    ``LC_MESSAGES`` and ``LANG``, else on Windows that of its menus, else ``en``.
    """
    active = _ACTIVE_LANGUAGE.get()
    if active is not None:
        return active
    for variable in _LANGUAGE_VARIABLES:
        code = os.environ.get(variable, "").lower()[:2]
        if code in LANGUAGES:
            return code
    code = _read_windows_language()
    return code if code in LANGUAGES else "en"


@contextmanager
def use_language(code: str | None) -> Iterator[None]:
    """Use the language ``code``, one of ``LANGUAGES``, within the block and in asyncio tasks started there.

    The server answers each request in its visitor's language this way. ``None`` or an unknown code changes nothing.
    """
    token = _ACTIVE_LANGUAGE.set(code if code in LANGUAGES else _ACTIVE_LANGUAGE.get())
    try:
        yield
    finally:
        _ACTIVE_LANGUAGE.reset(token)


def translate(text: str) -> str:
    """Return ``text`` in the current language; a text without a translation is returned unchanged."""
    return _LocalisedText(_load_catalogue(get_language()).gettext(text))


def translate_plural(singular: str, plural: str, count: int) -> str:
    """Return the plural form for ``count`` in the current language, from the English ``singular`` and ``plural``."""
    return _LocalisedText(_load_catalogue(get_language()).ngettext(singular, plural, count))


def localise_number(number: str) -> str:
    """Return ``number``, formatted by Python (``3,667``, ``0.912``, ``91.2%``), as the current language writes it."""
    language = LANGUAGES[get_language()]
    if language.minimum_grouping_digits > 1:
        number = re.sub(r"^(-?\d),(\d{3})(?!,)", r"\1\2", number)
    return number.translate({ord(","): language.thousands, ord("."): language.decimal, ord("%"): language.percent})


_ = translate


class _LocalisedFormatter(string.Formatter):
    """A ``string.Formatter`` that localises numbers."""

    def parse(self, format_string: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
        """Yield the parts of the text; a number to be typed, the value of an option, is marked: ``--lr {rate:.2g}``."""
        for literal, name, format_spec, conversion in super().parse(format_string):
            typed = format_spec and re.search(r"--[\w-]+[ =]$", literal)
            yield literal, name, f"{_TYPED}{format_spec}" if typed else format_spec, conversion

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return ``value`` formatted by ``format_spec``, as the language writes it unless it is to be typed."""
        text = str(super().format_field(value, format_spec.removeprefix(_TYPED)))
        is_number = "," in format_spec or format_spec[-1:] in ("e", "f", "g", "%")
        return localise_number(text) if is_number and not format_spec.startswith(_TYPED) else text


_FORMATTER = _LocalisedFormatter()


class _LocalisedText(str):
    """A translated text whose ``format`` localises numbers."""

    __slots__ = ()

    def format(self, *args: object, **kwargs: object) -> str:
        """Return the text with its ``{names}`` replaced."""
        return _FORMATTER.vformat(self, args, kwargs)


@cache
def _read_windows_language() -> str:
    """Return the two-letter code of the language in which Windows shows its menus; empty elsewhere, or if unknown."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415  # for Windows alone: importing it costs as much as the rest of this module

        return locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")[:2]
    return ""


@cache
def _load_catalogue(code: str) -> gettext.NullTranslations:
    """Return the gettext catalogue of the language ``code``; without one, a catalogue that returns texts unchanged."""
    return gettext.translation("lince", LOCALE_FOLDER, languages=[code], fallback=True)
