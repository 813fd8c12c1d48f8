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
_MIN_DEPTH = 1e-6
_EPSILON = 1e-12


def transform_points(points: NDArray[Any], matrix: Array) -> Array:
    """Return ``points`` (..., 2) moved by ``matrix`` (3, 3); one on or behind the horizon becomes NaN."""
    points = np.asarray(points, np.float64)
    if points.shape[-1:] != (2,):
        raise ValueError(f"points must be (..., 2), not {points.shape}")
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    depth = moved[..., 2:]
    # A perspective turns the sign of the depth where a point passes behind the viewer: it has no place any more.
    return np.asarray(moved[..., :2] / np.where(depth > _MIN_DEPTH, depth, np.nan), np.float64)


def transform_corners(boxes: NDArray[Any], matrix: Array) -> Array:
    """Return the corners (N, 4, 2) of ``boxes`` (N, 4) moved by ``matrix`` (3, 3), going round."""
    return transform_points(_require_boxes(boxes)[:, [[0, 1], [2, 1], [2, 3], [0, 3]]], matrix)


def transform_boxes(boxes: NDArray[Any], matrix: Array) -> Array:
    """Return the smallest upright boxes (N, 4) around ``boxes`` (N, 4) moved by ``matrix`` (3, 3).

    A box with a corner on or behind the horizon becomes empty (all zeros).
    """
    return compute_bounding_boxes(transform_corners(boxes, matrix))


def compute_visible_boxes(corners: Array, height: int, width: int) -> Array:
    """Return the smallest upright boxes (N, 4) around what an image of (height, width) shows of quadrilaterals.

    ``corners`` (N, 4, 2) go round convex shapes. Where a tilted shape is cut, this is tighter than cutting the box
    around it. What shows nothing becomes empty (all zeros).
    """
    boxes = clip_boxes(compute_bounding_boxes(corners), height, width)
    cut = ((corners < 0) | (corners > (width, height))).any(axis=(1, 2))
    if cut.any():
        boxes[cut] = _bound_visible_parts(corners[cut], height, width)
    return boxes


def compute_bounding_boxes(corners: Array) -> Array:
    """Return the smallest upright boxes (N, 4) around the points of each row of ``corners`` (N, K, 2).

    A row with a NaN (a point beyond the horizon) becomes empty (all zeros).
    """
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return np.where(np.isnan(boxes), 0.0, boxes)


def clip_boxes(boxes: NDArray[Any], height: int, width: int) -> Array:
    """Return the part of ``boxes`` (N, 4) that lies within an image of (height, width)."""
    return np.clip(_require_boxes(boxes), 0.0, [width, height, width, height])


def compute_box_areas(boxes: NDArray[Any]) -> Array:
    """Return the areas (N,) of ``boxes`` (N, 4) in square pixels; turned-over boxes have none."""
    sides = _require_boxes(boxes)[:, 2:] - _require_boxes(boxes)[:, :2]
    return np.asarray(np.prod(np.maximum(sides, 0.0), axis=1), np.float64)


def _bound_visible_parts(corners: Array, height: int, width: int) -> Array:
    # The shown part of a convex shape has its corners among the ends of the shown parts of its sides (Liang and
    # Barsky's clipping) and the corners of the frame that the shape covers.
    frame = np.array([width, height], np.float64)
    way = corners[:, [1, 2, 3, 0]] - corners
    slope = np.where(np.abs(way) < _EPSILON, _EPSILON, way)
    first, second = -corners / slope, (frame - corners) / slope
    enter = np.minimum(first, second).max(axis=2, initial=0.0)
    leave = np.maximum(first, second).min(axis=2, initial=1.0)
    ends = [corners + share[..., None] * way for share in (enter, leave)]
    edges = frame * [[0, 0], [1, 0], [1, 1], [0, 1]]
    points = np.concatenate([*ends, np.broadcast_to(edges, corners.shape)], axis=1)
    shown = np.concatenate([enter <= leave, enter <= leave, _contains_points(edges, corners, way)], axis=1)[..., None]
    low = np.where(shown, points, np.inf).min(axis=1)
    high = np.where(shown, points, -np.inf).max(axis=1)
    return np.where(shown.any(axis=1), clip_boxes(np.concatenate([low, high], axis=1), height, width), 0.0)


def _contains_points(points: Array, corners: Array, way: Array) -> NDArray[np.bool_]:
    """Tell which of ``points`` (K, 2) lie within each convex shape: (N, K); ``way`` (N, 4, 2) leads along its sides."""
    offset = points[None, :, None] - corners[:, None]
    side = way[:, None, :, 0] * offset[..., 1] - way[:, None, :, 1] * offset[..., 0]
    return np.asarray((side > 0).all(axis=2) | (side < 0).all(axis=2), np.bool_)


def _require_boxes(boxes: NDArray[Any]) -> Array:
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be (N, 4), not {boxes.shape}")
    return boxes
