"""Keeps what was found on a video while it runs: tables, crops and counts, with memory that does not grow."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lince import fileio, images
from lince.annotations import Classes
from lince.inference.detection.results_folder import crop_image, make_class_folder_names
from lince.inference.video.byte_track import NO_TRACK, TrackedDetections
from lince.inference.video.counters import LineCrossing, ZoneStay
from lince.inference.video.frames import Frame

VIDEO_NAME, DETECTIONS_NAME, COUNTS_NAME, CROSSINGS_NAME, STAYS_NAME, CROPS_FOLDER = (
    "video.mp4", "detections.csv", "counts.csv", "passings.csv", "stays.csv", "crops",
)  # fmt: skip
MAX_CROPS = 500  # of each class
_CROP_INTERVAL_SECONDS = 1.0  # seconds between the crops of a class that is not tracked
_MIN_SCORE_GAIN = 0.02  # how much surer a track must be seen for its crop to be replaced


class CsvSink:
    """The tables of a video in ``folder``, written row by row; those of lines and zones only where they are asked."""

    def __init__(self, folder: Path, classes: Classes, lines: bool, zones: bool) -> None:
        self._folder, self._class_names = folder, classes.names
        self._stack = ExitStack()
        self._detections_table = self._open_table(
            DETECTIONS_NAME, ("time", "frame", "class", "score", "left", "top", "right", "bottom", "track")
        )
        self._crossings_table = (
            self._open_table(CROSSINGS_NAME, ("time", "line", "class", "track", "way")) if lines else None
        )
        self._stays_table = (
            self._open_table(STAYS_NAME, ("zone", "class", "track", "start", "end", "seconds")) if zones else None
        )
        self._counts_by_second: dict[int, Counter[int]] = {}

    def add(self, frame: Frame, tracked: TrackedDetections) -> None:
        """Write what is on ``frame``."""
        found = tracked.detections
        rows = zip(
            found.class_ids.tolist(),
            found.scores.tolist(),
            found.boxes.tolist(),
            tracked.track_ids.tolist(),
            strict=True,
        )
        for number, score, box, track in rows:
            sides = [f"{side:.1f}" for side in box]
            shown = "" if track == NO_TRACK else track
            self._detections_table.writerow(
                [_format_seconds(frame.time), frame.index, self._class_names[number], f"{score:.4f}", *sides, shown]
            )
        second = self._counts_by_second.setdefault(int(frame.time), Counter())
        second |= Counter(found.class_ids.tolist())  # the most at one time
        self._counts_by_second[int(frame.time)] = second

    def add_crossings(self, crossings: Iterable[LineCrossing]) -> None:
        """Write who passed a line."""
        if self._crossings_table:
            for one in crossings:
                self._crossings_table.writerow(
                    [_format_seconds(one.time), one.line, self._class_names[one.class_id], one.track_id, one.direction]
                )

    def add_stays(self, stays: Iterable[ZoneStay]) -> None:
        """Write who was in a zone, and how long."""
        if self._stays_table:
            for one in stays:
                times = _format_seconds(one.start), _format_seconds(one.end), _format_seconds(one.end - one.start)
                self._stays_table.writerow([one.zone, self._class_names[one.class_id], one.track_id, *times])

    def finish(self) -> None:
        """Write the counts over time, a row for each second and a column for each class that was seen, and close."""
        self._stack.close()
        seen = sorted({number for second in self._counts_by_second.values() for number in second})
        with open(self._folder / COUNTS_NAME, "w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["second", *(self._class_names[number] for number in seen)])
            table.writerows(
                [second, *(most[number] for number in seen)] for second, most in self._counts_by_second.items()
            )

    def close(self) -> None:
        """Let go of the files, finished or not."""
        self._stack.close()

    def _open_table(self, name: str, header: Sequence[str]) -> Any:
        stream = self._stack.enter_context((self._folder / name).open("w", encoding="utf-8", newline=""))
        table = csv.writer(stream)
        table.writerow(header)
        return table


class CropSink:
    """Objects cut out of a video, in a folder for each class.

    Of a track its surest view; of what has no track one a second of each class; MOST_CROPS of a class at most.
    """

    def __init__(self, folder: Path, classes: Classes, tracked: bool) -> None:
        self._folders = [folder / CROPS_FOLDER / name for name in make_class_folder_names(classes.names)]
        self._is_tracked = tracked
        self._best_scores: dict[int, float] = {}
        self._next_times: dict[int, float] = {}
        self.crop_counts: Counter[int] = Counter()
        self.full_classes: set[int] = set()  # classes of which no more are kept

    def add(self, frame: Frame, tracked: TrackedDetections) -> None:
        """Cut out of ``frame`` what is worth keeping."""
        found = tracked.detections
        rows = zip(
            found.boxes.tolist(),
            found.class_ids.tolist(),
            found.scores.tolist(),
            tracked.track_ids.tolist(),
            strict=True,
        )
        for place, (box, number, score, track) in enumerate(rows):
            name = self._name_crop(frame, place, number, score, track)
            if name:
                path = self._folders[number] / f"{name}.jpg"
                fileio.write_bytes(path, images.encode_jpeg(crop_image(frame.image, box)))

    def _name_crop(self, frame: Frame, place: int, number: int, score: float, track: int) -> str:
        if self._is_tracked:
            if track == NO_TRACK or score < self._best_scores.get(track, 0.0) + _MIN_SCORE_GAIN:
                return ""
            if track not in self._best_scores and not self._reserve_crop(number):
                return ""
            self._best_scores[track] = score
            return f"track_{track:05d}"
        if frame.time < self._next_times.get(number, 0.0) or not self._reserve_crop(number):
            return ""
        self._next_times[number] = frame.time + _CROP_INTERVAL_SECONDS
        return f"frame_{frame.index:07d}_{place + 1}"

    def _reserve_crop(self, number: int) -> bool:
        if self.crop_counts[number] >= MAX_CROPS:
            self.full_classes.add(number)
            return False
        self.crop_counts[number] += 1
        return True


def _format_seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
