"""Reads a CSV table of image files and classes, as a spreadsheet or a program writes it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lince.annotations import RejectedItem
from lince.errors import AmbiguousError, DataError, UsageError
from lince.formats.builders.classification_table import ClassificationTableBuilder
from lince.formats.csv_boxes import columns as csv_boxes_columns
from lince.formats.csv_classes.writer import image_path, write
from lince.formats.csv_text import CSV_SUFFIXES, decode_text, find_first_line
from lince.formats.format import Capability, Format
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.tree import DataLocation, FileTree, LocalFolder

NAME = "csv"
_HEADERS_BY_ROLE = {
    "file": (
        "path",
        "file_path",
        "filepath",
        "filename",
        "file_name",
        "file",
        "image",
        "image_path",
        "image_name",
        "img",
    ),
    "class": ("class", "class_name", "label", "category", "species"),
    "split": ("split", "set", "subset", "partition"),
}
_BOX_COLUMNS = {"xmin", "x_min", "xmax", "x_max", "ymin", "y_min", "bbox", "x1", "y1"}
_MAX_PROBES = 20


@dataclass(frozen=True)
class _HeaderColumns:
    """The columns of a table, as indices from 0, their number, and the delimiter.

    ``file`` names the image, ``label`` its class; ``split`` is ``None`` when there is no such column.
    """

    delimiter: str
    column_count: int
    file: int
    label: int
    split: int | None


def detect(location: DataLocation) -> str | None:
    """Return the names of the tables of classes, ``None`` when there are none.

    Of a folder, the CSV files directly in it are looked at.
    """
    tables = [name for name in _find_tables(location) if _is_table(location.tree, name)]
    return _("tables: {names}").format(names=", ".join(tables)) if tables else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read a table with one row per image; its columns are found by their names in the header.

    Image files are looked for beside the table, in ``images`` beside it, and the same one folder up. Rows that cannot
    be used are rejected with their lines, and all rows of an image with several classes. Raise ``AmbiguousError`` when
    several tables or columns fit, ``UsageError`` when a column is missing, ``DataError`` when the file cannot be
    parsed.
    """
    tree, tables = location.tree, _find_tables(location)
    if len(tables) != 1:
        tables = [name for name in tables if _is_table(tree, name)]
    if len(tables) != 1:
        raise AmbiguousError(
            _("{path} contains {count} tables: {names}.").format(
                path=location.path, count=len(tables), names=", ".join(tables) or _("none")
            ),
            _("Expected one, with a column for the file and one for the class."),
            _("Give one table as the data."),
        )
    path = tree.root / tables[0]
    text = decode_text(tree.read(tables[0]))
    header = _parse_header(path, text)
    rows = list(_read_rows(path, text, header))
    image_tree, prefix = _find_image_root(tree, [row for _line, row in rows if len(row) == header.column_count], header)
    builder = _RowReader(tables[0], image_tree, prefix, header).read_rows(rows)
    return builder.build_table(image_tree, NAME, progress)


class _RowReader:
    """Adds the rows of a table to a ``ClassificationTableBuilder``; each image counts once.

    ``tree`` holds the images; ``prefix`` comes before the file names in the table to give names in it.
    """

    def __init__(self, table_name: str, tree: FileTree, prefix: str, header: _HeaderColumns) -> None:
        self.table_name = table_name
        self.tree = tree
        self.prefix = prefix
        self.header = header
        self.builder = ClassificationTableBuilder()

    def read_rows(self, rows: Sequence[tuple[int, list[str]]]) -> ClassificationTableBuilder:
        """Return the builder with all usable ``rows``, given as (line, cells)."""
        usable_rows = [(line, cells) for line, cells in rows if self._check_row(line, cells)]
        classes_by_image: dict[str, set[str]] = {}
        for _line, cells in usable_rows:
            classes_by_image.setdefault(self._image_name(cells), set()).add(cells[self.header.label].strip())
        added_images: set[str] = set()
        for line, cells in usable_rows:
            name = self._image_name(cells)
            if len(classes_by_image[name]) > 1:
                classes = ", ".join(sorted(classes_by_image[name]))
                self._reject_row(line, _("{name} has several classes: {classes}").format(name=name, classes=classes))
            elif name in added_images:
                self._reject_row(line, _("{name} appears twice").format(name=name))
            else:
                added_images.add(name)
                self.builder.add_images([name], cells[self.header.label].strip(), self._parse_split(cells))
        return self.builder

    def _check_row(self, line: int, cells: list[str]) -> bool:
        """Whether the row can be used by itself; if not, it is rejected."""
        problem = self._find_problem(cells)
        if problem:
            self._reject_row(line, problem)
        return not problem

    def _find_problem(self, cells: list[str]) -> str:
        """Return why the row cannot be used by itself; empty when it can."""
        header = self.header
        if len(cells) != header.column_count:
            return _("{found} columns instead of {expected}").format(found=len(cells), expected=header.column_count)
        if not cells[header.label].strip():
            return _("no class")
        if not cells[header.file].strip():
            return _("no file")
        if header.split is not None and self._split_word(cells) not in {"", *SPLIT_WORDS}:
            return _("unknown split '{word}'").format(word=self._split_word(cells))
        if not self.tree.has(self._image_name(cells)):
            return _("no such file: {name}").format(name=cells[header.file].strip())
        return ""

    def _reject_row(self, line: int, reason: str) -> None:
        self.builder.reject(RejectedItem(self.table_name, reason, _("correct the line or remove it"), line))

    def _image_name(self, cells: list[str]) -> str:
        """Return the image file of a row, as the tree calls it."""
        return _relative_name(self.tree.root, cells[self.header.file], self.prefix)

    def _split_word(self, cells: list[str]) -> str:
        """Return what a row has in the split column, in lower case; empty without such a column."""
        return cells[self.header.split].strip().lower() if self.header.split is not None else ""

    def _parse_split(self, cells: list[str]) -> int:
        return SPLIT_WORDS.get(self._split_word(cells), UNASSIGNED)


def _find_tables(location: DataLocation) -> list[str]:
    """Return the CSV file named, or those in the folder itself."""
    names = [location.file] if location.file else location.tree.listing.list_files()
    return [name for name in names if name.lower().endswith(CSV_SUFFIXES)]


def _is_table(tree: FileTree, name: str) -> bool:
    """Whether a file begins with a header of this format; an ambiguous one counts, so that ``read`` can say so."""
    try:
        _parse_header(tree.root / name, decode_text(tree.head(name, 4096)))
    except AmbiguousError:
        return True
    except (UsageError, DataError):
        return False
    return True


def _parse_header(path: Path, text: str) -> _HeaderColumns:
    """Return the columns in the first line of ``text``; ``path`` is that of the file, for messages.

    Raise ``UsageError`` for a table of boxes or without file or class, ``AmbiguousError`` when two columns could be one
    of these.
    """
    header_line, delimiter = find_first_line(text)
    names = [name.strip().strip('"').lower().replace(" ", "_") for name in header_line.split(delimiter)]
    box_columns = csv_boxes_columns.find_box_columns(names) or sorted(_BOX_COLUMNS.intersection(names))
    if box_columns:
        raise UsageError(
            _("{path} is a table of boxes (columns {names}).").format(path=path, names=", ".join(box_columns)),
            _("Expected one class for each image: a column for the file and one for the class."),
        )
    positions = {
        role: [i for i, name in enumerate(names) if name in headers] for role, headers in _HEADERS_BY_ROLE.items()
    }
    ambiguous_names = [names[i] for indices in positions.values() if len(indices) > 1 for i in indices]
    if ambiguous_names:
        raise AmbiguousError(
            _("{path} has ambiguous columns: {names}.").format(path=path, names=", ".join(ambiguous_names)),
            _("Expected one column for the file, one for the class, at most one for the split."),
            _("Remove or rename the others."),
        )
    if not positions["file"] or not positions["class"]:
        raise UsageError(
            _("{path} has the columns {names}.").format(path=path, names=", ".join(names)),
            _("Expected one of {files} and one of {classes}.").format(
                files=", ".join(_HEADERS_BY_ROLE["file"]), classes=", ".join(_HEADERS_BY_ROLE["class"])
            ),
            _("Put the column names in the first line."),
        )
    split = positions["split"][0] if positions["split"] else None
    return _HeaderColumns(delimiter, len(names), positions["file"][0], positions["class"][0], split)


def _read_rows(path: Path, text: str, header: _HeaderColumns) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of each row below the header, blank rows left out.

    Raise ``DataError`` where the text cannot be parsed as CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter)
    try:
        rows = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
        next(rows, None)
        yield from rows
    except csv.Error as error:
        raise DataError(
            _("{path}:{line} cannot be read: {error}.").format(path=path, line=reader.line_num, error=error)
        ) from error


def _find_image_root(tree: FileTree, rows: Sequence[list[str]], header: _HeaderColumns) -> tuple[FileTree, str]:
    """Return the tree in which one of the first images is found, and the prefix of the table's file names in it.

    Full paths do not count. Without any image found it is ``tree`` itself.
    """
    cells = [row[header.file] for row in rows[:_MAX_PROBES] if not os.path.isabs(row[header.file].strip())]
    candidates: list[tuple[FileTree, str]] = [(tree, ""), (tree, "images/")]
    if isinstance(tree, LocalFolder):
        parent = tree.root.absolute().parent
        folders = (tree.root / "images", parent, parent / "images")
        candidates = [(tree, ""), *((LocalFolder(folder), "") for folder in folders)]
    for candidate, prefix in candidates:
        if any(candidate.has(_relative_name(candidate.root, cell, prefix)) for cell in cells):
            return candidate, prefix
    return tree, ""


def _relative_name(root: Path, cell: str, prefix: str) -> str:
    """Return the file in ``cell`` relative to ``root`` with '/'; one outside of it keeps its full path."""
    name = cell.strip().replace("\\", "/")
    if not os.path.isabs(name):
        return prefix + name.removeprefix("./")
    path = Path(name)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


FORMAT = Format(
    NAME, detect, read, Capability.LABELS | Capability.SPLITS | Capability.EXTERNAL_PATHS, write, image_path
)
