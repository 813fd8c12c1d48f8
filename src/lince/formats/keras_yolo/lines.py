"""Parses the lines of keras-yolo3's lists: ``my photo.jpg 10,20,40,60,0 50,20,80,60,1``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lince.formats.builders.object_table import Box
from lince.i18n import _
from lince.storage.scan import looks_like_image

_WORD = re.compile(r"\S+")
_BOX_WORD = re.compile(r"(?:-?\d+(?:\.\d+)?,){4}\d+")
_MAX_SHOWN = 40


@dataclass(frozen=True)
class ListLine:
    """A line: what it calls its image, and the words after that, one for each object."""

    image_reference: str
    words: tuple[str, ...]


class WordError(ValueError):
    """A word that is no object; ``reason`` says why, ``kind`` is that of the rejection."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


def parse_line(line: str) -> ListLine | None:
    """Return the parts of ``line``; ``None`` when it names no image.

    The name may have spaces: it ends with the last word that ends as an image's does.
    """
    words = list(_WORD.finditer(line))
    ends = [i for i, word in enumerate(words) if looks_like_image(word.group())]
    if not ends:
        return None
    last = ends[-1]
    return ListLine(line[: words[last].end()].strip(), tuple(word.group() for word in words[last + 1 :]))


def is_list_line(line: str) -> bool:
    """Whether ``line`` is an image with one or more objects, all well-formed."""
    parts = parse_line(line)
    return parts is not None and bool(parts.words) and all(map(_BOX_WORD.fullmatch, parts.words))


def parse_word(word: str) -> tuple[Box, int]:
    """Return (left, top, right, bottom) in pixels and the number of the class; raise ``WordError`` for other words."""
    cells = word.split(",")
    if len(cells) != 5:
        reason = _("{found} numbers instead of {expected}: {text}").format(
            found=len(cells), expected=5, text=word[:_MAX_SHOWN]
        )
        raise WordError(reason, "row")
    try:
        left, top, right, bottom = map(float, cells[:4])
        class_id = int(cells[4])
    except ValueError:
        raise WordError(_("not a number: {text}").format(text=word[:_MAX_SHOWN]), "number") from None
    if class_id < 0 or "_" in word:
        raise WordError(_("not a number: {text}").format(text=word[:_MAX_SHOWN]), "number")
    return (left, top, right, bottom), class_id
