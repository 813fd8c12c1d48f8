"""Finds the columns of a CSV table of classes: by its header, by columns of 0 and 1, or by the values of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lince.errors import AmbiguousError, UsageError
from lince.formats.csv_boxes import columns as csv_boxes_columns
from lince.formats.csv_headers import (
    CLASS_HEADERS,
    FILE_HEADERS,
    INDEX_HEADERS,
    SPLIT_HEADERS,
    is_label_studio_header,
    make_open_images_remedy,
    name_open_images_table,
    normalise_header,
)
from lince.formats.csv_text import find_first_line, split_cells
from lince.i18n import _
from lince.splits import SPLIT_WORDS
from lince.storage.scan import looks_like_image

_HEADERS_BY_ROLE = {"file": FILE_HEADERS, "class": CLASS_HEADERS, "split": SPLIT_HEADERS}
# Headers that others have too: they count where no other column names the file, and the first rows name photos.
_OTHER_FILE_HEADERS = ("image_id", "imageid", "img_id", "photo_id", "id_code", "photo", "name", "id")
_OTHER_CLASS_HEADERS = ("level", "target", "diagnosis")  # where no other column names the class
# Of a column beside the file that holds no classes.
_NO_CLASS_HEADERS = frozenset({
    "text", "caption", "captions", "comment", "description", "prompt", "title", "texto", "descripcion", "descricao",
    "legenda", "url", "date", "width", "height", "size", "md5", "hash", "license",
})  # fmt: skip
YES_WORDS, NO_WORDS = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false", ""})  # of columns of 0 and 1
_LIST_HEADERS = frozenset({"labels", "tags", "classes", "categories", "etiquetas", "clases", "categorias", "rotulos"})
_MAX_ROWS = 100  # that are looked at
_MIN_INDEX_ROWS = 3  # from which on row numbers are others than 0 and 1
_MAX_PROBES = 20  # rows in which photos are looked for
_MAX_NAMES, _MAX_SHOWN = 12, 80  # columns, and characters of a line, that a message shows
_MAX_WORDS = 4  # in the name of a class


@dataclass(frozen=True)
class ClassColumns:
    """The columns of a table, as indices from 0, their number, and the delimiter.

    ``file`` names the image, ``label`` its class; ``split`` is ``None`` when there is no such column. ``indicators``
    are class names by columns of 0 and 1, for tables with one column for each class; ``label`` is ``None`` then.
    ``is_guess``: the header alone does not say what the columns are, so rows must name photos. ``label_name`` is the
    header of a class column that none of the usual names has.
    """

    delimiter: str
    column_count: int
    file: int
    label: int | None
    split: int | None = None
    has_header: bool = True
    indicators: Mapping[int, str] = field(default_factory=dict)
    is_guess: bool = False
    label_name: str = ""

    @property
    def in_lists(self) -> bool:
        """Whether the header of the class column says that a cell lists several."""
        return normalise_header(self.label_name) in _LIST_HEADERS

    @property
    def keys(self) -> tuple[int, ...]:
        """The columns that name images and classes."""
        return (self.file, *self.indicators) if self.label is None else (self.file, self.label)


def detect_columns(path: Path, text: str, is_photo: Callable[[str], bool]) -> ClassColumns:
    """Return the columns of the table that begins with ``text``; ``path`` is that of the file, for messages.

    ``is_photo`` says whether there is a photo of a name. Raise ``UsageError`` for a table of boxes or without file or
    class, ``AmbiguousError`` when two columns could be one of these.
    """
    header_line, delimiter = find_first_line(text)
    cells = [cell.strip() for cell in split_cells(header_line, delimiter)]
    names = [normalise_header(cell) for cell in cells]
    box_columns = csv_boxes_columns.find_shape_columns(names)
    if box_columns:
        raise UsageError(
            _("{path} is a table of boxes (columns {names}).").format(path=path, names=", ".join(box_columns)),
            _("Expected one class for each image: a column for the file and one for the class."),
        )
    if kind := name_open_images_table(cells):
        raise UsageError(
            _("{path} holds {kind}.").format(path=path, kind=kind),
            _("Expected one class for each image: a column for the file and one for the class."),
            make_open_images_remedy()[0].upper() + make_open_images_remedy()[1:] + ".",
        )
    lines = text.splitlines()
    rows = [split_cells(line, delimiter) for line in lines[lines.index(header_line) + 1 :][:_MAX_ROWS]] if cells else []
    rows = [row for row in rows if len(row) == len(cells)]
    columns = _columns_from_header(path, cells, names, delimiter, rows)
    columns = columns or _columns_from_rows(cells, delimiter, rows, is_photo)
    if columns is None:
        raise _make_missing_error(path, names)
    return columns


def describe_missing(text: str) -> str:
    """Return which columns the header of a table of classes that begins with ``text`` lacks; empty for none."""
    header_line, delimiter = find_first_line(text)
    names = [normalise_header(cell) for cell in split_cells(header_line, delimiter)]
    if len(names) < 2:
        first = header_line.strip()[:_MAX_SHOWN]
        return _("no comma, semicolon, tab or bar separates columns in its first line: {line}").format(line=first)
    if csv_boxes_columns.find_shape_columns(names) or name_open_images_table(names):
        return ""
    shown = ", ".join(names[:_MAX_NAMES])
    if not {*FILE_HEADERS, *_OTHER_FILE_HEADERS} & {*names}:
        return _("no column for the file, such as {name}, among {names}").format(name="filename", names=shown)
    if not {*CLASS_HEADERS, *_OTHER_CLASS_HEADERS} & {*names}:
        return _("no column for the class, such as {name}, among {names}").format(name="class", names=shown)
    return ""


def names_photos(text: str, columns: ClassColumns, is_photo: Callable[[str], bool]) -> bool:
    """Whether one of the first rows of ``text`` names a photo."""
    rows = [split_cells(line, columns.delimiter) for line in text.splitlines()[: _MAX_PROBES + 1]]
    return any(is_photo(row[columns.file]) for row in rows if len(row) == columns.column_count)


def _columns_from_header(
    path: Path, cells: Sequence[str], names: Sequence[str], delimiter: str, rows: Sequence[list[str]]
) -> ClassColumns | None:
    """Return the columns by their names in the header; ``None`` where it does not name the file, or no class is found.

    Raise ``AmbiguousError`` when two columns have names for one thing.
    """
    positions = {
        role: [i for i, name in enumerate(names) if name in headers] for role, headers in _HEADERS_BY_ROLE.items()
    }
    is_guess = not positions["file"]
    if is_label_studio_header(names):
        raise UsageError(
            _("{path} is an export of Label Studio.").format(path=path),
            _("Expected one class for each image: a column for the file and one for the class."),
            _("Read it with {option}.").format(option="--format labelstudio"),
        )
    for role, headers in (("file", _OTHER_FILE_HEADERS), ("class", _OTHER_CLASS_HEADERS)):
        positions[role] = positions[role] or [names.index(header) for header in headers if header in names][:1]
    ambiguous_names = [names[i] for indices in positions.values() if len(indices) > 1 for i in indices]
    if ambiguous_names:
        raise AmbiguousError(
            _("{path} has ambiguous columns: {names}.").format(path=path, names=", ".join(ambiguous_names)),
            _("Expected one column for the file, one for the class, at most one for the split."),
            _("Remove or rename the others."),
        )
    if not positions["file"]:
        return None
    file, split = positions["file"][0], next(iter(positions["split"]), None)
    if positions["class"]:
        return ClassColumns(delimiter, len(names), file, positions["class"][0], split, is_guess=is_guess)
    others = [i for i in range(len(names)) if i not in (file, split) and not _is_index(rows, names[i], i)]
    indicators = {i: cells[i] for i in others if names[i] not in SPLIT_WORDS and _is_indicator(rows, i)}
    if len(indicators) > 1 and len(set(indicators.values())) == len(indicators):
        return ClassColumns(delimiter, len(names), file, None, split, indicators=indicators, is_guess=is_guess)
    holds_lists = len(others) == 1 and names[others[0]] in _LIST_HEADERS
    if (
        len(others) == 1
        and names[others[0]] not in _NO_CLASS_HEADERS
        and (holds_lists or _holds_classes(rows, others[0]))
    ):
        name = cells[others[0]]
        return ClassColumns(delimiter, len(names), file, others[0], split, is_guess=True, label_name=name)
    return None


def _columns_from_rows(
    cells: Sequence[str], delimiter: str, rows: Sequence[list[str]], is_photo: Callable[[str], bool]
) -> ClassColumns | None:
    """Return the columns of a table without header: image and class in any order, perhaps a split and row numbers.

    ``cells`` are its first row. ``None`` when it is no such table.
    """
    others = list(range(len(cells)))
    if len(cells) > 2 and all(row[0].strip().isdecimal() for row in [cells, *rows]):
        others.remove(0)
    files = [i for i in others if looks_like_image(cells[i])] or [i for i in others if cells[i] and is_photo(cells[i])]
    if len(files) != 1 or not rows:
        return None
    others.remove(files[0])
    splits = [i for i in others if len(others) > 1 and {row[i].strip().lower() for row in rows} <= {*SPLIT_WORDS}]
    others = [i for i in others if i not in splits[:1]]
    if len(others) != 1 or not _holds_classes([list(cells), *rows], others[0]) or not cells[others[0]]:
        return None
    split = splits[0] if splits else None
    return ClassColumns(delimiter, len(cells), files[0], others[0], split, has_header=False)


def _is_indicator(rows: Sequence[list[str]], column: int) -> bool:
    """Whether all cells of a column are 0, 1 or empty, and not all empty."""
    values = {row[column].strip().lower() for row in rows}
    return bool(values - {""}) and values <= YES_WORDS | NO_WORDS


def _is_index(rows: Sequence[list[str]], name: str, column: int) -> bool:
    """Whether a column is one of row numbers by its ``name``; one called "no" that holds but 0 and 1 is a class."""
    is_class = bool(name) and len(rows) >= _MIN_INDEX_ROWS and _is_indicator(rows, column)
    return name in INDEX_HEADERS and not is_class


def _holds_classes(rows: Sequence[list[str]], column: int) -> bool:
    """Whether the cells of a column may be names of classes: short, and no numbers with decimals."""
    values = [value for row in rows if (value := row[column].strip())]
    unlike = sum(len(value.split()) > _MAX_WORDS or _has_decimals(value) or looks_like_image(value) for value in values)
    return bool(values) and 2 * unlike < len(values)


def _has_decimals(text: str) -> bool:
    """Whether ``text`` is a number with decimals other than zero."""
    try:
        return not float(text).is_integer()
    except (ValueError, OverflowError):
        return False


def _make_missing_error(path: Path, names: Sequence[str]) -> UsageError:
    return UsageError(
        _("{path} has the columns {names}.").format(path=path, names=", ".join(names)),
        _("Expected one of {files} and one of {classes}.").format(
            files=", ".join(FILE_HEADERS), classes=", ".join(CLASS_HEADERS)
        ),
        _("Put the column names in the first line.")
        if len(names) > 1
        else _("Put the column names in the first line, and commas between the columns of each."),
    )
