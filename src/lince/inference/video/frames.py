"""The nouns of a video: a frame with its time, and which frames are asked for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.errors import UsageError
from lince.i18n import _

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
_CAMERA_DRIVERS = {"darwin": ("avfoundation", "{number}"), "win32": ("dshow", "video={number}")}


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame, uint8 RGB (H, W, 3), upright; ``time`` in seconds, ``number`` counts the video's frames."""

    image: Image
    time: float
    index: int


@dataclass(frozen=True)
class FrameRange:
    """Which frames are looked at: from ``start`` to ``end`` in seconds, each ``frames``-th, ``seconds`` apart."""

    start: float = 0.0
    end: float | None = None
    frame_step: int = 1
    time_step: float = 0.0

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise UsageError(
                _("The part from {start:g} s to {end:g} s is empty.").format(start=self.start, end=self.end),
                _("Expected an end that lies after the start."),
            )


WHOLE_VIDEO = FrameRange()


def is_camera(source: str | Path) -> bool:
    """Tell whether ``source`` names a camera."""
    return str(source).startswith(CAMERA_PREFIX)


def is_video(source: str | Path) -> bool:
    """Tell whether ``source`` is a camera or is named as a video."""
    return is_camera(source) or Path(source).suffix.lower() in VIDEO_SUFFIXES


def find_camera_device(source: str) -> tuple[str, str]:
    """Return this system's driver of cameras and its name for ``camera:0``; raise ``UsageError`` on other text."""
    number = source.removeprefix(CAMERA_PREFIX)
    if not number.isdecimal():
        raise UsageError(
            _("'{text}' is not a camera.").format(text=source), _("Expected the number of a camera: camera:0.")
        )
    driver, name = _CAMERA_DRIVERS.get(sys.platform, ("v4l2", "/dev/video{number}"))
    return driver, name.format(number=number)
