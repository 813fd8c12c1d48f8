"""Numbers as people of each language write them: 3,667 and 91.2% in English, 91,2 % in Spanish, 91,2% in Portuguese."""

from __future__ import annotations

from lince.i18n import _, localise_number

MISSING_VALUE = "–"


def format_decimal(value: float | None, places: int = 3) -> str:
    """Return ``value`` with ``places`` decimals, or a dash where there is none."""
    if value is None:
        return MISSING_VALUE
    return localise_number(f"{value:,.{places}f}")


def format_count(value: int) -> str:
    """Return a whole number with its thousands set apart; Spanish leaves four digits together."""
    return localise_number(f"{value:,}")


def format_percent(share: float | None, places: int = 1) -> str:
    """Return a share from 0 to 1 as a percentage, or a dash where there is none."""
    if share is None:
        return MISSING_VALUE
    return localise_number(f"{100 * share:,.{places}f}%")


def format_percent_range(low: float, high: float, places: int = 1) -> str:
    """Return two shares from 0 to 1 as a range of percentages: "from 89.1% to 92.0%"."""
    return _("from {low} to {high}").format(low=format_percent(low, places), high=format_percent(high, places))


def format_duration(seconds: float) -> str:
    """Return ``seconds`` in the unit that reads best: "0.4 s", "37 s", "4 min 10 s", "2 h 5 min"."""
    if seconds < 9.95:
        return _("{n} s").format(n=format_decimal(seconds, 1))
    whole = round(seconds)
    if whole < 60:
        return _("{n} s").format(n=whole)
    if whole < 3600:
        return _("{m} min {s} s").format(m=whole // 60, s=whole % 60)
    return _("{h} h {m} min").format(h=whole // 3600, m=whole % 3600 // 60)


def format_si_suffix(value: int) -> str:
    """Return a large whole number in thousands, millions or milliards: "2.2 M"."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{format_decimal(value / size, 1)} {unit}"
    return format_count(value)
