"""The confusion matrix of a report in HTML: colours of the cells, and what a click on one shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.report.facts import MatrixCell
from lince.i18n import _
from lince.number_format import format_count

MAX_DETAILED_MATRIX_CLASSES = 12  # up to it, the cells have room for counts and rates
MAX_OPEN_MATRIX_CLASSES = 40  # above it, the matrix is collapsed and the most frequent errors are listed


@dataclass(frozen=True)
class MatrixView:
    """A confusion matrix for the template.

    Attributes:
        names: names of the rows, the true classes.
        columns: names of the columns, the predicted classes.
        rows: for each row and column, (number, rate in 0..1 of the row or ``None``, opacity of the cell).
        cells: by (row, column), what a click on the cell shows.
        values: sentence that says what is counted.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[int, float | None, float], ...], ...]
    cells: dict[tuple[int, int], MatrixCell]
    values: str

    @property
    def fits_counts(self) -> bool:
        """Whether the cells have room for counts and rates."""
        return len(self.names) <= MAX_DETAILED_MATRIX_CLASSES

    @property
    def collapsed(self) -> bool:
        """Whether the matrix is collapsed, and the most frequent errors are listed instead."""
        return len(self.names) > MAX_OPEN_MATRIX_CLASSES

    def describe(self, cell: MatrixCell) -> str:
        """Return the sentence that says how many of what is in ``cell`` are shown."""
        shown = format_count(len(cell.photos))
        if len(cell.photos) == cell.count:
            return _("All {n} are shown.").format(n=shown)
        return _("{shown} of {n} are shown.").format(shown=shown, n=format_count(cell.count))


def build_matrix_view(
    counts: NDArray[np.int64],
    names: tuple[Sequence[str], Sequence[str]],
    cells: Sequence[MatrixCell],
    values: str,
    rows_without_rate: frozenset[int] = frozenset(),
) -> MatrixView:
    """Return the view of ``counts`` (R, C) with the ``names`` of its rows and columns.

    The colour of a cell follows its fraction of the row; rows in ``rows_without_rate`` show their counts alone, because
    they are no class.
    """
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = tuple(
        tuple(
            (int(n), None if row in rows_without_rate else float(rate), compute_cell_opacity(float(rate)))
            for n, rate in zip(counts[row], rates[row], strict=True)
        )
        for row in range(len(counts))
    )
    return MatrixView(tuple(names[0]), tuple(names[1]), rows, {(cell.row, cell.column): cell for cell in cells}, values)


def compute_cell_opacity(rate: float) -> float:
    """Return the opacity of a cell, 0 to 0.9; the exponent below 1 keeps low rates visible."""
    return round(0.0 if rate == 0 else 0.08 + 0.82 * rate**0.7, 2)
