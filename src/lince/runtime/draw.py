"""Pictures for people: thumbnails, heat maps over photos, and contact sheets of what a model answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lince import images

Picture = NDArray[np.uint8]
RIGHT, WRONG, PLAIN = (24, 128, 56), (190, 30, 45), (60, 60, 60)
_PAPER, _SIDE, _GAP, _TEXT = (255, 255, 255), 180, 10, 15


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
    height = _SIDE + _GAP + (_TEXT + 5) * max(len(cell.lines) for cell in cells)
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * (_SIDE + _GAP) + _GAP, rows * (height + _GAP) + _GAP), _PAPER)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        _place(sheet, cell, _GAP + column * (_SIDE + _GAP), _GAP + row * (height + _GAP))
    return np.asarray(sheet, np.uint8)


def _place(sheet: Image.Image, cell: Cell, left: int, top: int) -> None:
    picture = _within(cell.image, _SIDE, enlarge=True)
    height, width = picture.shape[:2]
    corner = (left + (_SIDE - width) // 2, top + (_SIDE - height) // 2)
    sheet.paste(Image.fromarray(picture), corner)
    pen = ImageDraw.Draw(sheet)
    colour = {True: RIGHT, False: WRONG, None: PLAIN}[cell.right]
    below = top + _SIDE + 4
    indent = 0
    if cell.right is not None:
        pen.rectangle((corner[0], corner[1], corner[0] + width - 1, corner[1] + height - 1), outline=colour, width=3)
        _mark(pen, left, below, cell.right)
        indent = _TEXT + 4
    for number, line in enumerate(cell.lines):
        room = _SIDE - (indent if number == 0 else 0)
        place = (left + (indent if number == 0 else 0), below + number * (_TEXT + 5))
        pen.text(place, _fitting(line, room), fill=colour if number == 0 else PLAIN, font=_font())


def _mark(pen: ImageDraw.ImageDraw, left: int, top: int, right: bool) -> None:
    # Drawn, not written: the built-in font has no tick.
    size = _TEXT
    if right:
        points = [(left + 1, top + size * 0.55), (left + size * 0.4, top + size * 0.9), (left + size, top + size * 0.2)]
        pen.line(points, fill=RIGHT, width=3, joint="curve")
    else:
        pen.line([(left + 2, top + 3), (left + size - 2, top + size - 1)], fill=WRONG, width=3)
        pen.line([(left + 2, top + size - 1), (left + size - 2, top + 3)], fill=WRONG, width=3)


def _fitting(text: str, room: int) -> str:
    font = _font()
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_TEXT)


def _within(image: Picture, side: int, enlarge: bool = False) -> Picture:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale == 1 or (scale > 1 and not enlarge):
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = max(height, width) <= 64
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if small else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
