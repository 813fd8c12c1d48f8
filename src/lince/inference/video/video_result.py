"""What came of watching a video, as numbers for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lince.annotations import Classes

LEFT, RIGHT = "left", "right"  # the ways over a line, seen from its first point to its second


@dataclass(eq=False)
class VideoResult:
    """What came of a video: frames looked at and broken, the most of each class at one time, tracks and passings."""

    source: str
    frame_count: int = 0
    broken_count: int = 0
    is_truncated: bool = False
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
        """Return this as a plain record for JSON."""
        names = classes.names
        return {
            "source": self.source,
            "frames": self.frame_count,
            "broken": self.broken_count,
            "cut": self.is_truncated,
            "seconds": round(self.seconds, 3),
            "most": {names[number]: count for number, count in sorted(self.max_counts.items())},
            "tracks": {names[number]: count for number, count in sorted(self.track_counts.items())},
            "lines": [
                {"line": line, "class": names[number], "way": way, "count": count}
                for (line, number, way), count in sorted(self.crossing_counts.items())
            ],
            "zones": [
                {"zone": zone, "class": names[number], "count": count}
                for (zone, number), count in sorted(self.stay_counts.items())
            ],
            "seconds_in_zones": {name: round(seconds, 3) for name, seconds in self.zone_seconds.items()},
            "written": [str(path) for path in self.written_paths],
        }
