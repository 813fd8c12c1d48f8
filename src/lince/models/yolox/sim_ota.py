"""Which places of YOLOX answer for which object while it learns: SimOTA, written from its paper (Ge et al. 2021).

The network's own answers decide: a place that already sees an object well is the cheapest to ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

CENTRE_RADIUS = 2.5  # the centre region of an object: so many strides each way from its middle
MAX_DYNAMIC_K = 10  # an object is dealt at most this many places: the sum of its ten best overlaps
MIN_SIDE = 1.0  # pixels of the input; an object that is thinner is not learnt
_IOU_WEIGHT = 3.0
_OUTSIDE_COST = 1e4  # more than any usual cost, and little enough that float32 still tells costs apart by 0.001
_MAX_LOG_SIDE = 20.0  # e to this power times a stride is wider than any photo, and its square is no overflow
_EPSILON = 1e-7


@dataclass(frozen=True)
class Grid:
    """The places of one input size: ``cells`` (A, 2), column and row on their map, and ``strides`` (A,) in pixels."""

    cells: Tensor
    strides: Tensor

    @property
    def centres(self) -> Tensor:
        """The middles (A, 2) of the places in pixels of the input."""
        return (self.cells + 0.5) * self.strides[:, None]

    def decode_boxes(self, outputs: Tensor) -> Tensor:
        """Return boxes (..., A, 4), left, top, right, bottom in pixels, from ``answers`` (..., A, 4) of the network."""
        middles = (outputs[..., :2] + self.cells) * self.strides[:, None]
        halves = outputs[..., 2:].clamp(max=_MAX_LOG_SIDE).exp() * self.strides[:, None] / 2
        return torch.cat((middles - halves, middles + halves), -1)

    def encode_boxes(self, boxes: Tensor, anchor_rows: Tensor) -> Tensor:
        """Return what the network should answer (P, 4) at ``places`` (P,) for ``boxes`` (P, 4) with sides above 0."""
        strides = self.strides[anchor_rows, None]
        middles, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return torch.cat((middles / strides - self.cells[anchor_rows], (sides / strides).log()), -1)


@dataclass(frozen=True)
class GroundTruth:
    """What one image shows: ``boxes`` (K, 4) float in pixels of the input, and ``class_ids`` (K,) int64."""

    boxes: Tensor
    class_ids: Tensor

    def __len__(self) -> int:
        return len(self.class_ids)

    def filter_usable(self) -> GroundTruth:
        """Return the objects that can be learnt: finite numbers, and sides of at least ``LEAST_SIDE`` pixels."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        # A comparison with NaN is false, so only the infinite ones need a question of their own.
        kept = (sides >= MIN_SIDE).all(1) & self.boxes.isfinite().all(1)
        return GroundTruth(self.boxes[kept].float(), self.class_ids[kept].long())


@dataclass(frozen=True)
class LabelAssignment:
    """P places that answer for an object: ``places`` (P,) ascending, ``targets`` (P,) rows of the truth."""

    anchor_rows: Tensor
    target_rows: Tensor


def compute_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union (...) of boxes (..., 4), which are broadcast; never NaN on finite boxes."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    sides = (high - low).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    return shared / (_box_area(first) + _box_area(second) - shared).clamp(min=_EPSILON)


@torch.no_grad()
def assign_targets(raw: Tensor, grid: Grid, truth: GroundTruth) -> LabelAssignment:
    """Return which places of one image answer for which object of ``truth``, all of which must be usable.

    ``raw`` (A, 5 + C) float32 are the network's answers: box, logit of an object, logits of the classes. A place may
    answer for an object when its middle lies in the object's box or centre region; places in both go first. An object
    whose box has its middle outside the image may end without a place.
    """
    inside, central = _inside_box_mask(grid, truth), _centre_region_mask(grid, truth)
    rows = (inside | central).any(0).nonzero()[:, 0]
    inside, central, raw = inside[:, rows], central[:, rows], raw[rows]
    near = Grid(grid.cells[rows], grid.strides[rows])
    shared = compute_iou(truth.boxes[:, None], near.decode_boxes(raw[:, :4]))
    costs = compute_class_costs(raw, truth.class_ids) - _IOU_WEIGHT * (shared + _EPSILON).log()
    costs = torch.where(inside & central, costs, costs + _OUTSIDE_COST)
    found = match_dynamic_k(costs, shared, inside | central)
    return LabelAssignment(rows[found.anchor_rows], found.target_rows)


def compute_class_costs(raw: Tensor, class_ids: Tensor) -> Tensor:
    """Return how wrong (K, A) each place is about the class of each object, were it to answer for it.

    The binary cross-entropy summed over the classes, the probability of one being the geometric mean of the object's
    and the class's, as the authors compute it.
    """
    log_sure = (logsigmoid(raw[:, 4:5]) + logsigmoid(raw[:, 5:])) / 2
    log_not = torch.log(-torch.expm1(log_sure.clamp(max=-_EPSILON)))
    changes: Tensor = log_not - log_sure
    return changes.T[class_ids] - log_not.sum(1)


def match_dynamic_k(costs: Tensor, overlaps: Tensor, allowed: Tensor) -> LabelAssignment:
    """Deal A places to K objects by ``costs`` (K, A), where ``allowed`` (K, A); ``overlaps`` (K, A) in [0, 1].

    Each object takes its cheapest places, as many as its ten best overlaps sum up to (rounded down, one at least); a
    place that several take answers for the one to which it is cheapest. Among equals the first place and the first
    object win, so the result is the same on every machine.
    """
    count = min(MAX_DYNAMIC_K, costs.shape[1])
    if not count or not len(costs):
        return LabelAssignment(*(torch.zeros(2, 0, dtype=torch.long, device=costs.device)))
    costs = torch.where(allowed, costs, torch.inf)
    wanted = torch.where(allowed, overlaps, 0.0).topk(count).values.sum(1).int().clamp(min=1)
    taken = _cheapest_mask(costs, wanted.long(), count) & allowed
    prices, targets = torch.where(taken, costs, torch.inf).min(0)
    places = (taken.any(0) & (prices < torch.inf)).nonzero()[:, 0]
    return LabelAssignment(places, targets[places])


def _cheapest_mask(costs: Tensor, wanted: Tensor, count: int) -> Tensor:
    """Tell which of ``costs`` (K, A) are among the ``wanted`` (K,) least of their row, of equal ones the first."""
    least = costs.topk(count, largest=False, sorted=True).values
    limit = least.gather(1, wanted[:, None] - 1)
    below, equal = costs < limit, costs == limit
    room = wanted[:, None] - below.sum(1, keepdim=True)
    return below | (equal & (equal.cumsum(1) <= room))


def _inside_box_mask(grid: Grid, truth: GroundTruth) -> Tensor:
    low, high = truth.boxes[:, None, :2], truth.boxes[:, None, 2:]
    return ((grid.centres > low) & (grid.centres < high)).all(2)


def _centre_region_mask(grid: Grid, truth: GroundTruth) -> Tensor:
    middles = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    way = (grid.centres - middles[:, None]).abs()
    return (way < CENTRE_RADIUS * grid.strides[:, None]).all(2)


def _box_area(boxes: Tensor) -> Tensor:
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]
