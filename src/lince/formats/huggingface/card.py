"""Reads the names of classes from the card of a Hugging Face data set: the YAML at the beginning of README.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lince.errors import DataError
from lince.formats.yolo.dataset_yaml import MAX_CLASSES, load_yaml
from lince.parsing.json_reader import is_encodable_text
from lince.storage.tree import FileTree

_CARD = "README.md"
_MAX_BYTES = 2**18


def read_class_names(tree: FileTree) -> dict[int, str]:
    """Return the names of classes by number, as the card declares them under ``class_label``.

    Empty without a card, where it cannot be read, or where it declares several different lists.
    """
    if _CARD not in tree.listing.name_set:
        return {}
    try:
        text = tree.head(_CARD, _MAX_BYTES).decode("utf-8-sig", "replace").lstrip()
        front, mark, _rest = text.removeprefix("---").partition("\n---")
        value = load_yaml(_CARD, front) if text.startswith("---") and mark else None
    except DataError:
        return {}
    found = [names for names in map(_parse_names, _find_class_labels(value)) if names]
    return found[0] if found and all(names == found[0] for names in found) else {}


def _find_class_labels(value: Any) -> Iterator[Any]:
    """Yield what stands under each key ``class_label`` in ``value``, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "class_label" and isinstance(item, dict):
                yield item.get("names")
            yield from _find_class_labels(item)
    elif isinstance(value, list):
        for item in value:
            yield from _find_class_labels(item)


def _parse_names(value: Any) -> dict[int, str]:
    """Return names by number from a list or a record of them; empty for anything else."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    names = {int(key): name for key, name in pairs if str(key).isdecimal() and _is_name(name)}
    return names if names and len(names) == len(value) <= MAX_CLASSES and len(set(names.values())) == len(names) else {}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and is_encodable_text(value)
