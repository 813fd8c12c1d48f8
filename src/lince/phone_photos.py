"""Recognises photos of phones (HEIC, AVIF), and says whether they can be read here and what to do where they cannot."""

from __future__ import annotations

import io
from importlib import import_module
from importlib.util import find_spec

from PIL import ImageFile

from lince.i18n import _

PHONE_SUFFIXES = (".heic", ".heif", ".avif")
READS_PHONE_PHOTOS = find_spec("pillow_heif") is not None  # the extra ``heif``
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_HEADER_BYTES = 32


def detect_phone_format(data: bytes) -> str:
    """Return ``heif`` or ``avif`` for a file that begins with ``data``, 32 bytes of it; '' for others, such as MP4."""
    if data[4:8] != b"ftyp":
        return ""
    brands = [data[8:12], *(data[start : start + 4] for start in range(16, _HEADER_BYTES, 4))]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "avif"
    return "heif" if brands[0] in _HEIF_BRANDS else ""


def get_phone_photo_remedy() -> str:
    """Return what to do with a photo in such a format: on the phone, on a computer, or in lince."""
    return _(
        "save it as JPEG: on an iPhone choose Settings > Camera > Formats > Most Compatible for new photos, "
        "on a computer open it and export it; or let lince read it: pip install pillow-heif"
    )


def open_heif(stream: io.BytesIO, name: str) -> ImageFile.ImageFile:
    """Return a HEIC photo opened by pillow-heif, upright."""
    image: ImageFile.ImageFile = import_module("pillow_heif.as_plugin").HeifImageFile(stream, name)
    return image


def open_avif(stream: io.BytesIO, name: str) -> ImageFile.ImageFile:
    """Return an AVIF photo opened by Pillow."""
    image: ImageFile.ImageFile = import_module("PIL.AvifImagePlugin").AvifImageFile(stream, name)
    return image
