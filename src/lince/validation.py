"""Validators for options: allowed values, numeric range."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from lince.errors import UsageError
from lince.i18n import _


def require_choice(field: str, value: str, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``allowed``; raise ``UsageError`` that lists them otherwise.

    ``field`` is the name of the option in the message.
    """
    names = tuple(allowed)
    if value not in names:
        raise UsageError(
            _("{field} cannot be '{value}'.").format(field=field, value=value),
            _("Expected one of: {names}.").format(names=", ".join(names)),
            suggest_names(value, names),
        )
    return value


def suggest_names(typed: str, names: Iterable[str], prefix: str = "") -> str:
    """Return a question whether one of the two ``names`` closest to ``typed`` was meant, ``""`` if none resembles it.

    ``prefix``, such as ``--`` of options, stands before each name; hyphens before ``typed`` do not count.
    """
    spellings = {name.lower(): prefix + name for name in names}
    close = [spellings[name] for name in get_close_matches(str(typed).lstrip("-").lower(), spellings, n=2)]
    text = _("Did you mean {names} instead of {typed}?")
    return text.format(names=_(" or ").join(close), typed=typed) if close else ""


def require_in_range(field: str, value: float | None, low: float, high: float) -> None:
    """Raise ``UsageError`` unless ``value`` is ``None`` or a number in ``low``..``high``, both included.

    ``field`` is the name of the option in the message. NaN is out of every range.
    """
    if value is not None and not (isinstance(value, (int, float)) and low <= value <= high):
        raise UsageError(
            _("{field} cannot be {value}.").format(field=field, value=value),
            _("Expected a number from {low} to {high}.").format(low=low, high=high),
        )
