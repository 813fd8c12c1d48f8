"""Draws areas on images: class maps and masks as transparent colours with outlines, legends, and cut-outs.

For every task whose results cover pixels: it knows arrays, not results.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import mask_operations, rle
from lince.annotations import Colour, Detections, get_class_colour
from lince.inference import drawing

Image = NDArray[np.uint8]
OPACITY = 0.45  # of a colour over the image
FEATHER = 1.5  # pixels on both sides of the edge of a cut-out where no probability says how soft it is
_CONTRAST = 3.0  # a probability is known at the network's resolution, which makes edges softer than they are
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
    table = make_colour_table()[None]
    step = max(1, _STRIP_PIXELS // class_map.shape[1])
    is_edge = find_edges(class_map, measure_line_width(image)).view(np.uint8)
    for top in range(0, len(class_map), step):
        rows = np.s_[top : top + step]
        values, strip = class_map[rows], canvas[rows]
        if values.any():
            colours = cv2.LUT(cv2.merge([values, values, values]), table)
            blended = cv2.addWeighted(strip, 1 - opacity, colours, opacity, 0)
            cv2.copyTo(blended, values, strip)
            cv2.copyTo(colours, is_edge[rows], strip)
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


def make_alpha(
    mask: NDArray[np.bool_], reach: float = FEATHER, certainty: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return how opaque a cut-out of ``mask`` (H, W) is at each pixel, float32 (H, W) in 0..1.

    It is 1 inside and 0 outside, and in between up to ``reach`` pixels from the edge. There it follows ``certainty``
    (H, W) where that is given: 0.5 on the edge, more inside. The edge of the image is none of the mask.
    """
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = np.where(mask, inside - 0.5, 0.5 - outside) / np.float32(max(reach, 1.0))
    if certainty is None:
        return np.asarray(np.clip(0.5 + depth / 2, 0, 1), np.float32)
    soft = np.clip(0.5 + (certainty - 0.5) * _CONTRAST, 0, 1)
    return np.asarray(np.clip(soft, np.clip(depth, 0, 1), np.clip(1 + depth, 0, 1)), np.float32)


def cut_out(image: Image, alpha: NDArray[np.float32]) -> Image:
    """Return ``image``, uint8 RGB (H, W, 3), with the opacity ``alpha`` (H, W) in 0..1 as fourth channel."""
    return np.dstack([image, np.rint(alpha * 255).astype(np.uint8)])


def trim_transparent(cutout: Image) -> Image:
    """Return the part of ``cutout``, uint8 RGBA (H, W, 4), around what shows; one pixel where nothing does."""
    alpha = cutout[:, :, 3]
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return cutout[:1, :1]
    return cutout[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def draw_object_masks(image: Image, detections: Detections, size: tuple[int, int], opacity: float = OPACITY) -> Image:
    """Return ``image``, uint8 RGB (H, W, 3), with the masks of ``detections`` in the colours of the classes.

    ``size`` is the (height, width) of the photo that the masks are of, of which ``image`` may be a smaller copy. Each
    mask is decoded by itself, and the ones of higher score are drawn on top. ``image`` is not changed; it is returned
    itself where there are no masks.
    """
    if not detections.has_mask.any():
        return image
    canvas = image.copy()
    width = measure_line_width(canvas)
    for row in reversed(range(len(detections))):
        if detections.masks[row]:
            counts = rle.string_to_counts(detections.masks[row])
            _blend_mask(canvas, counts, size, get_class_colour(int(detections.class_ids[row])), opacity, width)
    return canvas


def cut_out_object(image: Image, counts: rle.Counts) -> Image:
    """Return the pixels of ``image``, uint8 RGB (H, W, 3), in the mask ``counts``, uint8 RGBA around what shows.

    The edge is soft over ``FEATHER`` pixels; one transparent pixel where the mask is empty.
    """
    margin = int(np.ceil(FEATHER)) + 1
    left, top, right, bottom = find_window(counts, image.shape[:2], margin)
    crop = mask_operations.decode_crop(counts, image.shape[0], (left, top, right, bottom))
    if not crop.any():
        return np.zeros((1, 1, 4), np.uint8)
    return trim_transparent(cut_out(image[top:bottom, left:right], make_alpha(crop)))


def find_window(counts: rle.Counts, size: tuple[int, int], margin: int = 0) -> mask_operations.Window:
    """Return left, top, right, bottom around the mask on an image of ``size``, and ``margin`` pixels more."""
    box = rle.compute_bounding_box(counts, size[0])
    left, top, right, bottom = (int(side) for side in box)
    return max(0, left - margin), max(0, top - margin), min(size[1], right + margin), min(size[0], bottom + margin)


def _blend_mask(
    canvas: Image,
    counts: rle.Counts,
    size: tuple[int, int],
    colour: Colour,
    opacity: float,
    line_width: int,
) -> None:
    """Blend ``colour`` into the pixels of the mask, and draw its edge, in place."""
    left, top, right, bottom = find_window(counts, size)
    mask = mask_operations.decode_crop(counts, size[0], (left, top, right, bottom)).astype(np.uint8)
    scale = np.array(canvas.shape[1::-1]) / np.array(size[::-1])
    start = np.floor(np.array([left, top]) * scale).astype(int)
    end = np.maximum(np.ceil(np.array([right, bottom]) * scale).astype(int), start + 1)
    part = canvas[start[1] : end[1], start[0] : end[0]]
    if not mask.any() or not part.size:
        return
    if part.shape[:2] != mask.shape:
        mask = np.asarray(cv2.resize(mask, part.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    blended = cv2.addWeighted(part, 1 - opacity, np.full_like(part, colour), opacity, 0)
    np.copyto(part, np.asarray(blended, np.uint8), where=(mask > 0)[:, :, None])
    edges = find_edges(np.pad(mask, line_width), line_width)[line_width:-line_width, line_width:-line_width]
    part[edges] = colour
