"""The summary of a processed video: frame counts, objects per class, tracks, line crossings and stays in zones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lince.annotations import Classes

LEFT, RIGHT = "left", "right"  # directions of a line crossing, looking from the line's first point to its second


@dataclass(eq=False)
class VideoResult:
    """The summary of one video, filled while it is processed.

    ``seconds`` is the time of the last frame; ``broken_count`` the packets and frames left out as damaged;
    ``dropped_audio`` the codec of an audio track that could not be copied. By class id: ``max_counts`` is the largest
    number on one frame, ``track_counts`` the number of tracks. ``crossing_counts`` is by line, class id and direction,
    ``stay_counts`` by zone and class id, ``zone_seconds`` the total length of all stays in a zone.
    ``full_crop_classes`` are the ids of classes with more objects than crops are written.
    """

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
        """Return the summary as a dict that ``json`` can write, with class names instead of ids."""
        names = classes.names
        return {
            "source": self.source,
            "frames": self.frame_count,
            "broken": self.broken_count,
            "cut": self.is_truncated,
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
