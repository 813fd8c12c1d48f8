"""Validators for options: allowed values, numeric range."""

from __future__ import annotations

from collections.abc import Iterable

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
        )
    return value


def require_in_range(field: str, value: float | None, low: float, high: float) -> None:
    """Raise ``UsageError`` unless ``value`` is ``None`` or a number in ``low``..``high``, both included.

    ``field`` is the name of the option in the message. NaN is out of every range.
    """
    if value is not None and not (isinstance(value, (int, float)) and low <= value <= high):
        raise UsageError(
            _("{field} cannot be {value}.").format(field=field, value=value),
            _("Expected a number from {low} to {high}.").format(low=low, high=high),
        )
