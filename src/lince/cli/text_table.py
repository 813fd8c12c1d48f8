"""Formats tables for the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER_CELL = re.compile(r"([-+−–<] ?)?\d|–$")


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table with aligned columns and a rule below the header.

    Columns of numbers are right-aligned, others left-aligned; the first column is always left-aligned.
    """
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    is_numeric = [column > 0 and all(_NUMBER_CELL.match(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(_align_row(row, widths, is_numeric)).rstrip() for row in cells]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _align_row(row: Sequence[str], widths: Sequence[int], is_numeric: Sequence[bool]) -> list[str]:
    """Return the cells of a row, padded to the widths of their columns."""
    return [
        text.rjust(width) if numeric else text.ljust(width)
        for text, width, numeric in zip(row, widths, is_numeric, strict=True)
    ]
