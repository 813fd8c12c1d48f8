"""Pictures for people: thumbnails, heat maps over photos, and contact sheets of what a model answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import images

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
RIGHT: Colour = (24, 128, 56)
WRONG: Colour = (190, 30, 45)
PLAIN: Colour = (60, 60, 60)
_SIDE, _GAP, _TEXT, _LINE, _WEIGHT = 180, 10, 15, 20, 400


@dataclass(frozen=True)
class Cell:
    """One photo of a contact sheet: ``lines`` stand below it, the first marked as ``right`` (``None``: not known)."""

    image: Picture
    lines: tuple[str, ...]
    right: bool | None = None


def thumbnail(image: Picture, side: int) -> bytes:
    """Return ``image`` (H, W, 3) as JPEG bytes, its longer side brought down to ``side`` pixels if it is larger."""
    return images.encode_jpeg(_within(image, side))


def overlay(image: Picture, heat: NDArray[np.float32]) -> Picture:
    """Return ``image`` (H, W, 3) under a heat map of ``heat`` (h, w) in [0, 1]: where it is cold the photo is seen."""
    height, width = image.shape[:2]
    spread = np.clip(cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    colours = cv2.cvtColor(cv2.applyColorMap((255 * spread).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    share = 0.65 * np.sqrt(spread)[:, :, None]
    return np.asarray(image * (1 - share) + colours * share, np.uint8)


def contact_sheet(cells: Sequence[Cell], columns: int = 6) -> Picture:
    """Return one picture, uint8 RGB, of ``cells`` in rows of ``columns``.

    A right answer is green and ticked, a wrong one red and crossed, so that the mark does not rest on colour alone.
    """
    if not cells:
        raise ValueError("a contact sheet needs at least one photo")
    columns = min(columns, len(cells))
    height = _SIDE + _GAP + _LINE * max(len(cell.lines) for cell in cells)
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (_SIDE + _GAP) + _GAP, 3), 255, np.uint8)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        _place(sheet, cell, _GAP + column * (_SIDE + _GAP), _GAP + row * (height + _GAP))
    return sheet


def write(picture: Picture, text: str, left: int, baseline: int, colour: Colour = PLAIN) -> int:
    """Write ``text`` on ``picture``, in place, and return its width in pixels. The font is OpenCV's, with accents."""
    cv2.putText(picture, text, (left, baseline), colour, _font(), _TEXT, _WEIGHT)
    return text_width(text)


def text_width(text: str) -> int:
    """Return how many pixels wide ``text`` is written."""
    return int(cv2.getTextSize((1, 1), text, (0, 0), _font(), _TEXT, _WEIGHT)[2])


def _place(sheet: Picture, cell: Cell, left: int, top: int) -> None:
    picture = _within(cell.image, _SIDE, enlarge=True)
    height, width = picture.shape[:2]
    x, y = left + (_SIDE - width) // 2, top + (_SIDE - height) // 2
    sheet[y : y + height, x : x + width] = picture
    indent = 0
    colour = PLAIN
    if cell.right is not None:
        colour = RIGHT if cell.right else WRONG
        cv2.rectangle(sheet, (x, y), (x + width - 1, y + height - 1), colour, 3)
        _mark(sheet, left, top + _SIDE + 6, cell.right)
        indent = _TEXT + 5
    for number, line in enumerate(cell.lines):
        start = indent if number == 0 else 0
        baseline = top + _SIDE + _TEXT + 4 + number * _LINE
        write(sheet, _fitting(line, _SIDE - start), left + start, baseline, colour if number == 0 else PLAIN)


def _mark(sheet: Picture, left: int, top: int, right: bool) -> None:
    size = _TEXT - 2
    tick = [[(0, size // 2), (size // 3, size - 2), (size, 1)]]
    cross = [[(1, 1), (size - 1, size - 1)], [(1, size - 1), (size - 1, 1)]]
    strokes = [np.array([(left + x, top + y) for x, y in line], np.int32) for line in (tick if right else cross)]
    cv2.polylines(sheet, strokes, False, RIGHT if right else WRONG, 2, cv2.LINE_AA)


def _fitting(text: str, room: int) -> str:
    if text_width(text) <= room:
        return text
    while text and text_width(text + "…") > room:
        text = text[:-1]
    return text + "…"


@cache
def _font() -> Any:
    return cv2.FontFace("sans")


def _within(image: Picture, side: int, enlarge: bool = False) -> Picture:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale == 1 or (scale > 1 and not enlarge):
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = max(height, width) <= 64
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if small else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
