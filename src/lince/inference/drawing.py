"""Pictures for people: photos with what was found on them, thumbnails, heat maps, and contact sheets of answers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import Classes, Colour, Detections, get_class_colour
from lince.i18n import localise_number

Image = NDArray[np.uint8]
CORRECT_COLOUR: Colour = (24, 128, 56)
WRONG_COLOUR: Colour = (190, 30, 45)
TEXT_COLOUR: Colour = (60, 60, 60)
_CELL_SIDE, _CELL_GAP, _TEXT_HEIGHT, _LINE_HEIGHT, _REGULAR_WEIGHT, _BOLD_WEIGHT = 180, 10, 15, 20, 400, 600
_SMALL_TEXT_HEIGHT, _MIN_NAMED_SIDE = (
    12,
    14,
)  # pixels: the letters in a photo, and the side of a box that has room for a name


_TEXT_LOCK = threading.Lock()  # OpenCV mixes up letters that several threads write at one time


@dataclass(frozen=True)
class SheetCell:
    """One photo of a contact sheet: ``lines`` stand below it, the first marked as ``right`` (``None``: not known)."""

    image: Image
    lines: tuple[str, ...]
    is_correct: bool | None = None


@dataclass(frozen=True, eq=False)
class ShapeAnnotation:
    """One object to draw: its ``box`` and ``rings`` (K, 2) in pixels of the whole photo, its ``mask`` (H, W) of it.

    ``number`` chooses the colour; ``faint`` draws it thin and without its ``name``, ``sought``
    with a ring around it where it is too small to be found.
    """

    box: tuple[float, float, float, float]
    label: str = ""
    colour_index: int = 0
    polygons: Sequence[NDArray[np.float64]] = ()
    mask: NDArray[np.bool_] | None = None
    is_faint: bool = False
    is_highlighted: bool = False


def draw_shapes(image: Image, shapes: Sequence[ShapeAnnotation], size: tuple[int, int], side: int) -> Image:
    """Return ``image`` (H, W, 3) with ``shapes`` drawn on it, its longer side brought to ``side`` pixels.

    ``size`` is the (height, width) in which the shapes are given; ``image`` may be a smaller copy.
    """
    picture = _resize_to_side(image, side, enlarge=True).copy()
    scale = np.array([picture.shape[1] / max(size[1], 1), picture.shape[0] / max(size[0], 1)])
    for shape in shapes:
        _fill_shape(picture, shape, scale)
    for shape in sorted(shapes, key=lambda shape: not shape.is_faint):
        _outline_shape(picture, shape, scale)
    for shape in shapes:
        if shape.label and not shape.is_faint:
            _draw_shape_label(picture, shape, scale)
    return picture


def draw_detections(
    image: Image, detections: Detections, classes: Classes, labels: Sequence[str] | None = None
) -> Image:
    """Return ``image`` (H, W, 3) at its full size with a box around each of ``detections``, its class and its score.

    ``texts`` (K,) stand there instead where they are given. The surer of two boxes lies on top; names stay inside the
    picture and, where there is room, beside each other.
    """
    picture = image.copy()
    height, width = picture.shape[:2]
    letters = int(np.clip(min(height, width) / 36, _SMALL_TEXT_HEIGHT, 60))
    line = max(2, letters // 6)
    corners = np.rint(np.minimum(detections.boxes, [width - 1, height - 1] * 2)).astype(int)
    colours = [get_class_colour(number) for number in detections.class_ids.tolist()]
    for (left, top, right, bottom), colour in zip(corners[::-1].tolist(), colours[::-1], strict=True):
        cv2.rectangle(picture, (left, top), (right, bottom), (20, 20, 20), line + 2)
        cv2.rectangle(picture, (left, top), (right, bottom), colour, line)
    labels = _format_labels(detections, classes) if labels is None else labels
    shown = [_truncate_text(text, width - 4, letters, _BOLD_WEIGHT) for text in labels]
    tags = _place_labels(picture, corners, shown, letters)
    for (left, top, right, bottom), text, colour in reversed(list(zip(tags, shown, colours, strict=False))):
        cv2.rectangle(picture, (left, top), (right, bottom), colour, cv2.FILLED)
        _put_text(
            picture, text, (left + 2, bottom - letters // 4 - 1), _contrasting_colour(colour), letters, _BOLD_WEIGHT
        )
    return picture


def encode_thumbnail(image: Image, side: int) -> bytes:
    """Return ``image`` (H, W, 3) as JPEG bytes, its longer side brought down to ``side`` pixels if it is larger."""
    return images.encode_jpeg(_resize_to_side(image, side))


def draw_heatmap(image: Image, heatmap: NDArray[np.float32]) -> Image:
    """Return ``image`` (H, W, 3) under a heat map of ``heat`` (h, w) in [0, 1]: where it is cold the photo is seen."""
    height, width = image.shape[:2]
    spread = np.clip(cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    colours = cv2.cvtColor(cv2.applyColorMap((255 * spread).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    share = 0.65 * np.sqrt(spread)[:, :, None]
    return np.asarray(image * (1 - share) + colours * share, np.uint8)


def draw_contact_sheet(cells: Sequence[SheetCell], columns: int = 6, side: int = _CELL_SIDE) -> Image:
    """Return one picture, uint8 RGB, of ``cells`` in rows of ``columns``, each photo ``side`` pixels at most.

    A right answer is green and ticked, a wrong one red and crossed, so that the mark does not rest on colour alone.
    """
    if not cells:
        raise ValueError("a contact sheet needs at least one photo")
    columns = min(columns, len(cells))
    height = side + _CELL_GAP + _LINE_HEIGHT * max(len(cell.lines) for cell in cells)
    rows = -(-len(cells) // columns)
    sheet = np.full(
        (rows * (height + _CELL_GAP) + _CELL_GAP, columns * (side + _CELL_GAP) + _CELL_GAP, 3), 255, np.uint8
    )
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        _draw_cell(sheet, cell, (_CELL_GAP + column * (side + _CELL_GAP), _CELL_GAP + row * (height + _CELL_GAP)), side)
    return sheet


def draw_text(picture: Image, text: str, left: int, baseline: int, colour: Colour = TEXT_COLOUR) -> int:
    """Write ``text`` on ``picture``, in place, and return its width in pixels. The font is OpenCV's, with accents."""
    _put_text(picture, text, (left, baseline), colour, _TEXT_HEIGHT, _REGULAR_WEIGHT)
    return measure_text_width(text)


def measure_text_width(text: str, height: int = _TEXT_HEIGHT, weight: int = _REGULAR_WEIGHT) -> int:
    """Return how many pixels wide ``text`` is written in letters of ``height``; ``weight`` 400 is plain, 600 bold."""
    with _TEXT_LOCK:
        return int(cv2.getTextSize((1, 1), text, (0, 0), _load_font(), height, weight)[2])


def _format_labels(detections: Detections, classes: Classes) -> list[str]:
    rows = zip(detections.class_ids.tolist(), detections.scores.tolist(), strict=True)
    # The font has no narrow space.
    return [
        f"{classes.names[number]} {localise_number(f'{score:.0%}')}".replace("\u202f", " ") for number, score in rows
    ]


def _place_labels(
    picture: Image, corners: NDArray[np.int_], texts: Sequence[str], letters: int
) -> list[tuple[int, int, int, int]]:
    """Return where ``texts`` go, left, top, right, bottom: by their box, apart from those before.

    Where no place is free they stand above it. None go on a picture that is too small for letters.
    """
    height, width = picture.shape[:2]
    tall = letters + letters // 2
    if tall > height:
        return []
    taken = np.empty((0, 4), int)
    for (left, top, _right, bottom), text in zip(corners.tolist(), texts, strict=True):
        wide = measure_text_width(text, letters, _BOLD_WEIGHT) + 4
        x = max(0, min(left, width - wide))
        places = [min(max(0, y), height - tall) for y in (top - tall, top, bottom, bottom - tall)]
        tags = np.array([(x, y, x + wide, y + tall) for y in places])
        beside = np.any((tags[:, None, :2] >= taken[:, 2:]) | (tags[:, None, 2:] <= taken[:, :2]), axis=2)
        free = np.all(beside, axis=1)
        taken = np.concatenate([taken, tags[[int(np.argmax(free))]]])
    return [tuple(tag) for tag in taken.tolist()]


def _contrasting_colour(colour: Colour) -> Colour:
    """Return black or white, whichever is read better on ``colour``."""
    return (255, 255, 255) if np.dot(colour, (0.299, 0.587, 0.114)) < 140 else (0, 0, 0)


def _put_text(picture: Image, text: str, place: tuple[int, int], colour: Colour, height: int, weight: int) -> None:
    with _TEXT_LOCK:
        cv2.putText(picture, text, place, colour, _load_font(), height, weight)


def _fill_shape(picture: Image, shape: ShapeAnnotation, scale: NDArray[np.float64]) -> None:
    """Lay the shape's colour over its outline or mask, in place, so that the photo still shows."""
    if shape.mask is None and not len(shape.polygons):
        return
    inside = np.zeros(picture.shape[:2], np.uint8)
    if shape.mask is not None:
        height, width = picture.shape[:2]
        inside[:] = cv2.resize(shape.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    elif shape.polygons:
        cv2.fillPoly(inside, [np.rint(ring * scale).astype(np.int32) for ring in shape.polygons], 1)
    there = inside > 0
    picture[there] = (0.55 * picture[there] + 0.45 * np.array(get_class_colour(shape.colour_index))).astype(np.uint8)


def _outline_shape(picture: Image, shape: ShapeAnnotation, scale: NDArray[np.float64]) -> None:
    left, top, right, bottom = _scale_box(picture, shape, scale)
    if not shape.is_faint:  # a dark line below keeps the colour apart from a photo of the same colour
        cv2.rectangle(picture, (left, top), (right, bottom), (20, 20, 20), 4)
    cv2.rectangle(
        picture, (left, top), (right, bottom), get_class_colour(shape.colour_index), 1 if shape.is_faint else 2
    )
    if shape.is_highlighted and max(right - left, bottom - top) < _MIN_NAMED_SIDE:
        cv2.circle(
            picture,
            ((left + right) // 2, (top + bottom) // 2),
            2 * _MIN_NAMED_SIDE,
            get_class_colour(shape.colour_index),
            2,
        )
    rings = [np.rint(ring * scale).astype(np.int32) for ring in shape.polygons]
    cv2.polylines(picture, rings, True, get_class_colour(shape.colour_index), 1, cv2.LINE_AA)


def _draw_shape_label(picture: Image, shape: ShapeAnnotation, scale: NDArray[np.float64]) -> None:
    left, top, right, bottom = _scale_box(picture, shape, scale)
    text = _truncate_text(shape.label, picture.shape[1] - 4, _SMALL_TEXT_HEIGHT, _BOLD_WEIGHT)
    if max(right - left, bottom - top) < _MIN_NAMED_SIDE:
        return
    wide = measure_text_width(text, _SMALL_TEXT_HEIGHT, _BOLD_WEIGHT) + 4
    x = max(0, min(left - 1, picture.shape[1] - wide))
    y = top - 1 if top > _SMALL_TEXT_HEIGHT + 5 else min(top + _SMALL_TEXT_HEIGHT + 5, picture.shape[0] - 1)
    cv2.rectangle(
        picture, (x, y - _SMALL_TEXT_HEIGHT - 4), (x + wide, y), get_class_colour(shape.colour_index), cv2.FILLED
    )
    _put_text(picture, text, (x + 2, y - 3), (255, 255, 255), _SMALL_TEXT_HEIGHT, _BOLD_WEIGHT)


def _scale_box(picture: Image, shape: ShapeAnnotation, scale: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """Return the box in the picture's pixels; what lies far outside is brought to just beyond the edge."""
    height, width = picture.shape[:2]
    left, top, right, bottom = (np.array(shape.box) * [*scale, *scale]).tolist()
    across, down = np.clip([left, right], -2, width + 1), np.clip([top, bottom], -2, height + 1)
    return round(float(across[0])), round(float(down[0])), round(float(across[1])), round(float(down[1]))


def _draw_cell(sheet: Image, cell: SheetCell, corner: tuple[int, int], side: int) -> None:
    left, top = corner
    picture = _resize_to_side(cell.image, side, enlarge=True)
    height, width = picture.shape[:2]
    x, y = left + (side - width) // 2, top + (side - height) // 2
    sheet[y : y + height, x : x + width] = picture
    indent = 0
    colour = TEXT_COLOUR
    if cell.is_correct is not None:
        colour = CORRECT_COLOUR if cell.is_correct else WRONG_COLOUR
        cv2.rectangle(sheet, (x, y), (x + width - 1, y + height - 1), colour, 3)
        _draw_tick_or_cross(sheet, left, top + side + 6, cell.is_correct)
        indent = _TEXT_HEIGHT + 5
    for number, line in enumerate(cell.lines):
        start = indent if number == 0 else 0
        baseline = top + side + _TEXT_HEIGHT + 4 + number * _LINE_HEIGHT
        draw_text(
            sheet, _truncate_text(line, side - start), left + start, baseline, colour if number == 0 else TEXT_COLOUR
        )


def _draw_tick_or_cross(sheet: Image, left: int, top: int, right: bool) -> None:
    size = _TEXT_HEIGHT - 2
    tick = [[(0, size // 2), (size // 3, size - 2), (size, 1)]]
    cross = [[(1, 1), (size - 1, size - 1)], [(1, size - 1), (size - 1, 1)]]
    strokes = [np.array([(left + x, top + y) for x, y in line], np.int32) for line in (tick if right else cross)]
    cv2.polylines(sheet, strokes, False, CORRECT_COLOUR if right else WRONG_COLOUR, 2, cv2.LINE_AA)


def _truncate_text(text: str, room: int, height: int = _TEXT_HEIGHT, weight: int = _REGULAR_WEIGHT) -> str:
    if measure_text_width(text, height, weight) <= room:
        return text
    while text and measure_text_width(text + "…", height, weight) > room:
        text = text[:-1]
    return text + "…"


@cache
def _load_font() -> Any:
    return cv2.FontFace("sans")


def _resize_to_side(image: Image, side: int, enlarge: bool = False) -> Image:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale == 1 or (scale > 1 and not enlarge):
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = max(height, width) <= 64
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if small else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
