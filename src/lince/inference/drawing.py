"""Draws results on images: boxes, polygons and masks with labels, heat maps, thumbnails and contact sheets."""

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
_BORDER_COLOUR: Colour = (20, 20, 20)  # below a coloured line, so that it shows on an image of the same colour
_CELL_SIDE, _CELL_GAP, _LINE_HEIGHT = 180, 10, 20  # pixels of a contact sheet
_TEXT_HEIGHT, _SMALL_TEXT_HEIGHT = 15, 12  # pixels: the font on contact sheets, and the smallest one on images
_REGULAR_WEIGHT, _BOLD_WEIGHT = 400, 600
_MIN_LABELLED_SIDE = 14  # pixels: a smaller box gets no label from ``draw_shapes``
_TEXT_LOCK = threading.Lock()  # OpenCV mixes up letters that several threads write at one time


@dataclass(frozen=True)
class SheetCell:
    """One image of a contact sheet with ``lines`` of text below it.

    ``is_correct`` marks the first line and the frame as right or wrong; ``None`` leaves both unmarked.
    """

    image: Image
    lines: tuple[str, ...]
    is_correct: bool | None = None


@dataclass(frozen=True, eq=False)
class ShapeAnnotation:
    """One labelled object for ``draw_shapes``, in pixels of the full-size image.

    ``box`` is left, top, right, bottom; ``polygons`` are outlines (K, 2) of x, y; ``mask`` is (H, W) of the whole image
    and takes precedence over the polygons for the fill. ``colour_index`` is usually the class id. A faint shape is
    thin and has no label; a highlighted one that is too small to be noticed gets a circle around it. The truth beside a
    prediction is white.
    """

    box: tuple[float, float, float, float]
    label: str = ""
    colour_index: int = 0
    polygons: Sequence[NDArray[np.float64]] = ()
    mask: NDArray[np.bool_] | None = None
    is_faint: bool = False
    is_highlighted: bool = False
    is_truth: bool = False


def draw_shapes(image: Image, shapes: Sequence[ShapeAnnotation], size: tuple[int, int], side: int) -> Image:
    """Return a copy of ``image`` (H, W, 3) with ``shapes`` on it, resized to ``side`` pixels on its longer side.

    ``size`` is the (height, width) to which the shapes' coordinates refer; ``image`` may be a smaller copy.
    Faint shapes are drawn below the others, labels above everything.
    """
    canvas = resize_to_side(image, side, enlarge=True).copy()
    scale = np.array([canvas.shape[1] / max(size[1], 1), canvas.shape[0] / max(size[0], 1)])
    for shape in shapes:
        _fill_shape(canvas, shape, scale)
    for shape in sorted(shapes, key=lambda shape: not shape.is_faint):
        _outline_shape(canvas, shape, scale)
    _draw_shape_labels(canvas, shapes, scale)
    return canvas


def draw_detections(
    image: Image, detections: Detections, classes: Classes, labels: Sequence[str] | None = None
) -> Image:
    """Return a copy of ``image`` (H, W, 3) at full size with the boxes of ``detections`` and a label at each.

    ``labels`` (K,) replace the default text, class and score. The box with the higher score is drawn on top. Font and
    line width grow with the image. Labels stay inside the image and, where there is room, do not cover each other;
    an image lower than one label gets none.
    """
    canvas = image.copy()
    height, width = canvas.shape[:2]
    text_height = int(np.clip(min(height, width) / 36, _SMALL_TEXT_HEIGHT, 60))
    line_width = max(2, text_height // 6)
    corners = np.rint(np.minimum(detections.boxes, [width - 1, height - 1] * 2)).astype(int)
    colours = [get_class_colour(class_id) for class_id in detections.class_ids.tolist()]
    for (left, top, right, bottom), colour in zip(corners[::-1].tolist(), colours[::-1], strict=True):
        cv2.rectangle(canvas, (left, top), (right, bottom), _BORDER_COLOUR, line_width + 2)
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, line_width)
    labels = _format_labels(detections, classes) if labels is None else labels
    texts = [_truncate_text(label, width - 4, text_height, _BOLD_WEIGHT) for label in labels]
    tags = _place_labels(canvas, corners, texts, text_height)
    for (left, top, right, bottom), text, colour in reversed(list(zip(tags, texts, colours, strict=False))):
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, cv2.FILLED)
        origin = (left + 2, bottom - text_height // 4 - 1)
        _put_text(canvas, text, origin, _contrasting_colour(colour), text_height, _BOLD_WEIGHT)
    return canvas


def draw_caption(image: Image, lines: Sequence[str], colours: Sequence[Colour] = ()) -> Image:
    """Return a copy of ``image`` (H, W, 3) at full size with ``lines`` in its upper left corner, the first one bold.

    The font grows with the image; lines that are too long are cut, and those that do not fit are left out. ``colours``
    are those behind the lines, dark by default.
    """
    canvas = image.copy()
    height, width = canvas.shape[:2]
    text_height = int(np.clip(min(height, width) / 18, _SMALL_TEXT_HEIGHT, 80))
    step = text_height * 3 // 2
    for number, line in enumerate(lines):
        bottom = (number + 1) * step
        if bottom > height:
            break
        weight = _REGULAR_WEIGHT if number else _BOLD_WEIGHT
        text = _truncate_text(line, width - text_height, text_height, weight)
        right = measure_text_width(text, text_height, weight) + text_height
        colour = colours[number] if colours else _BORDER_COLOUR
        cv2.rectangle(canvas, (0, number * step), (right, bottom), colour, cv2.FILLED)
        origin = (text_height // 2, bottom - text_height // 2)
        _put_text(canvas, text, origin, _contrasting_colour(colour), text_height, weight)
    return canvas


def make_detection_shapes(detections: Detections, classes: Classes) -> list[ShapeAnnotation]:
    """Return the shapes of ``detections`` for ``draw_shapes``, labelled with class and score."""
    labels = _format_labels(detections, classes)
    return [
        ShapeAnnotation((left, top, right, bottom), label, class_id)
        for (left, top, right, bottom), label, class_id in zip(
            detections.boxes.tolist(), labels, detections.class_ids.tolist(), strict=True
        )
    ]


def encode_thumbnail(image: Image, side: int) -> bytes:
    """Return ``image`` (H, W, 3) as a JPEG file, reduced to ``side`` pixels on its longer side; never enlarged."""
    return images.encode_jpeg(resize_to_side(image, side))


def draw_heatmap(image: Image, heatmap: NDArray[np.float32]) -> Image:
    """Return ``image`` (H, W, 3) blended with ``heatmap`` (h, w) in 0..1, such as a Grad-CAM map.

    The map is resized to the image. Its opacity grows with the square root of the value up to 0.65, so that the image
    shows unchanged where the map is 0.
    """
    height, width = image.shape[:2]
    values = np.clip(cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    colours = cv2.cvtColor(cv2.applyColorMap((255 * values).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    opacity = 0.65 * np.sqrt(values)[:, :, None]
    return np.asarray(image * (1 - opacity) + colours * opacity, np.uint8)


def draw_contact_sheet(cells: Sequence[SheetCell], columns: int = 6, side: int = _CELL_SIDE) -> Image:
    """Return one image, uint8 RGB, with ``cells`` in rows of ``columns``, each fitted into ``side`` x ``side`` pixels.

    Correct cells are green with a tick, wrong ones red with a cross: the difference must not rest on colour alone.
    Lines that are too long are cut. Raises ``ValueError`` without cells.
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


def draw_text(image: Image, text: str, left: int, baseline: int, colour: Colour = TEXT_COLOUR) -> int:
    """Write ``text`` on ``image`` in place at the pixel position given and return its width in pixels.

    OpenCV's built-in "sans" font: 15 pixels high here, with accented letters.
    """
    _put_text(image, text, (left, baseline), colour, _TEXT_HEIGHT, _REGULAR_WEIGHT)
    return measure_text_width(text)


def measure_text_width(text: str, height: int = _TEXT_HEIGHT, weight: int = _REGULAR_WEIGHT) -> int:
    """Return the width of ``text`` in pixels, at a font of ``height`` pixels; ``weight`` is 400 (regular) or 600."""
    with _TEXT_LOCK:
        return int(cv2.getTextSize((1, 1), text, (0, 0), _load_font(), height, weight)[2])


def format_score(score: float) -> str:
    """Return a score in 0..1 as a whole percentage in the current language; the font has no narrow space."""
    return localise_number(f"{score:.0%}").replace("\u202f", " ")


def _format_labels(detections: Detections, classes: Classes) -> list[str]:
    """Return "class score" for each detection, such as "cat 93%"."""
    rows = zip(detections.class_ids.tolist(), detections.scores.tolist(), strict=True)
    return [f"{classes.names[class_id]} {format_score(score)}" for class_id, score in rows]


def _place_labels(
    canvas: Image, corners: NDArray[np.int_], texts: Sequence[str], text_height: int
) -> list[tuple[int, int, int, int]]:
    """Return left, top, right, bottom of the tag of each of ``texts``, next to its box in ``corners`` (K, 4).

    Tried in order: above the box, inside its top edge, below it, inside its bottom edge; the first place that covers no
    earlier tag wins, and the place above when all are taken. The result is empty where the canvas is lower than a tag.
    """
    height, width = canvas.shape[:2]
    tag_height = text_height + text_height // 2
    if tag_height > height:
        return []
    placed = np.empty((0, 4), int)
    for (left, top, _right, bottom), text in zip(corners.tolist(), texts, strict=True):
        tag_width = measure_text_width(text, text_height, _BOLD_WEIGHT) + 4
        x = max(0, min(left, width - tag_width))
        tops = [min(max(0, y), height - tag_height) for y in (top - tag_height, top, bottom, bottom - tag_height)]
        candidates = np.array([(x, y, x + tag_width, y + tag_height) for y in tops])
        apart = np.any((candidates[:, None, :2] >= placed[:, 2:]) | (candidates[:, None, 2:] <= placed[:, :2]), axis=2)
        is_free = np.all(apart, axis=1)
        placed = np.concatenate([placed, candidates[[int(np.argmax(is_free))]]])
    return [tuple(tag) for tag in placed.tolist()]


def _contrasting_colour(colour: Colour) -> Colour:
    """Return black or white, whichever is read better on ``colour`` by its luma (ITU-R BT.601)."""
    return (255, 255, 255) if np.dot(colour, (0.299, 0.587, 0.114)) < 140 else (0, 0, 0)


def _put_text(canvas: Image, text: str, origin: tuple[int, int], colour: Colour, height: int, weight: int) -> None:
    """Write ``text`` in place; ``origin`` is the left end of its baseline. Safe to call from several threads."""
    with _TEXT_LOCK:
        cv2.putText(canvas, text, origin, colour, _load_font(), height, weight)


def _fill_shape(canvas: Image, shape: ShapeAnnotation, scale: NDArray[np.float64]) -> None:
    """Blend the shape's colour into its mask or polygons at 45 %; a shape with a box alone is not filled."""
    if shape.mask is None and not len(shape.polygons):
        return
    mask = np.zeros(canvas.shape[:2], np.uint8)
    if shape.mask is not None:
        height, width = canvas.shape[:2]
        mask[:] = cv2.resize(shape.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    elif shape.polygons:
        cv2.fillPoly(mask, [np.rint(polygon * scale).astype(np.int32) for polygon in shape.polygons], 1)
    inside = mask > 0
    canvas[inside] = (0.55 * canvas[inside] + 0.45 * np.array(get_class_colour(shape.colour_index))).astype(np.uint8)


def _outline_shape(canvas: Image, shape: ShapeAnnotation, scale: NDArray[np.float64]) -> None:
    """Draw the box and the polygons' outlines, with a circle around a highlighted shape that is tiny."""
    left, top, right, bottom = _scale_box(canvas, shape, scale)
    colour = _get_shape_colour(shape)
    if not shape.is_faint:
        cv2.rectangle(canvas, (left, top), (right, bottom), _BORDER_COLOUR, 4)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, 1 if shape.is_faint else 2)
    if shape.is_highlighted and max(right - left, bottom - top) < _MIN_LABELLED_SIDE:
        centre = ((left + right) // 2, (top + bottom) // 2)
        cv2.circle(canvas, centre, 2 * _MIN_LABELLED_SIDE, colour, 2)
    polygons = [np.rint(polygon * scale).astype(np.int32) for polygon in shape.polygons]
    cv2.polylines(canvas, polygons, True, colour, 1, cv2.LINE_AA)


def _draw_shape_labels(canvas: Image, shapes: Sequence[ShapeAnnotation], scale: NDArray[np.float64]) -> None:
    """Write the labels of ``shapes`` next to their boxes, where there is room; faint shapes and tiny boxes get none."""
    labelled = [(shape, _scale_box(canvas, shape, scale)) for shape in shapes if shape.label and not shape.is_faint]
    labelled = [(shape, box) for shape, box in labelled if max(box[2] - box[0], box[3] - box[1]) >= _MIN_LABELLED_SIDE]
    if not labelled:
        return
    text_height = max(_SMALL_TEXT_HEIGHT, max(canvas.shape[:2]) // 40)
    texts = [_truncate_text(shape.label, canvas.shape[1] - 4, text_height, _BOLD_WEIGHT) for shape, _box in labelled]
    corners = np.array([box for _shape, box in labelled])
    for (shape, _box), text, tag in zip(
        labelled, texts, _place_labels(canvas, corners, texts, text_height), strict=False
    ):
        left, top, right, bottom = tag
        colour = _get_shape_colour(shape)
        cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colour, cv2.FILLED)
        origin = (left + 2, bottom - text_height // 4 - 1)
        _put_text(canvas, text, origin, _contrasting_colour(colour), text_height, _BOLD_WEIGHT)


def _get_shape_colour(shape: ShapeAnnotation) -> Colour:
    """Return the colour of the class, or white for the truth."""
    return (255, 255, 255) if shape.is_truth else get_class_colour(shape.colour_index)


def _scale_box(canvas: Image, shape: ShapeAnnotation, scale: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """Return the box in whole pixels of the canvas; coordinates far outside are clipped to 2 pixels beyond the edge."""
    height, width = canvas.shape[:2]
    left, top, right, bottom = (np.array(shape.box) * [*scale, *scale]).tolist()
    xs, ys = np.clip([left, right], -2, width + 1), np.clip([top, bottom], -2, height + 1)
    return round(float(xs[0])), round(float(ys[0])), round(float(xs[1])), round(float(ys[1]))


def _draw_cell(sheet: Image, cell: SheetCell, corner: tuple[int, int], side: int) -> None:
    """Draw one cell in place, its image centred in the square whose left, top is ``corner``."""
    left, top = corner
    thumbnail = resize_to_side(cell.image, side, enlarge=True)
    height, width = thumbnail.shape[:2]
    x, y = left + (side - width) // 2, top + (side - height) // 2
    sheet[y : y + height, x : x + width] = thumbnail
    first_indent = 0
    first_colour = TEXT_COLOUR
    if cell.is_correct is not None:
        first_colour = CORRECT_COLOUR if cell.is_correct else WRONG_COLOUR
        cv2.rectangle(sheet, (x, y), (x + width - 1, y + height - 1), first_colour, 3)
        _draw_tick_or_cross(sheet, left, top + side + 6, cell.is_correct)
        first_indent = _TEXT_HEIGHT + 5
    for number, line in enumerate(cell.lines):
        indent, colour = (first_indent, first_colour) if number == 0 else (0, TEXT_COLOUR)
        baseline = top + side + _TEXT_HEIGHT + 4 + number * _LINE_HEIGHT
        draw_text(sheet, _truncate_text(line, side - indent), left + indent, baseline, colour)


def _draw_tick_or_cross(sheet: Image, left: int, top: int, is_correct: bool) -> None:
    size = _TEXT_HEIGHT - 2
    tick = [[(0, size // 2), (size // 3, size - 2), (size, 1)]]
    cross = [[(1, 1), (size - 1, size - 1)], [(1, size - 1), (size - 1, 1)]]
    strokes = [np.array([(left + x, top + y) for x, y in line], np.int32) for line in (tick if is_correct else cross)]
    cv2.polylines(sheet, strokes, False, CORRECT_COLOUR if is_correct else WRONG_COLOUR, 2, cv2.LINE_AA)


def _truncate_text(text: str, max_width: int, height: int = _TEXT_HEIGHT, weight: int = _REGULAR_WEIGHT) -> str:
    """Return ``text``, cut with an ellipsis where it is wider than ``max_width`` pixels."""
    if measure_text_width(text, height, weight) <= max_width:
        return text
    while text and measure_text_width(text + "…", height, weight) > max_width:
        text = text[:-1]
    return text + "…"


@cache
def _load_font() -> Any:
    return cv2.FontFace("sans")


def resize_to_side(image: Image, side: int, enlarge: bool = False) -> Image:
    """Return ``image`` with its longer side at ``side`` pixels; a smaller one only grows with ``enlarge``.

    Reduced by area averaging; enlarged without interpolation up to 64 pixels, so that small digits keep their pixels.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale == 1 or (scale > 1 and not enlarge):
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    is_tiny = max(height, width) <= 64
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if is_tiny else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
