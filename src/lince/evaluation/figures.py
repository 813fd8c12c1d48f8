"""Numbers as people of each language write them: 3,667 and 91.2% in English, 91,2 % in Spanish, 91,2% in Portuguese."""

from __future__ import annotations

from lince.evaluation.interval import Interval
from lince.messages import _, localised

MISSING = "–"


def decimal(value: float | None, places: int = 3) -> str:
    """Return ``value`` with ``places`` decimals, or a dash where there is none."""
    if value is None:
        return MISSING
    return localised(f"{value:,.{places}f}")


def count(value: int) -> str:
    """Return a whole number with its thousands set apart; Spanish leaves four digits together."""
    return localised(f"{value:,}")


def percent(share: float | None, places: int = 1) -> str:
    """Return a share from 0 to 1 as a percentage, or a dash where there is none."""
    if share is None:
        return MISSING
    return localised(f"{100 * share:,.{places}f}%")


def percent_range(interval: Interval, places: int = 1) -> str:
    """Return the bounds of ``interval``: "from 89.1% to 92.0%"."""
    return _("from {low} to {high}").format(low=percent(interval.low, places), high=percent(interval.high, places))


def duration(seconds: float) -> str:
    """Return ``seconds`` in the unit that reads best: "0.4 s", "37 s", "4 min 10 s", "2 h 5 min"."""
    if seconds < 9.95:
        return _("{n} s").format(n=decimal(seconds, 1))
    whole = round(seconds)
    if whole < 60:
        return _("{n} s").format(n=whole)
    if whole < 3600:
        return _("{m} min {s} s").format(m=whole // 60, s=whole % 60)
    return _("{h} h {m} min").format(h=whole // 3600, m=whole % 3600 // 60)


def magnitude(value: int) -> str:
    """Return a large whole number in thousands, millions or milliards: "2.2 M"."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{decimal(value / size, 1)} {unit}"
    return count(value)
