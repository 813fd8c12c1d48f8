"""What clients send, taken apart: photos with the names their clients gave, and the choices that go with them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lince import images
from lince.errors import ImageError
from lince.messages import _
from lince.serving.refusals import RefusedError, bad
from lince.serving.settings import Limits

OPTIONS = ("model", "top", "threshold")
_LONGEST_NAME = 120
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


@dataclass(frozen=True, eq=False)
class Sent:
    """A photo as a client sent it: the bytes of its file, and its name, which is never used as a path."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Choices:
    """What a client chose: the model's name, how many classes are told, from which score on objects are."""

    model: str | None = None
    top: int | None = None
    threshold: float | None = None

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Choices:
        """Return the choices in ``texts``, by name; raise ``RefusedError`` for a value that cannot be."""
        for name in texts:
            if name not in OPTIONS:
                raise bad("unknown-option", _("There is no option '{name}'.").format(name=short(name)), 422)
        top, threshold = texts.get("top"), texts.get("threshold")
        return cls(
            texts.get("model"),
            None if top is None else _count(top),
            None if threshold is None else _share(threshold),
        )


@dataclass(frozen=True, eq=False)
class Asked:
    """A request, understood."""

    photos: tuple[Sent, ...]
    choices: Choices


def joined(query: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the options of the address and of the body together; raise ``RefusedError`` where they contradict."""
    for name in query.keys() & fields.keys():
        if query[name] != fields[name]:
            message = _("The option '{name}' is given twice, with different values.").format(name=short(name))
            raise bad("ambiguous-option", message, 422)
    return {**query, **fields}


def clean_name(name: str, number: int) -> str:
    """Return a client's name for a photo without folders and signs that nobody sees, or ``image-N`` when none is left.

    >>> clean_name("C:\\\\photos\\\\a.jpg", 1)
    'a.jpg'
    """
    last = _UNSEEN.sub("", re.split(r"[/\\]", name)[-1]).strip()[-_LONGEST_NAME:]
    return last if last.strip(". ") else f"image-{number}"


def short(text: str) -> str:
    """Return the start of what a client wrote, fit to be shown in a message."""
    seen = _UNSEEN.sub("", text)
    return seen if len(seen) <= 40 else f"{seen[:40]}…"


def check(data: bytes, limits: Limits) -> int:
    """Return the pixels of an image, from its header alone.

    Raises ``RefusedError`` when it is not an image, is damaged, or has too many bytes or pixels.
    """
    if len(data) > limits.image_bytes:
        raise image_too_large(limits.image_bytes)
    if images.kind(data) is None:
        raise not_an_image()
    try:
        height, width = images.size(data)
    except ImageError as error:
        raise damaged(data) from error
    if height * width > limits.pixels:
        message = _("The image has {height} x {width} pixels; at most {limit:,} are taken.").format(
            height=height, width=width, limit=limits.pixels
        )
        raise bad("too-many-pixels", message, 413)
    return height * width


def not_an_image() -> RefusedError:
    """Return the refusal of bytes that are not an image."""
    kinds = ", ".join(images.KINDS)
    return bad("not-an-image", _("This is not an image. Expected one of: {kinds}.").format(kinds=kinds), 415)


def damaged(data: bytes) -> RefusedError:
    """Return the refusal of an image that cannot be read."""
    found = images.kind(data) or ""
    return bad("damaged-image", _("The {kind} image is cut off or damaged.").format(kind=found), 422)


def image_too_large(limit: int) -> RefusedError:
    """Return the refusal of an image of more than ``limit`` bytes."""
    return bad("image-too-large", _("The image is larger than {limit:,} bytes.").format(limit=limit), 413)


def too_many_images(limit: int) -> RefusedError:
    """Return the refusal of a request of more than ``limit`` images."""
    return bad("too-many-images", _("A request takes at most {limit:,} images.").format(limit=limit), 413)


def no_images() -> RefusedError:
    """Return the refusal of a request without images."""
    return bad("no-images", _("The request holds no image."), 422)


def _count(text: str) -> int:
    if not (re.fullmatch(r"[0-9]{1,6}", text) and int(text) > 0):
        raise bad("bad-option", _("'{name}' must be a whole number, 1 or more.").format(name="top"), 422)
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise bad("bad-option", _("'{name}' must be a number from 0 to 1.").format(name="threshold"), 422)
    return value
