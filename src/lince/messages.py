"""Everything a person reads, in English, Spanish and Portuguese (gettext).

The English text is the key: ``_("used {used} of {total}").format(used=3, total=4)``. The language is
``LINCE_LANG`` or else the system's; an unknown language falls back to English.
"""

from __future__ import annotations

import gettext
import os
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "es", "pt")
LOCALE = Path(__file__).parent / "locale"
_VARIABLES = ("LINCE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def language() -> str:
    """Return the two-letter language in force: ``LINCE_LANG``, else the system's, else ``en``."""
    for variable in _VARIABLES:
        code = os.environ.get(variable, "").lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"


def translate(text: str) -> str:
    """Return ``text`` in the language in force; text without a translation comes back as it is."""
    return _catalogue(language()).gettext(text)


def translate_plural(one: str, many: str, count: int) -> str:
    """Return ``one`` or ``many`` in the language in force, as ``count`` asks."""
    return _catalogue(language()).ngettext(one, many, count)


_ = translate


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    return gettext.translation("lince", LOCALE, languages=[code], fallback=True)
