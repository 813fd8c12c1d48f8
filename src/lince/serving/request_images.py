"""What clients send, taken apart: photos with the names their clients gave, and the choices that go with them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lince import images
from lince.errors import ImageError
from lince.i18n import _
from lince.serving.http_errors import ApiError, client_error
from lince.serving.settings import RequestLimits

OPTION_NAMES = ("model", "top", "threshold")
_MAX_NAME_LENGTH = 120
_INVISIBLE_CHARS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


@dataclass(frozen=True, eq=False)
class UploadedImage:
    """A photo as a client sent it: the bytes of its file, and its name, which is never used as a path."""

    name: str
    data: bytes


@dataclass(frozen=True)
class PredictOptions:
    """What a client chose: the model's name, how many classes are told, from which score on objects are."""

    model: str | None = None
    top: int | None = None
    threshold: float | None = None

    @classmethod
    def from_strings(cls, texts: Mapping[str, str]) -> PredictOptions:
        """Return the choices in ``texts``, by name; raise ``RefusedError`` for a value that cannot be."""
        for name in texts:
            if name not in OPTION_NAMES:
                raise client_error(
                    "unknown-option", _("There is no option '{name}'.").format(name=shorten_text(name)), 422
                )
        top, threshold = texts.get("top"), texts.get("threshold")
        return cls(
            texts.get("model"),
            None if top is None else _parse_top(top),
            None if threshold is None else _parse_threshold(threshold),
        )


@dataclass(frozen=True, eq=False)
class PredictRequest:
    """A request, understood."""

    images: tuple[UploadedImage, ...]
    options: PredictOptions


def merge_options(query: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the options of the address and of the body together; raise ``RefusedError`` where they contradict."""
    for name in query.keys() & fields.keys():
        if query[name] != fields[name]:
            message = _("The option '{name}' is given twice, with different values.").format(name=shorten_text(name))
            raise client_error("ambiguous-option", message, 422)
    return {**query, **fields}


def clean_file_name(name: str, number: int) -> str:
    """Return a client's name for a photo without folders and signs that nobody sees, or ``image-N`` when none is left.

    >>> clean_name("C:\\\\photos\\\\a.jpg", 1)
    'a.jpg'
    """
    last = _INVISIBLE_CHARS.sub("", re.split(r"[/\\]", name)[-1]).strip()[-_MAX_NAME_LENGTH:]
    return last if last.strip(". ") else f"image-{number}"


def shorten_text(text: str) -> str:
    """Return the start of what a client wrote, fit to be shown in a message."""
    seen = _INVISIBLE_CHARS.sub("", text)
    return seen if len(seen) <= 40 else f"{seen[:40]}…"


def check_image(data: bytes, limits: RequestLimits) -> int:
    """Return the pixels of an image, from its header alone.

    Raises ``RefusedError`` when it is not an image, is damaged, or has too many bytes or pixels.
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
        message = _("The image has {height} x {width} pixels; at most {limit:,} are taken.").format(
            height=height, width=width, limit=limits.pixels
        )
        raise client_error("too-many-pixels", message, 413)
    return height * width


def not_an_image_error() -> ApiError:
    """Return the refusal of bytes that are not an image."""
    kinds = ", ".join(images.IMAGE_FORMATS)
    return client_error("not-an-image", _("This is not an image. Expected one of: {kinds}.").format(kinds=kinds), 415)


def damaged_image_error(data: bytes) -> ApiError:
    """Return the refusal of an image that cannot be read."""
    found = images.detect_format(data) or ""
    return client_error("damaged-image", _("The {kind} image is cut off or damaged.").format(kind=found), 422)


def image_too_large_error(limit: int) -> ApiError:
    """Return the refusal of an image of more than ``limit`` bytes."""
    return client_error("image-too-large", _("The image is larger than {limit:,} bytes.").format(limit=limit), 413)


def too_many_images_error(limit: int) -> ApiError:
    """Return the refusal of a request of more than ``limit`` images."""
    return client_error("too-many-images", _("A request takes at most {limit:,} images.").format(limit=limit), 413)


def no_images_error() -> ApiError:
    """Return the refusal of a request without images."""
    return client_error("no-images", _("The request holds no image."), 422)


def _parse_top(text: str) -> int:
    if not (re.fullmatch(r"[0-9]{1,6}", text) and int(text) > 0):
        raise client_error("bad-option", _("'{name}' must be a whole number, 1 or more.").format(name="top"), 422)
    return int(text)


def _parse_threshold(text: str) -> float:
    try:
        value = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise client_error("bad-option", _("'{name}' must be a number from 0 to 1.").format(name="threshold"), 422)
    return value
