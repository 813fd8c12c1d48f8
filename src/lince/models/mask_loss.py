"""The loss of masks that are made of prototypes and coefficients (YOLACT: Bolya et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

MAX_MASKS = 256  # of a batch, chosen evenly, which bounds the memory
WEIGHT = 2.0


@dataclass(frozen=True)
class MaskTargets:
    """The objects that P predictions of a batch are to show.

    ``image_rows`` (P,) are their images, ``boxes`` (P, 4) in pixels of the input; ``masks`` uint8 (P, h, w) is how much
    of each cell the object covers, 0 to 255.
    """

    image_rows: Tensor
    boxes: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.image_rows)


def choose_rows(has_mask: Tensor) -> Tensor:
    """Return at most ``MAX_MASKS`` of the rows where ``has_mask`` (P,) is true, spread evenly, int64."""
    rows = has_mask.nonzero()[:, 0]
    if len(rows) <= MAX_MASKS:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, MAX_MASKS, device=rows.device).round().long()]


def compute_mask_loss(coefficients: Tensor, prototypes: Tensor, targets: MaskTargets, stride: int) -> Tensor:
    """Return the mean loss of the masks of ``targets``, a scalar; 0 without any.

    ``coefficients`` (P, D) are those of the predictions, ``prototypes`` (N, D, h, w) with cells of ``stride`` pixels.
    The loss of a mask is the binary cross-entropy over the cells inside its box, divided by their number, and one minus
    the Dice coefficient there.
    """
    if not len(targets):
        return prototypes.sum() * 0.0 + coefficients.sum() * 0.0
    logits = torch.cat(
        [
            torch.einsum("pd,dhw->phw", coefficients[targets.image_rows == image], prototypes[image])
            for image in range(len(prototypes))
        ]
    )
    order = torch.argsort(targets.image_rows, stable=True)
    masks = targets.masks[order].to(logits.dtype) / 255
    if masks.shape[1:] != logits.shape[1:]:
        masks = interpolate(masks[:, None], logits.shape[1:], mode="area")[:, 0]
    inside = _find_inside(targets.boxes[order], logits, stride)
    entropy = binary_cross_entropy_with_logits(logits, masks, reduction="none") * inside
    shares = logits.sigmoid() * inside
    masks = masks * inside
    dice = (2 * (shares * masks).sum((1, 2)) + 1) / (shares.sum((1, 2)) + masks.sum((1, 2)) + 1)
    return (entropy.sum((1, 2)) / inside.sum((1, 2)).clamp(min=1) + 1 - dice).mean()


def _find_inside(boxes: Tensor, logits: Tensor, stride: int) -> Tensor:
    """Return which cells (P, h, w) have their centres inside ``boxes`` (P, 4), as numbers of the type of ``logits``."""
    y = (torch.arange(logits.shape[1], device=logits.device) + 0.5) * stride
    x = (torch.arange(logits.shape[2], device=logits.device) + 0.5) * stride
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    rows, columns = (y >= top) & (y < bottom), (x >= left) & (x < right)
    return (rows[:, :, None] & columns[:, None]).to(logits.dtype)
