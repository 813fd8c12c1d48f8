"""Runs a detector on a video: frames are tracked and counted in order, drawn, encoded and listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lince import fileio
from lince.annotations import Classes, Detections
from lince.errors import UsageError
from lince.i18n import _
from lince.inference.backends.onnxruntime import split_cores
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.media import VideoItem
from lince.inference.video import sinks
from lince.inference.video.byte_track import LOW_SCORE, NO_TRACK, ByteTracker, TrackedDetections
from lince.inference.video.counters import LineCounter, LineCrossing, ZoneCounter, ZoneStay
from lince.inference.video.frame_loop import FrameLoop
from lince.inference.video.frames import WHOLE_VIDEO, Frame, FrameRange, Image, is_address, is_camera
from lince.inference.video.open_source import open_source
from lince.inference.video.overlay import FrameOverlay
from lince.inference.video.regions import Region, parse_line, parse_zone
from lince.inference.video.video_reader import VideoReader
from lince.inference.video.video_result import LEFT, RIGHT, VideoResult
from lince.inference.video.video_writer import VideoWriter, open_video_writer
from lince.progress import SILENT, Progress

DetectFunction = Callable[[Sequence[Image]], list[Detections]]
BATCH_SIZE = 4


@dataclass(frozen=True, eq=False)
class VideoPipeline:
    """How a video is processed.

    ``detect`` returns the detections, with ids of ``classes``, for frames uint8 RGB (H, W, 3); ``parallel_calls``
    threads call it at the same time with up to ``batch_size`` frames each. ``tracker`` is used up by one video; without
    one, ``lines`` and ``zones`` count nothing, since they count tracks.
    """

    detect: DetectFunction
    classes: Classes
    frame_range: FrameRange = WHOLE_VIDEO
    tracker: ByteTracker | None = None
    lines: tuple[Region, ...] = ()
    zones: tuple[Region, ...] = ()
    batch_size: int = BATCH_SIZE
    parallel_calls: int = 1
    allow_urls: bool = False

    def open_source(self, source: str | Path, name: str, progress: Progress) -> AbstractContextManager[VideoReader]:
        """Open ``source`` for the frames that are wanted; an address only with ``allow_urls``."""
        return open_source(
            source, self.frame_range, name=name, allow_urls=self.allow_urls, notify=progress.show_message
        )

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
        """Return the pipeline for ``model`` on ``source``, with tracking where ``track``, lines or zones need it.

        With tracking, the model also returns detections with low scores (from 0.1 on): ByteTrack uses them to continue
        tracks. A camera gets one frame per call on all cores, for the lowest latency; files get several calls with
        batches at the same time, for throughput.
        """
        batch_size, (calls, threads) = (
            (1, (1, None)) if is_camera(source) or is_address(source) else (BATCH_SIZE, split_cores())
        )
        model = model.with_threads(threads)
        if not (track or lines or zones):
            return cls(
                model.detect,
                model.classes,
                frame_range,
                batch_size=batch_size,
                parallel_calls=calls,
                allow_urls=model.allow_urls,
            )
        get_thresholds = model.card.detection_filter.get_thresholds
        thresholds = get_thresholds(np.arange(len(model.classes), dtype=np.int32)).tolist()
        low_thresholds = (min(LOW_SCORE, threshold) for threshold in thresholds)
        detect = model.with_threshold(dict(zip(model.classes.names, low_thresholds, strict=True))).detect
        tracker = ByteTracker(get_thresholds)
        return cls(detect, model.classes, frame_range, tracker, lines, zones, batch_size, calls, model.allow_urls)


@dataclass(frozen=True, eq=False)
class _ProcessedFrame:
    """One frame with all that the sinks write about it."""

    frame: Frame
    tracked: TrackedDetections
    overlay: FrameOverlay
    crossings: Sequence[LineCrossing]
    stays: Sequence[ZoneStay]


def run_video(
    source: str | Path,
    pipeline: VideoPipeline,
    folder: str | Path | None = None,
    progress: Progress = SILENT,
    name: str = "",
) -> VideoResult:
    """Process a video file, ``camera:N`` or an address, and return its summary; with ``folder``, write the results.

    ``name`` is what messages and the summary call it.

    The new folder gets ``video.mp4`` with boxes drawn and the source's audio, ``detections.csv``, ``counts.csv``,
    ``crossings.csv`` (with lines), ``dwell.csv`` (with zones) and ``crops/``. It is complete or does not appear at all.
    Memory does not grow with the length of the video. A camera or a stream is processed until Ctrl+C, or the end of the
    frame range. Raises ``DataError`` when the source cannot be read, ``UsageError`` when the folder exists and is not
    empty, or the frame range holds no frame.
    """
    if folder is None:
        with pipeline.open_source(source, name, progress) as reader:
            require_start(reader)
            return _VideoRun(pipeline, reader).run(_NullSink(), progress)
    target = Path(folder)
    fileio.require_empty_folder(target)
    with pipeline.open_source(source, name, progress) as reader, fileio.atomic_folder(target) as temp_folder:
        require_start(reader)
        with _open_folder_sink(temp_folder, pipeline, reader) as sink:
            result = _VideoRun(pipeline, reader).run(sink, progress)
        result.dropped_audio = sink.writer.dropped_audio
        result.full_crop_classes = tuple(sorted(sink.crop_sink.full_classes))
    result.written_paths = tuple(sorted(target.iterdir()))
    return result


def prepare_videos(
    model: DetectionPredictor,
    frame_range: FrameRange,
    progress: Progress = SILENT,
    *,
    track: bool = False,
    lines: Sequence[str] = (),
    zones: Sequence[str] = (),
) -> Callable[[VideoItem, Path | None], VideoResult]:
    """Return what processes one video and writes into a folder, if one is given: the part ``videos`` of detection.

    ``lines`` and ``zones`` are texts for ``regions.parse_line`` and ``regions.parse_zone``. Raises ``UsageError`` where
    one cannot be read.
    """
    parsed_lines = tuple(parse_line(text, number) for number, text in enumerate(lines, 1))
    parsed_zones = tuple(parse_zone(text, number) for number, text in enumerate(zones, 1))

    def run_one(item: VideoItem, folder: Path | None) -> VideoResult:
        pipeline = VideoPipeline.from_model(model, item.path, frame_range, track, parsed_lines, parsed_zones)
        return run_video(item.path, pipeline, folder, progress, item.name)

    return run_one


class _VideoRun:
    """The state of one video while it is processed: counters, and the result so far."""

    def __init__(self, pipeline: VideoPipeline, reader: VideoReader) -> None:
        self.pipeline, self.reader = pipeline, reader
        self.line_counter = LineCounter(list(pipeline.lines), reader.size)
        self.zone_counter = ZoneCounter(list(pipeline.zones), reader.size)
        self.result = VideoResult(reader.name)
        self._last_time = 0.0

    def run(self, sink: _FolderSink | _NullSink, progress: Progress) -> VideoResult:
        """Process all frames; ``sink`` is called in a thread of its own."""
        result = self.result
        pipeline = self.pipeline
        FrameLoop(pipeline.detect, self._process_frame, sink.add, pipeline.batch_size, pipeline.parallel_calls).run(
            self.reader, progress
        )
        stays = self.zone_counter.finish()
        self._add_stays(stays)
        sink.add_stays(stays)
        result.broken_count, result.coverage = self.reader.broken_count, self.reader.coverage
        result.loss = self.reader.loss
        if not result.frame_count:
            raise make_empty_part_error(self.reader)
        result.crossing_counts = self.line_counter.counts
        return result

    def _process_frame(self, frame: Frame, detections: Detections) -> tuple[_ProcessedFrame, str]:
        """Track and count the detections of one frame and update the result."""
        result = self.result
        tracked = self._track(frame, detections)
        crossings, stays = self.line_counter.update(tracked, frame.time), self.zone_counter.update(tracked, frame.time)
        self._last_time = result.seconds = frame.time
        result.frame_count += 1
        result.max_counts |= Counter(tracked.detections.class_ids.tolist())
        self._count_new_tracks(tracked)
        self._add_stays(stays)
        processed = _ProcessedFrame(frame, tracked, self._build_overlay(), crossings, stays)
        return processed, self._format_counts(processed)

    def _track(self, frame: Frame, detections: Detections) -> TrackedDetections:
        """Return the detections with track ids; the tracker gets the time since the last frame in frames."""
        if self.pipeline.tracker is None:
            return TrackedDetections(detections, np.full(len(detections), NO_TRACK, np.int64))
        steps = 1.0
        if self.result.frame_count:
            steps = (frame.time - self._last_time) * float(self.reader.frame_rate)
        return self.pipeline.tracker.update(detections, max(steps, 1e-3))

    def _count_new_tracks(self, tracked: TrackedDetections) -> None:
        """Count each track once: ids are consecutive from 1, so those above the total so far are new."""
        total = sum(self.result.track_counts.values())
        rows = zip(tracked.track_ids.tolist(), tracked.detections.class_ids.tolist(), strict=True)
        for track_id, class_id in rows:
            if track_id > total:
                self.result.track_counts[class_id] += 1

    def _add_stays(self, stays: Sequence[ZoneStay]) -> None:
        """Add ended stays to the result's counts and durations."""
        for stay in stays:
            self.result.stay_counts[stay.zone, stay.class_id] += 1
            self.result.zone_seconds[stay.zone] = self.result.zone_seconds.get(stay.zone, 0.0) + stay.end - stay.start

    def _build_overlay(self) -> FrameOverlay:
        """Return the lines with their crossings so far, and the zones with the tracks inside now."""
        size, crossed = self.reader.size, Counter[tuple[str, str]]()
        for (name, _class_id, direction), count in self.line_counter.counts.items():
            crossed[name, direction] += count
        lines = [
            (region.to_pixels(size), f"{region.name}: ← {crossed[region.name, LEFT]}  → {crossed[region.name, RIGHT]}")
            for region in self.pipeline.lines
        ]
        zones = [
            (region.to_pixels(size), f"{region.name}: {self.zone_counter.count_inside(region.name, self._last_time)}")
            for region in self.pipeline.zones
        ]
        return FrameOverlay(self.pipeline.classes, tuple(lines), tuple(zones))

    def _format_counts(self, processed: _ProcessedFrame) -> str:
        """Return the objects on a frame for the progress bar, such as "2 car, 1 person"."""
        counts = Counter(processed.tracked.detections.class_ids.tolist())
        names = self.pipeline.classes.names
        return ", ".join(f"{count} {names[class_id]}" for class_id, count in sorted(counts.items()))


def require_start(reader: VideoReader) -> None:
    """Raise ``UsageError`` where the file says that it ends before the part that is asked for, without reading it."""
    extent = reader.extent
    if extent.is_whole and 0 < extent.seconds < reader.frame_range.start - 1:
        raise _late_start_error(reader, extent.seconds)


def make_empty_part_error(reader: VideoReader) -> UsageError:
    """Return the error for a frame range in which the video has no frame."""
    part = reader.frame_range
    if part.end is None or reader.coverage.is_read_to_end:
        return _late_start_error(reader, reader.coverage.end_time)
    return UsageError(
        _("{path} has no frame between {start:g} s and {end:g} s.").format(
            path=reader.name, start=part.start, end=part.end
        ),
        _("Expected a part that is longer than the time between two frames, {seconds:.2f} s.").format(
            seconds=1 / float(reader.frame_rate)
        ),
    )


def _late_start_error(reader: VideoReader, end: float) -> UsageError:
    """Return the error for a range that starts at or after ``end``, up to where the video can be read."""
    return UsageError(
        _("{path} has no frame from {start:g} s on: what can be read of it ends at {end:.2f} s.").format(
            path=reader.name, start=reader.frame_range.start, end=end
        ),
        _("Expected an earlier start."),
    )


class _NullSink:
    """A sink that writes nothing, for a summary alone."""

    def add(self, processed: _ProcessedFrame) -> None:
        """Ignore a frame."""

    def add_stays(self, stays: Sequence[ZoneStay]) -> None:
        """Ignore stays."""


@dataclass(frozen=True, eq=False)
class _FolderSink:
    """Writes video, tables and crops."""

    writer: VideoWriter
    csv_sink: sinks.CsvSink
    crop_sink: sinks.CropSink

    def add(self, processed: _ProcessedFrame) -> None:
        """Write the rows and crops of a frame, draw its overlay and encode it."""
        self.csv_sink.add(processed.frame, processed.tracked)
        self.csv_sink.add_crossings(processed.crossings)
        self.csv_sink.add_stays(processed.stays)
        self.crop_sink.add(processed.frame, processed.tracked)
        image = processed.overlay.draw(processed.frame.image, processed.tracked)
        self.writer.write_frame(Frame(image, processed.frame.time, processed.frame.index))

    def add_stays(self, stays: Sequence[ZoneStay]) -> None:
        """Write the stays that are open when the video ends."""
        self.csv_sink.add_stays(stays)


@contextmanager
def _open_folder_sink(folder: Path, pipeline: VideoPipeline, reader: VideoReader) -> Iterator[_FolderSink]:
    """Yield a sink that writes into ``folder``; tables and video are completed at the end, unless there is an error."""
    csv_sink = sinks.CsvSink(folder, pipeline.classes, bool(pipeline.lines), bool(pipeline.zones))
    try:
        with open_video_writer(folder / sinks.VIDEO_NAME, reader) as writer:
            crop_sink = sinks.CropSink(folder, pipeline.classes, pipeline.tracker is not None)
            yield _FolderSink(writer, csv_sink, crop_sink)
        csv_sink.finish()
    finally:
        csv_sink.close()
