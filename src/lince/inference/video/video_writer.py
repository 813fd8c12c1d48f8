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

from lince import fileio
from lince.inference.video.frames import Frame
from lince.inference.video.video_reader import VideoReader

_CODEC = "libx264"
_CODEC_OPTIONS = {"preset": "veryfast", "crf": "23"}
_COPYABLE_CODECS = ("aac", "mp3", "ac3", "eac3", "opus", "alac")  # what an MP4 may hold and players know
_TIME_BASE = Fraction(1, 90000)


class VideoWriter:
    """An MP4 under way; ``silent`` names the sound that it could not take over, if there was any."""

    def __init__(self, container: OutputContainer, reader: VideoReader) -> None:
        height, width = reader.size
        self._container = container
        self._video_stream = cast(
            VideoStream, container.add_stream(_CODEC, rate=reader.frame_rate, options=dict(_CODEC_OPTIONS))
        )
        self._video_stream.height, self._video_stream.width = height + height % 2, width + width % 2
        self._video_stream.pix_fmt = "yuv420p"
        self._video_stream.codec_context.time_base = _TIME_BASE
        self._audio_copier: _AudioCopier | None = None
        self.dropped_audio = ""
        self._last_pts = -1
        self._start_time = reader.frame_range.start

    def copy_audio(self, source: InputContainer, reader: VideoReader) -> None:
        """Copy the sound of ``source`` as the frames come, if an MP4 may hold it."""
        stream = source.streams.audio[0]
        if stream.codec_context.name not in _COPYABLE_CODECS:
            self.dropped_audio = stream.codec_context.name
            return
        self._audio_copier = _AudioCopier(
            self._container, source, stream, reader.start_time + self._start_time, self._start_time > 0
        )

    def write_frame(self, frame: Frame) -> None:
        """Encode ``frame``; a side of odd length grows by the last row or column, since H.264 halves its colours."""
        height, width = frame.image.shape[:2]
        image = frame.image
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        time = frame.time - self._start_time
        self._last_pts = max(round(time / _TIME_BASE), self._last_pts + 1)
        picture.pts, picture.time_base = self._last_pts, _TIME_BASE
        if self._audio_copier:
            self._audio_copier.copy_until(time)
        self._container.mux(self._video_stream.encode(picture))

    def finish(self) -> None:
        """Encode what waits."""
        self._container.mux(self._video_stream.encode(None))
        if self._audio_copier:
            self._audio_copier.copy_until(float((self._last_pts + 1) * _TIME_BASE) + 0.5)


class _AudioCopier:
    def __init__(
        self, target: OutputContainer, source: InputContainer, stream: AudioStream, begin: float, cut: bool
    ) -> None:
        self._target, self._stream = target, target.add_stream_from_template(stream)
        self._packets = source.demux(stream)
        self._start_time, self._skips_early_packets = begin, cut
        self._pending_packet = self._next_packet()

    def copy_until(self, time: float) -> None:
        """Copy the sound up to ``time``, in seconds of the new video."""
        while self._pending_packet is not None and self._pending_packet[1] < time:
            self._target.mux(self._pending_packet[0])
            self._pending_packet = self._next_packet()

    def _next_packet(self) -> tuple[av.Packet[AudioStream], float] | None:
        """Return the next packet and its time in seconds of the new video."""
        for packet in self._packets:
            if packet.pts is None or packet.time_base is None:
                continue
            shift = round(self._start_time / packet.time_base)
            if (
                self._skips_early_packets and packet.pts < shift
            ):  # else those before the start are there to tune the decoder in
                continue
            time = float((packet.pts - shift) * packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = self._stream
            return packet, time
        return None


@contextmanager
def open_video_writer(path: Path, reader: VideoReader, with_audio: bool = True) -> Iterator[VideoWriter]:
    """Yield a writer of ``path`` for frames of ``reader``; the file is whole, or not there."""
    with fileio.atomic_file(path) as aside, ExitStack() as stack:
        container = stack.enter_context(av.open(str(aside), "w", format="mp4", options={"movflags": "+faststart"}))
        writer = VideoWriter(container, reader)
        if with_audio and not reader.is_live:
            source = stack.enter_context(av.open(reader.path))
            if source.streams.audio:
                writer.copy_audio(source, reader)
        yield writer
        writer.finish()
