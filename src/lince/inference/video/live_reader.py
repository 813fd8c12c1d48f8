"""Reads cameras of this machine, and streams from addresses, which are taken up again when the connection breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Protocol, cast

import av
from av.container import InputContainer

from lince.errors import DataError
from lince.i18n import _
from lince.inference.http_video import (
    DEFAULT_RETRIES,
    TIMEOUT_SECONDS,
    LiveResponse,
    NotifyFunction,
    RetryPolicy,
    make_address_error,
    wait_between_attempts,
)
from lince.inference.video.frames import Frame, FrameRange, find_camera_device
from lince.inference.video.video_reader import (
    SELF_CONTAINED_FORMATS,
    VideoReader,
    describe_ffmpeg_error,
    find_video_stream,
    unreadable_video_error,
)
from lince.storage.url import hide_secrets, is_stream_url

_LEAST_INTERVAL = 0.001  # seconds between two frames
_RTSP_PROTOCOLS = "rtsp,rtsps,rtp,rtcp,srtp,tcp,udp,tls"
_PROBE_OPTIONS = {"analyzeduration": "1000000", "fflags": "nobuffer"}  # microseconds; how soon the first frame is there


class Connection(Protocol):
    """An open stream: FFmpeg's ``container``, and whether its timestamps are those of its clock."""

    container: InputContainer
    has_times: bool

    def stop(self) -> None:
        """Let a read that waits in another thread end."""

    def close(self) -> None:
        """Close it."""


class CameraReader(VideoReader):
    """An open camera of this machine."""

    is_live = True


class StreamReader(VideoReader):
    """An open stream from an address; ``connect`` opens it, first and whenever the connection breaks.

    Frames have the time at which they came, or that of the camera's clock where it has one, from 0 on; over a break it
    is the time that has passed. After ``retries`` in vain the stream is at its end, and ``loss.is_final`` is set.
    """

    is_live = True

    def __init__(
        self,
        connect: Callable[[], Connection],
        path: str,
        frame_range: FrameRange,
        notify: NotifyFunction,
        retries: RetryPolicy = DEFAULT_RETRIES,
    ) -> None:
        self._connect, self._notify, self._retries = connect, notify, retries
        self._connection: Connection | None = connect()
        self._lock = threading.Lock()
        try:
            super().__init__(self._connection.container, path, frame_range, hide_secrets(path))
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """Let ``iter_frames``, in another thread, come to its end, also while it waits for the network."""
        super().stop()
        with self._lock:
            if self._connection is not None:
                self._connection.stop()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _iter_upright(self) -> Iterator[Frame]:
        """Yield the frames of one connection after the other, with increasing times from 0."""
        began = offset = last_time = 0.0
        count, size = 0, None
        while True:
            first_time: float | None = None
            for frame in super()._iter_upright():
                now = time.monotonic()
                began = began or now
                if first_time is None:
                    first_time, offset = frame.time, max(now - began, last_time)
                if size is not None and frame.image.shape != size:
                    self.loss.is_final = True
                    return
                has_times = self._connection is not None and self._connection.has_times
                moment = offset + frame.time - first_time if has_times else now - began
                last_time = max(moment, last_time + _LEAST_INTERVAL) if count else 0.0
                yield Frame(frame.image, last_time, count)
                count, size = count + 1, frame.image.shape
            broken_at = time.monotonic()
            if self.stopped.is_set() or not count or not self._reconnect():
                return
            self.loss.count += 1
            self.loss.seconds += time.monotonic() - broken_at

    def _reconnect(self) -> bool:
        """Open the stream again; return false where it was stopped, or where that is in vain."""
        self.close()
        error = _("no more frames came")
        for _pause in wait_between_attempts(self.name, error, self._retries, self.stopped, self._notify):
            with suppress(DataError):
                connection = self._connect()
                with self._lock:
                    self._connection = connection
                    self._container = connection.container
                if self.stopped.is_set():
                    return False
                self._stream = find_video_stream(connection.container, self.name)
                self._start_time = 0.0
                return True
        self.loss.is_final = not self.stopped.is_set()
        return False


class _WebConnection:
    """A live stream by HTTP: FFmpeg gets its bytes, and opens nothing itself."""

    has_times = False

    def __init__(self, url: str) -> None:
        self._response = LiveResponse(url)
        options = {**_PROBE_OPTIONS, "protocol_whitelist": "", "format_whitelist": SELF_CONTAINED_FORMATS}
        try:
            self.container = cast(InputContainer, av.open(cast(Any, self._response), options=options))
        except (av.FFmpegError, ValueError) as error:
            self._response.close()
            raise unreadable_video_error(hide_secrets(url), describe_ffmpeg_error(error)) from error

    def stop(self) -> None:
        """Let a read that waits in another thread end."""
        self._response.stop()

    def close(self) -> None:
        """Close the connection."""
        self.container.close()
        self._response.close()


class _RtspConnection:
    """A stream by RTSP over TCP, which FFmpeg opens itself."""

    has_times = True

    def __init__(self, url: str) -> None:
        options = {**_PROBE_OPTIONS, "rtsp_transport": "tcp", "protocol_whitelist": _RTSP_PROTOCOLS}
        try:
            self.container = av.open(
                url, options={**options, "format_whitelist": "rtsp,sdp,rtp"}, timeout=(TIMEOUT_SECONDS, TIMEOUT_SECONDS)
            )
        except (av.FFmpegError, ValueError) as error:
            raise make_address_error(url, describe_ffmpeg_error(error)) from error

    def stop(self) -> None:
        """Do nothing: FFmpeg waits ``TIMEOUT_SECONDS`` at most."""

    def close(self) -> None:
        """Close the connection."""
        self.container.close()


@contextmanager
def open_camera(source: str, frame_range: FrameRange) -> Iterator[VideoReader]:
    """Open a camera of this machine, such as ``camera:0``, and close it at the end.

    Raises ``DataError`` when it cannot be opened, and ``UsageError`` when it is not a number.
    """
    driver, name = find_camera_device(source)
    try:
        container = av.open(name, format=driver)
    except (av.FFmpegError, ValueError) as error:
        raise DataError(
            _("The camera {name} does not respond: {why}.").format(name=name, why=describe_ffmpeg_error(error)),
            _("Expected a camera that is plugged in and that no other program uses."),
            _("Try another number, such as camera:1, and allow this program to use the camera."),
        ) from error
    with container:
        yield CameraReader(container, source, frame_range)


@contextmanager
def open_stream(
    url: str, frame_range: FrameRange, notify: NotifyFunction, retries: RetryPolicy = DEFAULT_RETRIES
) -> Iterator[VideoReader]:
    """Open a live stream by RTSP or HTTP, and close it at the end; raise ``DataError`` when it cannot be opened."""
    connect = _RtspConnection if is_stream_url(url) else _WebConnection
    with ExitStack() as stack:
        reader = StreamReader(lambda: connect(url), url, frame_range, notify, retries)
        stack.callback(reader.close)
        yield reader
