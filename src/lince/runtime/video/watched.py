"""What came of watching a video, as numbers for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lince.annotations import Classes

LEFT, RIGHT = "left", "right"  # the ways over a line, seen from its first point to its second


@dataclass(eq=False)
class Watched:
    """What came of a video: frames looked at and broken, the most of each class at one time, tracks and passings."""

    source: str
    frames: int = 0
    broken: int = 0
    cut: bool = False
    seconds: float = 0.0
    silent: str = ""
    most: Counter[int] = field(default_factory=Counter)
    tracks: Counter[int] = field(default_factory=Counter)
    passed: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    stays: Counter[tuple[str, int]] = field(default_factory=Counter)
    stayed: dict[str, float] = field(default_factory=dict)
    full: tuple[int, ...] = ()
    written: tuple[Path, ...] = ()

    def to_dict(self, classes: Classes) -> dict[str, Any]:
        """Return this as a plain record for JSON."""
        names = classes.names
        return {
            "source": self.source,
            "frames": self.frames,
            "broken": self.broken,
            "cut": self.cut,
            "seconds": round(self.seconds, 3),
            "most": {names[number]: count for number, count in sorted(self.most.items())},
            "tracks": {names[number]: count for number, count in sorted(self.tracks.items())},
            "lines": [
                {"line": line, "class": names[number], "way": way, "count": count}
                for (line, number, way), count in sorted(self.passed.items())
            ],
            "zones": [
                {"zone": zone, "class": names[number], "count": count}
                for (zone, number), count in sorted(self.stays.items())
            ],
            "seconds_in_zones": {name: round(seconds, 3) for name, seconds in self.stayed.items()},
            "written": [str(path) for path in self.written],
        }
