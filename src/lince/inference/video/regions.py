"""Parses the lines and zones of ``--line`` and ``--zone``: points in pixels or percent, with an optional name."""

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
    """A line (two points) or a zone (three or more) on a frame.

    ``coordinates`` are x, y, x, y, ..., each a pair of its value and whether that is in percent of the frame's width or
    height (else in pixels).
    """

    name: str
    coordinates: tuple[tuple[float, bool], ...]

    def to_pixels(self, size: tuple[int, int]) -> Array:
        """Return the points (N, 2), x and y in pixels, on a frame of ``size`` (height, width)."""
        sides = np.tile(size[::-1], len(self.coordinates) // 2)
        return np.array(
            [
                value * side / 100 if is_percent else value
                for (value, is_percent), side in zip(self.coordinates, sides, strict=True)
            ]
        ).reshape(-1, 2)


def parse_line(text: str, number: int = 1) -> Region:
    """Return the line in ``x1,y1,x2,y2:name``, where each coordinate may end in ``%``.

    Without a name it is called "line ``number``". Raises ``UsageError`` on anything else, two equal points included.
    """
    region = _parse_region(text, _("line {number}").format(number=number))
    if region is None or len(region.coordinates) != 4 or region.coordinates[:2] == region.coordinates[2:]:
        raise UsageError(
            _("--line cannot be '{text}'.").format(text=text),
            _("Expected two points in pixels or percent, and a name if you like: --line 50%,0,50%,100%:door."),
        )
    return region


def parse_zone(text: str, number: int = 1) -> Region:
    """Return the zone in ``x,y,x,y,x,y,...:name``, a polygon of three or more points, as ``parse_line``."""
    region = _parse_region(text, _("zone {number}").format(number=number))
    if region is None or len(region.coordinates) < 6 or len(region.coordinates) % 2:
        raise UsageError(
            _("--zone cannot be '{text}'.").format(text=text),
            _("Expected three points or more in pixels or percent: --zone 0,0,50%,0,50%,100%,0,100%:entrance."),
        )
    return region


def _parse_region(text: str, default_name: str) -> Region | None:
    """Return the region in ``text``, of any number of coordinates; ``None`` where one of them is not a number."""
    numbers, _colon, name = text.partition(":")
    matches = [_COORDINATE.fullmatch(part) for part in numbers.split(",")]
    if not all(matches):
        return None
    return Region(name.strip() or default_name, tuple((float(match[1]), bool(match[2])) for match in matches if match))
