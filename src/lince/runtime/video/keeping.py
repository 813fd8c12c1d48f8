"""Keeps what was found on a video while it runs: tables, crops and counts, with memory that does not grow."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lince import files, images
from lince.annotations import Classes
from lince.runtime.foundfolder import class_folders, cut
from lince.runtime.video.counting import Crossing, Stay
from lince.runtime.video.frames import Frame
from lince.runtime.video.tracking import NO_TRACK, Followed

VIDEO, DETECTIONS, COUNTS, PASSINGS, STAYS, CROPS = (
    "video.mp4", "detections.csv", "counts.csv", "passings.csv", "stays.csv", "crops",
)  # fmt: skip
MOST_CROPS = 500  # of each class
_APART = 1.0  # seconds between the crops of a class that is not tracked
_BETTER = 0.02  # how much surer a track must be seen for its crop to be replaced


class Tables:
    """The tables of a video in ``folder``, written row by row; those of lines and zones only where they are asked."""

    def __init__(self, folder: Path, classes: Classes, lines: bool, zones: bool) -> None:
        self._folder, self._names = folder, classes.names
        self._stack = ExitStack()
        self._found = self._open(
            DETECTIONS, ("time", "frame", "class", "score", "left", "top", "right", "bottom", "track")
        )
        self._passings = self._open(PASSINGS, ("time", "line", "class", "track", "way")) if lines else None
        self._stays = self._open(STAYS, ("zone", "class", "track", "start", "end", "seconds")) if zones else None
        self._seconds: dict[int, Counter[int]] = {}

    def add(self, frame: Frame, followed: Followed) -> None:
        """Write what is on ``frame``."""
        found = followed.detections
        rows = zip(
            found.class_ids.tolist(), found.scores.tolist(), found.boxes.tolist(), followed.tracks.tolist(), strict=True
        )
        for number, score, box, track in rows:
            sides = [f"{side:.1f}" for side in box]
            shown = "" if track == NO_TRACK else track
            self._found.writerow([_time(frame.time), frame.number, self._names[number], f"{score:.4f}", *sides, shown])
        second = self._seconds.setdefault(int(frame.time), Counter())
        second |= Counter(found.class_ids.tolist())  # the most at one time
        self._seconds[int(frame.time)] = second

    def passed(self, crossings: Iterable[Crossing]) -> None:
        """Write who passed a line."""
        if self._passings:
            for one in crossings:
                self._passings.writerow([_time(one.time), one.line, self._names[one.class_id], one.track, one.way])

    def stayed(self, stays: Iterable[Stay]) -> None:
        """Write who was in a zone, and how long."""
        if self._stays:
            for one in stays:
                times = _time(one.start), _time(one.end), _time(one.end - one.start)
                self._stays.writerow([one.zone, self._names[one.class_id], one.track, *times])

    def finish(self) -> None:
        """Write the counts over time, a row for each second and a column for each class that was seen, and close."""
        self._stack.close()
        seen = sorted({number for second in self._seconds.values() for number in second})
        with open(self._folder / COUNTS, "w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["second", *(self._names[number] for number in seen)])
            table.writerows([second, *(most[number] for number in seen)] for second, most in self._seconds.items())

    def close(self) -> None:
        """Let go of the files, finished or not."""
        self._stack.close()

    def _open(self, name: str, header: Sequence[str]) -> Any:
        stream = self._stack.enter_context((self._folder / name).open("w", encoding="utf-8", newline=""))
        table = csv.writer(stream)
        table.writerow(header)
        return table


class Crops:
    """Objects cut out of a video, in a folder for each class.

    Of a track its surest view; of what has no track one a second of each class; MOST_CROPS of a class at most.
    """

    def __init__(self, folder: Path, classes: Classes, tracked: bool) -> None:
        self._folders = [folder / CROPS / name for name in class_folders(classes.names)]
        self._tracked = tracked
        self._best: dict[int, float] = {}
        self._next: dict[int, float] = {}
        self.written: Counter[int] = Counter()
        self.full: set[int] = set()  # classes of which no more are kept

    def add(self, frame: Frame, followed: Followed) -> None:
        """Cut out of ``frame`` what is worth keeping."""
        found = followed.detections
        rows = zip(
            found.boxes.tolist(), found.class_ids.tolist(), found.scores.tolist(), followed.tracks.tolist(), strict=True
        )
        for place, (box, number, score, track) in enumerate(rows):
            name = self._name(frame, place, number, score, track)
            if name:
                path = self._folders[number] / f"{name}.jpg"
                files.write_bytes(path, images.encode_jpeg(cut(frame.image, box)))

    def _name(self, frame: Frame, place: int, number: int, score: float, track: int) -> str:
        if self._tracked:
            if track == NO_TRACK or score < self._best.get(track, 0.0) + _BETTER:
                return ""
            if track not in self._best and not self._room(number):
                return ""
            self._best[track] = score
            return f"track_{track:05d}"
        if frame.time < self._next.get(number, 0.0) or not self._room(number):
            return ""
        self._next[number] = frame.time + _APART
        return f"frame_{frame.number:07d}_{place + 1}"

    def _room(self, number: int) -> bool:
        if self.written[number] >= MOST_CROPS:
            self.full.add(number)
            return False
        self.written[number] += 1
        return True


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"
