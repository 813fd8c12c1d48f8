"""Reads videos with PyAV (FFmpeg): upright RGB frames with their timestamps; skips and counts damage.

FFmpeg opens a file alone: neither the addresses nor the other files that a playlist or a list of pieces names.
"""

from __future__ import annotations

import threading
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
from lince.fileio import open_plain_file
from lince.i18n import _
from lince.inference.video.frames import WHOLE_VIDEO, Frame, FrameRange, Image
from lince.inference.video.video_extent import VideoExtent, read_extent
from lince.inference.video.video_result import ConnectionLoss, FileCoverage

_DURATION_UNIT = 1_000_000  # of PyAV's ``container.duration``, per second
_TIME_TOLERANCE = 1e-6  # seconds
_HEAD_BYTES = 64
_PLAYLIST_HEADS = (b"#EXTM3U", b"\xef\xbb\xbf#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"v=0")
# Of FFmpeg's readers, those of files that hold their frames themselves.
SELF_CONTAINED_FORMATS = (
    "mov,matroska,avi,mpeg,mpegts,mpegtsraw,mpegvideo,asf,flv,h264,hevc,m4v,mjpeg,mpjpeg,ogg,rm,dv,mxf,gif,wtv,ivf,vc1,"
    "vc1test,nut,yuv4mpegpipe,av1,obu,vvc,swf,mjpeg_2000,jpeg_pipe"
)
FILE_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": SELF_CONTAINED_FORMATS}


class VideoReader:
    """An open video or camera; use ``open_source.open_source`` to get one.

    ``path`` is its file, camera or address, ``name`` what it is called in messages and results. The first frame is
    decoded at once, so that ``size`` is known; ``DataError`` is raised when there is none. ``broken_count`` and
    ``coverage`` are final once ``iter_frames`` has ended; ``extent`` is what the file says of its length.
    """

    is_live = False  # whether it does not end by itself

    def __init__(self, container: InputContainer, path: str, frame_range: FrameRange, name: str = "") -> None:
        self.path, self.name = path, name or path
        self.frame_range = frame_range
        self.stopped = threading.Event()
        self.loss = ConnectionLoss()
        stream = find_video_stream(container, self.name)
        self.broken_count = 0  # packets and frames that could not be decoded or had to be left out
        self.extent = extent = VideoExtent() if self.is_live else read_extent(container, stream, path)
        is_known = extent.is_known or self.is_live
        self.coverage = FileCoverage(extent.frame_count, extent.is_exact, extent.hidden_count, is_known)
        self._corrupt_times: set[int | None] = set()  # timestamps of packets and frames that are not complete
        self._last_packet_time: int | None = None
        self._packet_end = 0.0  # largest end of a complete packet, in seconds
        self._container, self._stream = container, stream
        self._start_time = float((stream.start_time or 0) * (stream.time_base or 0))
        self._upright_frames = self._iter_upright()
        self._first_frame = self._read_first_frame()

    def stop(self) -> None:
        """Let ``iter_frames``, in another thread, come to its end."""
        self.stopped.set()

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
            raise unreadable_video_error(self.name, _("no frame of it can be decoded"))
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
            yield self._make_flush_packet()
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
        yield self._make_flush_packet()

    def _make_flush_packet(self) -> av.Packet[VideoStream]:
        """Return the packet with which the decoder gives the frames that it still holds."""
        flush = cast("av.Packet[VideoStream]", av.Packet())
        flush.stream, flush.time_base = self._stream, self.time_base
        return flush

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


def find_video_stream(container: InputContainer, name: str) -> VideoStream:
    """Return the first video stream of the file ``name``; raise ``DataError`` where it has none."""
    if not container.streams.video:
        raise unreadable_video_error(name, _("it has audio, but no video"))
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    return stream


@contextmanager
def open_video(source: str | Path, frame_range: FrameRange = WHOLE_VIDEO, name: str = "") -> Iterator[VideoReader]:
    """Open the first video stream of a file and close it at the end; ``name`` is what messages call it.

    Raises ``DataError`` when it cannot be opened, has no video stream, or no frame can be decoded.
    """
    path = str(source)
    shown = name or path
    head = _read_head(path, shown)
    if head.lstrip().startswith(_PLAYLIST_HEADS):
        raise DataError(
            _("{path} is a playlist: it names other files or addresses, which lince does not open.").format(path=shown),
            _("Expected the video itself, such as MP4, MOV, MKV, WebM or AVI."),
            _("Give the files that it names."),
        )
    try:
        container = av.open(path, options=FILE_OPTIONS)
    except (av.FFmpegError, ValueError) as error:
        raise unreadable_video_error(shown, describe_ffmpeg_error(error)) from error
    with container:
        yield VideoReader(container, path, frame_range, shown)


def _read_head(path: str, name: str) -> bytes:
    """Return the first bytes of a file; raise ``DataError`` where it cannot be read, as a pipe cannot."""
    try:
        with open_plain_file(path) as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        raise unreadable_video_error(name, error.strerror or str(error)) from error


def _rotate_upright(frame: VideoFrame) -> Image:
    """Return the frame as uint8 RGB (H, W, 3), turned as its rotation metadata says (multiples of 90 degrees)."""
    image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def describe_ffmpeg_error(error: Exception) -> str:
    """Return why FFmpeg could not open something."""
    return getattr(error, "strerror", None) or str(error)


def unreadable_video_error(name: str, why: str) -> DataError:
    """Return the error for a video that cannot be read."""
    return DataError(
        _("{path} cannot be read as a video: {why}.").format(path=name, why=why),
        _("Expected a video such as MP4, MOV, MKV, WebM or AVI."),
        _("Check whether another program can play it; if the copy is incomplete, copy it again."),
    )
