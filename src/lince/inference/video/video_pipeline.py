"""A video through a detector: one thread decodes, some ask the network, another draws, encodes and keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np

from lince import fileio
from lince.annotations import Classes, Detections
from lince.i18n import _
from lince.inference.backends.onnxruntime import split_cores
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.detection.tables import require_free_folder
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.inference.video import sinks
from lince.inference.video.byte_track import LOW_SCORE, NO_TRACK, ByteTracker, TrackedDetections
from lince.inference.video.counters import LineCounter, LineCrossing, ZoneCounter, ZoneStay
from lince.inference.video.frames import WHOLE_VIDEO, Frame, FrameRange, Image, is_camera
from lince.inference.video.interrupt import stop_on_interrupt
from lince.inference.video.overlay import FrameOverlay
from lince.inference.video.regions import Region
from lince.inference.video.threads import prefetch_items, run_in_background
from lince.inference.video.video_reader import VideoReader, open_video
from lince.inference.video.video_result import LEFT, RIGHT, VideoResult
from lince.inference.video.video_writer import VideoWriter, open_video_writer
from lince.progress import SILENT, Progress, ProgressStage

DetectFunction = Callable[[Sequence[Image]], list[Detections]]
BATCH_SIZE = 4


@dataclass(frozen=True, eq=False)
class VideoPipeline:
    """How a video is watched: what ``find`` finds of ``classes``, followed by ``tracker`` where there is one.

    ``calls`` threads call ``find`` at one time, with ``batch`` frames each.
    """

    detect: DetectFunction
    classes: Classes
    frame_range: FrameRange = WHOLE_VIDEO
    tracker: ByteTracker | None = None
    lines: tuple[Region, ...] = ()
    zones: tuple[Region, ...] = ()
    batch_size: int = BATCH_SIZE
    parallel_calls: int = 1

    @classmethod
    def from_model(
        cls,
        model: DetectionPredictor,
        source: str | Path,
        frame_range: FrameRange,
        track: bool,
        lines: tuple[Region, ...],
        zones: tuple[Region, ...],
    ) -> VideoPipeline:
        """Return how ``model`` watches ``source``.

        Lines and zones need tracks, so with them there are some in any case. Where it tracks, the model tells what it
        hardly sees too: the tracker decides what is shown of it. What happens before a camera is told at once: each
        frame gets all cores and waits for no other.
        """
        batch, (calls, threads) = (1, (1, None)) if is_camera(source) else (BATCH_SIZE, split_cores())
        model = model.with_threads(threads)
        if not (track or lines or zones):
            return cls(model.detect, model.classes, frame_range, batch_size=batch, parallel_calls=calls)
        sure = model.card.detection_filter.get_thresholds
        known = sure(np.arange(len(model.classes), dtype=np.int32)).tolist()
        faint = dict(zip(model.classes.names, (min(LOW_SCORE, one) for one in known), strict=True))
        find = model.with_threshold(faint).detect
        return cls(find, model.classes, frame_range, ByteTracker(sure), lines, zones, batch, calls)


@dataclass(frozen=True, eq=False)
class _ProcessedFrame:
    frame: Frame
    tracked: TrackedDetections
    overlay: FrameOverlay
    crossings: Sequence[LineCrossing]
    stays: Sequence[ZoneStay]


def run_video(
    source: str | Path, pipeline: VideoPipeline, folder: str | Path | None = None, progress: Progress = SILENT
) -> VideoResult:
    """Watch a video file or ``camera:0`` and write what was found into the new ``folder``, whole or not at all.

    ``folder`` gets ``video.mp4`` with boxes drawn and the sound of the source, ``detections.csv``, ``counts.csv``,
    ``passings.csv`` and ``stays.csv`` where lines and zones are asked for, and ``crops/``. Memory does not grow with
    the length. Raises ``DataError`` when the source cannot be read, ``UsageError`` when the folder is taken. A camera
    is watched until Ctrl+C, or until the end of the part that is asked for.
    """
    if folder is None:
        with open_video(source, pipeline.frame_range) as reader:
            return _VideoRun(pipeline, reader).run(_NullSink(), progress)
    target = Path(folder)
    require_free_folder(target)
    with open_video(source, pipeline.frame_range) as reader, fileio.atomic_folder(target) as aside:
        with _open_folder_sink(aside, pipeline, reader) as kept:
            watched = _VideoRun(pipeline, reader).run(kept, progress)
        watched.dropped_audio, watched.full_crop_classes = (
            kept.writer.dropped_audio,
            tuple(sorted(kept.crop_sink.full_classes)),
        )
    watched.written_paths = tuple(sorted(target.iterdir()))
    return watched


class _VideoRun:
    """One video under way."""

    def __init__(self, how: VideoPipeline, reader: VideoReader) -> None:
        self.pipeline, self.reader = how, reader
        self.line_counter = LineCounter(list(how.lines), reader.size)
        self.zone_counter = ZoneCounter(list(how.zones), reader.size)
        self.result = VideoResult(reader.path)
        self._last_time = 0.0

    def run(self, keep: _FolderSink | _NullSink, progress: Progress) -> VideoResult:
        watched = self.result
        with (
            progress.open_stage(_("Watching"), self.reader.expected_frames) as stage,
            prefetch_items(self.reader.iter_frames()) as frames,
            run_in_background(keep.add) as put,
            stop_on_interrupt(self.reader.is_live) as wished,
        ):
            self._run_frames(takewhile(lambda _frame: not wished.is_set(), frames), put, stage)
        stays = self.zone_counter.finish()
        self._add_stays(stays)
        keep.add_stays(stays)
        watched.broken_count, watched.is_truncated = self.reader.broken_count, self.reader.is_truncated
        watched.crossing_counts = self.line_counter.counts
        return watched

    def _run_frames(
        self, frames: Iterator[Frame], put: Callable[[_ProcessedFrame], None], stage: ProgressStage
    ) -> None:
        how = self.pipeline
        for found in ordered_map(
            self._detect_batch, iter_batches(frames, how.batch_size), how.parallel_calls, how.parallel_calls
        ):
            for frame, detections in found:
                seen = self._process_frame(frame, detections)
                put(seen)
                stage.advance(1, self._format_counts(seen))

    def _detect_batch(self, batch: list[Frame]) -> list[tuple[Frame, Detections]]:
        return list(zip(batch, self.pipeline.detect([frame.image for frame in batch]), strict=True))

    def _process_frame(self, frame: Frame, detections: Detections) -> _ProcessedFrame:
        watched, tracker = self.result, self.pipeline.tracker
        steps = (frame.time - self._last_time) * float(self.reader.frame_rate) if watched.frame_count else 1.0
        followed = (
            tracker.update(detections, max(steps, 1e-3))
            if tracker
            else TrackedDetections(detections, np.full(len(detections), NO_TRACK, np.int64))
        )
        crossings, stays = (
            self.line_counter.update(followed, frame.time),
            self.zone_counter.update(followed, frame.time),
        )
        self._last_time = watched.seconds = frame.time
        watched.frame_count += 1
        watched.max_counts |= Counter(followed.detections.class_ids.tolist())
        self._count_new_tracks(followed)
        self._add_stays(stays)
        return _ProcessedFrame(frame, followed, self._build_overlay(), crossings, stays)

    def _count_new_tracks(self, followed: TrackedDetections) -> None:
        """Count the tracks that are new; their numbers rise, so the highest says which are."""
        before = highest = sum(self.result.track_counts.values())
        rows = zip(followed.track_ids.tolist(), followed.detections.class_ids.tolist(), strict=True)
        for track, number in rows:
            if track > before:
                self.result.track_counts[number] += 1
                highest = max(highest, track)

    def _add_stays(self, stays: Sequence[ZoneStay]) -> None:
        for stay in stays:
            self.result.stay_counts[stay.zone, stay.class_id] += 1
            self.result.zone_seconds[stay.zone] = self.result.zone_seconds.get(stay.zone, 0.0) + stay.end - stay.start

    def _build_overlay(self) -> FrameOverlay:
        size, passed = self.reader.size, Counter[tuple[str, str]]()
        for (name, _number, way), count in self.line_counter.counts.items():
            passed[name, way] += count
        lines = [
            (place.to_pixels(size), f"{place.name}: ← {passed[place.name, LEFT]}  → {passed[place.name, RIGHT]}")
            for place in self.pipeline.lines
        ]
        zones = [
            (place.to_pixels(size), f"{place.name}: {self.zone_counter.count_inside(place.name, self._last_time)}")
            for place in self.pipeline.zones
        ]
        return FrameOverlay(self.pipeline.classes, tuple(lines), tuple(zones))

    def _format_counts(self, seen: _ProcessedFrame) -> str:
        counts = Counter(seen.tracked.detections.class_ids.tolist())
        return ", ".join(f"{count} {self.pipeline.classes.names[number]}" for number, count in sorted(counts.items()))


class _NullSink:
    """Where nothing is kept."""

    def add(self, seen: _ProcessedFrame) -> None:
        """Let it pass."""

    def add_stays(self, stays: Sequence[ZoneStay]) -> None:
        """Let them pass."""


@dataclass(frozen=True, eq=False)
class _FolderSink:
    writer: VideoWriter
    csv_sink: sinks.CsvSink
    crop_sink: sinks.CropSink

    def add(self, seen: _ProcessedFrame) -> None:
        """Draw a frame, encode it, and write what is on it."""
        self.csv_sink.add(seen.frame, seen.tracked)
        self.csv_sink.add_crossings(seen.crossings)
        self.csv_sink.add_stays(seen.stays)
        self.crop_sink.add(seen.frame, seen.tracked)
        picture = seen.overlay.draw(seen.frame.image, seen.tracked)
        self.writer.write_frame(Frame(picture, seen.frame.time, seen.frame.index))

    def add_stays(self, stays: Sequence[ZoneStay]) -> None:
        """Write the stays that the end ends."""
        self.csv_sink.add_stays(stays)


@contextmanager
def _open_folder_sink(folder: Path, how: VideoPipeline, reader: VideoReader) -> Iterator[_FolderSink]:
    tables = sinks.CsvSink(folder, how.classes, bool(how.lines), bool(how.zones))
    try:
        with open_video_writer(folder / sinks.VIDEO_NAME, reader) as writer:
            yield _FolderSink(writer, tables, sinks.CropSink(folder, how.classes, how.tracker is not None))
        tables.finish()
    finally:
        tables.close()
