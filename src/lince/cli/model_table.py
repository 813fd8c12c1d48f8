"""The table of ``lince models``: networks with their costs, the licences of their weights, and measured times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lince.cli.text_table import format_table
from lince.i18n import _
from lince.model_card import translate_licence
from lince.models.classification.registry import ModelEntry
from lince.number_format import MISSING_VALUE, format_decimal, format_si_suffix

ListCells = Callable[[ModelEntry], Sequence[str]]
Columns = tuple[Sequence[str], ListCells]  # the headers of some columns, and their cells for a network
_NO_COLUMNS: Columns = ((), lambda _entry: ())


def format_model_table(
    entries: Mapping[str, ModelEntry], latencies: Mapping[str, float], before: Columns, after: Columns = _NO_COLUMNS
) -> list[str]:
    """Return the table of ``entries``: name, the columns ``before``, costs, the columns ``after``, licence.

    ``latencies`` are milliseconds per image by name, empty where not measured. A dash stands for an unknown value.
    """
    header = [_("name"), *before[0], _("parameters"), _("MACs"), *after[0], _("licence of the weights")]
    rows = []
    for name, entry in entries.items():
        costs = [MISSING_VALUE if value is None else format_si_suffix(value) for value in (entry.params, entry.macs)]
        row = [name, *before[1](entry), *costs, *after[1](entry), translate_licence(entry.licence)]
        rows.append([*row, format_decimal(latencies[name], 1)] if latencies else row)
    return format_table([*header, _("ms per image here")] if latencies else header, rows)
