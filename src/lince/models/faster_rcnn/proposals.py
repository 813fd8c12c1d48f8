"""The operations of Faster R-CNN between its networks, batched, so that training and ONNX export share them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import nms, roi_align

_MIN_SIDE = 1e-3  # pixels
_MAX_LOG_SCALE = math.log(1000.0 / 16)  # logarithm of the largest factor by which a side may grow, as in torchvision


def decode_deltas(deltas: Tensor, boxes: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Return ``boxes`` (..., 4) refined by ``deltas`` (..., 4) in the parametrisation of Girshick et al. (2014).

    Each delta is divided by its one of the four ``weights`` first.
    """
    dx, dy, dw, dh = (deltas[..., axis] / weights[axis] for axis in range(4))
    widths, heights = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    x = boxes[..., 0] + widths / 2 + dx * widths
    y = boxes[..., 1] + heights / 2 + dy * heights
    half_widths = dw.clamp(max=_MAX_LOG_SCALE).exp() * widths / 2
    half_heights = dh.clamp(max=_MAX_LOG_SCALE).exp() * heights / 2
    return torch.stack((x - half_widths, y - half_heights, x + half_widths, y + half_heights), -1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``boxes`` (..., 4) clipped to an image of ``size`` (height, width)."""
    x, y = boxes[..., 0::2].clamp(0, size[1]), boxes[..., 1::2].clamp(0, size[0])
    return torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), -1)


def filter_proposals(
    boxes: Tensor, scores: Tensor, levels: Tensor, iou_threshold: float, count: int
) -> tuple[Tensor, Tensor]:
    """Return the ``count`` best of ``boxes`` (N, M, 4) after NMS within each level, and which of them are real.

    ``scores`` (N, M) are in (0, 1); ``levels`` (M,) are the indices of the feature maps. Images with fewer proposals
    are padded with zeros; the second tensor (N, count) is 0 for these and 1 for real ones.
    """
    sides = (boxes[..., 2:] - boxes[..., :2]).amin(-1)
    kept = _NmsMask.apply(boxes, scores, levels, iou_threshold) * (sides >= _MIN_SIDE)
    _order, rows = (scores * kept).topk(count, 1)
    is_real = kept.gather(1, rows)
    return boxes.gather(1, rows[..., None].expand(-1, -1, 4)) * is_real[..., None], is_real


class _NmsMask(torch.autograd.Function):
    """Greedy non-maximum suppression within each level, as a mask (N, M) of 0 and 1.

    In an ONNX graph it is one node for all images, which torch's export of ``nms`` in a loop is not.
    """

    @staticmethod
    def forward(_ctx: Any, boxes: Tensor, scores: Tensor, levels: Tensor, iou_threshold: float) -> Tensor:
        """Return 1 for boxes that are kept, 0 for others."""
        kept = torch.zeros_like(scores)
        # Boxes of different levels do not overlap after each level is shifted by more than the largest coordinate.
        shifted = boxes + levels[:, None] * (boxes.max() + 1)
        for row, image_boxes, image_scores in zip(kept, shifted, scores, strict=True):
            row[nms(image_boxes, image_scores, iou_threshold)] = 1.0
        return kept

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, levels: Any, iou_threshold: float) -> Any:
        """Return the same as ONNX nodes around ``NonMaxSuppression``."""
        extent = g.op("ReduceMax", boxes, keepdims_i=0)
        extent = g.op("Add", extent, g.op("Constant", value_t=torch.tensor(1.0)))
        offsets = g.op("Mul", g.op("Cast", levels, to_i=1), extent)
        shifted = g.op("Add", boxes, g.op("Unsqueeze", offsets, g.op("Constant", value_t=torch.tensor([1]))))
        class_scores = g.op("Unsqueeze", scores, g.op("Constant", value_t=torch.tensor([1])))
        max_per_class = g.op("Constant", value_t=torch.tensor([2**31 - 1]))
        limit = g.op("Constant", value_t=torch.tensor([iou_threshold]))
        selected = g.op("NonMaxSuppression", shifted, class_scores, max_per_class, limit)  # (S, 3): image, class, box
        ones = g.op("Expand", g.op("Constant", value_t=torch.tensor(1.0)), _row_count(g, selected))
        zeros = g.op("Mul", class_scores, g.op("Constant", value_t=torch.tensor(0.0)))
        mask = g.op("ScatterND", zeros, selected, ones)
        return g.op("Squeeze", mask, g.op("Constant", value_t=torch.tensor([1])))


def _row_count(g: Any, rows: Any) -> Any:
    """Return the number of rows of the ONNX value ``rows``."""
    shape = g.op("Shape", rows)
    first = g.op("Constant", value_t=torch.tensor([0]))
    return g.op("Gather", shape, first, axis_i=0)


def pool_regions(maps: Sequence[Tensor], strides: Sequence[int], rois: Tensor, output_size: int) -> Tensor:
    """Return the features (R, C, output_size, output_size) of ``rois`` (R, 5): image index and box, in their order.

    Each region is pooled by RoIAlign (He et al. 2017) from the feature map that suits its size (Lin et al. 2017,
    equation 1); ``strides`` are those of ``maps``, from 4 on.
    """
    boxes = rois[:, 1:]
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=1e-6)
    level = (4 + torch.log2(area.sqrt() / 224) + 1e-6).floor().clamp(2, 1 + len(strides)) - 2
    rows_by_level = [torch.nonzero(level == number).flatten() for number in range(len(strides))]
    pooled = [
        roi_align(feature_map.float(), rois[level_rows], output_size, 1 / stride, 2)
        for feature_map, stride, level_rows in zip(maps, strides, rows_by_level, strict=False)
    ]
    order = torch.cat(rows_by_level)
    inverse_order = torch.zeros_like(order).scatter(0, order, torch.arange(order.shape[0], device=order.device))
    return torch.cat(pooled)[inverse_order]


def boxes_to_rois(boxes: Tensor) -> Tensor:
    """Return ``boxes`` (N, K, 4) as (N K, 5), with the index of its image before each."""
    image_indices = torch.arange(boxes.shape[0], device=boxes.device, dtype=boxes.dtype)
    index_columns = image_indices[:, None, None].expand(-1, boxes.shape[1], 1)
    return torch.cat((index_columns, boxes), 2).flatten(0, 1)
