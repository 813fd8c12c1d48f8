"""Decodes the text of CSV files, finds their delimiter and reads their records, for all formats that are tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from lince.errors import DataError
from lince.i18n import _

CSV_SUFFIXES = (".csv", ".tsv")
_DELIMITERS = ",;\t|"
_DELIMITER_LINE = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)  # by which spreadsheets are told the delimiter
_MAX_OPEN_QUOTES = 100  # lines that open a quotation mark for good; each has the rest of the table read again


def decode_text(data: bytes) -> str:
    """Return the text of a CSV file.

    UTF-16 is recognised by its byte order mark; else UTF-8 is tried (a byte order mark is dropped), then Windows-1252,
    which older spreadsheets write. Never raises: what no encoding explains becomes U+FFFD.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def find_first_line(text: str) -> tuple[str, str]:
    """Return (line, delimiter) of the first line of ``text`` that is not blank, the empty string where there is none.

    The delimiter is the one of comma, semicolon, tab and bar that occurs most often in it; a comma in a tie. A line
    before it such as ``sep=;`` says which one it is.
    """
    lines = (line for line in text.splitlines() if line.strip())
    line = next(lines, "")
    if declared := _DELIMITER_LINE.fullmatch(line):
        return next(lines, ""), declared[1]
    return line, max(_DELIMITERS, key=line.count)


def split_cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line, quotes resolved; none when it cannot be parsed."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def read_records(
    path: Path, text: str, delimiter: str, column_count: int, keys: Collection[int]
) -> Iterator[tuple[int, list[str] | None]]:
    """Yield (line, cells) of each record of ``text`` that is not blank, by the line where it begins, from 1.

    A first line that only declares the delimiter is no record. A record of several lines began with a quotation mark
    that nobody closed where it has not ``column_count`` cells, ends with the text, or has delimiters beside line breaks
    in one of the columns ``keys``: its first line comes with ``None``, and the lines that the mark would swallow are
    read as records of their own.

    Raise ``DataError`` with ``path`` and line where the text cannot be parsed as CSV.
    """
    table = _CsvLines(path, list(io.StringIO(text, newline="")), delimiter, column_count, keys)
    start, open_count = _count_declaring_lines(table.lines), 0
    while start < len(table.lines):
        start = yield from table.read_until_open_quote(start)
        open_count += 1
        if open_count > _MAX_OPEN_QUOTES and start < len(table.lines):
            raise _make_csv_error(path, start, _("a quotation mark is opened and not closed, as in many lines before"))


@dataclass(frozen=True)
class _CsvLines:
    """The lines of a table with their line ends, and what ``read_records`` is told of it."""

    path: Path
    lines: list[str]
    delimiter: str
    column_count: int
    keys: Collection[int]

    def read_until_open_quote(self, start: int) -> Generator[tuple[int, list[str] | None], None, int]:
        """Yield the records from line ``start`` (from 0) on; return the line after an open quote, or after the last."""
        reader = csv.reader(iter(self.lines[start:]), delimiter=self.delimiter)
        first = start
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                if start + reader.line_num - first < 2:
                    raise _make_csv_error(self.path, first + 1, str(error)) from error
                cells = []
            if cells is None:
                return len(self.lines)
            end = start + reader.line_num
            if self._has_open_quote(cells, first, end):
                yield first + 1, None
                return first + 1
            if any(cell.strip() for cell in cells):
                yield first + 1, cells
            first = end

    def _has_open_quote(self, cells: list[str], first: int, end: int) -> bool:
        """Whether the record of the lines ``first`` to ``end`` is one only because a quotation mark was not closed."""
        if end == len(self.lines) and _is_unfinished(self.lines[first:], self.delimiter):
            return True
        return end - first > 1 and (
            len(cells) != self.column_count
            or any(self.delimiter in cells[i] and len(cells[i].splitlines()) > 1 for i in self.keys)
        )


def _count_declaring_lines(lines: list[str]) -> int:
    """Return how many lines at the beginning are blank or declare the delimiter, where one does; else 0."""
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    return first + 1 if lines and _DELIMITER_LINE.fullmatch(lines[first]) else 0


def _is_unfinished(lines: list[str], delimiter: str) -> bool:
    """Whether the last record of ``lines`` ends within quotation marks."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "end of data" in str(error)
    return False


def _make_csv_error(path: Path, line: int, reason: str) -> DataError:
    return DataError(
        _("{path}:{line} cannot be read: {error}.").format(path=path, line=line, error=reason),
        _("Expected a CSV table."),
        _("Correct the line, or export the table again."),
    )
