"""Counts what passes lines and what stays in zones, and how many of each class are seen over time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.inference.video.byte_track import NO_TRACK, TrackedDetections
from lince.inference.video.regions import Region
from lince.inference.video.video_result import LEFT, RIGHT

Array = NDArray[np.float64]
_LINE_MARGIN = 0.05  # of a box's height: what stands nearer to a line than this has not decided yet
_EXIT_SECONDS = 1.5  # seconds without being seen after which a track has left a zone
_MAX_REMEMBERED_TRACKS = 4096  # tracks whose side of a line is known


@dataclass(frozen=True)
class LineCrossing:
    """One track passed one line: ``way`` is the side it went to, seen from the line's first point to its second."""

    time: float
    line: str
    class_id: int
    track_id: int
    direction: str


@dataclass(frozen=True)
class ZoneStay:
    """One track was in one zone, from ``start`` to ``end`` in seconds."""

    zone: str
    class_id: int
    track_id: int
    start: float
    end: float


@dataclass
class LineCounter:
    """The passings of lines on pictures of ``size``: a track passes where the middle of its box does."""

    regions: list[Region]
    size: tuple[int, int]
    counts: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    _last_positions: dict[tuple[str, int], tuple[Array, float]] = field(default_factory=dict)

    def update(self, tracked: TrackedDetections, time: float) -> list[LineCrossing]:
        """Return who passes which line now."""
        found = []
        for place in self.regions:
            ends = place.to_pixels(self.size)
            for middle, height, class_id, track in _list_tracks(tracked):
                way = self._find_direction(place.name, ends, middle, height, track)
                if way:
                    self.counts[place.name, class_id, way] += 1
                    found.append(LineCrossing(time, place.name, class_id, track, way))
        return found

    def _find_direction(self, name: str, ends: Array, middle: Array, height: float, track: int) -> str:
        """Return the side to which the line between ``ends`` is passed, if it is."""
        along = ends[1] - ends[0]
        side = _cross_product(along, middle - ends[0])  # below zero on the left, as y grows downwards
        if abs(side) < _LINE_MARGIN * height * np.hypot(*along):
            return ""
        before = self._last_positions.pop((name, track), None)
        self._last_positions[name, track] = (middle, side)
        if len(self._last_positions) > _MAX_REMEMBERED_TRACKS:
            del self._last_positions[next(iter(self._last_positions))]
        if before is None or (before[1] < 0) == (side < 0):
            return ""
        step = middle - before[0]
        share = _cross_product(before[0] - ends[0], step) / _cross_product(along, step)
        if not 0 <= share <= 1:  # it went round an end
            return ""
        return RIGHT if side > 0 else LEFT


@dataclass
class ZoneCounter:
    """Who is in the zones of pictures of ``size``, and since when: a track is where the middle of its box is."""

    regions: list[Region]
    size: tuple[int, int]
    _open_stays: dict[tuple[str, int], ZoneStay] = field(default_factory=dict)

    def update(self, tracked: TrackedDetections, time: float) -> list[ZoneStay]:
        """Take note of who is inside now, and return the stays that have ended."""
        ended = []
        for place in self.regions:
            ring = place.to_pixels(self.size)
            for middle, _height, class_id, track in _list_tracks(tracked):
                stay = self._open_stays.get((place.name, track))
                if _is_inside(ring, middle):
                    start = time if stay is None else stay.start
                    self._open_stays[place.name, track] = ZoneStay(place.name, class_id, track, start, time)
                elif stay is not None:
                    ended.append(self._open_stays.pop((place.name, track)))
        gone = [key for key, stay in self._open_stays.items() if time - stay.end > _EXIT_SECONDS]
        return ended + [self._open_stays.pop(key) for key in gone]

    def count_inside(self, name: str, time: float) -> int:
        """Return how many are seen in the zone called ``name`` on the frame at ``time``, the last one."""
        return sum(stay.zone == name and stay.end >= time for stay in self._open_stays.values())

    def finish(self) -> list[ZoneStay]:
        """Return the stays that the end of the video ends."""
        stays = list(self._open_stays.values())
        self._open_stays.clear()
        return stays


def _list_tracks(followed: TrackedDetections) -> list[tuple[Array, float, int, int]]:
    """Return the middle, height, class and number of what has a track."""
    boxes = followed.detections.boxes
    middles, heights = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 3] - boxes[:, 1]
    rows = zip(
        middles, heights.tolist(), followed.detections.class_ids.tolist(), followed.track_ids.tolist(), strict=True
    )
    return [row for row in rows if row[3] != NO_TRACK]


def _cross_product(one: Array, other: Array) -> float:
    return float(one[0] * other[1] - one[1] * other[0])


def _is_inside(ring: Array, point: Array) -> bool:
    """Tell whether ``point`` (2,) lies within ``ring`` (N, 2), by how often a ray to the right leaves it."""
    low, high = ring, np.roll(ring, -1, axis=0)
    spans = (low[:, 1] > point[1]) != (high[:, 1] > point[1])
    rise = np.where(spans, high[:, 1] - low[:, 1], 1.0)
    reach = low[:, 0] + (point[1] - low[:, 1]) / rise * (high[:, 0] - low[:, 0])
    return bool(np.count_nonzero(spans & (reach > point[0])) % 2)
