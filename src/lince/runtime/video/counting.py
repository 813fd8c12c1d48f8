"""Counts what passes lines and what stays in zones, and how many of each class are seen over time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.runtime.video.places import Place
from lince.runtime.video.tracking import NO_TRACK, Followed
from lince.runtime.video.watched import LEFT, RIGHT

Array = NDArray[np.float64]
_SURE = 0.05  # of a box's height: what stands nearer to a line than this has not decided yet
_GONE = 1.5  # seconds without being seen after which a track has left a zone
_REMEMBERED = 4096  # tracks whose side of a line is known


@dataclass(frozen=True)
class Crossing:
    """One track passed one line: ``way`` is the side it went to, seen from the line's first point to its second."""

    time: float
    line: str
    class_id: int
    track: int
    way: str


@dataclass(frozen=True)
class Stay:
    """One track was in one zone, from ``start`` to ``end`` in seconds."""

    zone: str
    class_id: int
    track: int
    start: float
    end: float


@dataclass
class Lines:
    """The passings of lines on pictures of ``size``: a track passes where the middle of its box does."""

    places: list[Place]
    size: tuple[int, int]
    counts: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    _last: dict[tuple[str, int], tuple[Array, float]] = field(default_factory=dict)

    def update(self, followed: Followed, time: float) -> list[Crossing]:
        """Return who passes which line now."""
        found = []
        for place in self.places:
            ends = place.points(self.size)
            for middle, height, class_id, track in _tracked(followed):
                way = self._way(place.name, ends, middle, height, track)
                if way:
                    self.counts[place.name, class_id, way] += 1
                    found.append(Crossing(time, place.name, class_id, track, way))
        return found

    def _way(self, name: str, ends: Array, middle: Array, height: float, track: int) -> str:
        """Return the side to which the line between ``ends`` is passed, if it is."""
        along = ends[1] - ends[0]
        side = _cross(along, middle - ends[0])  # below zero on the left, as y grows downwards
        if abs(side) < _SURE * height * np.hypot(*along):
            return ""
        before = self._last.pop((name, track), None)
        self._last[name, track] = (middle, side)
        if len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]
        if before is None or (before[1] < 0) == (side < 0):
            return ""
        step = middle - before[0]
        share = _cross(before[0] - ends[0], step) / _cross(along, step)
        if not 0 <= share <= 1:  # it went round an end
            return ""
        return RIGHT if side > 0 else LEFT


@dataclass
class Zones:
    """Who is in the zones of pictures of ``size``, and since when: a track is where the middle of its box is."""

    places: list[Place]
    size: tuple[int, int]
    _inside: dict[tuple[str, int], Stay] = field(default_factory=dict)

    def update(self, followed: Followed, time: float) -> list[Stay]:
        """Take note of who is inside now, and return the stays that have ended."""
        ended = []
        for place in self.places:
            ring = place.points(self.size)
            for middle, _height, class_id, track in _tracked(followed):
                stay = self._inside.get((place.name, track))
                if _within(ring, middle):
                    start = time if stay is None else stay.start
                    self._inside[place.name, track] = Stay(place.name, class_id, track, start, time)
                elif stay is not None:
                    ended.append(self._inside.pop((place.name, track)))
        gone = [key for key, stay in self._inside.items() if time - stay.end > _GONE]
        return ended + [self._inside.pop(key) for key in gone]

    def inside(self, name: str, time: float) -> int:
        """Return how many are seen in the zone called ``name`` on the frame at ``time``, the last one."""
        return sum(stay.zone == name and stay.end >= time for stay in self._inside.values())

    def finish(self) -> list[Stay]:
        """Return the stays that the end of the video ends."""
        stays = list(self._inside.values())
        self._inside.clear()
        return stays


def _tracked(followed: Followed) -> list[tuple[Array, float, int, int]]:
    """Return the middle, height, class and number of what has a track."""
    boxes = followed.detections.boxes
    middles, heights = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 3] - boxes[:, 1]
    rows = zip(middles, heights.tolist(), followed.detections.class_ids.tolist(), followed.tracks.tolist(), strict=True)
    return [row for row in rows if row[3] != NO_TRACK]


def _cross(one: Array, other: Array) -> float:
    return float(one[0] * other[1] - one[1] * other[0])


def _within(ring: Array, point: Array) -> bool:
    """Tell whether ``point`` (2,) lies within ``ring`` (N, 2), by how often a ray to the right leaves it."""
    low, high = ring, np.roll(ring, -1, axis=0)
    spans = (low[:, 1] > point[1]) != (high[:, 1] > point[1])
    rise = np.where(spans, high[:, 1] - low[:, 1], 1.0)
    reach = low[:, 0] + (point[1] - low[:, 1]) / rise * (high[:, 0] - low[:, 0])
    return bool(np.count_nonzero(spans & (reach > point[0])) % 2)
