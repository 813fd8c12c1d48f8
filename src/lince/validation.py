"""The two questions asked of every choice at the door: is it one of the known names, is it within its range."""

from __future__ import annotations

from collections.abc import Iterable

from lince.errors import UsageError
from lince.i18n import _


def require_choice(field: str, value: str, allowed: Iterable[str]) -> str:
    """Return ``value`` when it is among ``allowed``; raise ``UsageError`` with the known names otherwise."""
    names = tuple(allowed)
    if value not in names:
        raise UsageError(
            _("{field} cannot be '{value}'.").format(field=field, value=value),
            _("Expected one of: {names}.").format(names=", ".join(names)),
        )
    return value


def require_in_range(field: str, value: float | None, low: float, high: float) -> None:
    """Raise ``UsageError`` when ``value`` is neither ``None`` nor a number from ``low`` to ``high``."""
    if value is not None and not (isinstance(value, (int, float)) and low <= value <= high):
        raise UsageError(
            _("{field} cannot be {value}.").format(field=field, value=value),
            _("Expected a number from {low} to {high}.").format(low=low, high=high),
        )
