"""A table of files and classes (CSV), as a spreadsheet or a program writes it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lince.annotations import UNLABELLED, RejectedItem
from lince.errors import AmbiguousError, DataError, UsageError
from lince.fileio import write_text
from lince.formats.builders.classification_table import ClassificationTableBuilder
from lince.formats.csv_boxes import columns as csv_boxes_columns
from lince.formats.format import Capability, Format, WriteRequest
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, SPLITS, UNASSIGNED
from lince.storage.tree import DataLocation, FileTree, LocalFolder

NAME = "csv"
EXTENSIONS = (".csv", ".tsv")
_DELIMITERS = ",;\t|"
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
    """Where the columns stand (``split`` is ``None`` when there is none) and how many there are."""

    delimiter: str
    column_count: int
    file: int
    label: int
    split: int | None


def detect(place: DataLocation) -> str | None:
    """Return what speaks for a table of files and classes: the file named, or those in the folder named."""
    tables = [name for name in _find_tables(place) if _is_table(place.tree, name)]
    return _("tables: {names}").format(names=", ".join(tables)) if tables else None


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read a table: one row per image, columns found by their names, delimiter sniffed.

    A row that cannot be used is rejected with its line. Files are looked for beside the table, in ``images`` beside it,
    and the same one folder up. Raise ``AmbiguousError`` when several tables or columns fit, ``DataError`` when it
    cannot be read.
    """
    tree, tables = place.tree, _find_tables(place)
    if len(tables) != 1:
        tables = [name for name in tables if _is_table(tree, name)]
    if len(tables) != 1:
        raise AmbiguousError(
            _("{path} holds {count} tables: {names}.").format(
                path=place.path, count=len(tables), names=", ".join(tables) or _("none")
            ),
            _("Expected one, with a column for the file and one for the class."),
            _("Name the table itself as the data."),
        )
    path = tree.root / tables[0]
    text = _decode_text(tree.read(tables[0]))
    header = _parse_header(path, text)
    rows = list(_read_rows(path, text, header))
    base, prefix = _find_image_root(tree, [row for _line, row in rows if len(row) == header.column_count], header)
    columns = _RowReader(tables[0], base, prefix, header).read_rows(rows)
    return columns.build_table(base, NAME, progress)


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``labels.csv``: file, class (empty for none) and split (empty for none) of every image, in UTF-8."""
    table, words = export.table, {split: word for word, split in SPLITS.items()}
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "class", "split"])
    for path, class_id, split in zip(export.image_paths, table.class_ids.tolist(), table.splits.tolist(), strict=True):
        rows.writerow([path, "" if class_id == UNLABELLED else table.classes.names[class_id], words.get(split, "")])
    write_text(folder / "labels.csv", text.getvalue())


def image_path(split: str, class_name: str, name: str) -> str:
    """Return where an image goes: all lie in ``images``."""
    return f"images/{name}"


class _RowReader:
    """Turns rows into columns; keeps what has been seen, so that an image counts once."""

    def __init__(self, table: str, tree: FileTree, prefix: str, header: _HeaderColumns) -> None:
        self.table_name = table
        self.tree = tree
        self.prefix = prefix
        self.header = header
        self.builder = ClassificationTableBuilder()

    def read_rows(self, rows: Sequence[tuple[int, list[str]]]) -> ClassificationTableBuilder:
        """Return the columns of all ``rows``, given as (line, cells)."""
        good = [(line, cells) for line, cells in rows if self._check_row(line, cells)]
        said: dict[str, set[str]] = {}
        for _line, cells in good:
            said.setdefault(self._image_name(cells), set()).add(cells[self.header.label].strip())
        done: set[str] = set()
        for line, cells in good:
            name = self._image_name(cells)
            if len(said[name]) > 1:
                classes = ", ".join(sorted(said[name]))
                self._reject_row(line, _("{name} has several classes: {classes}").format(name=name, classes=classes))
            elif name in done:
                self._reject_row(line, _("{name} stands twice").format(name=name))
            else:
                done.add(name)
                self.builder.add_images([name], cells[self.header.label].strip(), self._parse_split(cells))
        return self.builder

    def _check_row(self, line: int, cells: list[str]) -> bool:
        problem = self._find_problem(cells)
        if problem:
            self._reject_row(line, problem)
        return not problem

    def _find_problem(self, cells: list[str]) -> str:
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
        return _relative_name(self.tree.root, cells[self.header.file], self.prefix)

    def _split_word(self, cells: list[str]) -> str:
        return cells[self.header.split].strip().lower() if self.header.split is not None else ""

    def _parse_split(self, cells: list[str]) -> int:
        return SPLIT_WORDS.get(self._split_word(cells), UNASSIGNED)


def _find_tables(place: DataLocation) -> list[str]:
    names = [place.file] if place.file else place.tree.listing.list_files()
    return [name for name in names if name.lower().endswith(EXTENSIONS)]


def _is_table(tree: FileTree, name: str) -> bool:
    try:
        _parse_header(tree.root / name, _decode_text(tree.head(name, 4096)))
    except AmbiguousError:
        return True
    except (UsageError, DataError):
        return False
    return True


def _decode_text(data: bytes) -> str:
    """Return a file's text: UTF-8, UTF-16 with its mark, or else as older spreadsheets on Windows write it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _parse_header(path: Path, text: str) -> _HeaderColumns:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    names = [name.strip().strip('"').lower().replace(" ", "_") for name in first.split(delimiter)]
    boxes = csv_boxes_columns.find_box_columns(names) or sorted(_BOX_COLUMNS.intersection(names))
    if boxes:
        raise UsageError(
            _("{path} is a table of boxes (columns {names}).").format(path=path, names=", ".join(boxes)),
            _("Expected one class for each image: a column for the file and one for the class."),
        )
    found = {role: [i for i, name in enumerate(names) if name in words] for role, words in _HEADERS_BY_ROLE.items()}
    doubled = [names[i] for places in found.values() if len(places) > 1 for i in places]
    if doubled:
        raise AmbiguousError(
            _("{path} has several columns that could be meant: {names}.").format(path=path, names=", ".join(doubled)),
            _("Expected one column for the file, one for the class, at most one for the split."),
            _("Remove or rename the others."),
        )
    if not found["file"] or not found["class"]:
        raise UsageError(
            _("{path} has the columns {names}.").format(path=path, names=", ".join(names)),
            _("Expected one of {files} and one of {classes}.").format(
                files=", ".join(_HEADERS_BY_ROLE["file"]), classes=", ".join(_HEADERS_BY_ROLE["class"])
            ),
            _("Name the columns in the first line."),
        )
    split = found["split"][0] if found["split"] else None
    return _HeaderColumns(delimiter, len(names), found["file"][0], found["class"][0], split)


def _read_rows(path: Path, text: str, header: _HeaderColumns) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of each row after the header; empty lines are passed over."""
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
    """Return where one of the first files is found: the tree, or a likely one, and what its names start by."""
    cells = [row[header.file] for row in rows[:_MAX_PROBES] if not os.path.isabs(row[header.file].strip())]
    likely: list[tuple[FileTree, str]] = [(tree, ""), (tree, "images/")]
    if isinstance(tree, LocalFolder):
        up = tree.root.absolute().parent
        likely = [(tree, ""), *((LocalFolder(base), "") for base in (tree.root / "images", up, up / "images"))]
    for base, prefix in likely:
        if any(base.has(_relative_name(base.root, cell, prefix)) for cell in cells):
            return base, prefix
    return tree, ""


def _relative_name(root: Path, cell: str, prefix: str) -> str:
    """Return the file named in ``cell`` relative to ``root`` with '/'; one that lies elsewhere keeps its full path."""
    name = cell.strip().replace("\\", "/")
    if not os.path.isabs(name):
        return prefix + name.removeprefix("./")
    path = Path(name)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


FORMAT = Format(
    NAME, detect, read, Capability.LABELS | Capability.SPLITS | Capability.EXTERNAL_PATHS, write, image_path
)
