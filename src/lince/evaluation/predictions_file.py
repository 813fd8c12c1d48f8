"""Reads and writes the CSV files of predictions; the tasks define the columns."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import Classes, ObjectTable
from lince.errors import DataError, UsageError
from lince.i18n import _

GROUP_COLUMN = "group"  # where images are in groups
Cells = list[str]
T = TypeVar("T")  # the predictions of a task: a record with ``keys``, ``names``, ``classes`` and ``groups``


def write_rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write ``rows`` to ``path`` as CSV, atomically.

    Lines end in CR LF, so that a CR within a name is quoted. File names that are not valid Unicode (surrogates) are
    written as the bytes that they were. Raises ``UsageError`` when ``path`` is a file of another kind.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    header = text.getvalue().split(",")[:2]
    if Path(path).exists() and fileio.read_first_line(path).split(",")[:2] != header:
        raise UsageError(
            _("{path} exists already, and is no file of predictions.").format(path=path),
            _("Expected a new file, or one of predictions."),
        )
    fileio.write_bytes(Path(path), text.getvalue().encode("utf-8", "surrogateescape"))


def keep_shared_groups(groups: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """Return ``groups`` (N,) numbered from 0, ``None`` where no two images share one, since nothing is told then."""
    if groups is None:
        return None
    numbers = np.unique(groups, return_inverse=True)[1]
    return None if not len(numbers) or int(numbers.max()) + 1 == len(numbers) else numbers.astype(np.int64)


def select_rows(predictions: T, rows: Sequence[int] | NDArray[Any], columns: Sequence[str]) -> T:
    """Return ``predictions`` with the images at ``rows`` alone, in that order.

    ``columns`` are the fields that have a row for each image, besides ``keys``, ``names`` and ``groups``.
    """
    record: Any = predictions
    indices = np.asarray(rows, np.int64)
    names = ("keys", "names", "groups", *columns)
    selected: T = replace(record, **{name: _select(getattr(record, name), indices) for name in names})
    return selected


def _select(column: Any, indices: NDArray[np.int64]) -> Any:
    """Return a column of predictions at ``indices``; ``None`` stays."""
    if isinstance(column, tuple):
        return tuple(column[i] for i in indices)
    if isinstance(column, ObjectTable):
        return column.select_images(indices)
    return None if column is None else column[indices]


def reorder_columns(old: Classes, new: Classes) -> NDArray[np.int64]:
    """Return for each class of ``new`` its id in ``old``, int64 (C,); both have the same names."""
    return np.array([old.index(name) for name in new.names], np.int64)


def iter_image_rows(
    predictions: Any, first_columns: Sequence[str], class_columns: Sequence[str], rows: Iterable[tuple[Cells, Cells]]
) -> Iterator[Cells]:
    """Yield the rows of a file with one row for each image, the header first; ``ImageRowsReader`` reads it.

    ``rows`` are the cells of each image: those of ``first_columns`` after the key and the name, and those of
    ``class_columns``. Between them is the number of the image's group, where images are in groups.
    """
    groups = keep_shared_groups(predictions.groups)
    yield [*first_columns, *([] if groups is None else [GROUP_COLUMN]), *class_columns]
    for i, (first, last) in enumerate(rows):
        group = [] if groups is None else [str(groups[i])]
        yield [predictions.keys[i], predictions.names[i], *first, *group, *last]


def format_probabilities(probabilities: NDArray[np.float32]) -> list[str]:
    """Return the cells of ``probabilities`` (C,); nine digits restore a float32 exactly."""
    return [f"{probability:.9g}" for probability in probabilities.tolist()]


class PredictionsReader(ABC):
    """Base class of the readers: gives the rows of the file at ``path``, and errors with its line numbers.

    Construction raises ``DataError`` when the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise DataError(
                _("{path} cannot be read: {error}.").format(path=path, error=error.strerror),
                _("Expected the predictions that a run wrote."),
            ) from error
        self._reader = csv.reader(io.StringIO(text, newline=""), strict=True)

    @abstractmethod
    def describe_expected(self) -> str:
        """Return the sentence that names the columns of the file, for error messages."""

    def iter_rows(self) -> Iterator[list[str]]:
        """Yield the rows, the header first; raise ``DataError`` for text that is not CSV."""
        try:
            yield from self._reader
        except csv.Error as error:
            raise self.make_error(str(error)) from error

    def parse_group(self, cell: str) -> int:
        """Return the number of an image's group; raise ``DataError`` when it is none."""
        if not (cell.isascii() and cell.isdecimal() and len(cell) < 19):
            raise self.make_error(_("'{cell}' is not the number of a group").format(cell=cell))
        return int(cell)

    def check_width(self, row: list[str], width: int) -> None:
        """Raise ``DataError`` for a row of another length than ``width``."""
        if len(row) != width:
            raise self.make_error(_("{found} columns instead of {expected}").format(found=len(row), expected=width))

    def parse_probabilities(self, cells: list[str]) -> list[float]:
        """Return the probabilities of a row; raise ``DataError`` when one is not a number in 0..1."""
        try:
            values = [float(cell) for cell in cells]
        except ValueError as error:
            raise self.make_error(_("a probability is not a number")) from error
        if not all(0 <= value <= 1.000001 for value in values):
            raise self.make_error(_("a probability is not between 0 and 1"))
        return values

    def make_error(self, reason: str) -> DataError:
        """Return the error for the row that was read last."""
        return DataError(
            _("{path}:{line}: {reason}.").format(path=self.path, line=max(self._reader.line_num, 1), reason=reason),
            self.describe_expected(),
            _("Run lince evaluate again."),
        )


class ImageRowsReader(PredictionsReader):
    """Base class of the readers of files with one row for each image.

    Its columns are ``first_columns``, the number of the group where images are in groups, and then columns of classes.
    Reading the rows fills ``keys`` and ``names``.
    """

    first_columns: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._rows = self.iter_rows()
        self._header = next(self._rows, [])
        count = len(self.first_columns)
        self._has_groups = self._header[count : count + 1] == [GROUP_COLUMN]
        self._groups: list[int] = []
        self.keys: list[str] = []
        self.names: list[str] = []

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """The groups of the images that were read; ``None`` where the file has none."""
        return np.array(self._groups, np.int64) if self._has_groups else None

    def describe_expected(self) -> str:
        """Return the sentence that names the columns."""
        return _("Expected the predictions that a run wrote: {columns}, then one column for each class.").format(
            columns=", ".join(self.first_columns)
        )

    def get_class_columns(self) -> Cells:
        """Return the names of the columns of classes; raise ``DataError`` for the header of another file."""
        if tuple(self._header[: len(self.first_columns)]) != self.first_columns:
            raise self.make_header_error()
        return self._header[len(self.first_columns) + self._has_groups :]

    def iter_image_rows(self) -> Iterator[tuple[Cells, Cells]]:
        """Yield the cells of each image: those after the key and the name, and those of the columns of classes."""
        count = len(self.first_columns)
        for row in self._rows:
            self.check_width(row, len(self._header))
            self.keys.append(row[0])
            self.names.append(row[1])
            self._groups += [self.parse_group(row[count])] if self._has_groups else []
            yield row[2:count], row[count + self._has_groups :]

    def make_classes(self, names: Sequence[str]) -> Classes:
        """Return the classes of the header; raise ``DataError`` where ``names`` are no names of classes."""
        try:
            return Classes(tuple(names))
        except DataError as error:
            raise self.make_error(error.problem.rstrip(".")) from error

    def make_header_error(self) -> DataError:
        """Return the error for a header that does not fit."""
        return self.make_error(_("the header is not that of a predictions file"))
