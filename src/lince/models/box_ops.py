"""Operations on boxes in torch: intersection over union, conversion of formats. ``lince.geometry`` has them in numpy.

Boxes are (left, top, right, bottom) in pixels along the last axis, unless a function says otherwise.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-7  # square pixels; the smallest union, so that two boxes without area have an overlap of 0


def compute_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union (...) in 0..1 of boxes (..., 4), whose leading axes are broadcast.

    Every pair of (K, 4) and (A, 4) is ``compute_iou(first[:, None], second)``, (K, A). Differentiable; never NaN on
    finite boxes, also where they have no area.
    """
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    sides = (high - low).clamp(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    union = compute_box_areas(first) + compute_box_areas(second) - intersection
    return intersection / union.clamp(min=_EPSILON)


def compute_box_areas(boxes: Tensor) -> Tensor:
    """Return the areas (...) of ``boxes`` (..., 4); 0 where right < left or bottom < top."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Return centre x, centre y, width, height (..., 4) of ``boxes`` (..., 4) given as left, top, right, bottom."""
    return torch.cat(((boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]), -1)
