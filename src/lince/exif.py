"""Reads the orientation of an image from its Exif block, without decoding pixels."""

from __future__ import annotations

import struct

ORIENTATION_TAG = 0x0112
SIDEWAYS_ORIENTATIONS = (5, 6, 7, 8)  # these rotate by 90 degrees, so that height and width are swapped


def parse_orientation(tiff: bytes) -> int:
    """Return the orientation tag, 1 to 8 (Exif 2.3, table 6), of the TIFF block ``tiff``; 1 where it has none.

    Only the first image file directory is read. A truncated or invalid block gives 1, never an error.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    directory = struct.unpack_from(order + "I", tiff, 4)[0]
    if directory + 2 > len(tiff):
        return 1
    count = struct.unpack_from(order + "H", tiff, directory)[0]
    for entry in range(directory + 2, min(directory + 2 + 12 * count, len(tiff) - 11), 12):
        tag, field_type, _count, value = struct.unpack_from(order + "HHIH", tiff, entry)
        if tag == ORIENTATION_TAG and field_type == 3:
            return int(value) if 1 <= value <= 8 else 1
    return 1


def extract_png_exif(data: bytes) -> bytes | None:
    """Return the content of the ``eXIf`` chunk of the PNG file ``data``; ``None`` if absent.

    The chunk may come before or after the pixels.
    """
    offset = 8
    while offset + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        if name == b"eXIf":
            return data[offset + 8 : offset + 8 + length]
        offset += 12 + length
    return None
