"""How wrong a detector's answers are: the loss of YOLOX, written from its paper (Ge et al. 2021, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from lince.models.yolox.sim_ota import Grid, GroundTruth, assign_targets, compute_iou

_BOX_WEIGHT = 5.0


@dataclass(frozen=True)
class YoloxLosses:
    """The parts of one batch's loss, scalars to be told; ``total`` is what is learnt from.

    ``box`` is already weighted, and ``l1`` is 0 where it is not asked for. ``positives`` is how many places answer for
    an object: every part is divided by it, or by one where there is none.
    """

    total: Tensor
    box: Tensor
    objectness: Tensor
    classes: Tensor
    l1: Tensor
    num_positives: int


@dataclass(frozen=True)
class _BatchAssignment:
    """What the places of a whole batch should answer, one row for each of the P that answer for an object."""

    image_rows: Tensor
    anchor_rows: Tensor
    boxes: Tensor
    class_ids: Tensor


def compute_yolox_loss(
    raw: Tensor, cells: Tensor, strides: Tensor, targets: Sequence[tuple[Tensor, Tensor]], use_l1: bool = False
) -> YoloxLosses:
    """Return the loss of a batch's answers ``raw`` (N, A, 5 + C), in float32 whatever they come in.

    Answers are box, logit of an object, logits of the classes, at places given by ``cells`` (A, 2) and ``strides``
    (A,). ``targets`` holds for each image its boxes (K, 4), left, top, right, bottom in pixels of the input, and their
    class ids (K,); boxes that are not finite or under one pixel thin are passed over. Boxes cost 1 - IoU squared, the
    object and the classes binary cross-entropy, the right class being as sure as its box fits; ``l1`` adds the plain
    distance of the box's numbers, for the last epochs.
    """
    if len(raw) != len(targets):
        raise ValueError(f"{len(raw)} images have the targets of {len(targets)}")
    with torch.autocast(raw.device.type, enabled=False):
        raw, grid = raw.float(), Grid(cells.float(), strides.float())
        dealt = _assign_batch(raw, grid, targets)
        return _compute_losses(raw, grid, dealt, use_l1)


def _assign_batch(raw: Tensor, grid: Grid, targets: Sequence[tuple[Tensor, Tensor]]) -> _BatchAssignment:
    truths = [GroundTruth(*target).filter_usable() for target in targets]
    found = [assign_targets(answers, grid, truth) for answers, truth in zip(raw.detach(), truths, strict=True)]
    counts = torch.tensor([len(one.anchor_rows) for one in found], device=raw.device)
    return _BatchAssignment(
        torch.arange(len(found), device=raw.device).repeat_interleave(counts),
        torch.cat([one.anchor_rows for one in found]),
        torch.cat([truth.boxes[one.target_rows] for one, truth in zip(found, truths, strict=True)]),
        torch.cat([truth.class_ids[one.target_rows] for one, truth in zip(found, truths, strict=True)]),
    )


def _compute_losses(raw: Tensor, grid: Grid, dealt: _BatchAssignment, l1: bool) -> YoloxLosses:
    positives = len(dealt.anchor_rows)
    share = 1 / max(positives, 1)
    mine = raw[dealt.image_rows, dealt.anchor_rows]
    boxes = Grid(grid.cells[dealt.anchor_rows], grid.strides[dealt.anchor_rows]).decode_boxes(mine[:, :4])
    fits = compute_iou(boxes, dealt.boxes)
    there = torch.zeros_like(raw[..., 4])
    there[dealt.image_rows, dealt.anchor_rows] = 1.0
    right = one_hot(dealt.class_ids, raw.shape[2] - 5) * fits.detach()[:, None]
    box = _BOX_WEIGHT * share * (1 - fits.square()).sum()
    objectness = share * binary_cross_entropy_with_logits(raw[..., 4], there, reduction="sum")
    classes = share * binary_cross_entropy_with_logits(mine[:, 5:], right, reduction="sum")
    wanted = grid.encode_boxes(dealt.boxes, dealt.anchor_rows)
    away = share * (mine[:, :4] - wanted).abs().sum() if l1 else box.new_zeros(())
    return YoloxLosses(box + objectness + classes + away, box, objectness, classes, away, positives)
