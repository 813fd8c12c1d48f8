"""Decodes images: the bytes of a file become upright uint8 RGB, or an ``ImageError`` that says why not.

OpenCV decodes ordinary JPEGs (fast, and at reduced size while decoding); Pillow decodes everything else. All images
that lince reads pass through this module. An image is uint8 RGB (H, W, 3), C-contiguous, with the orientation of its
Exif tag applied.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
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
from lince.fileio import open_plain_file
from lince.i18n import _
from lince.jpeg_header import JpegHeader, parse_jpeg_header
from lince.phone_photos import (
    READS_PHONE_PHOTOS,
    detect_phone_format,
    get_phone_photo_remedy,
    open_avif,
    open_heif,
)

Array = NDArray[np.uint8]
JPEG_SUFFIXES = (".jpg", ".jpeg")
HEADER_BYTES = 32  # first bytes of a file, from which ``detect_format`` tells its format
MAX_PIXELS = 178_000_000  # about twice Pillow's limit for a warning
_STRIP_PIXELS = 1 << 20  # pixels converted at a time
_REDUCTION_FLAGS = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}  # of OpenCV, by the factor of ``JpegHeader.find_reduction``
_PILLOW_READERS: dict[str, Callable[[io.BytesIO, str], ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
}
if READS_PHONE_PHOTOS:  # an extra of its own; both kinds come from phones and their programs
    _PILLOW_READERS |= {"heif": open_heif, "avif": open_avif}
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
# What Pillow's readers raise on damaged bytes, as observed when mutating real files.
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
    """Return the image format of ``data`` (a file or its first 32 bytes) by its magic bytes, or ``None``.

    The result is one of ``IMAGE_FORMATS``; file names are not considered.
    """
    if data[:4] == b"RIFF":
        return "webp" if data[8:12] == b"WEBP" else None
    if data[4:8] == b"ftyp":
        name = detect_phone_format(data)
        return name if name in _PILLOW_READERS else None
    if data[:2] == b"BM":
        return "bmp" if data[14:18] in _BMP_HEADERS else None
    return next((name for start, name in _MAGIC_BYTES if data.startswith(start)), None)


def decode_image(data: bytes, min_size: tuple[int, int] | None = None) -> Array:
    """Return the image in ``data`` as upright uint8 RGB (H, W, 3), C-contiguous.

    With ``min_size`` = (height, width) a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as neither side
    falls below it. Transparent images are composited on white, 16 bits are reduced to 8, and of several frames the
    first is used. Raises ``ImageError`` when the image cannot be read, is truncated, or has more pixels than
    ``LINCE_MAX_PIXELS``.
    """
    image_format = _require_known_format(data)
    if image_format == "jpeg":
        header = parse_jpeg_header(data)
        if header is not None:
            check_pixel_count(header.height, header.width)
            image = _decode_jpeg(data, header, min_size)
            if image is not None:
                return image
    return _decode_with_pillow(data, image_format)


def decode_image_for_sizes(data: bytes, min_sizes: Sequence[tuple[int, int]]) -> list[Array]:
    """Return the image as ``decode_image`` gives it for each of ``min_sizes``, decoded once where these are equal."""
    header = parse_jpeg_header(data) if detect_format(data) == "jpeg" else None
    reductions = [1 if header is None else header.find_reduction(size) for size in min_sizes]
    sizes = dict(zip(reductions, min_sizes, strict=True))
    images = {reduction: decode_image(data, size) for reduction, size in sizes.items()}
    return [images[reduction] for reduction in reductions]


def read_image(path: str | os.PathLike[str], min_size: tuple[int, int] | None = None) -> Array:
    """Return the image file at ``path`` as ``decode_image`` does; the message of an ``ImageError`` names the path."""
    data = read_bytes(path)
    try:
        return decode_image(data, min_size)
    except ImageError as error:
        raise ImageError(f"{os.fspath(path)}: {error.problem}", error.expected, error.remedy) from error


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the content of the file at ``path``; raise ``ImageError`` when it cannot be read."""
    try:
        with open_plain_file(path) as stream:
            return stream.read()
    except FileNotFoundError as error:
        raise ImageError(_("{path} does not exist.").format(path=path)) from error
    except IsADirectoryError as error:
        raise ImageError(_("{path} is a folder.").format(path=path), _("Expected an image file.")) from error
    except OSError as error:
        raise ImageError(_("{path} cannot be read: {error}.").format(path=path, error=error.strerror)) from error


def read_size(data: bytes) -> tuple[int, int]:
    """Return the (height, width) of the image in ``data`` as ``decode_image`` gives it, without decoding pixels.

    Raises ``ImageError`` when it is no image or its header is damaged.
    """
    image_format = _require_known_format(data)
    header = parse_jpeg_header(data) if image_format == "jpeg" else None
    if header is not None:
        return header.upright_size
    try:
        with _PILLOW_READERS[image_format](io.BytesIO(data), "") as image:
            width, height = image.size
            # Pillow applies the orientation of TIFFs itself.
            is_sideways = image_format != "tiff" and _pillow_orientation(image, data) in exif.SIDEWAYS_ORIENTATIONS
    except DECODE_ERRORS as error:
        raise _unreadable_error(image_format, error) from error
    return (width, height) if is_sideways else (height, width)


def read_orientation(data: bytes) -> int:
    """Return the Exif orientation, 1 to 8, of the image in ``data``; 1 where it has none or cannot be read.

    From 5 on, the stored pixels are rotated by 90 degrees; ``decode_image`` and ``read_size`` give them upright. TIFFs
    give 1, because Pillow applies their orientation while decoding.
    """
    image_format = detect_format(data)
    if image_format is None or image_format == "tiff":  # Pillow applies the orientation of TIFFs itself
        return 1
    header = parse_jpeg_header(data) if image_format == "jpeg" else None
    if header is not None:
        return header.orientation
    try:
        with _PILLOW_READERS[image_format](io.BytesIO(data), "") as image:
            return _pillow_orientation(image, data)
    except DECODE_ERRORS:
        return 1


def read_geometry(data: bytes) -> tuple[tuple[int, int], int]:
    """Return what ``read_size`` and ``read_orientation`` give; the header of a JPEG is parsed once."""
    header = parse_jpeg_header(data) if detect_format(data) == "jpeg" else None
    if header is not None:
        return header.upright_size, header.orientation
    return read_size(data), read_orientation(data)


def from_pillow(image: Image.Image) -> Array:
    """Return an image of Pillow as ``decode_image`` would decode its file: upright uint8 RGB (H, W, 3), on white.

    Raises ``ImageError`` when it cannot be read or has too many pixels.
    """
    check_pixel_count(image.height, image.width)
    try:
        image.load()
        return _apply_orientation(_pillow_to_rgb(image), _pillow_orientation(image, b""))
    except DECODE_ERRORS as error:
        raise _unreadable_error(image.format or image.mode, error) from error


def array_to_rgb(array: NDArray[Any]) -> Array:
    """Return a uint8 ``array`` of grey (H, W) or (H, W, 1), RGB or RGBA pixels as uint8 RGB (H, W, 3).

    RGBA is composited on white; an RGB array is returned as it is, not copied. Raises ``ImageError`` for another shape
    or dtype, and for an empty array.
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise ImageError(
            _("An array of {kind} {shape} is not an image.").format(kind=array.dtype, shape=array.shape),
            _("Expected uint8: grey (height, width), RGB (height, width, 3) or RGBA (height, width, 4)."),
        )
    if channels == 4:
        return _composite_on_white(Image.fromarray(np.ascontiguousarray(array)))
    return array if channels == 3 else np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)


def to_pillow(image: Array) -> Image.Image:
    """Return uint8 RGB (H, W, 3) as an image of Pillow."""
    return Image.fromarray(image)


def encode_jpeg(image: Array, quality: int = 90) -> bytes:
    """Return uint8 RGB (H, W, 3) as the bytes of a JPEG file; ``quality`` is in 1..100."""
    return _encode_with_opencv(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: Array) -> bytes:
    """Return uint8 RGB (H, W, 3), or RGBA (H, W, 4), as the bytes of a PNG file."""
    return _encode_with_opencv(image, ".png", [], (3, 4))


def encode_by_suffix(image: Array, suffix: str) -> bytes:
    """Return uint8 RGB (H, W, 3) as a JPEG file for a ``suffix`` in ``JPEG_SUFFIXES`` (any case), else as PNG."""
    return encode_jpeg(image) if suffix.lower() in JPEG_SUFFIXES else encode_png(image)


def _encode_with_opencv(image: Array, suffix: str, options: list[int], channels: tuple[int, ...] = (3,)) -> bytes:
    """Return ``image`` encoded in the format of ``suffix``; ``ValueError`` unless it is uint8 with ``channels``."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in channels:
        raise ValueError(f"an image must be uint8 (H, W, 3), not {image.dtype} {image.shape}")
    bgr = image[:, :, ::-1] if image.shape[2] == 3 else image[:, :, [2, 1, 0, 3]]
    succeeded, data = cv2.imencode(suffix, bgr, options)
    if not succeeded:
        raise ValueError(f"an image of shape {image.shape} cannot be written as {suffix}")
    return data.tobytes()


def _require_known_format(data: bytes) -> str:
    """Return the format of ``data``; raise ``ImageError`` if it is none of ``IMAGE_FORMATS``."""
    image_format = detect_format(data)
    if image_format is not None:
        return image_format
    if name := detect_phone_format(data):
        raise ImageError(
            _("This is a photo in the format {name}.").format(name={"heif": "HEIC", "avif": "AVIF"}[name]),
            _("Expected the content of one of: {kinds}.").format(kinds=", ".join(IMAGE_FORMATS)),
            get_phone_photo_remedy(),
        )
    problem = _("The file is empty.") if not data else _("This is not an image.")
    raise ImageError(problem, _("Expected the content of one of: {kinds}.").format(kinds=", ".join(IMAGE_FORMATS)))


def check_pixel_count(height: int, width: int) -> None:
    """Raise ``ImageError`` for an image with more pixels than ``LINCE_MAX_PIXELS`` (default 178 million).

    It guards against decompression bombs, whose header is small and whose pixels fill the memory.
    """
    limit = _max_pixels()
    if height * width > limit:
        raise ImageError(
            _("The image has {height} x {width} pixels.").format(height=height, width=width),
            _("Expected at most {limit} pixels; more may be an attack.").format(limit=limit),
            _("If you trust it, set LINCE_MAX_PIXELS to a larger number."),
        )


def _max_pixels() -> int:
    """Return ``LINCE_MAX_PIXELS`` or the default; raise ``UsageError`` if it is not a whole number."""
    text = os.environ.get("LINCE_MAX_PIXELS")
    if not text:
        return MAX_PIXELS
    if not text.isdecimal():
        raise UsageError(_("LINCE_MAX_PIXELS cannot be '{text}'.").format(text=text), _("Expected a whole number."))
    return int(text)


def _unreadable_error(image_format: str, error: BaseException) -> ImageError:
    """Return the ``ImageError`` for ``error``, raised while decoding."""
    return ImageError(
        _("The {kind} image is truncated or damaged: {error}.").format(kind=image_format, error=str(error).rstrip(".")),
        "",
        _("Open it in an image editor and save it again, or remove it."),
    )


# JPEG: OpenCV decodes the pixels.


def _decode_jpeg(data: bytes, header: JpegHeader, min_size: tuple[int, int] | None) -> Array | None:
    """Return the decoded image; ``None`` where OpenCV would fail or err: CMYK, 12 bits, truncated files."""
    if header.components not in (1, 3) or header.bits != 8 or data.find(b"\xff\xd9", header.scan_offset) < 0:
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | _REDUCTION_FLAGS[header.find_reduction(min_size)]
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return None if image is None else _apply_orientation(np.asarray(image, np.uint8), header.orientation)


def _apply_orientation(image: Array, orientation: int) -> Array:
    """Return ``image`` as stored, made upright by its Exif ``orientation`` (Exif 2.3, table 6)."""
    if orientation in exif.SIDEWAYS_ORIENTATIONS:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


# All other formats: Pillow.


def _decode_with_pillow(data: bytes, image_format: str) -> Array:
    """Return the image in ``data``, of the format ``image_format``, decoded by Pillow."""
    try:
        with _PILLOW_READERS[image_format](io.BytesIO(data), "") as image:
            check_pixel_count(image.height, image.width)
            image.load()
            return _apply_orientation(_pillow_to_rgb(image), _pillow_orientation(image, data))
    except DECODE_ERRORS as error:
        raise _unreadable_error(image_format, error) from error


def _pillow_orientation(image: Image.Image, data: bytes) -> int:
    """Return the Exif orientation of ``image``, whose file is ``data``; 1 where it has none or it is damaged."""
    try:
        block = exif.extract_png_exif(data) if isinstance(image, PngImagePlugin.PngImageFile) else None
        if block is not None:
            image.info["exif"] = b"Exif\0\0" + block
        # PngImageFile.getexif would decode all pixels, to reach a chunk that may follow them.
        value: Any = Image.Image.getexif(image).get(exif.ORIENTATION_TAG, 1)
    except DECODE_ERRORS:
        return 1  # damaged metadata does not make the image unreadable
    return value if value in range(1, 9) else 1


def _pillow_to_rgb(image: Image.Image) -> Array:
    """Return the pixels of ``image`` as uint8 RGB (H, W, 3), converted in strips to save memory on large images."""
    if image.mode in ("I", "F"):
        raise ValueError(_("32-bit pixels have no standard value range; save it with 8 or 16 bits"))
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // max(1, width))
    if rows >= height:
        return _strip_to_rgb(image)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        pixels[top:bottom] = _strip_to_rgb(image.crop((0, top, width, bottom)))
    return pixels


def _strip_to_rgb(image: Image.Image) -> Array:
    """Return ``image`` as uint8 RGB (H, W, 3); 16 bits are scaled to 8 with rounding."""
    if image.mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((samples * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        return _composite_on_white(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"), np.uint8)


def _composite_on_white(image: Image.Image) -> Array:
    """Return the RGBA ``image`` over a white background, uint8 RGB (H, W, 3)."""
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"), np.uint8)
