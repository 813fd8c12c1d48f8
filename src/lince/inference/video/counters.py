"""Counts tracks that cross lines, and records which tracks stay in zones and for how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.inference.video.byte_track import NO_TRACK, TrackedDetections
from lince.inference.video.regions import Region
from lince.inference.video.video_result import LEFT, RIGHT

Array = NDArray[np.float64]
_LINE_MARGIN = 0.05  # of the box height: a centre nearer to a line than this is on neither side yet
_EXIT_SECONDS = 1.5  # unseen for longer, a track has left its zone
_MAX_REMEMBERED_TRACKS = 4096  # last positions that a line counter keeps, to bound memory


@dataclass(frozen=True)
class LineCrossing:
    """One track crossed one line at ``time`` (seconds).

    ``direction`` is the side it went to, ``LEFT`` or ``RIGHT``, looking from the line's first point to its second.
    """

    time: float
    line: str
    class_id: int
    track_id: int
    direction: str


@dataclass(frozen=True)
class ZoneStay:
    """One track was in one zone from ``start`` to ``end``, in seconds of the video."""

    zone: str
    class_id: int
    track_id: int
    start: float
    end: float


@dataclass
class LineCounter:
    """Counts the crossings of the lines ``regions`` on frames of ``size`` (height, width).

    A track crosses a line where its box centre does, between the end points. ``counts`` has a count for each
    (line name, class id, direction).
    """

    regions: list[Region]
    size: tuple[int, int]
    counts: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    _last_positions: dict[tuple[str, int], tuple[Array, float]] = field(default_factory=dict)

    def update(self, tracked: TrackedDetections, time: float) -> list[LineCrossing]:
        """Process the frame at ``time`` (seconds) and return the crossings since the last one."""
        crossings = []
        for region in self.regions:
            ends = region.to_pixels(self.size)
            for centre, height, class_id, track_id in _list_tracks(tracked):
                direction = self._find_direction(region.name, ends, centre, height, track_id)
                if direction:
                    self.counts[region.name, class_id, direction] += 1
                    crossings.append(LineCrossing(time, region.name, class_id, track_id, direction))
        return crossings

    def _find_direction(self, line: str, ends: Array, centre: Array, height: float, track_id: int) -> str:
        """Return the side to which the track crosses the line with ``ends`` (2, 2), "" if it does not.

        Compares with the last position clearly on one side, so a track that jitters on the line is counted once.
        """
        along = ends[1] - ends[0]
        side = _cross_product(along, centre - ends[0])  # negative on the left, as y grows downwards
        if abs(side) < _LINE_MARGIN * height * np.hypot(*along):
            return ""
        last = self._last_positions.pop((line, track_id), None)
        self._last_positions[line, track_id] = (centre, side)
        if len(self._last_positions) > _MAX_REMEMBERED_TRACKS:
            del self._last_positions[next(iter(self._last_positions))]
        if last is None or (last[1] < 0) == (side < 0):
            return ""
        step = centre - last[0]
        position = _cross_product(last[0] - ends[0], step) / _cross_product(along, step)  # along the line, 0 to 1
        if not 0 <= position <= 1:  # passed beyond an end of the line
            return ""
        return RIGHT if side > 0 else LEFT


@dataclass
class ZoneCounter:
    """Records the stays in the zones ``regions`` on frames of ``size`` (height, width).

    A track is where its box centre is. A stay ends when the track is seen outside, or unseen for 1.5 seconds.
    """

    regions: list[Region]
    size: tuple[int, int]
    _open_stays: dict[tuple[str, int], ZoneStay] = field(default_factory=dict)

    def update(self, tracked: TrackedDetections, time: float) -> list[ZoneStay]:
        """Process the frame at ``time`` (seconds) and return the stays that have ended since the last one."""
        ended = []
        for region in self.regions:
            polygon = region.to_pixels(self.size)
            for centre, _height, class_id, track_id in _list_tracks(tracked):
                stay = self._open_stays.get((region.name, track_id))
                if _is_inside(polygon, centre):
                    start = time if stay is None else stay.start
                    self._open_stays[region.name, track_id] = ZoneStay(region.name, class_id, track_id, start, time)
                elif stay is not None:
                    ended.append(self._open_stays.pop((region.name, track_id)))
        expired = [key for key, stay in self._open_stays.items() if time - stay.end > _EXIT_SECONDS]
        return ended + [self._open_stays.pop(key) for key in expired]

    def count_inside(self, name: str, time: float) -> int:
        """Return the number of tracks seen in the zone ``name`` on the last frame, at ``time``."""
        return sum(stay.zone == name and stay.end >= time for stay in self._open_stays.values())

    def finish(self) -> list[ZoneStay]:
        """End all open stays at the end of the video and return them."""
        stays = list(self._open_stays.values())
        self._open_stays.clear()
        return stays


def _list_tracks(tracked: TrackedDetections) -> list[tuple[Array, float, int, int]]:
    """Return box centre (2,), box height, class id and track id of each detection that has a track."""
    boxes = tracked.detections.boxes
    centres, heights = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 3] - boxes[:, 1]
    rows = zip(
        centres, heights.tolist(), tracked.detections.class_ids.tolist(), tracked.track_ids.tolist(), strict=True
    )
    return [row for row in rows if row[3] != NO_TRACK]


def _cross_product(a: Array, b: Array) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def _is_inside(polygon: Array, point: Array) -> bool:
    """Return whether ``point`` (2,) is inside ``polygon`` (N, 2), by the even-odd rule with a ray to the right."""
    starts, ends = polygon, np.roll(polygon, -1, axis=0)
    spans = (starts[:, 1] > point[1]) != (ends[:, 1] > point[1])
    rise = np.where(spans, ends[:, 1] - starts[:, 1], 1.0)
    crossing_x = starts[:, 0] + (point[1] - starts[:, 1]) / rise * (ends[:, 0] - starts[:, 0])
    return bool(np.count_nonzero(spans & (crossing_x > point[0])) % 2)
