"""How a camera was held, as Exif notes it: read from the bytes alone, before any pixel is decoded."""

from __future__ import annotations

import struct

ORIENTATION_TAG = 0x0112


def parse_orientation(tiff: bytes) -> int:
    """Return the orientation (1 to 8; Exif 2.3, table 6) that an Exif block asks for; 1 when it says nothing usable."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    start = struct.unpack_from(order + "I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return 1
    count = struct.unpack_from(order + "H", tiff, start)[0]
    for at in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, form, _count, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == ORIENTATION_TAG and form == 3:
            return int(value) if 1 <= value <= 8 else 1
    return 1


def extract_png_exif(data: bytes) -> bytes | None:
    """Return the Exif block of a PNG file, before its pixels or behind them; ``None`` where there is none."""
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"eXIf":
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return None
