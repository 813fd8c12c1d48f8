"""Cuts the pixels of a class out of a photo, with edges as soft as the network sees them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.inference import mask_drawing
from lince.inference.image_loading import Image
from lince.postprocess import class_map as class_maps
from lince.postprocess.class_map import GridAxis
from lince.preprocess import PreprocessSpec

_CELL_PLACES = 16  # places on the side of a cell of the network's map at which the opacity is computed; enough for all
_LEVELS = 255  # of the probabilities


def cut_out_class(
    image: Image, class_map: NDArray[np.uint8], value: int, planes: NDArray[np.uint8], spec: PreprocessSpec
) -> Image:
    """Return the pixels of ``image``, uint8 RGB (H, W, 3), with ``value`` in ``class_map`` (H, W), uint8 (h, w, 4).

    ``planes`` uint8 (K, h, w) are the probabilities on the network's map, 255 for 1, of a photo that ``spec`` brings to
    its input. The edge is soft up to a cell of this map. Where a cell has many pixels, the opacity is computed for some
    of them, and interpolated.
    """
    rows, columns = class_maps.locate_pixels(planes.shape[1:], class_map.shape, spec)
    reach = max(_measure_cell(rows), _measure_cell(columns), mask_drawing.FEATHER)
    margin = int(np.ceil(reach)) + 1
    top, bottom = _find_extent(class_map == value, 1, margin)
    left, right = _find_extent(class_map[top:bottom] == value, 0, margin)
    step = max(1, int(reach / _CELL_PLACES))
    ys, xs = np.arange(top, bottom, step), np.arange(left, right, step)
    # Each place stands for a square of pixels, and lies in its middle, or on the last pixel of the photo.
    middle_ys, middle_xs = np.minimum(ys + step // 2, bottom - 1), np.minimum(xs + step // 2, right - 1)
    places = class_maps.locate_places(planes.shape[1:], class_map.shape, spec, middle_ys + 0.5, middle_xs + 0.5)
    mask = class_map[np.ix_(middle_ys, middle_xs)] == value
    alpha = mask_drawing.make_alpha(mask, reach / step, _compute_certainty(planes, value, *places))
    if step > 1:
        enlarged = cv2.resize(alpha, (len(xs) * step, len(ys) * step), interpolation=cv2.INTER_LINEAR)
        alpha = np.asarray(enlarged[: bottom - top, : right - left], np.float32)
    return mask_drawing.trim_transparent(mask_drawing.cut_out(image[top:bottom, left:right], alpha))


def _measure_cell(axis: GridAxis) -> float:
    """Return the number of pixels between the centres of two cells of the map, at most all."""
    cells = axis.lower[-1] + axis.fraction[-1] - axis.lower[0] - axis.fraction[0]
    return float(len(axis.lower) / max(1.0, cells))


def _find_extent(mask: NDArray[np.bool_], axis: int, margin: int) -> tuple[int, int]:
    """Return the first and the end of the rows (``axis`` 1) or columns (0) around ``mask``, ``margin`` more each."""
    places = np.flatnonzero(mask.any(axis=axis))
    if not len(places):
        return 0, 1
    return max(0, int(places[0]) - margin), min(mask.shape[1 - axis], int(places[-1]) + 1 + margin)


def _compute_certainty(planes: NDArray[np.uint8], value: int, rows: GridAxis, columns: GridAxis) -> NDArray[np.float32]:
    """Return the probability of ``value`` at each pixel over its sum with the highest other: 0.5 for equal ones."""
    used = np.s_[int(rows.lower[0]) : int(rows.upper[-1]) + 1, int(columns.lower[0]) : int(columns.upper[-1]) + 1]
    own = _interpolate(planes[value], rows, columns)
    highest = np.zeros_like(own)
    for channel, plane in enumerate(planes):
        if channel != value and plane[used].any():
            np.maximum(highest, _interpolate(plane, rows, columns), out=highest)
    total = own + highest
    return np.asarray(np.divide(own, total, out=np.zeros_like(own), where=total > 0), np.float32)


def _interpolate(plane: NDArray[np.uint8], rows: GridAxis, columns: GridAxis) -> NDArray[np.float32]:
    """Return the values of ``plane`` (h, w) at each pixel, 0..1, float32."""
    return class_maps.interpolate_plane(plane.astype(np.float32) / np.float32(_LEVELS), rows, columns)
