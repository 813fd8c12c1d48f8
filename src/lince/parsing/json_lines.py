"""Reads JSON Lines from untrusted files: a JSON value in each line, with the line of every error."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lince.i18n import _
from lince.parsing.json_reader import MAX_JSON_BYTES, JsonNode, JsonValueError
from lince.storage.tree import FileTree

_MAX_CONTAINERS = 2**21  # lists and objects in one line


def read_json_lines(tree: FileTree, name: str) -> Iterator[JsonNode | JsonValueError]:
    """Yield the value in each line of the file ``name`` that is not blank, or the error about a line that is not JSON.

    The path of a node is ``name`` with the line, from 1. Raise ``DataError`` when the file cannot be read or is larger
    than ``MAX_JSON_BYTES``.
    """
    data = tree.read(name, MAX_JSON_BYTES)
    text = data.decode(json.detect_encoding(data), "replace").removeprefix("\ufeff")
    return iterate_json_lines(text, name)


def iterate_json_lines(text: str, name: str) -> Iterator[JsonNode | JsonValueError]:
    """Yield the value in each line of ``text`` as ``read_json_lines`` does."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        path = f"{name}:{number}"
        try:
            if line.count("[") + line.count("{") > _MAX_CONTAINERS:
                raise ValueError(_("too many lists and records"))
            yield JsonNode(json.loads(line), path)
        except json.JSONDecodeError as error:
            yield JsonValueError(
                path, _("column {column} is not JSON: {error}").format(column=error.colno, error=error.msg)
            )
        except (ValueError, RecursionError) as error:
            yield JsonValueError(path, _("it cannot be read: {error}").format(error=str(error)))
