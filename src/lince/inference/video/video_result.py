"""The summary of a processed video: frame counts, objects per class, tracks, line crossings and stays in zones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lince.annotations import Classes

LEFT, RIGHT = "left", "right"  # directions of a line crossing, looking from the line's first point to its second


_GAP_FRAMES = 3  # a gap is a stretch of more than this many frames without one


@dataclass(eq=False)
class FileCoverage:
    """How much of a video file could be read, filled while it is.

    ``declared_count`` is the number of frames that the file says it has, 0 if unknown, an estimate unless ``is_exact``;
    ``hidden_count`` is how many of them a whole file may have without showing them. ``read_count`` counts those that
    could be decoded, whether they were processed or not, and ``end_time`` is where the last of them ends, in seconds.
    ``longest_gap`` is the start and length of the longest stretch without a frame. ``is_truncated`` is whether the file
    ends before the video does; without ``is_length_known`` it may be unnoticed. ``is_read_to_end`` is whether the end
    of the file was reached: what is before it says nothing of the rest.
    """

    declared_count: int = 0
    is_exact: bool = False
    hidden_count: int = 0
    is_length_known: bool = True
    read_count: int = 0
    end_time: float = 0.0
    gap_count: int = 0
    longest_gap: tuple[float, float] = (0.0, 0.0)
    is_truncated: bool = False
    is_read_to_end: bool = False

    @property
    def is_short(self) -> bool:
        """Whether frames are missing for certain, at the end or before it."""
        least_count = self.declared_count - self.hidden_count if self.is_exact else 0
        return self.is_read_to_end and (self.is_truncated or self.read_count < least_count)

    def add_frame(self, last_time: float, time: float, interval: float) -> None:
        """Count a frame shown at ``time``, after one at ``last_time``; ``interval`` is the usual time between two."""
        gap = time - last_time
        if gap > _GAP_FRAMES * interval:
            self.gap_count += 1
            self.longest_gap = max(self.longest_gap, (last_time, gap), key=lambda pair: pair[1])
        self.read_count, self.end_time = self.read_count + 1, time + interval

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as a dict that ``json`` can write; ``None`` where the file does not say."""
        return {
            "frames_read": self.read_count,
            "frames_declared": self.declared_count or None,
            "exact": self.is_exact,
            "read_to_the_end": self.is_read_to_end,
            "gaps": self.gap_count,
        }


@dataclass(eq=False)
class ConnectionLoss:
    """What a stream from an address missed: how often its connection broke, for how long, and whether for good."""

    count: int = 0
    seconds: float = 0.0
    is_final: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as a dict that ``json`` can write."""
        return {"times": self.count, "seconds": round(self.seconds, 3), "for_good": self.is_final}


@dataclass(eq=False)
class VideoResult:
    """The summary of one video, filled while it is processed.

    ``seconds`` is the time of the last frame; ``broken_count`` the packets and frames left out as damaged; ``coverage``
    what of the file could be read; ``loss`` what of a stream was missed;
    ``dropped_audio`` the codec of an audio track that could not be copied. By class id: ``max_counts`` is the largest
    number on one frame, ``track_counts`` the number of tracks. ``crossing_counts`` is by line, class id and direction,
    ``stay_counts`` by zone and class id, ``zone_seconds`` the total length of all stays in a zone.
    ``full_crop_classes`` are the ids of classes with more objects than crops are written.
    """

    source: str
    frame_count: int = 0
    broken_count: int = 0
    coverage: FileCoverage = field(default_factory=FileCoverage)
    loss: ConnectionLoss = field(default_factory=ConnectionLoss)
    seconds: float = 0.0
    dropped_audio: str = ""
    max_counts: Counter[int] = field(default_factory=Counter)
    track_counts: Counter[int] = field(default_factory=Counter)
    crossing_counts: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    stay_counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    zone_seconds: dict[str, float] = field(default_factory=dict)
    full_crop_classes: tuple[int, ...] = ()
    written_paths: tuple[Path, ...] = ()

    def to_dict(self, classes: Classes) -> dict[str, Any]:
        """Return the summary as a dict that ``json`` can write, with class names instead of ids."""
        names = classes.names
        return {
            "source": self.source,
            "frames": self.frame_count,
            "broken": self.broken_count,
            "cut": self.coverage.is_truncated and self.coverage.is_read_to_end,
            "file": self.coverage.to_dict(),
            "disconnected": self.loss.to_dict(),
            "seconds": round(self.seconds, 3),
            "most": {names[class_id]: count for class_id, count in sorted(self.max_counts.items())},
            "tracks": {names[class_id]: count for class_id, count in sorted(self.track_counts.items())},
            "lines": [
                {"line": line, "class": names[class_id], "way": direction, "count": count}
                for (line, class_id, direction), count in sorted(self.crossing_counts.items())
            ],
            "zones": [
                {"zone": zone, "class": names[class_id], "count": count}
                for (zone, class_id), count in sorted(self.stay_counts.items())
            ],
            "seconds_in_zones": {name: round(seconds, 3) for name, seconds in self.zone_seconds.items()},
            "written": [str(path) for path in self.written_paths],
        }
