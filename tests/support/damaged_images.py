"""Test data: damaged image files (truncated, mutated, spliced, resized headers) and decompression bombs."""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib

import numpy as np
from PIL import Image

Random = random.Random
KINDS = ("jpeg", "png", "webp", "gif", "bmp", "tiff")
HUGE = (0, 1, 2, 4_999, 16_383, 30_000, 65_535, 2**24, 2**31 - 1, 2**32 - 1)


@functools.cache
def seeds() -> dict[str, tuple[bytes, ...]]:
    """Return small valid files of each kind, in many variants."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (24, 32, 3)).astype(np.uint8))
    alike = [Image.fromarray(rng.integers(0, 256, (24, 32, 3)).astype(np.uint8)) for _i in range(3)]
    modes = {mode: rgb.convert(mode) for mode in ("L", "1", "P", "RGBA", "CMYK", "LA")}
    wide = Image.fromarray(rng.integers(0, 65536, (24, 32)).astype(np.uint16))
    many = {"save_all": True, "append_images": alike, "duration": 10}
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "jpeg": (
            *_files("JPEG", rgb, modes["L"], modes["CMYK"]),
            _file(rgb, "JPEG", exif=exif),
            _file(rgb, "JPEG", progressive=True),
        ),
        "png": (
            *_files("PNG", rgb, wide, *(modes[mode] for mode in ("P", "RGBA", "1", "LA"))),
            _file(rgb, "PNG", **many),
            _file(rgb, "PNG", exif=exif),
        ),
        "webp": (*_files("WEBP", rgb, modes["RGBA"]), _file(rgb, "WEBP", lossless=True), _file(rgb, "WEBP", **many)),
        "gif": (*_files("GIF", modes["P"], modes["1"]), _file(rgb, "GIF", **many)),
        "bmp": _files("BMP", rgb, modes["P"], modes["1"]),
        "tiff": (
            *_files("TIFF", rgb, wide, modes["CMYK"]),
            _file(rgb, "TIFF", compression="tiff_lzw"),
            _file(modes["1"], "TIFF", compression="group4"),
            _file(rgb, "TIFF", save_all=True, append_images=alike),
        ),
    }


def _files(kind: str, *images: Image.Image) -> tuple[bytes, ...]:
    return tuple(_file(image, kind) for image in images)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def image(rng: Random) -> tuple[str, bytes, str]:
    """Return a file kind, a damaged file of that kind, and a description of the damage."""
    kind = rng.choice(KINDS)
    data = rng.choice(seeds()[kind])
    damage = rng.choice((_whole, _cut, flipped, flipped, _spliced, _resized, _resized, _repeated, _joined, _bomb))
    return kind, damage(rng, kind, data), damage.__name__.strip("_")


def _whole(_rng: Random, _kind: str, data: bytes) -> bytes:
    return data


def _cut(rng: Random, _kind: str, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def flipped(rng: Random, _kind: str, data: bytes) -> bytes:
    out = bytearray(data)
    for _i in range(rng.choice((1, 2, 8, 64))):
        # Headers matter most.
        at = rng.randrange(min(len(out), rng.choice((40, 200, len(out)))))
        out[at] = rng.choice((0, 255, 127, 128, out[at] ^ (1 << rng.randrange(8)), rng.randrange(256)))
    return bytes(out)


def _spliced(rng: Random, _kind: str, data: bytes) -> bytes:
    start, end = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
    return data[:start] + rng.randbytes(rng.choice((0, 1, 4, 100))) + data[end:]


def _repeated(rng: Random, _kind: str, data: bytes) -> bytes:
    start, end = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
    return data[:end] + data[start:end] * rng.choice((1, 5, 50)) + data[end:]


def _joined(rng: Random, _kind: str, data: bytes) -> bytes:
    other = rng.choice(seeds()[rng.choice(KINDS)])
    return data[: rng.choice((4, 12, 30, len(data)))] + other


def _resized(rng: Random, kind: str, data: bytes) -> bytes:
    """Return the file with another size in its header, often a huge one."""
    width, height = rng.choice(HUGE), rng.choice(HUGE)
    out = bytearray(data)
    if kind == "png":
        head = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
        out[12:33] = head + struct.pack(">I", zlib.crc32(head))
    elif kind == "gif":
        struct.pack_into("<HH", out, 6, width & 0xFFFF, height & 0xFFFF)
    elif kind == "bmp":
        struct.pack_into("<II", out, 18, width, height)
    elif kind == "jpeg":
        at = next((data.find(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data), 0)
        struct.pack_into(">HH", out, at + 5, height & 0xFFFF, width & 0xFFFF)
    elif kind == "webp":
        struct.pack_into("<I", out, 24, width & 0x3FFFFFFF)
    else:
        at = struct.unpack_from("<I", data, 4)[0] + 2
        struct.pack_into("<I", out, min(at + 8, len(out) - 4), width)
        struct.pack_into("<I", out, min(at + 20, len(out) - 4), height)
    return bytes(out)


def _bomb(rng: Random, _kind: str, _data: bytes) -> bytes:
    return rng.choice(bombs())[1]


@functools.cache
def bombs() -> tuple[tuple[str, bytes], ...]:
    """Return decompression bombs: well-formed small files that decode to huge images."""
    zeros = zlib.compress(bytes(30_000 * 30_000 // 8 + 30_000), 9)
    text = zlib.compress(b"a" * 50_000_000, 9)
    one = _png(16, 16, 8, 2, zlib.compress(bytes(16 * 49), 9))
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x4c\x01\x00"
    gif = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(6) + frame * 1_000 + b"\x3b"
    animated = one[:33] + _chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + one[33:]
    return (
        ("png of 30,000 x 30,000", _png(30_000, 30_000, 1, 0, zeros)),
        ("png with 50 MB of text", one[:33] + _chunk(b"zTXt", b"k\0\0" + text) + one[33:]),
        ("png with 50 MB of international text", one[:33] + _chunk(b"iTXt", b"k\0\1\0\0\0" + text) + one[33:]),
        ("png with a profile of 50 MB", one[:33] + _chunk(b"iCCP", b"k\0\0" + text) + one[33:]),
        ("png with more data than pixels", _png(16, 16, 8, 2, text)),
        ("png with two thousand million frames", animated),
        ("gif of a thousand frames of 65,535 x 65,535", gif),
        ("tiff of 60,000 x 60,000 in packed bits", _tiff(60_000, 60_000, b"\x81\x00" * 4_000)),
        ("webp of 16,383 x 16,383", _webp()),
        ("bmp of 30,000 x 30,000 in runs", _bmp(30_000, 30_000)),
    )


def _png(width: int, height: int, bits: int, colour: int, packed: bytes) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _tiff(width: int, height: int, packed: bytes) -> bytes:
    tags = (
        (256, width),
        (257, height),
        (258, 8),
        (259, 32_773),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(packed)),
    )
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + table + bytes(4)


def _webp() -> bytes:
    size = struct.pack("<IBI", 16, 0x2F, 0x0FFFFFFF)
    return b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8L" + size + bytes(11)


def _bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 4, 0, 0, 1, 1) + bytes(4)
    return b"BM" + struct.pack("<IHHI", 18 + len(head), 0, 0, 14 + len(head)) + head + b"\x00\x00\x00\x01"
