"""Reads videos and cameras with PyAV (FFmpeg): upright RGB frames with their timestamps; skips and counts damage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lince.errors import DataError
from lince.i18n import _
from lince.inference.video.frames import WHOLE_VIDEO, Frame, FrameRange, Image, find_camera_device, is_camera
from lince.inference.video.video_extent import VideoExtent, read_extent
from lince.inference.video.video_result import FileCoverage

_DURATION_UNIT = 1_000_000  # of PyAV's ``container.duration``, per second
_TIME_TOLERANCE = 1e-6  # seconds


class VideoReader:
    """An open video or camera; use ``open_video`` to get one.

    The first frame is decoded at once, so that ``size`` is known; ``DataError`` is raised when there is none.
    ``broken_count`` and ``coverage`` are final once ``iter_frames`` has ended; ``extent`` is what the file says of its
    length.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, path: str, frame_range: FrameRange) -> None:
        self.path = path
        self.frame_range = frame_range
        self.broken_count = 0  # packets and frames that could not be decoded or had to be left out
        self.extent = extent = VideoExtent() if is_camera(path) else read_extent(container, stream, path)
        is_known = extent.is_known or is_camera(path)
        self.coverage = FileCoverage(extent.frame_count, extent.is_exact, extent.hidden_count, is_known)
        self._corrupt_times: set[int | None] = set()  # timestamps of packets and frames that are not complete
        self._last_packet_time: int | None = None
        self._packet_end = 0.0  # largest end of a complete packet, in seconds
        self._container, self._stream = container, stream
        self._start_time = float((stream.start_time or 0) * (stream.time_base or 0))
        self._upright_frames = self._iter_upright()
        self._first_frame = self._read_first_frame()

    @property
    def is_live(self) -> bool:
        """Whether this is a camera, which does not end by itself."""
        return is_camera(self.path)

    @property
    def start_time(self) -> float:
        """The timestamp of the first frame in the file, in seconds; ``Frame.time`` counts from it."""
        return self._start_time

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames in pixels, after rotation."""
        return self._first_frame.image.shape[0], self._first_frame.image.shape[1]

    @property
    def frame_rate(self) -> Fraction:
        """The average number of frames per second; 25 where the file does not say."""
        return self._stream.average_rate or Fraction(25)

    @property
    def time_base(self) -> Fraction:
        """The unit of the stream's timestamps, in seconds."""
        return self._stream.time_base or Fraction(1, 1000)

    @property
    def expected_frames(self) -> int:
        """The approximate number of frames that ``iter_frames`` will yield; 0 where the duration is unknown."""
        duration = (self._container.duration or 0) / _DURATION_UNIT
        length = max(min(duration, self.frame_range.end or duration) - self.frame_range.start, 0.0)
        rate = float(self.frame_rate) / self.frame_range.frame_step
        return round(length * (min(rate, 1 / self.frame_range.time_step) if self.frame_range.time_step else rate))

    def iter_frames(self) -> Iterator[Frame]:
        """Yield the frames in ``frame_range``, in display order; can be iterated once."""
        in_range_count, next_time = 0, self.frame_range.start
        frame: Frame | None = self._first_frame
        while frame is not None:
            if self.frame_range.end is not None and frame.time >= self.frame_range.end - _TIME_TOLERANCE:
                return
            if frame.time >= next_time - _TIME_TOLERANCE:
                if in_range_count % self.frame_range.frame_step == 0:
                    next_time = self._next_due_time(frame.time)
                    yield frame
                in_range_count += 1
            frame = next(self._upright_frames, None)
        self.coverage.is_read_to_end = True

    def _next_due_time(self, time: float) -> float:
        """Return the time of the next frame to yield after the one at ``time``.

        With a time step it is a whole number of steps from the start, so that rounding does not add up.
        """
        start, step = self.frame_range.start, self.frame_range.time_step
        return start + step * (1 + (time - start + _TIME_TOLERANCE) // step) if step else time

    def _read_first_frame(self) -> Frame:
        first = next(self._upright_frames, None)
        if first is None:
            raise _unreadable_video_error(self.path, _("no frame of it can be decoded"))
        return first

    def _iter_upright(self) -> Iterator[Frame]:
        """Yield all decoded frames, rotated, with strictly increasing times from 0.

        A frame without a timestamp follows the last one at the average rate. One whose timestamp does not increase is
        counted as broken: no player could show a file written with it.
        """
        last_time = -1.0
        for index, frame in enumerate(self._iter_decoded()):
            interval = 1 / float(self.frame_rate)
            time = last_time + interval if frame.time is None else frame.time - self._start_time
            if time > last_time:
                self.coverage.add_frame(max(last_time, 0.0), time, interval)
                last_time = time
                yield Frame(_rotate_upright(frame), max(time, 0.0), index)
            else:
                self.broken_count += 1

    def _iter_decoded(self) -> Iterator[VideoFrame]:
        """Yield the frames that the decoder accepts, without those of packets that are not complete."""
        for packet in self._iter_packets():
            try:
                frames = packet.decode()
            except (av.InvalidDataError, av.UndefinedError, av.PatchWelcomeError):
                self.broken_count += 1
                continue
            for frame in frames:
                if frame.is_corrupt or frame.pts in self._corrupt_times:
                    self.broken_count += 1
                    self._corrupt_times.update({frame.pts} - {None})
                else:
                    yield frame
        if self._last_packet_time in self._corrupt_times:
            self.coverage.is_truncated = True
        if self.extent.ends_early(self._packet_end, 1 / float(self.frame_rate)):
            self.coverage.is_truncated = True

    def _iter_packets(self) -> Iterator[av.Packet[VideoStream]]:
        """Yield the packets of the stream up to where the file is damaged beyond reading, then one that flushes.

        Of the last packet of a file that was cut off there is a part. It is left out: with an error in the last packet,
        the decoder gives none of the frames that it still holds.
        """
        if self.is_live:  # nothing waits for the next packet
            yield from self._iter_demuxed()
            return
        held: av.Packet[VideoStream] | None = None
        for packet in self._iter_demuxed():
            if held is not None:
                yield held
            held = packet
            self._note_packet(packet)
        if held is not None and held.is_corrupt:
            self.broken_count += 1
        elif held is not None:
            yield held
        flush = cast("av.Packet[VideoStream]", av.Packet())
        flush.stream, flush.time_base = self._stream, self.time_base
        yield flush

    def _iter_demuxed(self) -> Iterator[av.Packet[VideoStream]]:
        """Yield the packets with content, up to the end or to where the file is damaged beyond reading."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.InvalidDataError, av.EOFError, av.OSError):
                self.coverage.is_truncated = True
                return
            if packet is None:
                return
            if packet.size:
                yield packet

    def _note_packet(self, packet: av.Packet[VideoStream]) -> None:
        """Remember the timestamp of a packet, whether it is complete, and where a complete one ends."""
        self._last_packet_time = packet.pts
        start = packet.dts if packet.pts is None else packet.pts
        if packet.is_corrupt:
            self._corrupt_times.update({packet.pts} - {None})
        elif start is not None:
            duration = packet.duration or float(1 / (self.frame_rate * self.time_base))
            self._packet_end = max(self._packet_end, (start + duration) * float(self.time_base))


@contextmanager
def open_video(source: str | Path, frame_range: FrameRange = WHOLE_VIDEO) -> Iterator[VideoReader]:
    """Open the first video stream of a file, or a camera as ``camera:0``, and close it at the end.

    Raises ``DataError`` when it cannot be opened, has no video stream, or no frame can be decoded, and ``UsageError``
    for a camera that is not a number.
    """
    path = str(source)
    with _open_container(path) as container:
        if not container.streams.video:
            raise _unreadable_video_error(path, _("it has audio, but no video"))
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield VideoReader(container, stream, path, frame_range)


@contextmanager
def _open_container(path: str) -> Iterator[InputContainer]:
    """Open a file or camera with PyAV; every failure of FFmpeg becomes a ``DataError``."""
    driver, name = find_camera_device(path) if is_camera(path) else (None, path)
    try:
        container = av.open(name, format=driver)
    except (av.FFmpegError, ValueError) as error:
        raise _open_error(path, name, error) from error
    with container:
        yield container


def _rotate_upright(frame: VideoFrame) -> Image:
    """Return the frame as uint8 RGB (H, W, 3), turned as its rotation metadata says (multiples of 90 degrees)."""
    image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def _open_error(path: str, name: str, error: Exception) -> DataError:
    """Return the error for a source that cannot be opened; ``name`` is the camera's device name."""
    why = getattr(error, "strerror", None) or str(error)
    if is_camera(path):
        return DataError(
            _("The camera {name} does not respond: {why}.").format(name=name, why=why),
            _("Expected a camera that is plugged in and that no other program uses."),
            _("Try another number, such as camera:1, and allow this program to use the camera."),
        )
    return _unreadable_video_error(path, why)


def _unreadable_video_error(path: str, why: str) -> DataError:
    return DataError(
        _("{path} cannot be read as a video: {why}.").format(path=path, why=why),
        _("Expected a video such as MP4, MOV, MKV, WebM or AVI."),
        _("Check whether another program can play it; if the copy is incomplete, copy it again."),
    )
