"""Formats numbers for display in the current language: counts, decimals, percentages, durations.

English writes 3,667 and 91.2%, Spanish 3667 and 91,2 %, Portuguese 3.667 and 91,2%.
"""

from __future__ import annotations

from math import floor, isnan, log10

from lince.i18n import _, localise_number

MISSING_VALUE = "–"


def format_decimal(value: float | None, places: int = 3) -> str:
    """Return ``value`` with ``places`` decimals; a dash for ``None`` and NaN."""
    if value is None or isnan(value):
        return MISSING_VALUE
    return localise_number(f"{value:,.{places}f}")


def format_significant(value: float, digits: int = 3) -> str:
    """Return ``value`` with at least ``digits`` significant digits, without an exponent: 1,234, 12.3 or 0.00123."""
    size = floor(log10(abs(value))) if value else 0
    return localise_number(f"{value:,.{max(0, digits - 1 - size)}f}")


def format_count(value: int) -> str:
    """Return the integer ``value`` with thousands separators; Spanish has none in numbers of four digits."""
    return localise_number(f"{value:,}")


def format_percent(fraction: float | None, places: int = 1) -> str:
    """Return ``fraction`` (0..1) as a percentage with ``places`` decimals; a dash for ``None`` and NaN."""
    if fraction is None or isnan(fraction):
        return MISSING_VALUE
    return localise_number(f"{100 * fraction:,.{places}f}%")


def format_percent_range(low: float, high: float, places: int = 1) -> str:
    """Return the fractions ``low`` and ``high`` (0..1) as a range of percentages: "from 89.1% to 92.0%"."""
    return _("from {low} to {high}").format(low=format_percent(low, places), high=format_percent(high, places))


def format_duration(seconds: float) -> str:
    """Return ``seconds`` in suitable units: "0.4 s", "37 s", "4 min 10 s", "2 h 5 min"."""
    if seconds < 9.95:
        return _("{n} s").format(n=format_decimal(seconds, 1))
    rounded = round(seconds)
    if rounded < 60:
        return _("{n} s").format(n=rounded)
    if rounded < 3600:
        return _("{m} min {s} s").format(m=rounded // 60, s=rounded % 60)
    return _("{h} h {m} min").format(h=rounded // 3600, m=rounded % 3600 // 60)


def format_si_suffix(value: int) -> str:
    """Return a large integer with one decimal and an SI suffix (k, M, G): "2.2 M"; below 1000 as it is."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{format_decimal(value / size, 1)} {unit}"
    return format_count(value)
