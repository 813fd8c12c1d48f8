"""The rows of a table of boxes, each looked at on its own: what it says, or why it cannot be used."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lince.errors import DataError
from lince.labels.boxcolumns import SIDES, BoxColumns
from lince.labels.jsonfile import is_text
from lince.labels.marks import Box, Marks
from lince.labels.table import SPLIT_WORDS, UNASSIGNED
from lince.labels.tree import Tree
from lince.messages import _

_SIDE_AT_MOST = 2**31 - 1


@dataclass(frozen=True)
class BoxRow:
    """One row: which image it ``mentions``, its class and ``box`` (``None`` for an image that shows nothing).

    ``box`` is left, top, right, bottom in pixels, or in shares of the image; ``size`` (height, width), 0 when unknown.
    """

    line: int
    mention: str
    label: str
    box: Box | None
    size: tuple[int, int]
    split: int
    flags: int


def text_of(data: bytes) -> str:
    """Return a file's text: UTF-8, UTF-16 with its mark, or else as older spreadsheets on Windows write it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def rows_of(tree: Tree, name: str, columns: BoxColumns, marks: Marks) -> list[BoxRow]:
    """Return the rows of the table ``name``; those that cannot be used are rejected by ``marks``.

    Raise ``DataError`` when it cannot be read as a table.
    """
    split = split_of(name)
    found = []
    for line, cells in _lines(tree, name, columns):
        try:
            found.append(_row(line, cells, columns, split))
        except _UnfitError as error:
            marks.reject(name, error.reason, _("correct the line or remove it"), line, error.fault)
    return found


def split_of(name: str) -> int:
    """Return the split that the path of a table tells: ``train_labels.csv``, ``test/labels.csv``."""
    words = [*posixpath.dirname(name).lower().split("/"), *re.split(r"[^a-z]+", posixpath.basename(name).lower())]
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), UNASSIGNED)


class _UnfitError(Exception):
    def __init__(self, reason: str, fault: str = "row") -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault


def _lines(tree: Tree, name: str, columns: BoxColumns) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of each row after the names; empty lines are passed over."""
    text = text_of(tree.read(name))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=columns.delimiter)
    try:
        rows = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
        if columns.has_header:
            next(rows, None)
        yield from rows
    except csv.Error as error:
        path = tree.root / name
        raise DataError(
            _("{path}:{line} cannot be read: {error}.").format(path=path, line=reader.line_num, error=error),
            _("Expected a table of boxes."),
            _("Correct the line, or export the table anew."),
        ) from error


def _row(line: int, cells: Sequence[str], columns: BoxColumns, split: int) -> BoxRow:
    if len(cells) != columns.count:
        raise _UnfitError(_("{found} columns instead of {expected}").format(found=len(cells), expected=columns.count))
    mention, label = cells[columns.file].strip(), cells[columns.label].strip()
    if not mention or not is_text(mention + label):
        raise _UnfitError(_("no file"))
    box = _box([cells[i].strip() for i in columns.box], columns)
    if box is not None and not label:
        raise _UnfitError(_("no class"), "class")
    if box is None and label:
        raise _UnfitError(_("a class without a box"))
    flags = sum({flag for i, flag in columns.flags.items() if cells[i].strip().lower() in ("1", "true", "yes")})
    size = (0, 0)
    if columns.size is not None:
        width, height = (_side(cells[i], columns) for i in columns.size)
        size = height, width
    return BoxRow(line, mention, label, box, size, _split(cells, columns, split), flags)


def _box(cells: Sequence[str], columns: BoxColumns) -> Box | None:
    if not any(cells):
        return None
    left, top, third, fourth = (_number(cell, columns) for cell in cells)
    return (left, top, left + third, top + fourth) if columns.form == SIDES else (left, top, third, fourth)


def _number(cell: str, columns: BoxColumns) -> float:
    text = cell if columns.delimiter == "," else cell.replace(",", ".")  # as spreadsheets write decimals here and there
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise _UnfitError(_("a coordinate that is no number: {text}").format(text=cell[:40] or _("empty")), "number")


def _side(cell: str, columns: BoxColumns) -> int:
    if not cell.strip():
        return 0
    value = _number(cell.strip(), columns)
    if not 0 <= value <= _SIDE_AT_MOST or not value.is_integer():
        raise _UnfitError(_("an image cannot be {text} pixels wide or high").format(text=cell.strip()[:40]), "number")
    return int(value)


def _split(cells: Sequence[str], columns: BoxColumns, split: int) -> int:
    word = cells[columns.split].strip().lower() if columns.split is not None else ""
    if word and word not in SPLIT_WORDS:
        raise _UnfitError(_("unknown split '{word}'").format(word=word[:40]))
    return SPLIT_WORDS[word] if word else split
