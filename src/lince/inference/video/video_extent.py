"""What a video file says of its own length, and whether all the bytes that it announces are there."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from av.container import InputContainer
from av.video.stream import VideoStream

_DURATION_UNIT = 1_000_000  # of PyAV's ``container.duration``, per second
_MP4, _AVI = "mov,mp4,m4a,3gp,3g2,mj2", "avi"  # names of FFmpeg
_ESTIMATED_FORMATS = ("mpegts", "mpeg")  # FFmpeg computes their duration from the file as it is, whole or cut off
_TIME_TAG = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_OWN_TOLERANCE, _SHARED_TOLERANCE = 3.5, 1.0  # frames; further seconds where the length is that of all streams


@dataclass(frozen=True)
class VideoExtent:
    """The length that a file declares; 0 stands for one that it does not declare.

    ``frame_count`` is an estimate, ``seconds`` times the average rate, unless ``is_exact``; ``hidden_count`` is how
    many of them show nothing in a whole file: in an AVI of DivX or Xvid, one. ``is_whole`` is whether the file has all
    the bytes that its structure announces, ``None`` where that does not say. ``tolerance`` is by how many seconds a
    whole video may end before ``seconds``.
    """

    frame_count: int = 0
    is_exact: bool = False
    hidden_count: int = 0
    seconds: float = 0.0
    is_whole: bool | None = None
    tolerance: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether anything tells a whole file from one that was cut off."""
        return self.is_whole is not None or self.seconds > 0

    def ends_early(self, end: float, frame_seconds: float) -> bool:
        """Return whether a video that could be read up to ``end``, in seconds, is not all of it."""
        if self.is_whole is None:
            return self.seconds > 0 and end < self.seconds - self.tolerance
        return not self.is_whole and end < (self.seconds or float("inf")) - frame_seconds / 2


def read_extent(container: InputContainer, stream: VideoStream, path: str) -> VideoExtent:
    """Return what the file at ``path``, open as ``container``, declares of its video ``stream``."""
    rate, name = stream.average_rate or Fraction(25), container.format.name
    is_whole, is_fragmented = _check_structure(path, name)
    seconds, is_shared = _read_seconds(container, stream)
    if name in _ESTIMATED_FORMATS or (is_fragmented and is_whole is False):
        seconds = 0.0  # of the part that is there
    elif name == _AVI and stream.frames:
        seconds = float(stream.frames / rate)  # FFmpeg shortens the duration where the file is short
    is_exact = stream.frames > 0 and abs(stream.frames - seconds * float(rate)) <= 1
    tolerance = _OWN_TOLERANCE / float(rate) + (_SHARED_TOLERANCE if is_shared else 0.0)
    count = stream.frames if is_exact else round(seconds * float(rate))
    return VideoExtent(count, is_exact, int(name == _AVI), seconds, is_whole, tolerance)


def _read_seconds(container: InputContainer, stream: VideoStream) -> tuple[float, bool]:
    """Return the end of the stream in seconds, 0 if unknown, and whether it is only that of the longest stream."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base), False
    tag = _TIME_TAG.match(stream.metadata.get("DURATION", ""))
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]), False
    return max((container.duration or 0) / _DURATION_UNIT, 0.0), len(container.streams) > 1


def _check_structure(path: str, name: str) -> tuple[bool | None, bool]:
    """Return whether the file has all bytes that it announces, and whether it is an MP4 made of fragments."""
    check = _CHECKS.get(name)
    if check is None:
        return None, False
    try:
        with open(path, "rb") as file:
            return check(file, os.fstat(file.fileno()).st_size)
    except OSError:  # an address
        return None, False


def _check_mp4(file: BinaryIO, size: int) -> tuple[bool | None, bool]:
    """Follow the boxes. Without an index at the end, fragments may be missing where the last one is complete."""
    position, is_fragmented, has_index = 0, False, False
    while position < size:
        file.seek(position)
        header = file.read(16)
        length, kind = struct.unpack(">I4s", header[:8].ljust(8, b"\0"))
        if not re.fullmatch(rb"[\x20-\x7e\xa9]{4}", kind):
            return _ends_with_padding(file, size), is_fragmented
        if length == 0:
            return True, is_fragmented  # a box up to the end
        length = int.from_bytes(header[8:16], "big") if length == 1 else length
        if length < 8:
            return False, is_fragmented
        is_fragmented, has_index = is_fragmented or kind == b"moof", has_index or kind == b"mfra"
        position += length
    if position > size:
        return False, is_fragmented
    return (None if is_fragmented and not has_index else True), is_fragmented


def _ends_with_padding(file: BinaryIO, size: int) -> bool:
    """Return whether the end of the file is zeros, as some cameras leave it."""
    file.seek(max(size - 64, 0))
    return not file.read().strip(b"\0")


def _check_matroska(file: BinaryIO, size: int) -> tuple[bool | None, bool]:
    """Compare the size of the one segment, which is unknown in a live recording, with that of the file."""
    if file.read(4) != _EBML:
        return None, False
    file.seek(_read_ebml_size(file) or 0, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return None, False
    length = _read_ebml_size(file)
    return (None if length is None else file.tell() + length <= size), False


def _read_ebml_size(file: BinaryIO) -> int | None:
    """Return the number of variable length at the position; ``None`` for all ones, which stand for "unknown"."""
    first = file.read(1)
    width = 9 - (first or b"\0")[0].bit_length()  # 1 to 8 bytes; 9 for no number
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << 7 * width) - 1)
    return None if width > 8 or value == (1 << 7 * width) - 1 else value


def _check_avi(file: BinaryIO, size: int) -> tuple[bool | None, bool]:
    """Follow the RIFF chunks; a file above 1 GB has several. A recorder that was stopped leaves their size 0."""
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(8)
        if header[:4] != b"RIFF":
            return position > 0 or None, False
        length = int.from_bytes(header[4:], "little")
        if length in (0, 0xFFFFFFFF):
            return None, False
        position += 8 + length + length % 2
    return position - 1 <= size, False  # the last byte that makes the length even may be missing


def _check_transport_stream(file: BinaryIO, size: int) -> tuple[bool | None, bool]:
    """Return whether the last packet is complete, where it is not: all have one length, and nothing says how many."""
    start = file.read(2 * 192 + 1)
    for length, offset in ((188, 0), (192, 4)):
        if start[offset::length][:2] == b"\x47\x47" and size % length:
            return False, False
    return None, False


_CHECKS: dict[str, Callable[[BinaryIO, int], tuple[bool | None, bool]]] = {
    _MP4: _check_mp4,
    "matroska,webm": _check_matroska,
    _AVI: _check_avi,
    "mpegts": _check_transport_stream,
}
