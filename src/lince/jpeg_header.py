"""Parses the header of a JPEG file: size, components and orientation, without decoding pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lince import exif


@dataclass(frozen=True)
class JpegHeader:
    """The size and layout of a JPEG image.

    ``height`` and ``width`` are in pixels as stored, before ``orientation`` (Exif, 1 to 8) is applied. ``components``
    is the number of colour channels, ``bits`` the size of a sample, ``scan_offset`` the position of the first byte of
    compressed pixels in the file.
    """

    height: int
    width: int
    components: int
    bits: int
    orientation: int
    scan_offset: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """The (height, width) in pixels after applying the orientation."""
        is_sideways = self.orientation in exif.SIDEWAYS_ORIENTATIONS
        return (self.width, self.height) if is_sideways else (self.height, self.width)

    def find_reduction(self, min_size: tuple[int, int] | None) -> int:
        """Return by how much a decoder may divide both sides, 1, 2, 4 or 8, to keep ``min_size`` (height, width)."""
        if min_size is None:
            return 1
        height, width = self.upright_size
        return next((n for n in (8, 4, 2) if height // n >= min_size[0] and width // n >= min_size[1]), 1)


def parse_jpeg_header(data: bytes) -> JpegHeader | None:
    """Return the header of the JPEG file ``data``; ``None`` when it is damaged or states no size.

    The segments are read up to the first scan (ITU-T T.81, annex B): size and components from the frame header,
    orientation from the first Exif segment.
    """
    frame: tuple[int, int, int, int] | None = None
    orientation = 1
    for marker, start, end in _iterate_segments(data):
        if marker == 0xE1 and orientation == 1 and data[start : start + 6] == b"Exif\0\0":
            orientation = exif.parse_orientation(data[start + 6 : end])
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and end - start >= 6:
            frame = struct.unpack_from(">BHHB", data, start)
        elif marker == 0xDA and frame:
            bits, height, width, components = frame
            return JpegHeader(height, width, components, bits, orientation, end) if height and width else None
    return None


def _iterate_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of the content of each segment up to the first scan; stop where the chain breaks."""
    offset = 2
    while offset + 4 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == 0xFF:  # padding
            offset += 1
            continue
        end = offset + 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        if end > len(data) or end < offset + 4:
            return
        yield marker, offset + 4, end
        if marker == 0xDA:
            return
        offset = end
