"""Reads a CSV table of image files and classes, as a spreadsheet or a program writes it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lince.annotations import RejectedItem
from lince.errors import AmbiguousError, DataError, UsageError
from lince.formats.builders.classification_table import ClassificationTableBuilder
from lince.formats.csv_boxes import columns as csv_boxes_columns
from lince.formats.csv_classes.writer import image_path, write
from lince.formats.csv_text import CSV_SUFFIXES, decode_text, find_first_line, read_records, split_cells
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED, infer_split_from_folders
from lince.storage.tree import DataLocation, FileTree, LocalFolder

NAME = "csv"
# English, Spanish and Portuguese, in the form that ``_normalise_header`` gives.
_HEADERS_BY_ROLE = {
    "file": (
        "path", "file_path", "filepath", "filename", "file_name", "file", "image", "image_path", "image_name", "img",
        "archivo", "fichero", "nombre_archivo", "nombre_de_archivo", "imagen", "foto", "ruta", "arquivo",
        "nome_arquivo", "nome_do_arquivo", "imagem", "caminho",
    ),
    "class": (
        "class", "class_name", "label", "category", "species", "clase", "etiqueta", "categoria", "especie", "classe",
        "rotulo",
    ),
    "split": ("split", "set", "subset", "partition", "conjunto", "particion", "particao"),
}  # fmt: skip
# Headers that others have too: they count where no other column names the file, and the first rows name photos.
_OTHER_FILE_HEADERS = ("image_id", "imageid", "id_code", "photo", "name", "id")
_OTHER_CLASS_HEADERS = ("level", "target", "diagnosis")  # where no other column names the class
_NO_CLASS_WORDS = {"", "nan", "#n/a"}  # what pandas and Excel write for an empty cell
_SEPARATORS = re.compile(r"\s*[|;,/\s]\s*")  # between several classes in one cell
_MAX_PROBES = 20


@dataclass(frozen=True)
class _HeaderColumns:
    """The columns of a table, as indices from 0, their number, and the delimiter.

    ``file`` names the image, ``label`` its class; ``split`` is ``None`` when there is no such column. ``is_guess``: the
    header of ``file`` alone does not say that it names a file.
    """

    delimiter: str
    column_count: int
    file: int
    label: int
    split: int | None
    is_guess: bool = False


def detect(location: DataLocation) -> str | None:
    """Return the names of the tables of classes, ``None`` when there are none.

    Of a folder, the CSV files directly in it are looked at.
    """
    tables = [name for name in _find_tables(location) if _is_table(location.tree, name)]
    return _("tables: {names}").format(names=", ".join(tables)) if tables else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read a table with one row per image; its columns are found by their names in the header.

    Image files are looked for beside the table, in ``images`` beside it, and the same one folder up; else by their
    names alone, with or without suffix. Rows that cannot be used are rejected with their lines, and all rows of an
    image with several classes; so are the images beside the table that no row names. Raise ``AmbiguousError`` when
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
    whole_rows = [row for _line, row in rows if row is not None and len(row) == header.column_count]
    _require_class_names(path, whole_rows, header)
    image_tree, prefix = _find_image_root(tree, whole_rows, header)
    reader = _RowReader(tables[0], image_tree, prefix, header)
    builder = reader.read_rows(rows)
    if image_tree.root.is_relative_to(tree.root) and not tree.is_remote:  # a parent folder holds other things too
        reader.reject_unnamed()
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
        self._image_lookup = ImageLookup(tree)
        self._names: dict[str, str | None] = {}

    def read_rows(self, rows: Sequence[tuple[int, list[str] | None]]) -> ClassificationTableBuilder:
        """Return the builder with all usable ``rows``, given as (line, cells)."""
        usable_rows = [(line, cells) for line, cells in rows if self._check_row(line, cells) and cells is not None]
        classes_by_image: dict[str, set[str]] = {}
        for _line, cells in usable_rows:
            classes_by_image.setdefault(self._image_name(cells), set()).add(self._class_name(cells))
        known = {name for _line, cells in usable_rows if not _SEPARATORS.search(name := self._class_name(cells))}
        folder_splits = {name: infer_split_from_folders(name) for name in classes_by_image}
        if len(set(folder_splits.values()) - {UNASSIGNED}) < 2:
            folder_splits = {}  # a single part is no division
        added_images: set[str] = set()
        for line, cells in usable_rows:
            name, class_name = self._image_name(cells), self._class_name(cells)
            several = sorted(classes_by_image[name]) if len(classes_by_image[name]) > 1 else []
            several = several or _split_classes(class_name, known)
            if several:
                reason = _("{name} has several classes: {classes}").format(name=name, classes=", ".join(several))
                self._reject_row(line, reason, "several-classes", _("keep one"))
            elif name in added_images:
                self._reject_row(line, _("{name} appears twice").format(name=name), "double")
            else:
                added_images.add(name)
                split = (
                    self._parse_split(cells) if self.header.split is not None else folder_splits.get(name, UNASSIGNED)
                )
                self.builder.add_images([name], class_name, split)
        return self.builder

    def reject_unnamed(self) -> None:
        """Reject the images of the tree that no row names."""
        named = {name for name in self._names.values() if name is not None}
        for name in self._image_lookup.names:
            if name not in named:
                reason = _("no row of {table} names it").format(table=self.table_name)
                self.builder.reject(RejectedItem(name, reason, _("add a row for it"), kind="unlabelled"))

    def _check_row(self, line: int, cells: list[str] | None) -> bool:
        """Whether the row can be used by itself; if not, it is rejected."""
        if cells is None:
            reason = _("a quotation mark opens here and is not closed")
            self._reject_row(line, reason, "row", _("close it or remove it"))
            return False
        reason, kind = self._find_problem(cells)
        if reason:
            self._reject_row(line, reason, kind)
        return not reason

    def _find_problem(self, cells: list[str]) -> tuple[str, str]:
        """Return why the row cannot be used by itself, and the kind of the rejection; empty when it can."""
        header = self.header
        if len(cells) != header.column_count:
            reason = _("{found} columns instead of {expected}").format(found=len(cells), expected=header.column_count)
            return reason, "row"
        if not cells[header.file].strip():
            return _("no file"), "row"
        word = self._split_word(cells)
        if header.split is not None and word not in {"", *SPLIT_WORDS}:
            return _("unknown split '{word}'").format(word=word), "split"
        if self._find_image(cells) is None:
            return _("no such file: {name}").format(name=cells[header.file].strip()), "no-image"
        if self._class_name(cells).lower() in _NO_CLASS_WORDS:
            return _("no class"), "no-class"
        return "", ""

    def _reject_row(self, line: int, reason: str, kind: str, remedy: str = "") -> None:
        remedy = remedy or _("correct the line or remove it")
        self.builder.reject(RejectedItem(self.table_name, reason, remedy, line, kind))

    def _find_image(self, cells: list[str]) -> str | None:
        """Return the image file of a row, as the tree calls it; ``None`` when there is no single one."""
        cell = cells[self.header.file]
        if cell not in self._names:
            name = _relative_name(self.tree.root, cell, self.prefix)
            is_file = self.tree.has(name)
            can_search = not is_file and not self.tree.is_remote
            self._names[cell] = (
                name if is_file else self._image_lookup.find_by_name_or_stem(cell) if can_search else None
            )
        return self._names[cell]

    def _image_name(self, cells: list[str]) -> str:
        """Return the image file of a usable row, as the tree calls it."""
        return self._find_image(cells) or ""

    def _class_name(self, cells: list[str]) -> str:
        return cells[self.header.label].strip()

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
    """Whether a file begins with a header of this format; an ambiguous one counts, so that ``read`` can say so.

    Where only a header in ``_OTHER_FILE_HEADERS`` may name the file, one of the first rows must name a photo.
    """
    try:
        text = decode_text(tree.head(name, 4096))
        header = _parse_header(tree.root / name, text)
    except AmbiguousError:
        return True
    except (UsageError, DataError):
        return False
    return not header.is_guess or _names_photos(tree, text, header)


def _names_photos(tree: FileTree, text: str, header: _HeaderColumns) -> bool:
    """Whether one of the first rows of ``text`` names a photo in the tree."""
    rows = [split_cells(line, header.delimiter) for line in text.splitlines()[1:_MAX_PROBES]]
    cells = [row[header.file] for row in rows if len(row) == header.column_count]
    image_lookup = ImageLookup(tree)
    return any(image_lookup.find_by_name_or_stem(cell) is not None for cell in cells)


def _parse_header(path: Path, text: str) -> _HeaderColumns:
    """Return the columns in the first line of ``text``; ``path`` is that of the file, for messages.

    Raise ``UsageError`` for a table of boxes or without file or class, ``AmbiguousError`` when two columns could be one
    of these.
    """
    header_line, delimiter = find_first_line(text)
    names = [_normalise_header(name) for name in header_line.split(delimiter)]
    box_columns = csv_boxes_columns.find_shape_columns(names)
    if box_columns:
        raise UsageError(
            _("{path} is a table of boxes (columns {names}).").format(path=path, names=", ".join(box_columns)),
            _("Expected one class for each image: a column for the file and one for the class."),
        )
    positions = {
        role: [i for i, name in enumerate(names) if name in headers] for role, headers in _HEADERS_BY_ROLE.items()
    }
    is_guess = not positions["file"]
    for role, headers in (("file", _OTHER_FILE_HEADERS), ("class", _OTHER_CLASS_HEADERS)):
        positions[role] = positions[role] or [names.index(header) for header in headers if header in names][:1]
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
    return _HeaderColumns(delimiter, len(names), positions["file"][0], positions["class"][0], split, is_guess)


def _normalise_header(name: str) -> str:
    """Return a column name in lower case, without accents, with ``_`` for spaces and ``-``."""
    decomposed = unicodedata.normalize("NFKD", csv_boxes_columns.normalise_header(name))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _split_classes(cell: str, known: set[str]) -> list[str]:
    """Return the classes that a cell lists, where all of them are ``known`` from other rows; else none."""
    parts = _SEPARATORS.split(cell)
    return parts if len(parts) > 1 and cell not in known and known.issuperset(parts) else []


def _require_class_names(path: Path, rows: Sequence[list[str]], header: _HeaderColumns) -> None:
    """Raise ``UsageError`` when the classes are lists or records in JSON, as in Label Studio's CSV."""
    cell = next((row[header.label].strip() for row in rows if row[header.label].strip()), "")
    if cell.startswith(("[{", "{", "[[")):
        raise UsageError(
            _("{path} holds annotations of another program in its column of classes: {text}.").format(
                path=path, text=cell[:60] + "..."
            ),
            _("Expected one class for each image."),
            _("If it is from Label Studio, export the labels as JSON."),
        )


def _read_rows(path: Path, text: str, header: _HeaderColumns) -> Iterator[tuple[int, list[str] | None]]:
    """Yield (line, cells) of each row below the header as ``read_records`` does.

    Raise ``DataError`` where the text cannot be parsed as CSV.
    """
    rows = read_records(path, text, header.delimiter, header.column_count, (header.file, header.label))
    next(rows, None)
    return rows


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
