"""Reads the rows of a CSV file as records of values, for formats whose tables stand for JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lince.formats.csv_text import decode_text, find_first_line, read_records, split_cells
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, JsonValueError
from lince.storage.tree import FileTree


def read_row_nodes(
    tree: FileTree, name: str, parse_cell: Callable[[str], Any], *, with_empty: bool
) -> Iterator[JsonNode | JsonValueError]:
    """Yield a record for each row of the table ``name``, or the error about a row that is none.

    Its keys are the column names, its values what ``parse_cell`` gives for the cells, its path ``name`` with the line.
    Cells that are empty, but for blanks, are left out unless ``with_empty``. Raise ``DataError`` when the file cannot
    be parsed as CSV.
    """
    text = decode_text(tree.read(name))
    header_line, delimiter = find_first_line(text)
    keys = [cell.strip() for cell in split_cells(header_line, delimiter)]
    records = read_records(tree.root / name, text, delimiter, len(keys), ())
    next(records, None)
    for line, cells in records:
        path = f"{name}:{line}"
        if cells is None:
            yield JsonValueError(path, _("a quotation mark opens here and is not closed"))
        elif len(cells) != len(keys):
            reason = _("{found} columns instead of {expected}").format(found=len(cells), expected=len(keys))
            yield JsonValueError(path, reason)
        else:
            pairs = zip(keys, cells, strict=True)
            yield JsonNode({key: parse_cell(cell) for key, cell in pairs if with_empty or cell.strip()}, path)
