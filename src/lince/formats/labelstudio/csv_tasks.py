"""Reads Label Studio's CSV export as the tasks of its JSON_MIN export, which has the same keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lince.errors import DataError
from lince.formats.csv_headers import is_label_studio_header, normalise_header
from lince.formats.csv_nodes import read_row_nodes
from lince.formats.csv_text import decode_text, find_first_line, split_cells
from lince.parsing.json_reader import JsonNode, JsonValueError
from lince.storage.tree import FileTree

_HEAD_BYTES = 4096


def is_task_table(tree: FileTree, name: str) -> bool:
    """Whether a CSV file begins with the header of Label Studio's export."""
    try:
        line, delimiter = find_first_line(decode_text(tree.head(name, _HEAD_BYTES)))
    except DataError:
        return False
    return is_label_studio_header([normalise_header(cell) for cell in split_cells(line, delimiter)])


def read_tasks(tree: FileTree, name: str) -> Iterator[JsonNode | JsonValueError]:
    """Return a task for each row of the table ``name``, or the error about a row that is none.

    Cells with a JSON list or record hold that; empty cells are left out. The path of a task is ``name`` with the line.
    Raise ``DataError`` when the file cannot be parsed as CSV.
    """
    return read_row_nodes(tree, name, _parse_cell, with_empty=False)


def _parse_cell(cell: str) -> Any:
    """Return the list or record in JSON in a cell, else its text."""
    if not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell
