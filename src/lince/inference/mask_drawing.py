"""Draws areas on images: class maps and masks as transparent colours with outlines, legends, and cut-outs.

For every task whose results cover pixels: it knows arrays, not results.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.annotations import get_class_colour
from lince.inference import drawing

Image = NDArray[np.uint8]
OPACITY = 0.45  # of a colour over the image
_PIXELS_PER_LINE_WIDTH = 300  # of the shorter side of an image, for each pixel of the width of an outline
_STRIP_PIXELS = 2**20  # that are blended at a time


def make_colour_table() -> Image:
    """Return the colour of each value of a class map, uint8 (256, 3): 0 is black, ``v`` has that of class ``v - 1``."""
    return np.array([(0, 0, 0), *(get_class_colour(value) for value in range(255))], np.uint8)


def draw_class_map(image: Image, class_map: NDArray[np.uint8], opacity: float = OPACITY) -> Image:
    """Return a copy of ``image``, uint8 RGB (H, W, 3), with the classes of ``class_map`` (H, W) as colours over it.

    Pixels with 0 stay as they are. ``opacity`` is in 0..1; the edge of each area is drawn in its full colour.
    """
    canvas = image.copy()
    table = make_colour_table()
    step = max(1, _STRIP_PIXELS // class_map.shape[1])
    is_edge = find_edges(class_map, measure_line_width(image))
    for top in range(0, len(class_map), step):
        rows = np.s_[top : top + step]
        values, strip = class_map[rows], canvas[rows]
        if values.any():
            colours = table[values]
            blended = np.asarray(cv2.addWeighted(strip, 1 - opacity, colours, opacity, 0), np.uint8)
            np.copyto(strip, blended, where=(values > 0)[:, :, None])
            np.copyto(strip, colours, where=is_edge[rows][:, :, None])
    return canvas


def find_edges(class_map: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """Return bool (H, W): the pixels with a value other than 0 up to ``width`` pixels from one with another value."""
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    differs = cv2.dilate(class_map, kernel) != cv2.erode(class_map, kernel)
    return np.asarray(differs & (class_map > 0))


def measure_line_width(image: Image) -> int:
    """Return the width in pixels of outlines on ``image`` (H, W, 3), at least 1."""
    return max(1, round(float(min(image.shape[:2])) / _PIXELS_PER_LINE_WIDTH))


def draw_legend(image: Image, lines: Sequence[tuple[str, int]]) -> Image:
    """Return a copy of ``image`` (H, W, 3) with ``lines`` in its upper left corner: a text and the id of its class."""
    colours = [get_class_colour(class_id) for _text, class_id in lines]
    return drawing.draw_caption(image, [text for text, _class_id in lines], colours)


def cut_out(image: Image, alpha: NDArray[np.float32]) -> Image:
    """Return the part of ``image``, uint8 RGB (H, W, 3), around what is not transparent, uint8 RGBA (h, w, 4).

    ``alpha`` (H, W) is the opacity in 0..1. Colours stay as they are, also where nothing shows. Where all is
    transparent, one pixel remains.
    """
    levels = np.rint(alpha * 255).astype(np.uint8)
    rows, columns = np.flatnonzero(levels.any(axis=1)), np.flatnonzero(levels.any(axis=0))
    if not len(rows):
        rows = columns = np.zeros(1, np.int64)
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.dstack([image[part], levels[part]])
