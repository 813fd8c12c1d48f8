"""Tells which classes a cell of a table names: one, a list in brackets, or several with something between them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

_SEPARATORS = re.compile(r"\s*[|;,/\s]\s*")  # between several classes in one cell
_BARS = re.compile(r"\s*[|;]\s*")  # those that hardly stand within the name of a class
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")


def parse_class_list(cell: str) -> list[str] | None:
    """Return the classes in a list in brackets, as Python or JSON writes it; ``None`` where the cell is no such list.

    Label Studio's ``{"choices": [...]}`` is one too.

    >>> parse_class_list("['cat', 'dog']")
    ['cat', 'dog']
    """
    text = cell.strip()
    if text.startswith("{"):
        try:
            choices = json.loads(text).get("choices")
        except (ValueError, RecursionError):
            return None
        is_list = isinstance(choices, list) and all(isinstance(name, str) for name in choices)
        return [name.strip() for name in choices if name.strip()] if is_list else None
    if not (text.startswith("[") and text.endswith("]")):
        return None
    with suppress(ValueError):
        names = json.loads(text)
        if all(isinstance(name, str) for name in names):
            return [name for name in names if name.strip()]
    if "[" in text[1:] or "{" in text:
        return None
    inner = text[1:-1]
    quoted = [first or second for first, second in _QUOTED.findall(inner)]
    names = quoted if quoted else re.split(r"[,\s]+" if "," not in inner else ",", inner)
    return [name.strip() for name in names if name.strip()]


def find_class_names(cells: Iterable[str], in_lists: bool = False) -> set[str]:
    """Return the texts that are names of single classes, judged by all ``cells`` of a column.

    They are the cells without anything that could stand between two names, and what stands between bars or semicolons
    in two different ones; with ``in_lists``, where the column is called so, between commas, slashes or spaces too.
    """
    bars = _SEPARATORS if in_lists else _BARS
    distinct = {cell.strip() for cell in cells}
    known = {cell for cell in distinct if not _SEPARATORS.search(cell)}
    counts = Counter(part for cell in distinct if bars.search(cell) for part in set(bars.split(cell)))
    return known | {part for part, count in counts.items() if count > 1 and part}


def split_classes(cell: str, known: set[str], in_lists: bool = False) -> list[str]:
    """Return the classes that a cell names: one, or several where they are ``known`` as those of other cells.

    Between bars and semicolons one of them suffices; with commas, slashes or spaces, which names may have, all must be,
    unless the column is one of lists (``in_lists``).
    """
    listed = parse_class_list(cell)
    if listed is not None:
        return listed
    name = cell.strip()
    parts = [part for part in (_SEPARATORS if in_lists else _BARS).split(name) if part]
    if len(parts) > 1 and name not in known and not known.isdisjoint(parts):
        return parts
    parts = _SEPARATORS.split(name)
    return parts if len(parts) > 1 and name not in known and known.issuperset(parts) else [name]
