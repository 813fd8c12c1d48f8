"""Writes figures of ``report.json`` on the lines of the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lince.evaluation.confidence import ConfidenceInterval
from lince.number_format import format_count, format_percent, format_percent_range


def describe_figure(record: Mapping[str, Any], key: str, text: str) -> str:
    """Return ``text`` with the figure ``{key}`` of ``record``, its ``{range}`` and the ``{count}`` of images."""
    found = ConfidenceInterval(**record[key])
    values = {key: format_percent(found.value), "range": format_percent_range(found.low, found.high)}
    return text.format(count=format_count(record["count"]), **values)


def get_value(figure: Any) -> float | None:
    """Return the value of a figure of ``report.json``, which may have an interval."""
    value: float | None = figure["value"] if isinstance(figure, Mapping) else figure
    return value
