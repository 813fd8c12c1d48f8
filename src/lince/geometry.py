"""Boxes and points under a 3 x 3 matrix, in plain numpy; the one place that states how coordinates are meant.

A box is (left, top, right, bottom) in pixels, boxes are (N, 4) float64. Coordinates are continuous: (0, 0) is the top
left corner of the top left pixel, x grows to the right, y downwards, and the pixel in column c covers c to c + 1. A
matrix acts on column vectors (x, y, 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_HORIZON = 1e-6


def transform_points(points: NDArray[Any], matrix: Array) -> Array:
    """Return ``points`` (..., 2) moved by ``matrix`` (3, 3); one on or behind the horizon becomes NaN."""
    points = np.asarray(points, np.float64)
    if points.shape[-1:] != (2,):
        raise ValueError(f"points must be (..., 2), not {points.shape}")
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    depth = moved[..., 2:]
    # A perspective turns the sign of the depth where a point passes behind the viewer: it has no place any more.
    return np.asarray(moved[..., :2] / np.where(depth > _HORIZON, depth, np.nan), np.float64)


def transform_boxes(boxes: NDArray[Any], matrix: Array) -> Array:
    """Return the smallest upright boxes (N, 4) around ``boxes`` (N, 4) moved by ``matrix`` (3, 3).

    A box with a corner on or behind the horizon becomes empty (all zeros).
    """
    corners = _checked(boxes)[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    moved = transform_points(corners, matrix)
    around = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)
    return np.nan_to_num(around, nan=0.0) if np.isnan(around).any() else around


def clip(boxes: NDArray[Any], height: int, width: int) -> Array:
    """Return the part of ``boxes`` (N, 4) that lies within an image of (height, width)."""
    return np.clip(_checked(boxes), 0.0, [width, height, width, height])


def area(boxes: NDArray[Any]) -> Array:
    """Return the areas (N,) of ``boxes`` (N, 4) in square pixels; turned-over boxes have none."""
    sides = _checked(boxes)[:, 2:] - _checked(boxes)[:, :2]
    return np.asarray(np.prod(np.maximum(sides, 0.0), axis=1), np.float64)


def visible_share(boxes: NDArray[Any], height: int, width: int) -> Array:
    """Return which share (N,) of each box's area lies within an image of (height, width); 0 for an empty box."""
    whole = area(boxes)
    seen = area(clip(boxes, height, width))
    return np.divide(seen, whole, out=np.zeros_like(whole), where=whole > 0)


def _checked(boxes: NDArray[Any]) -> Array:
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be (N, 4), not {boxes.shape}")
    return boxes
