"""Lists of names in the sentences of a diagnosis."""

from __future__ import annotations

_MAX_NAMES = 6  # listed by ``join_names``


def join_names(names: list[str]) -> str:
    """Return the first six of ``names``, separated by commas, with an ellipsis when there are more."""
    return ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
