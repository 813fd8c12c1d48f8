"""Reads and writes the CSV files of predictions; the tasks define the columns."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.errors import DataError, UsageError
from lince.i18n import _

GROUP_COLUMN = "group"  # where images are in groups


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
