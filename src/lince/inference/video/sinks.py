"""Writes the results of a video while it is processed: CSV tables and crops, in bounded memory."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lince import fileio, images
from lince.annotations import Classes
from lince.inference.detection.results_folder import crop_image
from lince.inference.result_files import make_class_folder_names
from lince.inference.video.byte_track import NO_TRACK, TrackedDetections
from lince.inference.video.counters import LineCrossing, ZoneStay
from lince.inference.video.frames import Frame

VIDEO_NAME, DETECTIONS_NAME, COUNTS_NAME, CROSSINGS_NAME, STAYS_NAME, CROPS_FOLDER = (
    "video.mp4", "detections.csv", "counts.csv", "crossings.csv", "dwell.csv", "crops",
)  # fmt: skip
MAX_CROPS = 500  # per class
_CROP_INTERVAL_SECONDS = 1.0  # without tracking: the least time between two crops of a class
_MIN_SCORE_GAIN = 0.02  # with tracking: how much higher a score must be to replace the crop of a track


class CsvSink:
    """Writes the CSV tables of a video into ``folder``, row by row.

    ``detections.csv`` has one row per object and frame, ``crossings.csv`` one per line crossing (only with ``lines``),
    ``dwell.csv`` one per stay in a zone (only with ``zones``), ``counts.csv`` one per second. Only the last is kept in
    memory until ``finish``: a few numbers per second.
    """

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
        """Write the detections on ``frame``; the track of an object without one is empty."""
        detections = tracked.detections
        rows = zip(
            detections.class_ids.tolist(),
            detections.scores.tolist(),
            detections.boxes.tolist(),
            tracked.track_ids.tolist(),
            strict=True,
        )
        for class_id, score, box, track_id in rows:
            sides = [f"{side:.1f}" for side in box]
            track = "" if track_id == NO_TRACK else track_id
            self._detections_table.writerow(
                [_format_seconds(frame.time), frame.index, self._class_names[class_id], f"{score:.4f}", *sides, track]
            )
        counts = self._counts_by_second.setdefault(int(frame.time), Counter())
        counts |= Counter(detections.class_ids.tolist())  # in place: the maximum of both

    def add_crossings(self, crossings: Iterable[LineCrossing]) -> None:
        """Write line crossings; nothing without ``lines``."""
        if self._crossings_table:
            for crossing in crossings:
                class_name = self._class_names[crossing.class_id]
                self._crossings_table.writerow(
                    [_format_seconds(crossing.time), crossing.line, class_name, crossing.track_id, crossing.direction]
                )

    def add_stays(self, stays: Iterable[ZoneStay]) -> None:
        """Write ended stays with their duration; nothing without ``zones``."""
        if self._stays_table:
            for stay in stays:
                times = _format_seconds(stay.start), _format_seconds(stay.end), _format_seconds(stay.end - stay.start)
                self._stays_table.writerow([stay.zone, self._class_names[stay.class_id], stay.track_id, *times])

    def finish(self) -> None:
        """Write ``counts.csv`` and close all tables.

        A row per second that had a frame and a column per class that was seen: the largest number on one frame.
        """
        self._stack.close()
        class_ids = sorted({class_id for counts in self._counts_by_second.values() for class_id in counts})
        with open(self._folder / COUNTS_NAME, "w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["second", *(self._class_names[class_id] for class_id in class_ids)])
            table.writerows(
                [second, *(counts[class_id] for class_id in class_ids)]
                for second, counts in self._counts_by_second.items()
            )

    def close(self) -> None:
        """Close the files, also after an error; may be called twice."""
        self._stack.close()

    def _open_table(self, name: str, header: Sequence[str]) -> Any:
        """Create the file ``name`` and return a CSV writer that has written ``header``."""
        stream = self._stack.enter_context((self._folder / name).open("w", encoding="utf-8", newline=""))
        table = csv.writer(stream)
        table.writerow(header)
        return table


class CropSink:
    """Writes objects cut out of a video as JPEG files, in a folder per class.

    With tracking (``tracked``) one crop per track, replaced when a later one has a higher score; without, one per
    second and class. At most ``MAX_CROPS`` per class.
    """

    def __init__(self, folder: Path, classes: Classes, tracked: bool) -> None:
        self._folders = [folder / CROPS_FOLDER / name for name in make_class_folder_names(classes.names)]
        self._is_tracked = tracked
        self._best_scores: dict[int, float] = {}  # by track id
        self._next_times: dict[int, float] = {}  # by class id
        self.crop_counts: Counter[int] = Counter()
        self.full_classes: set[int] = set()  # class ids of which crops were left out

    def add(self, frame: Frame, tracked: TrackedDetections) -> None:
        """Write the crops of ``frame`` that are wanted."""
        detections = tracked.detections
        rows = zip(
            detections.boxes.tolist(),
            detections.class_ids.tolist(),
            detections.scores.tolist(),
            tracked.track_ids.tolist(),
            strict=True,
        )
        for row, (box, class_id, score, track_id) in enumerate(rows):
            name = self._name_crop(frame, row, class_id, score, track_id)
            if name:
                path = self._folders[class_id] / f"{name}.jpg"
                fileio.write_bytes(path, images.encode_jpeg(crop_image(frame.image, box)))

    def _name_crop(self, frame: Frame, row: int, class_id: int, score: float, track_id: int) -> str:
        """Return the file name, without suffix, for a detection's crop and count it; "" where no crop is wanted."""
        if self._is_tracked:
            if track_id == NO_TRACK or score < self._best_scores.get(track_id, 0.0) + _MIN_SCORE_GAIN:
                return ""
            if track_id not in self._best_scores and not self._reserve_crop(class_id):
                return ""
            self._best_scores[track_id] = score
            return f"track_{track_id:05d}"
        if frame.time < self._next_times.get(class_id, 0.0) or not self._reserve_crop(class_id):
            return ""
        self._next_times[class_id] = frame.time + _CROP_INTERVAL_SECONDS
        return f"frame_{frame.index:07d}_{row + 1}"

    def _reserve_crop(self, class_id: int) -> bool:
        """Count one more crop of the class; return whether it still fits below ``MAX_CROPS``."""
        if self.crop_counts[class_id] >= MAX_CROPS:
            self.full_classes.add(class_id)
            return False
        self.crop_counts[class_id] += 1
        return True


def _format_seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
