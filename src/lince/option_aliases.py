"""Names that other programs of the field give to options of lince, in Python and on the command line alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lince.errors import UsageError
from lince.i18n import _

# Other names of an option, by its own name. The command line shows them first, but for those of ``_OWN_NAME_FIRST``.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "batch": ("batch_size",),
    "rate": ("lr", "learning_rate"),
    "size": ("imgsz",),
    "standardise": ("standardize",),
    "threshold": ("conf",),
}
_OWN_NAME_FIRST = ("size", "threshold")


def list_flags(name: str) -> tuple[str, ...]:
    """Return the flags of the option ``name`` of the command line, in the order shown: ``--lr``, ..., ``--rate``."""
    aliases = ALIASES.get(name, ())
    return tuple(map(_to_flag, (name, *aliases) if name in _OWN_NAME_FIRST else (*aliases, name)))


def describe_option(name: str) -> str:
    """Return the option ``name`` with its aliases for a message, so that whoever typed one of them finds it."""
    others = ", ".join(map(_to_flag, ALIASES.get(name, ())))
    return f"{_to_flag(name)} ({others})" if others else _to_flag(name)


def resolve_aliases(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given``, options by any of their names, by their own names; ``None`` stands for an option not given.

    Raises ``UsageError`` when one option is given by two of its names.
    """
    own_names = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
    resolved: dict[str, Any] = {}
    first_names: dict[str, str] = {}
    for typed, value in given.items():
        name = own_names.get(typed, typed)
        if value is not None and name in first_names:
            raise make_repeated_error(_to_flag(first_names[name]), _to_flag(typed))
        if value is not None:
            first_names[name] = typed
        if value is not None or typed == name:
            resolved[name] = value if resolved.get(name) is None else resolved[name]
    return resolved


def choose_given(name: str, value: Any, **aliases: Any) -> Any:
    """Return the ``value`` of the option ``name`` or of that of its ``aliases`` which is given; ``None`` for none.

    Raises ``UsageError`` when more than one is given.
    """
    return resolve_aliases({name: value, **aliases})[name]


def make_repeated_error(first: str, second: str) -> UsageError:
    """Return the error about one option given by two of its names, flags such as ``--lr``."""
    return UsageError(
        _("{first} and {second} are two names of one option, and both are given.").format(first=first, second=second),
        _("Expected one of them."),
        _("Leave one out."),
    )


def _to_flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
