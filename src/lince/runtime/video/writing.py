"""Writes an H.264 video that any player opens, with the sound of its source, frame by frame at their own times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from lince import files
from lince.runtime.video.frames import Frame
from lince.runtime.video.reading import Reader

_CODEC = "libx264"
_OPTIONS = {"preset": "veryfast", "crf": "23"}
_COPIED = ("aac", "mp3", "ac3", "eac3", "opus", "alac")  # what an MP4 may hold and players know
_CLOCK = Fraction(1, 90000)


class Writer:
    """An MP4 under way; ``silent`` names the sound that it could not take over, if there was any."""

    def __init__(self, container: OutputContainer, reader: Reader) -> None:
        height, width = reader.size
        self._container = container
        self._video = cast(VideoStream, container.add_stream(_CODEC, rate=reader.rate, options=dict(_OPTIONS)))
        self._video.height, self._video.width = height + height % 2, width + width % 2
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = _CLOCK
        self._sound: _Sound | None = None
        self.silent = ""
        self._last = -1
        self._start = reader.part.start

    def take_sound(self, source: InputContainer, reader: Reader) -> None:
        """Copy the sound of ``source`` as the frames come, if an MP4 may hold it."""
        stream = source.streams.audio[0]
        if stream.codec_context.name not in _COPIED:
            self.silent = stream.codec_context.name
            return
        self._sound = _Sound(self._container, source, stream, reader.begin + self._start, self._start > 0)

    def add(self, frame: Frame) -> None:
        """Encode ``frame``; a side of odd length grows by the last row or column, since H.264 halves its colours."""
        height, width = frame.image.shape[:2]
        image = frame.image
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        time = frame.time - self._start
        self._last = max(round(time / _CLOCK), self._last + 1)
        picture.pts, picture.time_base = self._last, _CLOCK
        if self._sound:
            self._sound.until(time)
        self._container.mux(self._video.encode(picture))

    def finish(self) -> None:
        """Encode what waits."""
        self._container.mux(self._video.encode(None))
        if self._sound:
            self._sound.until(float((self._last + 1) * _CLOCK) + 0.5)


class _Sound:
    def __init__(
        self, target: OutputContainer, source: InputContainer, stream: AudioStream, begin: float, cut: bool
    ) -> None:
        self._target, self._stream = target, target.add_stream_from_template(stream)
        self._packets = source.demux(stream)
        self._begin, self._cut = begin, cut
        self._waiting = self._next()

    def until(self, time: float) -> None:
        """Copy the sound up to ``time``, in seconds of the new video."""
        while self._waiting is not None and self._waiting[1] < time:
            self._target.mux(self._waiting[0])
            self._waiting = self._next()

    def _next(self) -> tuple[av.Packet[AudioStream], float] | None:
        """Return the next packet and its time in seconds of the new video."""
        for packet in self._packets:
            if packet.pts is None or packet.time_base is None:
                continue
            shift = round(self._begin / packet.time_base)
            if self._cut and packet.pts < shift:  # else those before the start are there to tune the decoder in
                continue
            time = float((packet.pts - shift) * packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = self._stream
            return packet, time
        return None


@contextmanager
def writing(path: Path, reader: Reader, sound: bool = True) -> Iterator[Writer]:
    """Yield a writer of ``path`` for frames of ``reader``; the file is whole, or not there."""
    with files.replacing(path) as aside, ExitStack() as stack:
        container = stack.enter_context(av.open(str(aside), "w", format="mp4", options={"movflags": "+faststart"}))
        writer = Writer(container, reader)
        if sound and not reader.live:
            source = stack.enter_context(av.open(reader.path))
            if source.streams.audio:
                writer.take_sound(source, reader)
        yield writer
        writer.finish()
