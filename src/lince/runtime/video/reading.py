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
from lince.messages import _
from lince.runtime.video.frames import WHOLE, Frame, Image, Part, device, is_camera

_SECOND = 1_000_000  # PyAV's unit of a container's duration
_EARLY = 1e-6


class Reader:
    """A video that is open: its ``size`` (height, width) upright, and after reading how much was ``broken``."""

    def __init__(self, container: InputContainer, stream: VideoStream, path: str, part: Part) -> None:
        self.path = path
        self.part = part
        self.broken = 0  # packets and frames that could not be decoded
        self.cut = False  # whether the file ended in the middle of something
        self._container, self._stream = container, stream
        self._begin = float((stream.start_time or 0) * (stream.time_base or 0))
        self._decoded = self._upright()
        self._first = self._next()

    @property
    def live(self) -> bool:
        """Whether this is a camera, which never ends by itself."""
        return is_camera(self.path)

    @property
    def begin(self) -> float:
        """The time at which the file's own clock shows the first frame, in seconds."""
        return self._begin

    @property
    def size(self) -> tuple[int, int]:
        """The height and width of upright frames."""
        return self._first.image.shape[0], self._first.image.shape[1]

    @property
    def rate(self) -> Fraction:
        """How many frames there are in a second, on the average."""
        return self._stream.average_rate or Fraction(25)

    @property
    def time_base(self) -> Fraction:
        """The unit of the file's clock, in seconds."""
        return self._stream.time_base or Fraction(1, 1000)

    @property
    def expected(self) -> int:
        """About how many frames will come; 0 where nobody knows."""
        duration = (self._container.duration or 0) / _SECOND
        length = max(min(duration, self.part.end or duration) - self.part.start, 0.0)
        rate = float(self.rate) / self.part.frames
        return round(length * (min(rate, 1 / self.part.seconds) if self.part.seconds else rate))

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that are asked for, in the order in which they are shown."""
        taken, due = 0, self.part.start
        frame: Frame | None = self._first
        while frame is not None:
            if self.part.end is not None and frame.time >= self.part.end - _EARLY:
                return
            if frame.time >= due - _EARLY:
                if taken % self.part.frames == 0:
                    due = self._due(frame.time)
                    yield frame
                taken += 1
            frame = next(self._decoded, None)

    def _due(self, time: float) -> float:
        """Return when the next frame is due after the one at ``time``: at a whole number of steps from the start."""
        start, step = self.part.start, self.part.seconds
        return start + step * (1 + (time - start + _EARLY) // step) if step else time

    def _next(self) -> Frame:
        first = next(self._decoded, None)
        if first is None:
            raise _unreadable(self.path, _("no frame of it can be decoded"))
        return first

    def _upright(self) -> Iterator[Frame]:
        last = -1.0
        for number, frame in enumerate(self._whole()):
            time = last + 1 / float(self.rate) if frame.time is None else frame.time - self._begin
            if time > last:  # a clock that jumps back would make a file that nobody can write
                last = time
                yield Frame(_turned(frame), max(time, 0.0), number)
            else:
                self.broken += 1

    def _whole(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            try:
                frames = packet.decode()
            except (av.InvalidDataError, av.UndefinedError, av.PatchWelcomeError):
                self.broken += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.broken += 1
                else:
                    yield frame

    def _packets(self) -> Iterator[av.Packet[VideoStream]]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.InvalidDataError, av.EOFError, av.OSError):
                self.cut = True
                return
            if packet is None:
                return
            if packet.is_corrupt:
                self.broken += 1
            yield packet


@contextmanager
def opened(source: str | Path, part: Part = WHOLE) -> Iterator[Reader]:
    """Open a video file, or a camera as ``camera:0``; raise ``DataError`` when it cannot be read."""
    path = str(source)
    with _container(path) as container:
        if not container.streams.video:
            raise _unreadable(path, _("there is sound in it, but no pictures"))
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield Reader(container, stream, path, part)


@contextmanager
def _container(path: str) -> Iterator[InputContainer]:
    driver, name = device(path) if is_camera(path) else (None, path)
    try:
        container = av.open(name, format=driver)
    except (av.FFmpegError, ValueError) as error:
        raise _unopened(path, name, error) from error
    with container:
        yield container


def _turned(frame: VideoFrame) -> Image:
    image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    quarters = round(frame.rotation / 90) % 4  # against the clock
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _unopened(path: str, name: str, error: Exception) -> DataError:
    why = getattr(error, "strerror", None) or str(error)
    if is_camera(path):
        return DataError(
            _("The camera {name} does not answer: {why}.").format(name=name, why=why),
            _("Expected a camera that is plugged in and that no other program uses."),
            _("Try another number, such as camera:1, and allow this program to use the camera."),
        )
    return _unreadable(path, why)


def _unreadable(path: str, why: str) -> DataError:
    return DataError(
        _("{path} cannot be read as a video: {why}.").format(path=path, why=why),
        _("Expected a video such as MP4, MOV, MKV, WebM or AVI."),
        _("See whether another program plays it; if the copy was cut off, copy it again."),
    )
