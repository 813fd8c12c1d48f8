"""Basic types of the video package: a frame with its time, the range of frames to process, and camera names."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.errors import UsageError
from lince.i18n import _
from lince.storage.url import is_stream_url, is_web_url

Image = NDArray[np.uint8]
VIDEO_SUFFIXES = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".wmv",
    ".flv",
    ".3gp",
)
CAMERA_PREFIX = "camera:"
# FFmpeg's input device and the name of a camera for it, by ``sys.platform``; Linux is the default.
_CAMERA_DRIVERS = {"darwin": ("avfoundation", "{number}"), "win32": ("dshow", "video={number}")}


@dataclass(frozen=True, eq=False)
class Frame:
    """One video frame: ``image`` uint8 RGB (H, W, 3), upright, shown at ``time`` seconds from the start.

    ``index`` counts all frames of the video from 0, including those that a ``FrameRange`` leaves out.
    """

    image: Image
    time: float
    index: int


@dataclass(frozen=True)
class FrameRange:
    """The frames of a video to process: from ``start`` to ``end``, in seconds, ``end`` excluded.

    Of these, every ``frame_step``-th one, or one every ``time_step`` seconds where that is not 0. Raises ``UsageError``
    for an empty range.
    """

    start: float = 0.0
    end: float | None = None
    frame_step: int = 1
    time_step: float = 0.0

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise UsageError(
                _("The part from {start:g} s to {end:g} s is empty.").format(start=self.start, end=self.end),
                _("Expected an end after the start."),
            )


WHOLE_VIDEO = FrameRange()


def is_camera(source: str | Path) -> bool:
    """Return whether ``source`` names a camera: ``camera:`` and its number."""
    return str(source).startswith(CAMERA_PREFIX)


def is_address(source: str | Path) -> bool:
    """Return whether ``source`` is an address of the web or of a network camera: http, https, rtsp or rtsps."""
    return is_web_url(str(source)) or is_stream_url(str(source))


def is_video(source: str | Path) -> bool:
    """Return whether ``source`` is a camera, or has the suffix of a video file; nothing is opened."""
    return is_camera(source) or is_stream_url(str(source)) or Path(source).suffix.lower() in VIDEO_SUFFIXES


def find_camera_device(source: str) -> tuple[str, str]:
    """Return FFmpeg's input device and the camera's name there for ``camera:N``, for this operating system.

    Raises ``UsageError`` where N is not a number.
    """
    number = source.removeprefix(CAMERA_PREFIX)
    if not number.isdecimal():
        raise UsageError(
            _("'{text}' is not a camera.").format(text=source), _("Expected the number of a camera: camera:0.")
        )
    driver, name = _CAMERA_DRIVERS.get(sys.platform, ("v4l2", "/dev/video{number}"))
    return driver, name.format(number=number)
