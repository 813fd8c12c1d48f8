"""Lines and zones on a picture, as a person types them: in pixels or in percent, with a name."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.errors import UsageError
from lince.i18n import _

Array = NDArray[np.float64]
_COORDINATE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(%?)\s*", re.ASCII)


@dataclass(frozen=True)
class Region:
    """A line (two points) or a zone (three or more): ``values`` x, y, x, y, ..., in pixels or percent of a side."""

    name: str
    coordinates: tuple[tuple[float, bool], ...]

    def to_pixels(self, size: tuple[int, int]) -> Array:
        """Return the points (N, 2) in pixels of a picture of ``size`` (height, width)."""
        sides = np.tile(size[::-1], len(self.coordinates) // 2)
        return np.array(
            [
                value * side / 100 if share else value
                for (value, share), side in zip(self.coordinates, sides, strict=True)
            ]
        ).reshape(-1, 2)


def parse_line(text: str, number: int = 1) -> Region:
    """Return the line of ``x1,y1,x2,y2:name``; raise ``UsageError`` on anything else."""
    place = _parse_region(text, _("line {number}").format(number=number))
    if place is None or len(place.coordinates) != 4 or place.coordinates[:2] == place.coordinates[2:]:
        raise UsageError(
            _("--line cannot be '{text}'.").format(text=text),
            _("Expected two points in pixels or percent, and a name if you like: --line 50%,0,50%,100%:door."),
        )
    return place


def parse_zone(text: str, number: int = 1) -> Region:
    """Return the zone of ``x,y,x,y,x,y:name``; raise ``UsageError`` on anything else."""
    place = _parse_region(text, _("zone {number}").format(number=number))
    if place is None or len(place.coordinates) < 6 or len(place.coordinates) % 2:
        raise UsageError(
            _("--zone cannot be '{text}'.").format(text=text),
            _("Expected three points or more in pixels or percent: --zone 0,0,50%,0,50%,100%,0,100%:entrance."),
        )
    return place


def _parse_region(text: str, unnamed: str) -> Region | None:
    numbers, _colon, name = text.partition(":")
    found = [_COORDINATE.fullmatch(part) for part in numbers.split(",")]
    if not all(found):
        return None
    return Region(name.strip() or unnamed, tuple((float(one[1]), bool(one[2])) for one in found if one))
