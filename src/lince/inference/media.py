"""Sorts what a user gives into photos and videos: files, folders, archives, patterns, cameras and addresses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from lince.errors import DataError, UsageError
from lince.i18n import _
from lince.inference.http_video import ask_web_server, require_allowed
from lince.inference.patterns import is_pattern
from lince.inference.sources import ImageItem, expand_source, to_image_item, to_printable
from lince.inference.video.frames import VIDEO_SUFFIXES, is_address, is_camera, is_video
from lince.storage.scan import may_hold_pixels
from lince.storage.url import hide_secrets, is_stream_url

# Of FFmpeg, without "//": lists of files, pipes and the like.
_FFMPEG_PROTOCOLS = ("async", "cache", "concat", "concatf", "crypto", "data", "fd", "file", "pipe", "subfile", "unix")


@dataclass(frozen=True)
class VideoItem:
    """One video to predict: the ``path`` of its file, a camera or an address, and its ``name`` in messages."""

    path: str
    name: str


@dataclass(frozen=True)
class Media:
    """The photos and the videos among the sources, in their order."""

    images: list[ImageItem]
    videos: list[VideoItem]


def find_media(sources: str | Path | Sequence[str | Path], allow_urls: bool = False) -> Media:
    """Return the photos and videos of ``sources``, as ``find_images`` finds files; videos are known by their endings.

    A server is asked what an address is that does not end like a photo. Raises ``DataError`` when a source does not
    exist, and ``UsageError`` for an address without ``allow_urls``.
    """
    paths = [os.fspath(path) for path in ([sources] if isinstance(sources, (str, Path)) else sources)]
    items: list[ImageItem | VideoItem] = []
    for path in paths:
        if is_address(path):
            require_allowed(path, allow_urls)
            items.append(_sort_address(path))
        elif is_camera(path) or (is_video(path) and not is_pattern(path) and not os.path.isdir(path)):
            items.append(VideoItem(path, to_printable(path)))
        else:
            _require_local(path)
            items += expand_source(path, is_single=len(paths) == 1)
    photos = [item for item in items if isinstance(item, ImageItem) and not _is_video_file(item)]
    videos = [VideoItem(item.path, item.name) for item in items if isinstance(item, VideoItem) or _is_video_file(item)]
    if not items:
        raise DataError(
            _("There is neither photo nor video in {sources}.").format(sources=", ".join(map(to_printable, paths))),
            _("Expected photos, videos, folders of them, or patterns such as '*.jpg'."),
        )
    return Media(
        list({str(item.source): item for item in photos}.values()), list({item.path: item for item in videos}.values())
    )


def _is_video_file(item: ImageItem) -> bool:
    return bool(item.path) and not item.is_own_output and item.path.lower().endswith(VIDEO_SUFFIXES)


def _sort_address(url: str) -> ImageItem | VideoItem:
    """Return the photo or the video at an address."""
    is_stream = is_stream_url(url)
    ending = PurePosixPath(urlsplit(url).path).suffix.lower()
    if not is_stream and ending not in VIDEO_SUFFIXES and (may_hold_pixels(ending) or ask_web_server(url).is_photo):
        return to_image_item(url)
    return VideoItem(url, hide_secrets(to_printable(url)))


def _require_local(path: str) -> None:
    """Raise ``UsageError`` for an address of a kind that is never opened, such as ``ftp://`` or ``concat:``."""
    scheme, _colon, rest = path.partition(":")
    if os.path.lexists(path) or not (rest.startswith("//") or (rest and scheme.lower() in _FFMPEG_PROTOCOLS)):
        return
    raise UsageError(
        _("{path} is an address of a kind that lince does not open: {scheme}.").format(
            path=to_printable(path), scheme=scheme
        ),
        _("Expected a file, camera:0, or an address that begins with http://, https:// or rtsp://."),
    )
