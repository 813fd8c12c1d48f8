"""How wrong a detector's answers are: the loss of YOLOX, written from its paper (Ge et al. 2021, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from lince.models.assignment import Grid, Truth, assign, overlap

_BOX_WEIGHT = 5.0


@dataclass(frozen=True)
class Losses:
    """The parts of one batch's loss, scalars to be told; ``total`` is what is learnt from.

    ``box`` is already weighted, and ``l1`` is 0 where it is not asked for. ``positives`` is how many places answer for
    an object: every part is divided by it, or by one where there is none.
    """

    total: Tensor
    box: Tensor
    objectness: Tensor
    classes: Tensor
    l1: Tensor
    positives: int


@dataclass(frozen=True)
class _Dealt:
    """What the places of a whole batch should answer, one row for each of the P that answer for an object."""

    images: Tensor
    places: Tensor
    boxes: Tensor
    class_ids: Tensor


def loss(
    raw: Tensor, cells: Tensor, strides: Tensor, targets: Sequence[tuple[Tensor, Tensor]], l1: bool = False
) -> Losses:
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
        dealt = _deal(raw, grid, targets)
        return _losses(raw, grid, dealt, l1)


def _deal(raw: Tensor, grid: Grid, targets: Sequence[tuple[Tensor, Tensor]]) -> _Dealt:
    truths = [Truth(*target).usable() for target in targets]
    found = [assign(answers, grid, truth) for answers, truth in zip(raw.detach(), truths, strict=True)]
    counts = torch.tensor([len(one.places) for one in found], device=raw.device)
    return _Dealt(
        torch.arange(len(found), device=raw.device).repeat_interleave(counts),
        torch.cat([one.places for one in found]),
        torch.cat([truth.boxes[one.targets] for one, truth in zip(found, truths, strict=True)]),
        torch.cat([truth.class_ids[one.targets] for one, truth in zip(found, truths, strict=True)]),
    )


def _losses(raw: Tensor, grid: Grid, dealt: _Dealt, l1: bool) -> Losses:
    positives = len(dealt.places)
    share = 1 / max(positives, 1)
    mine = raw[dealt.images, dealt.places]
    boxes = Grid(grid.cells[dealt.places], grid.strides[dealt.places]).boxes(mine[:, :4])
    fits = overlap(boxes, dealt.boxes)
    there = torch.zeros_like(raw[..., 4])
    there[dealt.images, dealt.places] = 1.0
    right = one_hot(dealt.class_ids, raw.shape[2] - 5) * fits.detach()[:, None]
    box = _BOX_WEIGHT * share * (1 - fits.square()).sum()
    objectness = share * binary_cross_entropy_with_logits(raw[..., 4], there, reduction="sum")
    classes = share * binary_cross_entropy_with_logits(mine[:, 5:], right, reduction="sum")
    wanted = grid.answers(dealt.boxes, dealt.places)
    away = share * (mine[:, :4] - wanted).abs().sum() if l1 else box.new_zeros(())
    return Losses(box + objectness + classes + away, box, objectness, classes, away, positives)
