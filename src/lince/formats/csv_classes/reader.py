"""Reads CSV tables of image files and classes, as a spreadsheet or a program writes them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from lince.annotations import RejectedItem
from lince.errors import AmbiguousError, DataError, UsageError
from lince.formats import class_folders
from lince.formats.builders.classification_table import ClassificationTableBuilder, shorten_list
from lince.formats.csv_boxes.rows import infer_split
from lince.formats.csv_classes.class_cells import parse_class_list
from lince.formats.csv_classes.columns import ClassColumns, describe_missing, detect_columns, names_photos
from lince.formats.csv_classes.rows import ClassTable, RowReader, relative_name
from lince.formats.csv_classes.writer import image_path, write
from lince.formats.csv_text import CSV_SUFFIXES, decode_text, read_records, split_cells
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup
from lince.formats.photo_numbers import PhotoNumbers
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED, infer_split_from_folders
from lince.storage.tree import DataLocation, FileTree, LocalFolder

NAME = "csv"
_HEAD_BYTES = 16_384
_MAX_PROBES = 20  # rows in which photos are looked for
_MIN_SHARE = 0.5  # of the photos that a table of their numbers must name: one of a few rows is a list of classes
_MAX_TABLES = 64  # in the folders of splits
_MAX_NAMED = 5  # tables, in an error
_TEMPLATE_WORD = "submission"  # in the name of a table to fill in, such as Kaggle's


def detect(location: DataLocation) -> str | None:
    """Return the names of the tables of classes, ``None`` when there are none.

    Of a folder, the CSV files directly in it are looked at, else those in folders named after splits, else all.
    """
    tables = _find_tables(location)
    if not tables:
        return None
    names, columns = ", ".join(list(tables)[:4]), next(iter(tables.values()))
    if columns is not None and columns.indicators:
        return _("tables with a column of 0 and 1 for each class: {names}; {classes}").format(
            names=names, classes=shorten_list(list(columns.indicators.values()))
        )
    if columns is not None and columns.label_name:
        if class_folders.detect(location):
            return None  # folders that may be classes are the surer sign
        return _("tables: {names}; the column {column} is taken for the class").format(
            names=names, column=columns.label_name
        )
    return _("tables: {names}").format(names=names)


def list_tables(location: DataLocation) -> list[str]:
    """Return the tables of classes that ``read`` could read, by name; several may be ambiguous."""
    return [name for name, columns in _find_tables(location).items() if columns is not None]


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read a table with one row per image, or one for each split; columns are found by their names in the header.

    Image files are looked for beside the table, in ``images`` beside it, and the same one folder up; else by their
    names alone, with or without suffix. Rows that cannot be used are rejected with their lines, and all rows of an
    image with several classes; so are the images beside the table that no row names. Raise ``AmbiguousError`` when
    several tables or columns fit, ``UsageError`` when a column is missing, ``DataError`` when the file cannot be
    parsed.
    """
    tree = location.tree
    names, templates = _choose_tables(location)
    tables = [_load_table(tree, name) for name in names]
    image_tree, prefix = _find_image_root(tree, tables[0], only_here=len(tables) > 1)
    builder = ClassificationTableBuilder()
    reader = RowReader(image_tree, builder)
    for table in tables:
        if len(tables) == 1:
            reader.read_table(table, prefix, None)
        else:
            reader.read_table(table, _find_image_root(tree, table, only_here=True)[1], infer_split(table.name))
    for name in templates:
        reason, remedy = _("a table to fill in, not one of labels"), _("give it as the data if it is one")
        builder.reject(RejectedItem(name, reason, remedy, kind="other-labels"))
    if image_tree.root.is_relative_to(tree.root) and not tree.is_remote:  # a parent folder holds other things too
        reader.reject_unnamed(names)
    return builder.build_table(image_tree, NAME, progress)


def _find_tables(location: DataLocation) -> dict[str, ClassColumns | None]:
    """Return the columns of the file named, or of the tables in the folder itself, else in the folders of splits.

    Without these, tables in other folders count where they name photos. The columns are ``None`` where they are
    ambiguous, so that ``read`` can say so.
    """
    tree = location.tree
    names = [location.file] if location.file else tree.listing.list_files()
    names = [name for name in names if name.lower().endswith(CSV_SUFFIXES)]
    tables = _probe_tables(tree, names)
    if tables or location.file:
        return tables
    inner = tree.listing.find_by_suffix(*CSV_SUFFIXES)
    parts = [name for name in inner if infer_split_from_folders(name) != UNASSIGNED]
    tables = _probe_tables(tree, parts[:_MAX_TABLES])
    return tables or _probe_tables(tree, [name for name in inner if name not in parts][:_MAX_TABLES], must_name=True)


def _choose_tables(location: DataLocation) -> tuple[list[str], list[str]]:
    """Return the tables to read, and those beside them that are to be filled in.

    Several must be one for each split. Raise ``AmbiguousError`` when they are not, or there is none.
    """
    if location.file:
        return [location.file], []
    found = list(_find_tables(location))
    if not found:
        found = [name for name in location.tree.listing.list_files() if name.lower().endswith(CSV_SUFFIXES)]
        names, templates = (found, []) if len(found) == 1 else ([], [])
    else:
        templates = [name for name in found if _TEMPLATE_WORD in posixpath.basename(name).lower()]
        names = [name for name in found if name not in templates] or found
    if not names:
        _require_no_table(location)
    splits = {split for name in names if (split := infer_split(name)) != UNASSIGNED}
    if len(names) != 1 and (not names or len(splits) < len(names)):
        raise AmbiguousError(
            _("{path} contains {count} tables: {names}.").format(
                path=location.path, count=len(names), names=", ".join(names) or _("none")
            ),
            _("Expected one, with a column for the file and one for the class."),
            _("Give one table as the data."),
        )
    return names, [name for name in templates if name not in names]


def _require_no_table(location: DataLocation) -> None:
    """Raise ``UsageError`` that names the CSV files, none of which is a table of classes, and what each lacks."""
    tree = location.tree
    names = tree.listing.find_by_suffix(*CSV_SUFFIXES)
    if not names:
        return
    image_lookup = ImageLookup(tree)
    lines = [f"\n  {name}: {_find_lack(tree, name, image_lookup)}" for name in names[:_MAX_NAMED]]
    if len(names) > _MAX_NAMED:
        lines.append(_("\n  and {more} more").format(more=len(names) - _MAX_NAMED))
    raise UsageError(
        _("{path} contains {count} CSV files, and none is a table of one class for each photo:").format(
            path=location.path, count=len(names)
        )
        + "".join(lines),
        _("Expected one, with a column for the file and one for the class."),
        _("Correct one as its line says, and give it as the data."),
    )


def _find_lack(tree: FileTree, name: str, image_lookup: ImageLookup) -> str:
    """Return what the file ``name`` lacks to be a table of classes, as a part of a sentence."""
    try:
        text = _read_head(tree, name)
        columns = detect_columns(tree.root / name, text, _make_photo_test(image_lookup, name))
    except AmbiguousError as error:
        return error.problem.removeprefix(f"{tree.root / name} ").rstrip(".")
    except UsageError as error:
        return describe_missing(text) or error.problem.removeprefix(f"{tree.root / name} ").rstrip(".")
    except DataError as error:
        return error.problem.rstrip(".")
    rows = [split_cells(line, columns.delimiter) for line in text.splitlines()[: columns.has_header + 1]]
    reference = rows[-1][columns.file].strip() if rows and len(rows[-1]) == columns.column_count else ""
    reason = _("no such file: {name}").format(name=reference)
    near = image_lookup.describe_near_misses(reference, posixpath.dirname(name))
    return f"{reason}; {near}" if near else reason


def _probe_tables(tree: FileTree, names: Sequence[str], must_name: bool = False) -> dict[str, ClassColumns | None]:
    """Return the columns of those of the files ``names`` that begin as tables of classes, ``None`` for ambiguous ones.

    With ``must_name``, and where the header alone does not say what the columns are, one of the first rows must name a
    photo.
    """
    image_lookup, numbers = ImageLookup(tree), PhotoNumbers(tree.names if names else ())
    tables: dict[str, ClassColumns | None] = {}
    for name in names:
        is_photo = _make_photo_test(image_lookup, name)
        try:
            text = _read_head(tree, name)
            columns = detect_columns(tree.root / name, text, is_photo)
        except AmbiguousError:
            if not must_name:
                tables[name] = None
            continue
        except (UsageError, DataError):
            continue
        rows = [split_cells(line, columns.delimiter) for line in text.splitlines()[:_MAX_PROBES]]
        is_sure = not (columns.is_guess or must_name) or names_photos(text, columns, is_photo)
        is_long = len(text.splitlines()) >= min(_MAX_PROBES * 10, _MIN_SHARE * len(numbers))
        is_sure = is_sure or (is_long and _holds_numbers(name, rows[columns.has_header :], columns, numbers))
        if is_sure and not _find_record_cell(rows[columns.has_header :], columns):
            tables[name] = columns
    return tables


def _holds_numbers(name: str, rows: Sequence[list[str]], columns: ClassColumns, numbers: PhotoNumbers) -> bool:
    """Whether every one of the first rows of the table ``name`` names a photo by its number, and none of them twice."""
    cells = [row[columns.file] for row in rows if len(row) == columns.column_count]
    found = {numbers.find(cell, posixpath.dirname(name)) for cell in cells}
    return bool(cells) and None not in found and len(found) == len(cells)


def _read_head(tree: FileTree, name: str) -> str:
    """Return the first lines of a table, without one that is cut off; raise ``DataError`` when it cannot be read."""
    data = tree.head(name, _HEAD_BYTES)
    text = decode_text(data)
    return text[: text.rfind("\n") + 1] or text if len(data) == _HEAD_BYTES else text


def _make_photo_test(image_lookup: ImageLookup, table: str) -> Callable[[str], bool]:
    """Return a function that says whether ``table`` means a photo that is there where it calls one so."""
    folder = posixpath.dirname(table)
    return cache(lambda reference: image_lookup.find_by_name_or_stem(reference, folder) is not None)


def _load_table(tree: FileTree, name: str) -> ClassTable:
    """Return a table; raise ``UsageError``, ``AmbiguousError`` or ``DataError`` as ``read`` does."""
    path = tree.root / name
    text = decode_text(tree.read(name))
    columns = detect_columns(path, text, _make_photo_test(ImageLookup(tree), name))
    records = read_records(path, text, columns.delimiter, columns.column_count, columns.keys)
    if columns.has_header:
        next(records, None)
    table = ClassTable(name, columns, list(records))
    _require_class_names(path, table)
    return table


def _find_record_cell(rows: Sequence[list[str]], columns: ClassColumns) -> str:
    """Return the first class that is a list of records in JSON, as in Label Studio's CSV; empty for none."""
    if columns.label is None:
        return ""
    cells = (row[columns.label].strip() for row in rows if len(row) == columns.column_count)
    cell = next((cell for cell in cells if cell), "")
    return cell if cell.startswith(("[{", "{", "[[")) and parse_class_list(cell) is None else ""


def _require_class_names(path: Path, table: ClassTable) -> None:
    """Raise ``UsageError`` when the classes are lists or records in JSON, as in Label Studio's CSV."""
    if cell := _find_record_cell(table.whole_rows, table.columns):
        raise UsageError(
            _("{path} holds annotations of another program in its column of classes: {text}.").format(
                path=path, text=cell[:60] + "..."
            ),
            _("Expected one class for each image."),
            _("If it is from Label Studio, export the labels as JSON."),
        )


def _find_image_root(tree: FileTree, table: ClassTable, only_here: bool) -> tuple[FileTree, str]:
    """Return the tree in which one of the first images is found, and the prefix of the table's file names in it.

    With ``only_here`` it is always ``tree``. Full paths do not count. Without any image found it is ``tree`` itself,
    and the prefix that of the table.
    """
    cells = [row[table.columns.file] for row in table.whole_rows[:_MAX_PROBES]]
    cells = [cell for cell in cells if not os.path.isabs(cell.strip())]
    folder = posixpath.join(posixpath.dirname(table.name), "")
    candidates: list[tuple[FileTree, str]] = [(tree, folder), (tree, ""), (tree, f"{folder}images/")]
    if isinstance(tree, LocalFolder) and not (only_here or folder):
        parent = tree.root.absolute().parent
        folders = (tree.root / "images", parent, parent / "images")
        candidates = [(tree, ""), *((LocalFolder(folder), "") for folder in folders)]
    for candidate, prefix in candidates:
        if any(candidate.has(relative_name(candidate.root, cell, prefix)) for cell in cells):
            return candidate, prefix
    return tree, folder


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.LABELS | Capability.LABEL_SETS | Capability.SPLITS | Capability.EXTERNAL_PATHS,
    write,
    image_path,
)
