"""The only decoder: the bytes of a photo of any usual kind become upright uint8 RGB, or an error that says why not.

OpenCV decodes ordinary JPEGs (fast, and scaled down while decoding); Pillow decodes everything else.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from lince import exif
from lince.errors import ImageError, UsageError
from lince.i18n import _

Array = NDArray[np.uint8]
HEADER_BYTES = 32  # bytes that tell the kind of a file
MAX_PIXELS = 178_000_000
_STRIP_PIXELS = 1 << 20  # pixels that are converted at one time
_SIDEWAYS_ORIENTATIONS = (5, 6, 7, 8)
_PILLOW_READERS: dict[str, Callable[[io.BytesIO, str], ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
}
IMAGE_FORMATS = tuple(_PILLOW_READERS)
_MAGIC_BYTES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)
_BMP_HEADERS = tuple(struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124))
# What Pillow's readers raise on broken bytes, as met when mutating real files.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    Warning,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def detect_format(data: bytes) -> str | None:
    """Return the kind of image that ``data`` (a file, or its first 32 bytes) holds, by content; ``None`` if none."""
    if data[:4] == b"RIFF":
        return "webp" if data[8:12] == b"WEBP" else None
    if data[:2] == b"BM":
        return "bmp" if data[14:18] in _BMP_HEADERS else None
    return next((name for start, name in _MAGIC_BYTES if data.startswith(start)), None)


def decode_image(data: bytes, at_least: tuple[int, int] | None = None) -> Array:
    """Return the image in ``data`` as upright uint8 RGB (H, W, 3), C-contiguous.

    With ``at_least`` = (height, width) a JPEG may come back at a half, a quarter or an eighth of its size, as long as
    neither side falls below it. Transparent images are laid on white, 16 bits become 8, of several frames the first
    is taken. Raise ``ImageError`` when it cannot be read, is cut off, or has more pixels than ``LINCE_MAX_PIXELS``.
    """
    found = _require_known_format(data)
    if found == "jpeg":
        header = _parse_jpeg_header(data)
        if header is not None:
            check_pixel_count(header.height, header.width)
            image = _decode_jpeg(data, header, at_least)
            if image is not None:
                return image
    return _decode_with_pillow(data, found)


def read_image(path: str | os.PathLike[str], at_least: tuple[int, int] | None = None) -> Array:
    """Return the image file at ``path`` as ``decode`` does; errors name the path."""
    data = read_bytes(path)
    try:
        return decode_image(data, at_least)
    except ImageError as error:
        raise ImageError(f"{os.fspath(path)}: {error.problem}", error.expected, error.remedy) from error


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the content of the file at ``path``; raise ``ImageError`` when that cannot be done."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise ImageError(_("{path} does not exist.").format(path=path)) from error
    except IsADirectoryError as error:
        raise ImageError(_("{path} is a folder.").format(path=path), _("Expected an image file.")) from error
    except OSError as error:
        raise ImageError(_("{path} cannot be read: {error}.").format(path=path, error=error.strerror)) from error


def read_size(data: bytes) -> tuple[int, int]:
    """Return the (height, width) that ``decode`` gives, from the header alone."""
    found = _require_known_format(data)
    header = _parse_jpeg_header(data) if found == "jpeg" else None
    if header is not None:
        return header.upright_size
    try:
        with _PILLOW_READERS[found](io.BytesIO(data), "") as image:
            width, height = image.size
            # Pillow turns TIFFs by itself.
            sideways = found != "tiff" and _pillow_orientation(image, data) in _SIDEWAYS_ORIENTATIONS
    except DECODE_ERRORS as error:
        raise _unreadable_error(found, error) from error
    return (width, height) if sideways else (height, width)


def read_orientation(data: bytes) -> int:
    """Return how the camera was held, 1 to 8 as Exif numbers it; 1 when nothing usable is said.

    From 5 on, the pixels as stored lie on their side: ``decode`` and ``size`` give them upright.
    """
    found = detect_format(data)
    if found is None or found == "tiff":  # Pillow turns TIFFs by itself
        return 1
    header = _parse_jpeg_header(data) if found == "jpeg" else None
    if header is not None:
        return header.orientation
    try:
        with _PILLOW_READERS[found](io.BytesIO(data), "") as image:
            return _pillow_orientation(image, data)
    except DECODE_ERRORS:
        return 1


def from_pillow(image: Image.Image) -> Array:
    """Return a picture of Pillow as ``decode`` returns its file: upright uint8 RGB (H, W, 3), laid on white.

    Raise ``ImageError`` when it cannot be read or has too many pixels.
    """
    check_pixel_count(image.height, image.width)
    try:
        image.load()
        return _apply_orientation(_pillow_to_rgb(image), _pillow_orientation(image, b""))
    except DECODE_ERRORS as error:
        raise _unreadable_error(image.format or image.mode, error) from error


def array_to_rgb(array: NDArray[Any]) -> Array:
    """Return an array of pixels, uint8 grey (H, W) or (H, W, 1), RGB or RGBA, as uint8 RGB (H, W, 3).

    Transparent pixels are laid on white. Raise ``ImageError`` when it is none of these.
    """
    depth = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or depth not in (1, 3, 4) or not array.size:
        raise ImageError(
            _("An array of {kind} {shape} is no image.").format(kind=array.dtype, shape=array.shape),
            _("Expected uint8: grey (height, width), RGB (height, width, 3) or RGBA (height, width, 4)."),
        )
    if depth == 4:
        return _composite_on_white(Image.fromarray(np.ascontiguousarray(array)))
    return array if depth == 3 else np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)


def to_pillow(image: Array) -> Image.Image:
    """Return uint8 RGB (H, W, 3) as a picture of Pillow."""
    return Image.fromarray(image)


def encode_jpeg(image: Array, quality: int = 90) -> bytes:
    """Return uint8 RGB (H, W, 3) as a JPEG file; ``quality`` from 1 to 100."""
    return _encode_with_opencv(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: Array) -> bytes:
    """Return uint8 RGB (H, W, 3) as a PNG file."""
    return _encode_with_opencv(image, ".png", [])


def _encode_with_opencv(image: Array, ending: str, options: list[int]) -> bytes:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"an image must be uint8 (H, W, 3), not {image.dtype} {image.shape}")
    done, data = cv2.imencode(ending, image[:, :, ::-1], options)
    if not done:
        raise ValueError(f"an image of shape {image.shape} cannot be written as {ending}")
    return data.tobytes()


def _require_known_format(data: bytes) -> str:
    found = detect_format(data)
    if found is not None:
        return found
    what = _("The file is empty.") if not data else _("This is not an image.")
    raise ImageError(what, _("Expected the content of one of: {kinds}.").format(kinds=", ".join(IMAGE_FORMATS)))


def check_pixel_count(height: int, width: int) -> None:
    """Raise ``ImageError`` for an image of more pixels than are decoded."""
    limit = _max_pixels()
    if height * width > limit:
        raise ImageError(
            _("The image has {height} x {width} pixels.").format(height=height, width=width),
            _("Expected at most {limit} pixels; more may be an attack.").format(limit=limit),
            _("If you trust it, set LINCE_MAX_PIXELS to a larger number."),
        )


def _max_pixels() -> int:
    text = os.environ.get("LINCE_MAX_PIXELS")
    if not text:
        return MAX_PIXELS
    if not text.isdecimal():
        raise UsageError(_("LINCE_MAX_PIXELS cannot be '{text}'.").format(text=text), _("Expected a whole number."))
    return int(text)


def _unreadable_error(found: str, error: BaseException) -> ImageError:
    return ImageError(
        _("The {kind} image is cut off or damaged: {error}.").format(kind=found, error=str(error).rstrip(".")),
        "",
        _("Open it in a photo program and save it again, or remove it."),
    )


# JPEG: the header read here, the pixels by OpenCV.


@dataclass(frozen=True)
class _JpegHeader:
    height: int
    width: int
    components: int
    bits: int
    orientation: int
    scan_offset: int  # where the compressed data starts

    @property
    def upright_size(self) -> tuple[int, int]:
        sideways = self.orientation in _SIDEWAYS_ORIENTATIONS
        return (self.width, self.height) if sideways else (self.height, self.width)


def _parse_jpeg_header(data: bytes) -> _JpegHeader | None:
    frame: tuple[int, int, int, int] | None = None
    orientation = 1
    for marker, start, end in _iterate_jpeg_segments(data):
        if marker == 0xE1 and orientation == 1 and data[start : start + 6] == b"Exif\0\0":
            orientation = exif.parse_orientation(data[start + 6 : end])
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and end - start >= 6:
            frame = struct.unpack_from(">BHHB", data, start)
        elif marker == 0xDA and frame:
            bits, height, width, components = frame
            return _JpegHeader(height, width, components, bits, orientation, end) if height and width else None
    return None


def _iterate_jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment up to the first scan; stop where the chain breaks."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or end < at + 4:
            return
        yield marker, at + 4, end
        if marker == 0xDA:
            return
        at = end


def _decode_jpeg(data: bytes, header: _JpegHeader, at_least: tuple[int, int] | None) -> Array | None:
    """Return the decoded image, or ``None`` where OpenCV is not the one to ask: CMYK, cut off, rare variants."""
    if header.components not in (1, 3) or header.bits != 8 or data.find(b"\xff\xd9", header.scan_offset) < 0:
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | _jpeg_reduction_flag(header.upright_size, at_least)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return None if image is None else _apply_orientation(np.asarray(image, np.uint8), header.orientation)


def _jpeg_reduction_flag(upright: tuple[int, int], at_least: tuple[int, int] | None) -> int:
    """Return OpenCV's flag for the strongest reduction that keeps both sides large enough."""
    if at_least is None:
        return 0
    scales = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2}
    for scale, flag in scales.items():
        if upright[0] // scale >= at_least[0] and upright[1] // scale >= at_least[1]:
            return flag
    return 0


def _apply_orientation(image: Array, orientation: int) -> Array:
    """Return ``image`` upright: the Exif orientation says how the camera was held (Exif 2.3, table 6)."""
    if orientation in _SIDEWAYS_ORIENTATIONS:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


# Everything else: Pillow.


def _decode_with_pillow(data: bytes, found: str) -> Array:
    try:
        with _PILLOW_READERS[found](io.BytesIO(data), "") as image:
            check_pixel_count(image.height, image.width)
            image.load()
            return _apply_orientation(_pillow_to_rgb(image), _pillow_orientation(image, data))
    except DECODE_ERRORS as error:
        raise _unreadable_error(found, error) from error


def _pillow_orientation(image: Image.Image, data: bytes) -> int:
    try:
        block = exif.extract_png_exif(data) if isinstance(image, PngImagePlugin.PngImageFile) else None
        if block is not None:
            image.info["exif"] = b"Exif\0\0" + block
        # Not the PNG's own getexif: it decodes all pixels, to reach what may be written behind them.
        value: Any = Image.Image.getexif(image).get(exif.ORIENTATION_TAG, 1)
    except DECODE_ERRORS:
        return 1  # broken notes about the photo do not make the photo unreadable
    return value if value in range(1, 9) else 1


def _pillow_to_rgb(image: Image.Image) -> Array:
    """Return the pixels of ``image`` as uint8 RGB (H, W, 3), converted strip by strip: large ones need no copies."""
    if image.mode in ("I", "F"):
        raise ValueError(_("pixels of 32 bits have no agreed black and white; save it with 8 or 16 bits"))
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // max(1, width))
    if rows >= height:
        return _strip_to_rgb(image)
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        out[top:bottom] = _strip_to_rgb(image.crop((0, top, width, bottom)))
    return out


def _strip_to_rgb(image: Image.Image) -> Array:
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        return _composite_on_white(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"), np.uint8)


def _composite_on_white(image: Image.Image) -> Array:
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"), np.uint8)
