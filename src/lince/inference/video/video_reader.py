"""Reads videos and cameras by PyAV: upright RGB frames with their own times; what is broken is skipped and counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lince.errors import DataError
from lince.i18n import _
from lince.inference.video.frames import WHOLE_VIDEO, Frame, FrameRange, Image, find_camera_device, is_camera

_DURATION_UNIT = 1_000_000  # PyAV's unit of a container's duration
_TIME_TOLERANCE = 1e-6


class VideoReader:
    """A video that is open: its ``size`` (height, width) upright, and after reading how much was ``broken``."""

    def __init__(self, container: InputContainer, stream: VideoStream, path: str, frame_range: FrameRange) -> None:
        self.path = path
        self.frame_range = frame_range
        self.broken_count = 0  # packets and frames that could not be decoded
        self.is_truncated = False  # whether the file ended in the middle of something
        self._container, self._stream = container, stream
        self._start_time = float((stream.start_time or 0) * (stream.time_base or 0))
        self._upright_frames = self._iter_upright()
        self._first_frame = self._read_first_frame()

    @property
    def is_live(self) -> bool:
        """Whether this is a camera, which never ends by itself."""
        return is_camera(self.path)

    @property
    def start_time(self) -> float:
        """The time at which the file's own clock shows the first frame, in seconds."""
        return self._start_time

    @property
    def size(self) -> tuple[int, int]:
        """The height and width of upright frames."""
        return self._first_frame.image.shape[0], self._first_frame.image.shape[1]

    @property
    def frame_rate(self) -> Fraction:
        """How many frames there are in a second, on the average."""
        return self._stream.average_rate or Fraction(25)

    @property
    def time_base(self) -> Fraction:
        """The unit of the file's clock, in seconds."""
        return self._stream.time_base or Fraction(1, 1000)

    @property
    def expected_frames(self) -> int:
        """About how many frames will come; 0 where nobody knows."""
        duration = (self._container.duration or 0) / _DURATION_UNIT
        length = max(min(duration, self.frame_range.end or duration) - self.frame_range.start, 0.0)
        rate = float(self.frame_rate) / self.frame_range.frame_step
        return round(length * (min(rate, 1 / self.frame_range.time_step) if self.frame_range.time_step else rate))

    def iter_frames(self) -> Iterator[Frame]:
        """Yield the frames that are asked for, in the order in which they are shown."""
        taken, due = 0, self.frame_range.start
        frame: Frame | None = self._first_frame
        while frame is not None:
            if self.frame_range.end is not None and frame.time >= self.frame_range.end - _TIME_TOLERANCE:
                return
            if frame.time >= due - _TIME_TOLERANCE:
                if taken % self.frame_range.frame_step == 0:
                    due = self._next_due_time(frame.time)
                    yield frame
                taken += 1
            frame = next(self._upright_frames, None)

    def _next_due_time(self, time: float) -> float:
        """Return when the next frame is due after the one at ``time``: at a whole number of steps from the start."""
        start, step = self.frame_range.start, self.frame_range.time_step
        return start + step * (1 + (time - start + _TIME_TOLERANCE) // step) if step else time

    def _read_first_frame(self) -> Frame:
        first = next(self._upright_frames, None)
        if first is None:
            raise _unreadable_video_error(self.path, _("no frame of it can be decoded"))
        return first

    def _iter_upright(self) -> Iterator[Frame]:
        last = -1.0
        for number, frame in enumerate(self._iter_decoded()):
            time = last + 1 / float(self.frame_rate) if frame.time is None else frame.time - self._start_time
            if time > last:  # a clock that jumps back would make a file that nobody can write
                last = time
                yield Frame(_rotate_upright(frame), max(time, 0.0), number)
            else:
                self.broken_count += 1

    def _iter_decoded(self) -> Iterator[VideoFrame]:
        for packet in self._iter_packets():
            try:
                frames = packet.decode()
            except (av.InvalidDataError, av.UndefinedError, av.PatchWelcomeError):
                self.broken_count += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.broken_count += 1
                else:
                    yield frame

    def _iter_packets(self) -> Iterator[av.Packet[VideoStream]]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.InvalidDataError, av.EOFError, av.OSError):
                self.is_truncated = True
                return
            if packet is None:
                return
            if packet.is_corrupt:
                self.broken_count += 1
            yield packet


@contextmanager
def open_video(source: str | Path, frame_range: FrameRange = WHOLE_VIDEO) -> Iterator[VideoReader]:
    """Open a video file, or a camera as ``camera:0``; raise ``DataError`` when it cannot be read."""
    path = str(source)
    with _open_container(path) as container:
        if not container.streams.video:
            raise _unreadable_video_error(path, _("there is sound in it, but no pictures"))
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield VideoReader(container, stream, path, frame_range)


@contextmanager
def _open_container(path: str) -> Iterator[InputContainer]:
    driver, name = find_camera_device(path) if is_camera(path) else (None, path)
    try:
        container = av.open(name, format=driver)
    except (av.FFmpegError, ValueError) as error:
        raise _open_error(path, name, error) from error
    with container:
        yield container


def _rotate_upright(frame: VideoFrame) -> Image:
    image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    quarters = round(frame.rotation / 90) % 4  # against the clock
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _open_error(path: str, name: str, error: Exception) -> DataError:
    why = getattr(error, "strerror", None) or str(error)
    if is_camera(path):
        return DataError(
            _("The camera {name} does not answer: {why}.").format(name=name, why=why),
            _("Expected a camera that is plugged in and that no other program uses."),
            _("Try another number, such as camera:1, and allow this program to use the camera."),
        )
    return _unreadable_video_error(path, why)


def _unreadable_video_error(path: str, why: str) -> DataError:
    return DataError(
        _("{path} cannot be read as a video: {why}.").format(path=path, why=why),
        _("Expected a video such as MP4, MOV, MKV, WebM or AVI."),
        _("See whether another program plays it; if the copy was cut off, copy it again."),
    )
