"""SimOTA, the label assignment of YOLOX: which cells are trained to detect which object (Ge et al. 2021).

It depends on the network's own outputs: the cells that already predict an object well have the lowest cost. Written
from the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lince.models.box_ops import compute_iou

CENTRE_RADIUS = 2.5  # half the side of an object's centre region, in strides
MAX_DYNAMIC_K = 10  # most cells of one object: the number of best IoUs that are summed
MIN_SIDE = 1.0  # pixels of the input; thinner objects are not trained
_IOU_WEIGHT = 3.0
_OUTSIDE_COST = 1e4  # above any usual cost, and low enough that float32 still resolves differences of 0.001
_MAX_LOG_SIDE = 20.0  # exp of it, times a stride, is wider than any image, and its square does not overflow
_EPSILON = 1e-7


@dataclass(frozen=True)
class AnchorGrid:
    """The A cells of one input size, as ``postprocess.yolox.YoloxGrid`` but in torch.

    ``cells`` (A, 2) are column and row within the cell's feature map, ``strides`` (A,) its size in input pixels.
    """

    cells: Tensor
    strides: Tensor

    @property
    def centres(self) -> Tensor:
        """The centres (A, 2) of the cells, x and y in input pixels."""
        return (self.cells + 0.5) * self.strides[:, None]

    def decode_boxes(self, outputs: Tensor) -> Tensor:
        """Return boxes (..., A, 4), left, top, right, bottom in input pixels, from the box outputs (..., A, 4)."""
        centres = (outputs[..., :2] + self.cells) * self.strides[:, None]
        halves = outputs[..., 2:].clamp(max=_MAX_LOG_SIDE).exp() * self.strides[:, None] / 2
        return torch.cat((centres - halves, centres + halves), -1)

    def encode_boxes(self, boxes: Tensor, cell_rows: Tensor) -> Tensor:
        """Return the outputs (P, 4) of the cells ``cell_rows`` (P,) that ``decode_boxes`` decodes to ``boxes`` (P, 4).

        The sides of the boxes must be positive.
        """
        strides = self.strides[cell_rows, None]
        centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return torch.cat((centres / strides - self.cells[cell_rows], (sides / strides).log()), -1)


@dataclass(frozen=True)
class GroundTruth:
    """The objects of one image: ``boxes`` (K, 4) float in input pixels, and ``class_ids`` int64 (K,).

    Where masks are learnt, ``masks`` uint8 (K, h, w) is how much of each cell an object covers, and ``has_mask`` bool
    (K,) which objects have a mask at all.
    """

    boxes: Tensor
    class_ids: Tensor
    masks: Tensor | None = None
    has_mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.class_ids)

    def filter_usable(self) -> GroundTruth:
        """Return the objects with finite coordinates and sides of at least ``MIN_SIDE`` pixels."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        # A comparison with NaN is false; infinite coordinates need a check of their own.
        kept = (sides >= MIN_SIDE).all(1) & self.boxes.isfinite().all(1)
        masks = None if self.masks is None else self.masks[kept]
        has_mask = None if self.has_mask is None else self.has_mask[kept]
        return GroundTruth(self.boxes[kept].float(), self.class_ids[kept].long(), masks, has_mask)


@dataclass(frozen=True)
class LabelAssignment:
    """The P cells that are assigned to an object.

    ``cell_rows`` (P,), ascending, index the cells, ``target_rows`` (P,) the objects of the ``GroundTruth``.
    """

    cell_rows: Tensor
    target_rows: Tensor


@torch.no_grad()
def assign_targets(raw: Tensor, grid: AnchorGrid, truth: GroundTruth) -> LabelAssignment:
    """Return the cells of one image that are assigned to the objects of ``truth``, all of which must be usable.

    ``raw`` (A, 5 + C) float32 are the network's outputs: box, objectness logit, class logits. Candidates for an object
    are the cells whose centre is inside its box or its centre region; those in both have priority. An object with its
    centre outside the image may get no cell.
    """
    inside, central = _inside_box_mask(grid, truth), _centre_region_mask(grid, truth)
    rows = (inside | central).any(0).nonzero()[:, 0]
    inside, central, raw = inside[:, rows], central[:, rows], raw[rows]
    candidates = AnchorGrid(grid.cells[rows], grid.strides[rows])
    ious = compute_iou(truth.boxes[:, None], candidates.decode_boxes(raw[:, :4]))
    costs = compute_class_costs(raw, truth.class_ids) - _IOU_WEIGHT * (ious + _EPSILON).log()
    costs = torch.where(inside & central, costs, costs + _OUTSIDE_COST)
    assignment = match_dynamic_k(costs, ious, inside | central)
    return LabelAssignment(rows[assignment.cell_rows], assignment.target_rows)


def compute_class_costs(raw: Tensor, class_ids: Tensor) -> Tensor:
    """Return the classification cost (K, A) of every pair of object and cell, from ``class_ids`` (K,).

    It is the binary cross-entropy summed over the classes, where the probability of a class is the geometric mean of
    the objectness and the class probability, as in the authors' implementation.
    """
    log_positive = (logsigmoid(raw[:, 4:5]) + logsigmoid(raw[:, 5:])) / 2
    log_negative = torch.log(-torch.expm1(log_positive.clamp(max=-_EPSILON)))
    differences: Tensor = log_negative - log_positive
    return differences.T[class_ids] - log_negative.sum(1)


def match_dynamic_k(costs: Tensor, ious: Tensor, is_candidate: Tensor) -> LabelAssignment:
    """Assign A cells to K objects by ``costs`` (K, A), where ``is_candidate`` (K, A), and the ``ious`` (K, A) in 0..1.

    Each object takes its cheapest cells, as many as the sum of its ten best IoUs (rounded down, at least one). A cell
    taken by several objects goes to the one with the lowest cost. Ties are broken by the lowest index, so that the
    result is the same on every machine.
    """
    count = min(MAX_DYNAMIC_K, costs.shape[1])
    if not count or not len(costs):
        return LabelAssignment(*(torch.zeros(2, 0, dtype=torch.long, device=costs.device)))
    costs = torch.where(is_candidate, costs, torch.inf)
    dynamic_k = torch.where(is_candidate, ious, 0.0).topk(count).values.sum(1).int().clamp(min=1)
    is_taken = _cheapest_mask(costs, dynamic_k.long(), count) & is_candidate
    lowest_costs, target_rows = torch.where(is_taken, costs, torch.inf).min(0)
    cell_rows = (is_taken.any(0) & (lowest_costs < torch.inf)).nonzero()[:, 0]
    return LabelAssignment(cell_rows, target_rows[cell_rows])


def _cheapest_mask(costs: Tensor, counts: Tensor, count: int) -> Tensor:
    """Return which of ``costs`` (K, A) are among the ``counts`` (K,) lowest of their row; of equal ones, the first.

    ``count`` is the largest of ``counts`` that is possible.
    """
    lowest = costs.topk(count, largest=False, sorted=True).values
    limit = lowest.gather(1, counts[:, None] - 1)
    is_below, is_equal = costs < limit, costs == limit
    room = counts[:, None] - is_below.sum(1, keepdim=True)
    return is_below | (is_equal & (is_equal.cumsum(1) <= room))


def _inside_box_mask(grid: AnchorGrid, truth: GroundTruth) -> Tensor:
    """Return which cell centres are strictly inside which box, (K, A)."""
    low, high = truth.boxes[:, None, :2], truth.boxes[:, None, 2:]
    return ((grid.centres > low) & (grid.centres < high)).all(2)


def _centre_region_mask(grid: AnchorGrid, truth: GroundTruth) -> Tensor:
    """Return which cell centres are in which object's centre region, (K, A)."""
    centres = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    distances = (grid.centres - centres[:, None]).abs()
    return (distances < CENTRE_RADIUS * grid.strides[:, None]).all(2)
