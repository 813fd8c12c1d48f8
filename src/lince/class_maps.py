"""Class maps: one value for each pixel of an image, drawn from its objects."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.annotations import Classes, ObjectTable
from lince.errors import DataError
from lince.i18n import _

BACKGROUND = 0  # pixels of no class; class id i has the value i + 1
VOID = 255  # pixels of which the labels say nothing: neither learned nor counted
MAX_CLASSES = 254
ClassMap = NDArray[np.uint8]


def require_class_count(classes: Classes) -> None:
    """Raise ``DataError`` where there are more classes than a class map has values."""
    if len(classes) > MAX_CLASSES:
        raise DataError(
            _("The dataset has {count} classes.").format(count=len(classes)),
            _("Expected at most {limit}: a class map has a byte for each pixel.").format(limit=MAX_CLASSES),
            _("Merge some of them with --merge NAME=A,B."),
        )


def draw_class_map(objects: ObjectTable | None, image: int, size: tuple[int, int], void: str = "") -> ClassMap:
    """Return the class map, uint8 (height, width), of the objects of ``image``.

    ``size`` is (height, width) of the upright image in pixels, ``void`` its pixels without a label as compressed RLE.
    Objects are drawn in their order, so that a later one covers an earlier. An object with a box alone makes the pixels
    of its box void where no outline covers them: what it looks like is not known. Raise ``DataError`` for a mask of
    another size.
    """
    height, width = size
    class_map = np.zeros((height, width), np.uint8)
    if void:
        class_map[rle.decode(void, height, width)] = VOID
    if objects is None:
        return class_map
    span = objects.slice_of_image(image)
    rows = np.arange(span.start, span.stop)
    has_shape = (objects.has_mask | objects.has_polygons)[rows]
    for box in np.rint(np.clip(objects.boxes[rows[~has_shape]], 0, 1 << 30)).astype(np.int64).tolist():
        class_map[box[1] : max(box[3], box[1] + 1), box[0] : max(box[2], box[0] + 1)] = VOID
    for row in rows[has_shape].tolist():
        class_map[draw_object(objects, row, size)] = objects.class_ids[row] + 1
    return class_map


def draw_object(objects: ObjectTable, row: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of its image the object ``row`` covers, bool (height, width); none for one with a box alone.

    Masks count where an object has both. Raise ``DataError`` for a mask of another size.
    """
    if text := objects.masks[row]:
        return rle.decode(text, *size)
    return rle.counts_to_mask(rle.polygons_to_counts(objects.get_polygons(row), *size), *size)


def resize_class_map(class_map: ClassMap, size: tuple[int, int]) -> ClassMap:
    """Return ``class_map`` in ``size`` (height, width): each pixel has the value of the nearest one (by centres)."""
    if class_map.shape == size:
        return class_map
    return np.asarray(cv2.resize(class_map, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
