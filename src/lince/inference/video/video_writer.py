"""Writes an MP4 (H.264) with the timestamps of the source and its audio track, playable everywhere."""

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
from lince.inference.video.video_reader import FILE_OPTIONS, VideoReader

_CODEC = "libx264"
_CODEC_OPTIONS = {"preset": "veryfast", "crf": "23"}
_COPYABLE_CODECS = ("aac", "mp3", "ac3", "eac3", "opus", "alac")  # audio that MP4 can hold and players support
_TIME_BASE = Fraction(1, 90000)  # seconds per unit of a timestamp


class VideoWriter:
    """Encodes frames into an open MP4 container; use ``open_video_writer`` to get one.

    Size, frame rate and start of the new video are those of ``reader`` and its ``frame_range``. ``dropped_audio`` is
    the codec of the source's audio where MP4 cannot hold it, else "".
    """

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
        """Copy the first audio track of ``source``, without re-encoding, alongside the frames written from now on.

        Call it before the first frame. An unsupported codec is left out and named in ``dropped_audio``.
        """
        stream = source.streams.audio[0]
        if stream.codec_context.name not in _COPYABLE_CODECS:
            self.dropped_audio = stream.codec_context.name
            return
        self._audio_copier = _AudioCopier(
            self._container, source, stream, reader.start_time + self._start_time, self._start_time > 0
        )

    def write_frame(self, frame: Frame) -> None:
        """Encode ``frame`` at its time, and copy the audio up to there.

        Sides of odd length are padded with their last row or column: yuv420p halves the colour planes.
        """
        height, width = frame.image.shape[:2]
        image = frame.image
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        encoded_frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        time = frame.time - self._start_time
        self._last_pts = max(round(time / _TIME_BASE), self._last_pts + 1)
        encoded_frame.pts, encoded_frame.time_base = self._last_pts, _TIME_BASE
        if self._audio_copier:
            self._audio_copier.copy_until(time)
        self._container.mux(self._video_stream.encode(encoded_frame))

    def finish(self) -> None:
        """Write the frames that the encoder still holds, and half a second more of audio."""
        self._container.mux(self._video_stream.encode(None))
        if self._audio_copier:
            self._audio_copier.copy_until(float((self._last_pts + 1) * _TIME_BASE) + 0.5)


class _AudioCopier:
    """Copies audio packets from ``source`` to ``target``, shifted so that ``start_time`` (seconds) becomes 0.

    With ``skip_early``, packets before the start are left out. Otherwise they stay, with negative timestamps: they are
    the decoder's priming samples.
    """

    def __init__(
        self,
        target: OutputContainer,
        source: InputContainer,
        stream: AudioStream,
        start_time: float,
        skip_early: bool,
    ) -> None:
        self._target, self._stream = target, target.add_stream_from_template(stream)
        self._packets = source.demux(stream)
        self._start_time, self._skips_early_packets = start_time, skip_early
        self._pending_packet = self._next_packet()

    def copy_until(self, time: float) -> None:
        """Copy the packets before ``time``, in seconds of the new video."""
        while self._pending_packet is not None and self._pending_packet[1] < time:
            self._target.mux(self._pending_packet[0])
            self._pending_packet = self._next_packet()

    def _next_packet(self) -> tuple[av.Packet[AudioStream], float] | None:
        """Return the next packet, retimed, and its time in seconds of the new video; ``None`` at the end."""
        for packet in self._packets:
            if packet.pts is None or packet.time_base is None:
                continue
            shift = round(self._start_time / packet.time_base)
            if self._skips_early_packets and packet.pts < shift:
                continue
            time = float((packet.pts - shift) * packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = self._stream
            return packet, time
        return None


@contextmanager
def open_video_writer(path: Path, reader: VideoReader, with_audio: bool = True) -> Iterator[VideoWriter]:
    """Yield a writer of an MP4 at ``path`` for frames of ``reader``, with its audio unless it is a camera.

    The file appears at ``path`` when the block ends without an exception, else not at all. The index is at the start
    of the file, so that it plays while it is downloaded.
    """
    with fileio.atomic_file(path) as temp_path, ExitStack() as stack:
        container = stack.enter_context(av.open(str(temp_path), "w", format="mp4", options={"movflags": "+faststart"}))
        writer = VideoWriter(container, reader)
        if with_audio and not reader.is_live:
            source = stack.enter_context(av.open(reader.path, options=FILE_OPTIONS))
            if source.streams.audio:
                writer.copy_audio(source, reader)
        yield writer
        writer.finish()
