"""Geometry of points and boxes in numpy: homographies, clipping, areas, intersection over union.

The conventions of this module hold in all of lince. A box is (left, top, right, bottom) in pixels; boxes are (N, 4)
float64. Coordinates are continuous: (0, 0) is the top left corner of the top left pixel, x grows to the right, y
downwards, and the pixel in column c covers c to c + 1, so a box has width right - left without COCO's or VOC's "+ 1".
A matrix is a 3 x 3 homography that acts on column vectors (x, y, 1).

Functions that take boxes accept any numeric dtype, compute in float64, accept zero boxes, and raise ``ValueError`` for
an array of another shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_MIN_DEPTH = 1e-6  # homogeneous coordinate w up to which a point counts as at or behind the horizon
_EPSILON = 1e-12  # pixels; stands for the length of a side that is parallel to an axis


def transform_points(points: NDArray[Any], matrix: Array) -> Array:
    """Return ``points`` (..., 2) transformed by the homography ``matrix`` (3, 3), in the same shape.

    A point on or behind the horizon of a perspective transform (w <= 1e-6) becomes NaN.
    """
    points = np.asarray(points, np.float64)
    if points.shape[-1:] != (2,):
        raise ValueError(f"points must be (..., 2), not {points.shape}")
    homogeneous = points @ matrix[:, :2].T + matrix[:, 2]
    depth = homogeneous[..., 2:]
    # The depth is negative for a point behind the viewer, which has no image.
    return np.asarray(homogeneous[..., :2] / np.where(depth > _MIN_DEPTH, depth, np.nan), np.float64)


def transform_corners(boxes: NDArray[Any], matrix: Array) -> Array:
    """Return the four corners (N, 4, 2) of ``boxes`` (N, 4) transformed by ``matrix`` (3, 3).

    The order is top left, top right, bottom right, bottom left (before the transform). Corners on or behind the
    horizon are NaN.
    """
    return transform_points(_require_boxes(boxes)[:, [[0, 1], [2, 1], [2, 3], [0, 3]]], matrix)


def transform_boxes(boxes: NDArray[Any], matrix: Array) -> Array:
    """Return the bounding boxes (N, 4) of ``boxes`` (N, 4) transformed by ``matrix`` (3, 3).

    A box with a corner on or behind the horizon becomes empty (all zeros). A rotated box is bounded loosely: use
    ``compute_visible_boxes`` on the transformed corners where the result is also clipped to an image.
    """
    return compute_bounding_boxes(transform_corners(boxes, matrix))


def compute_visible_boxes(corners: Array, height: int, width: int) -> Array:
    """Return the bounding boxes (N, 4) of the parts of quadrilaterals that lie inside an image of (height, width).

    ``corners`` (N, 4, 2) are in order around each, either way round; the shapes must be convex. A quadrilateral is
    clipped first and bounded afterwards, which is tighter than clipping its bounding box where a rotated shape crosses
    the border. One outside the image becomes empty (all zeros).
    """
    boxes = clip_boxes(compute_bounding_boxes(corners), height, width)
    crosses_border = ((corners < 0) | (corners > (width, height))).any(axis=(1, 2))
    if crosses_border.any():
        boxes[crosses_border] = _bound_visible_parts(corners[crosses_border], height, width)
    return boxes


def compute_bounding_boxes(corners: Array) -> Array:
    """Return the axis-aligned bounding box (N, 4) of the K points in each row of ``corners`` (N, K, 2).

    A row with a NaN (a point on or behind the horizon) becomes empty (all zeros).
    """
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return np.where(np.isnan(boxes), 0.0, boxes)


def clip_boxes(boxes: NDArray[Any], height: int, width: int) -> Array:
    """Return ``boxes`` (N, 4) clipped to an image of (height, width) pixels.

    A box outside the image keeps its row and becomes empty: it has no width or no height.
    """
    return np.clip(_require_boxes(boxes), 0.0, [width, height, width, height])


def compute_box_areas(boxes: NDArray[Any]) -> Array:
    """Return the areas (N,) of ``boxes`` (N, 4) in square pixels; 0 where right < left or bottom < top."""
    boxes = _require_boxes(boxes)
    return np.asarray(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1), np.float64)


def compute_intersections(boxes: NDArray[Any], others: NDArray[Any]) -> Array:
    """Return the intersection area (N, M) in square pixels of every pair of ``boxes`` (N, 4) and ``others`` (M, 4)."""
    return _intersect(_require_boxes(boxes).T[:, :, None], _require_boxes(others).T[:, None])


def compute_iou(boxes: NDArray[Any], others: NDArray[Any]) -> Array:
    """Return the intersection over union (N, M) in 0..1 of every pair of ``boxes`` (N, 4) and ``others`` (M, 4).

    0 where the union is empty, as for two boxes without area; never NaN on finite boxes. ``models.box_ops`` has the
    same function for torch tensors.
    """
    intersections = compute_intersections(boxes, others)
    areas = compute_box_areas(boxes)[:, None] + compute_box_areas(others)
    return _divide_areas(intersections, areas - intersections)


def compute_paired_iou(boxes: NDArray[Any], others: NDArray[Any], is_crowd: NDArray[np.bool_]) -> Array:
    """Return the intersection over union (P,) in 0..1 of each row of ``boxes`` (P, 4) with that row of ``others``.

    Where ``is_crowd`` (P,) holds, the row of ``others`` marks a region with any number of objects, and the
    intersection is divided by the area of ``boxes`` alone, as the COCO API does for ``iscrowd``.
    """
    boxes, others = _require_boxes(boxes), _require_boxes(others)
    intersections = _intersect(boxes.T, others.T)
    areas = compute_box_areas(boxes)
    return _divide_areas(intersections, np.where(is_crowd, areas, areas + compute_box_areas(others) - intersections))


def compute_overlap_of_smaller(boxes: NDArray[Any], others: NDArray[Any]) -> Array:
    """Return the intersection over the area of the smaller box (N, M), in 0..1, of ``boxes`` and ``others`` (M, 4).

    1 where one box contains the other; 0 where one has no area. It finds the parts of an object that was detected in
    pieces, whose intersection over union with the whole object is low.
    """
    smaller = np.minimum(compute_box_areas(boxes)[:, None], compute_box_areas(others))
    return _divide_areas(compute_intersections(boxes, others), smaller)


def _intersect(boxes: Array, others: Array) -> Array:
    """Return the intersection areas of boxes whose left, top, right and bottom lie along the first axis (4, ...)."""
    widths = np.maximum(np.minimum(boxes[2], others[2]) - np.maximum(boxes[0], others[0]), 0.0)
    heights = np.maximum(np.minimum(boxes[3], others[3]) - np.maximum(boxes[1], others[1]), 0.0)
    return np.asarray(widths * heights)


def _divide_areas(part: Array, total: Array) -> Array:
    """Return ``part`` / ``total``, 0 where ``total`` is 0."""
    return np.asarray(np.divide(part, total, out=np.zeros_like(part), where=total > 0))


def _bound_visible_parts(corners: Array, height: int, width: int) -> Array:
    """Return the bounding boxes (N, 4) of the parts of convex ``corners`` (N, 4, 2) that lie inside an image.

    The corners of a clipped convex shape are among the ends of its clipped sides (Liang and Barsky 1984) and those
    corners of the image that lie inside the shape.
    """
    image_size = np.array([width, height], np.float64)
    sides = corners[:, [1, 2, 3, 0]] - corners
    slope = np.where(np.abs(sides) < _EPSILON, _EPSILON, sides)
    first, second = -corners / slope, (image_size - corners) / slope
    enter = np.minimum(first, second).max(axis=2, initial=0.0)
    leave = np.maximum(first, second).min(axis=2, initial=1.0)
    side_ends = [corners + fraction[..., None] * sides for fraction in (enter, leave)]
    image_corners = image_size * [[0, 0], [1, 0], [1, 1], [0, 1]]
    points = np.concatenate([*side_ends, np.broadcast_to(image_corners, corners.shape)], axis=1)
    crosses = enter <= leave
    is_vertex = np.concatenate([crosses, crosses, _contains_points(image_corners, corners, sides)], axis=1)[..., None]
    low = np.where(is_vertex, points, np.inf).min(axis=1)
    high = np.where(is_vertex, points, -np.inf).max(axis=1)
    boxes = clip_boxes(np.concatenate([low, high], axis=1), height, width)
    return np.where(is_vertex.any(axis=1), boxes, 0.0)


def _contains_points(points: Array, corners: Array, sides: Array) -> NDArray[np.bool_]:
    """Return whether each of ``points`` (K, 2) lies strictly inside each convex quadrilateral, (N, K).

    ``corners`` (N, 4, 2) are its corners in order, ``sides`` (N, 4, 2) the vectors from each corner to the next.
    """
    offset = points[None, :, None] - corners[:, None]
    cross_product = sides[:, None, :, 0] * offset[..., 1] - sides[:, None, :, 1] * offset[..., 0]
    return np.asarray((cross_product > 0).all(axis=2) | (cross_product < 0).all(axis=2), np.bool_)


def _require_boxes(boxes: NDArray[Any]) -> Array:
    """Return ``boxes`` as float64 (without a copy where they are); raise ``ValueError`` unless they are (N, 4)."""
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be (N, 4), not {boxes.shape}")
    return boxes
