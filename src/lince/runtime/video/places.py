"""Lines and zones on a picture, as a person types them: in pixels or in percent, with a name."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.errors import UsageError
from lince.messages import _

Array = NDArray[np.float64]
_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(%?)\s*", re.ASCII)


@dataclass(frozen=True)
class Place:
    """A line (two points) or a zone (three or more): ``values`` x, y, x, y, ..., in pixels or percent of a side."""

    name: str
    values: tuple[tuple[float, bool], ...]

    def points(self, size: tuple[int, int]) -> Array:
        """Return the points (N, 2) in pixels of a picture of ``size`` (height, width)."""
        sides = np.tile(size[::-1], len(self.values) // 2)
        return np.array(
            [value * side / 100 if share else value for (value, share), side in zip(self.values, sides, strict=True)]
        ).reshape(-1, 2)


def line(text: str, number: int = 1) -> Place:
    """Return the line of ``x1,y1,x2,y2:name``; raise ``UsageError`` on anything else."""
    place = _parsed(text, _("line {number}").format(number=number))
    if place is None or len(place.values) != 4 or place.values[:2] == place.values[2:]:
        raise UsageError(
            _("--line cannot be '{text}'.").format(text=text),
            _("Expected two points in pixels or percent, and a name if you like: --line 50%,0,50%,100%:door."),
        )
    return place


def zone(text: str, number: int = 1) -> Place:
    """Return the zone of ``x,y,x,y,x,y:name``; raise ``UsageError`` on anything else."""
    place = _parsed(text, _("zone {number}").format(number=number))
    if place is None or len(place.values) < 6 or len(place.values) % 2:
        raise UsageError(
            _("--zone cannot be '{text}'.").format(text=text),
            _("Expected three points or more in pixels or percent: --zone 0,0,50%,0,50%,100%,0,100%:entrance."),
        )
    return place


def _parsed(text: str, unnamed: str) -> Place | None:
    numbers, _colon, name = text.partition(":")
    found = [_NUMBER.fullmatch(part) for part in numbers.split(",")]
    if not all(found):
        return None
    return Place(name.strip() or unnamed, tuple((float(one[1]), bool(one[2])) for one in found if one))
