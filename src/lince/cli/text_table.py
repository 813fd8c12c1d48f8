"""Rows of text under a header, columns aligned: how the command line shows figures."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER_CELL = re.compile(r"([-+−–<] ?)?\d|–$")


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, figures to the right and words to the left."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    figures = [column > 0 and all(_NUMBER_CELL.match(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(_align_row(row, widths, figures)).rstrip() for row in cells]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _align_row(row: Sequence[str], widths: Sequence[int], figures: Sequence[bool]) -> list[str]:
    return [
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(row, widths, figures, strict=True)
    ]
