"""The pictures that the pages show: photos as the browser can show them, and thumbnails from a cache."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.errors import DataError, ImageError
from lince.i18n import _

THUMBNAIL_SIDE = 256  # pixels of the longer side
MAX_SHOWN_PIXELS = 25_000_000  # a larger photo is reduced before it is sent
MAX_SHOWN_SIDE = 4096
_THUMBNAIL_QUALITY = 80
_SHOWN_QUALITY = 92
_MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "bmp": "image/bmp"}
_PNG_DEPTH = 24  # where the header of a PNG has its bits per channel
_JPEG_CMYK = 4  # channels


@dataclass(frozen=True)
class Picture:
    """A picture to send: its bytes and media type."""

    data: bytes
    media_type: str


def read_picture(path: Path) -> Picture:
    """Return the photo at ``path`` as a browser shows it, upright.

    A file that browsers show as lince reads it is sent as it is. One of more than 25 megapixels, and those that
    browsers cannot show or show otherwise (TIFF, 16 bits, CMYK, a turned file that is no JPEG), become a JPEG of at
    most 4096 pixels a side; coordinates on the page are those of the photo all the same. Raise ``ImageError``.
    """
    data = images.read_bytes(path)
    image_format = images.detect_format(data) or ""
    (height, width), orientation = images.read_geometry(data)
    is_small = 0 < height * width <= MAX_SHOWN_PIXELS
    if image_format in _MEDIA_TYPES and is_small and _is_shown_alike(data, image_format, orientation):
        return Picture(data, _MEDIA_TYPES[image_format])
    image = images.decode_image(data)
    return Picture(images.encode_jpeg(_reduce(image, MAX_SHOWN_SIDE), _SHOWN_QUALITY), "image/jpeg")


def make_thumbnail(path: Path) -> bytes:
    """Return the photo at ``path`` as an upright JPEG of at most 256 pixels a side. Raise ``ImageError``."""
    image = images.read_image(path, (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return images.encode_jpeg(_reduce(image, THUMBNAIL_SIDE), _THUMBNAIL_QUALITY)


class ThumbnailStore:
    """Thumbnails by the digest of the photo, in one SQLite file that may be deleted at any time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("CREATE TABLE IF NOT EXISTS thumbs (digest TEXT PRIMARY KEY, data BLOB NOT NULL)")

    def get(self, digest: str, path: Path) -> bytes:
        """Return the thumbnail of the photo at ``path`` with the content ``digest``, made at the first call.

        Raise ``ImageError``, and ``DataError`` where the file has changed since it was added.
        """
        with self._lock:
            row = self._database.execute("SELECT data FROM thumbs WHERE digest = ?", (digest,)).fetchone()
        if row:
            return bytes(row[0])
        thumbnail = make_thumbnail(path)
        with self._lock, suppress(sqlite3.OperationalError):  # on a full disk it is made again each time
            self._database.execute("INSERT OR REPLACE INTO thumbs VALUES (?, ?)", (digest, thumbnail))
        return thumbnail

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()


def missing_file_error(path: Path) -> DataError:
    """Return the error for a photo whose file is gone."""
    return ImageError(
        _("{path}: the file is not there.").format(path=path),
        remedy=_("Put it back, or remove the photo from the project."),
    )


def _is_shown_alike(data: bytes, image_format: str, orientation: int) -> bool:
    """Whether a browser shows a file as lince reads it: 8 bits, not CMYK, and turned only where all agree on it."""
    if image_format == "jpeg":
        return not _has_four_channels(data)
    if image_format == "png" and data[_PNG_DEPTH] > 8:
        return False
    return orientation == 1


def _has_four_channels(data: bytes) -> bool:
    """Whether a JPEG has four channels, which its frame header says."""
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[place + 9] == _JPEG_CMYK
        place += 2 + length
    return False


def _reduce(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
