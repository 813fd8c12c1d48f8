"""Opens a video wherever it is: a file, a camera of this machine, a file on a web server, or a live stream."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from lince.inference.http_video import NotifyFunction, ask_web_server, download_video, require_allowed
from lince.inference.video.frames import WHOLE_VIDEO, FrameRange, is_address, is_camera
from lince.inference.video.live_reader import open_camera, open_stream
from lince.inference.video.video_reader import VideoReader, open_video
from lince.storage.url import hide_secrets, is_web_url


@contextmanager
def open_source(
    source: str | Path,
    frame_range: FrameRange = WHOLE_VIDEO,
    *,
    name: str = "",
    allow_urls: bool = False,
    notify: NotifyFunction = lambda _text: None,
) -> Iterator[VideoReader]:
    """Open a video file, a camera as ``camera:0``, or an address, and close it at the end.

    ``name`` is what messages call it. An address is opened only with ``allow_urls``: of a file on a web server a copy
    is made for as long as the video is open; anything else is a live stream, by HTTP or RTSP. ``notify`` is told where
    a connection breaks and is taken up again.

    Raises ``DataError`` when it cannot be opened, has no video stream, or no frame can be decoded, and ``UsageError``
    for a camera that is not a number, and for an address that is not allowed.
    """
    path = str(source)
    if is_camera(path):
        with open_camera(path, frame_range) as reader:
            yield reader
    elif is_address(path):
        require_allowed(path, allow_urls)
        if is_web_url(path) and ask_web_server(path).length is not None:
            with _download(path, notify) as copy, open_video(copy, frame_range, hide_secrets(path)) as reader:
                yield reader
        else:
            with open_stream(path, frame_range, notify) as reader:
                yield reader
    else:
        with open_video(path, frame_range, name) as reader:
            yield reader


@contextmanager
def _download(url: str, notify: NotifyFunction) -> Iterator[str]:
    """Yield the path of a copy of the file at ``url``, which is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="lince-") as folder:
        path = Path(folder) / f"video{PurePosixPath(urlsplit(url).path).suffix}"
        download_video(url, path, notify)
        yield str(path)
