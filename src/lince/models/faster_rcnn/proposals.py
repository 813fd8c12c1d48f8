"""The steps of Faster R-CNN between its networks, for whole batches at once: so that they train and export alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import nms, roi_align

_MIN_SIDE = 1e-3  # pixels
_MAX_LOG_SCALE = math.log(1000.0 / 16)  # the most that a side may grow, as a logarithm


def decode_deltas(deltas: Tensor, boxes: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Return ``boxes`` (..., 4) moved by ``deltas`` (..., 4) as Girshick et al. 2014 write them, over ``weights``."""
    dx, dy, dw, dh = (deltas[..., side] / weights[side] for side in range(4))
    wide, high = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    x = boxes[..., 0] + wide / 2 + dx * wide
    y = boxes[..., 1] + high / 2 + dy * high
    half_wide = dw.clamp(max=_MAX_LOG_SCALE).exp() * wide / 2
    half_high = dh.clamp(max=_MAX_LOG_SCALE).exp() * high / 2
    return torch.stack((x - half_wide, y - half_high, x + half_wide, y + half_high), -1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``boxes`` (..., 4) cut at the edge of an image of ``size`` (height, width)."""
    x, y = boxes[..., 0::2].clamp(0, size[1]), boxes[..., 1::2].clamp(0, size[0])
    return torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), -1)


def filter_proposals(
    boxes: Tensor, scores: Tensor, levels: Tensor, iou_threshold: float, count: int
) -> tuple[Tensor, Tensor]:
    """Return the ``count`` best of ``boxes`` (N, M, 4) that no better one of their level overlaps, and which are real.

    ``scores`` (N, M) are in (0, 1), ``levels`` (M,). Images with fewer of them are filled up with zeros, for which
    the second answer (N, count) is 0 instead of 1.
    """
    sides = (boxes[..., 2:] - boxes[..., :2]).amin(-1)
    kept = _NmsMask.apply(boxes, scores, levels, iou_threshold) * (sides >= _MIN_SIDE)
    _order, rows = (scores * kept).topk(count, 1)
    real = kept.gather(1, rows)
    return boxes.gather(1, rows[..., None].expand(-1, -1, 4)) * real[..., None], real


class _NmsMask(torch.autograd.Function):
    """Greedy suppression, level by level, as a mask (N, M) of 0 and 1; one node for all images in an ONNX graph."""

    @staticmethod
    def forward(_ctx: Any, boxes: Tensor, scores: Tensor, levels: Tensor, overlap: float) -> Tensor:
        kept = torch.zeros_like(scores)
        # Boxes of different levels never meet once each level is moved away from the others.
        apart = boxes + levels[:, None] * (boxes.max() + 1)
        for row, one, score in zip(kept, apart, scores, strict=True):
            row[nms(one, score, overlap)] = 1.0
        return kept

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, levels: Any, overlap: float) -> Any:
        far = g.op("ReduceMax", boxes, keepdims_i=0)
        far = g.op("Add", far, g.op("Constant", value_t=torch.tensor(1.0)))
        offsets = g.op("Mul", g.op("Cast", levels, to_i=1), far)
        apart = g.op("Add", boxes, g.op("Unsqueeze", offsets, g.op("Constant", value_t=torch.tensor([1]))))
        classes = g.op("Unsqueeze", scores, g.op("Constant", value_t=torch.tensor([1])))
        most = g.op("Constant", value_t=torch.tensor([2**31 - 1]))
        limit = g.op("Constant", value_t=torch.tensor([overlap]))
        chosen = g.op("NonMaxSuppression", apart, classes, most, limit)  # (S, 3): image, class, box
        ones = g.op("Expand", g.op("Constant", value_t=torch.tensor(1.0)), _row_count(g, chosen))
        none = g.op("Mul", classes, g.op("Constant", value_t=torch.tensor(0.0)))
        marked = g.op("ScatterND", none, chosen, ones)
        return g.op("Squeeze", marked, g.op("Constant", value_t=torch.tensor([1])))


def _row_count(g: Any, rows: Any) -> Any:
    shape = g.op("Shape", rows)
    first = g.op("Constant", value_t=torch.tensor([0]))
    return g.op("Gather", shape, first, axis_i=0)


def pool_regions(maps: Sequence[Tensor], strides: Sequence[int], regions: Tensor, output_size: int) -> Tensor:
    """Return what ``maps`` hold at ``regions`` (R, 5), number of the image and box: (R, C, side, side), in order.

    Each region is read from the map that suits its size (Lin et al. 2017, equation 1), with He et al.'s RoIAlign.
    """
    boxes = regions[:, 1:]
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=1e-6)
    level = (4 + torch.log2(area.sqrt() / 224) + 1e-6).floor().clamp(2, 1 + len(strides)) - 2
    rows = [torch.nonzero(level == number).flatten() for number in range(len(strides))]
    parts = [
        roi_align(one.float(), regions[row], output_size, 1 / stride, 2)
        for one, stride, row in zip(maps, strides, rows, strict=False)
    ]
    order = torch.cat(rows)
    back = torch.zeros_like(order).scatter(0, order, torch.arange(order.shape[0], device=order.device))
    return torch.cat(parts)[back]


def boxes_to_rois(boxes: Tensor) -> Tensor:
    """Return ``boxes`` (N, K, 4) as (N K, 5), the number of its image before each."""
    numbers = torch.arange(boxes.shape[0], device=boxes.device, dtype=boxes.dtype)
    numbered = numbers[:, None, None].expand(-1, boxes.shape[1], 1)
    return torch.cat((numbered, boxes), 2).flatten(0, 1)
