"""Reads the rows of a CSV table of boxes, and checks each on its own."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lince.formats.builders.object_table import Box, ObjectTableBuilder
from lince.formats.csv_boxes.columns import CELL, CENTRE, XYXY, BoxColumns, parse_box_cell
from lince.formats.csv_text import decode_text, read_records
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.splits import SPLIT_WORDS, UNASSIGNED, find_split_words, infer_split_from_folders
from lince.storage.tree import FileTree

SINGLE_CLASS = "object"  # of tables without a column for the class
_MAX_SIDE = 2**31 - 1
_NO_VALUE_WORDS = {"nan", "none", "null", "[]"}  # in a cell for a whole box


@dataclass(frozen=True)
class BoxRow:
    """One row of a table of boxes.

    ``line`` is its line in the file, from 1; ``image_reference`` what it calls its image. ``box`` is (left, top, right,
    bottom) in pixels, or in fractions of the image's sides; ``None`` for an image that shows no object. Where the
    columns' ``box_format`` is ``CELL``, its last two numbers are as they stand there. ``size`` is
    (height, width) of the image in pixels, zeros when unknown.
    """

    line: int
    image_reference: str
    class_name: str
    box: Box | None
    size: tuple[int, int]
    split: int
    flags: int


def read_rows(tree: FileTree, name: str, columns: BoxColumns, builder: ObjectTableBuilder) -> list[BoxRow]:
    """Return the rows of the table ``name``; those that cannot be used are rejected through ``builder``.

    Raise ``DataError`` when the file cannot be parsed as CSV.
    """
    split = infer_split(name)
    rows = []
    for line, cells in _read_lines(tree, name, columns):
        if cells is None:
            reason = _("a quotation mark opens here and is not closed")
            builder.reject(name, reason, _("close it or remove it"), line, "row")
            continue
        try:
            rows.append(_parse_row(line, cells, columns, split))
        except _RowError as error:
            builder.reject(name, error.reason, _("correct the line or remove it"), line, error.kind)
    return rows


def infer_split(name: str) -> int:
    """Return the split in the path of a table (``train_labels.csv``, ``test/labels.csv``), ``UNASSIGNED`` for none.

    Folders count before the file name.
    """
    split = infer_split_from_folders(name)
    return split if split != UNASSIGNED else next(iter(find_split_words(posixpath.basename(name))), UNASSIGNED)


class _RowError(Exception):
    """A row that cannot be used, with the ``reason`` and its rejection ``kind``."""

    def __init__(self, reason: str, kind: str = "row") -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


def _read_lines(tree: FileTree, name: str, columns: BoxColumns) -> Iterator[tuple[int, list[str] | None]]:
    """Yield (line, cells) of each row below the header as ``read_records`` does.

    Raise ``DataError`` where the text cannot be parsed as CSV.
    """
    keys = (columns.file, *columns.box) if columns.label is None else (columns.file, columns.label, *columns.box)
    rows = read_records(tree.root / name, decode_text(tree.read(name)), columns.delimiter, columns.column_count, keys)
    if columns.has_header:
        next(rows, None)
    return rows


def _parse_row(line: int, cells: Sequence[str], columns: BoxColumns, split: int) -> BoxRow:
    """Return the row; ``split`` is that of the file, for rows that name none. Raise ``_RowError`` if unusable."""
    if len(cells) != columns.column_count:
        raise _RowError(
            _("{found} columns instead of {expected}").format(found=len(cells), expected=columns.column_count)
        )
    image_reference = cells[columns.file].strip()
    class_name = SINGLE_CLASS if columns.label is None else cells[columns.label].strip()
    if not image_reference or not is_encodable_text(image_reference + class_name):
        raise _RowError(_("no file"))
    if columns.box_format == CELL:
        box = _parse_cell(cells[columns.box[0]].strip())
    else:
        box = _parse_box([cells[i].strip() for i in columns.box], columns)
    if box is not None and not class_name:
        raise _RowError(_("no class"), "no-class")
    if box is None and class_name and columns.label is not None:
        raise _RowError(_("a class without a box"))
    flags = sum({flag for i, flag in columns.flags.items() if cells[i].strip().lower() in ("1", "true", "yes")})
    size = (0, 0)
    if columns.size is not None:
        width, height = (_parse_side(cells[i], columns) for i in columns.size)
        size = height, width
    return BoxRow(line, image_reference, class_name, box, size, _parse_split(cells, columns, split), flags)


def _parse_box(cells: Sequence[str], columns: BoxColumns) -> Box | None:
    """Return (left, top, right, bottom); ``None`` when all four cells are empty."""
    if not any(cells):
        return None
    left, top, third, fourth = (_parse_number(cell, columns) for cell in cells)
    if columns.box_format == CENTRE:
        left, top = left - third / 2, top - fourth / 2
    return (left, top, third, fourth) if columns.box_format == XYXY else (left, top, left + third, top + fourth)


def _parse_cell(cell: str) -> Box | None:
    """Return the four numbers in a cell; ``None`` when it is empty. Raise ``_RowError`` where it holds other things."""
    if not cell or cell.lower() in _NO_VALUE_WORDS:
        return None
    numbers = [float(text) for text in parse_box_cell(cell)]
    if not numbers:
        raise _RowError(_("not the four numbers of a box: {text}").format(text=cell[:40]), "number")
    first, second, third, fourth = numbers
    return first, second, third, fourth


def _parse_number(cell: str, columns: BoxColumns) -> float:
    """Return the number in a cell; a decimal comma is read where the delimiter is not a comma."""
    text = cell if columns.delimiter == "," else cell.replace(",", ".")  # spreadsheets with decimal commas
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise _RowError(_("a coordinate is not a number: {text}").format(text=cell[:40] or _("empty")), "number")


def _parse_side(cell: str, columns: BoxColumns) -> int:
    """Return the image's width or height in a cell, 0 when it is empty."""
    if not cell.strip():
        return 0
    value = _parse_number(cell.strip(), columns)
    if not 0 <= value <= _MAX_SIDE or not value.is_integer():
        raise _RowError(_("an image cannot be {text} pixels wide or high").format(text=cell.strip()[:40]), "number")
    return int(value)


def _parse_split(cells: Sequence[str], columns: BoxColumns, split: int) -> int:
    """Return the split that the row names, else ``split``; raise ``_RowError`` for an unknown word."""
    word = cells[columns.split].strip().lower() if columns.split is not None else ""
    if word and word not in SPLIT_WORDS:
        raise _RowError(_("unknown split '{word}'").format(word=word[:40]), "split")
    return SPLIT_WORDS[word] if word else split
