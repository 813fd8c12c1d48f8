"""Images as clients upload them: their file names made safe, and checks of format and size before decoding."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from lince import images
from lince.errors import ImageError
from lince.i18n import _
from lince.serving.settings import RequestLimits
from lince.web.http_errors import ApiError, client_error

_MAX_NAME_LENGTH = 120
_MAX_QUOTED_LENGTH = 40  # characters of a client's text in an error message
_LARGE_PIXELS = 8_000_000  # larger images are decoded one at a time, which bounds the memory in use
_LARGE_IMAGE_LOCK = threading.Lock()
# Control characters, zero-width and direction marks, line separators, surrogates and the byte order mark.
_INVISIBLE_CHARS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


@dataclass(frozen=True, eq=False)
class UploadedImage:
    """One image of a request: the client's file name, for the response only and never a path, and the file's bytes."""

    name: str
    data: bytes


def clean_file_name(name: str, number: int) -> str:
    """Return a client's file name without folders and invisible characters, 120 characters at most.

    ``image-N`` with ``number`` where nothing usable is left.

    >>> clean_file_name("C:\\\\photos\\\\a.jpg", 1)
    'a.jpg'
    """
    base_name = _INVISIBLE_CHARS.sub("", re.split(r"[/\\]", name)[-1]).strip()[-_MAX_NAME_LENGTH:]
    return base_name if base_name.strip(". ") else f"image-{number}"


def shorten_text(text: str) -> str:
    """Return the start of a client's text without invisible characters, safe to quote in an error message."""
    visible = _INVISIBLE_CHARS.sub("", text)
    return visible if len(visible) <= _MAX_QUOTED_LENGTH else f"{visible[:_MAX_QUOTED_LENGTH]}…"


def check_image(data: bytes, limits: RequestLimits) -> int:
    """Return the number of pixels of an image file, from its header alone.

    Raises ``ApiError`` when it has too many bytes or pixels (413), is no image (415), or is damaged (422).
    """
    if len(data) > limits.image_bytes:
        raise image_too_large_error(limits.image_bytes)
    if images.detect_format(data) is None:
        raise not_an_image_error()
    try:
        height, width = images.read_size(data)
    except ImageError as error:
        raise damaged_image_error(data) from error
    if height * width > limits.pixels:
        message = _("The image has {height} x {width} pixels; the maximum is {limit:,}.").format(
            height=height, width=width, limit=limits.pixels
        )
        raise client_error("too-many-pixels", message, 413)
    return height * width


@contextmanager
def guard_decoding(data: bytes, limits: RequestLimits) -> Iterator[None]:
    """Check an image file, and let its decoding happen inside the block: large images one at a time.

    Raises ``ApiError`` when it has too many bytes or pixels (413), is no image (415), or is damaged (422), also where
    the decoder says so inside the block.
    """
    is_large = check_image(data, limits) > _LARGE_PIXELS
    try:
        with _LARGE_IMAGE_LOCK if is_large else nullcontext():
            yield
    except ImageError as error:
        raise damaged_image_error(data) from error


def not_an_image_error() -> ApiError:
    """Return the 415 for bytes that are no image of a supported format; the message lists these."""
    kinds = ", ".join(images.IMAGE_FORMATS)
    return client_error("not-an-image", _("This is not an image. Expected one of: {kinds}.").format(kinds=kinds), 415)


def damaged_image_error(data: bytes) -> ApiError:
    """Return the 422 for an image that cannot be decoded; the message names its format."""
    image_format = images.detect_format(data) or ""
    return client_error("damaged-image", _("The {kind} image is truncated or damaged.").format(kind=image_format), 422)


def image_too_large_error(limit: int) -> ApiError:
    """Return the 413 for an image file of more than ``limit`` bytes."""
    return client_error("image-too-large", _("The image is larger than {limit:,} bytes.").format(limit=limit), 413)


def too_many_images_error(limit: int) -> ApiError:
    """Return the 413 for a request of more than ``limit`` images."""
    return client_error(
        "too-many-images", _("A request can contain at most {limit:,} images.").format(limit=limit), 413
    )


def no_images_error() -> ApiError:
    """Return the 422 for a request without images."""
    return client_error("no-images", _("The request contains no image."), 422)
