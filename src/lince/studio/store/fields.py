"""Reads the fields of the states that pages send; each refusal names the field, what it held and what was expected."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from lince.errors import DataError
from lince.i18n import _

_MAX_TEXT = 10_000  # characters of a name, flag or comment


class EditRefusedError(DataError):
    """An edit whose state is not one, such as a box without area; ``code`` names the rule for programs."""

    def __init__(self, code: str, problem: str, expected: str = "", remedy: str = "") -> None:
        super().__init__(problem, expected, remedy)
        self.code = code


def refuse_field(code: str, found: Any, expected: str) -> EditRefusedError:
    """Return the error for a field ``code`` that holds ``found``; ``expected`` says what it may hold."""
    return EditRefusedError(
        code,
        _("{what} cannot be {found}.").format(what=code, found=json.dumps(found, ensure_ascii=False)[:200]),
        _("Expected {expected}.").format(expected=expected),
    )


def take_choice(given: Mapping[str, Any], key: str, choices: tuple[str, ...], default: str) -> str:
    """Return the text at ``key``, one of ``choices``. Raise ``EditRefusedError``."""
    value = given.get(key, default)
    if value not in choices:
        raise refuse_field(key, value, ", ".join(map(repr, choices)))
    return str(value)


def take_text(given: Mapping[str, Any], key: str, default: str = "") -> str:
    """Return the text at ``key``, of at most 10,000 characters. Raise ``EditRefusedError``."""
    value = given.get(key, default)
    if not isinstance(value, str) or len(value) > _MAX_TEXT or "\0" in value or not _is_encodable(value):
        raise refuse_field(key, value, _("a text of at most {count} characters").format(count=_MAX_TEXT))
    return value


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def take_flag(given: Mapping[str, Any], key: str, default: bool) -> bool:
    """Return the truth value at ``key``. Raise ``EditRefusedError``."""
    value = given.get(key, default)
    if not isinstance(value, bool):
        raise refuse_field(key, value, "true, false")
    return value


def take_integer(given: Mapping[str, Any], key: str, default: int | None = None, most: int = 2**31 - 1) -> int:
    """Return the whole number at ``key``, 0 to ``most``. Raise ``EditRefusedError``."""
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise refuse_field(key, value, f"0 ... {most}")
    return value


def take_number(value: Any, key: str) -> float:
    """Return a finite number. Raise ``EditRefusedError``, which names ``key``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refuse_field(key, str(value), _("a finite number"))
    return float(value)
