"""The loss of segmentation: cross-entropy, and soft Dice over the classes that occur; void pixels are left out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lince.class_maps import VOID

_SMOOTHING = 1.0  # pixels, added to both parts of the quotient of Dice


def compute_pixel_losses(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return the losses ``pixels`` and ``dice`` of ``logits`` (N, K, h, w) against ``targets``, uint8 (N, H, W).

    The logits are brought to the targets' size first, so that an edge within a cell counts. ``pixels`` is the mean
    cross-entropy in nats, ``dice`` one minus the mean, over the classes that the batch has, of the soft Dice
    coefficient (Milletari et al. 2016) of all its pixels. Without any pixel but void both are 0.
    """
    scores = functional.interpolate(logits.float(), targets.shape[1:], mode="bilinear", align_corners=False)
    known = (targets != VOID)[:, None]
    class_ids = torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1)
    truth = ((targets[:, None] == class_ids) & known).float()
    logarithms = scores.log_softmax(1)
    cross_entropy = -(logarithms * truth).sum() / truth.sum().clamp(min=1)
    probabilities = logarithms.exp() * known
    overlaps = (probabilities * truth).sum((0, 2, 3))
    areas = truth.sum((0, 2, 3))
    coefficients = (2 * overlaps + _SMOOTHING) / (probabilities.sum((0, 2, 3)) + areas + _SMOOTHING)
    present = areas > 0
    dice = (1 - coefficients)[present].mean() if bool(present.any()) else 0.0 * overlaps.sum()
    return {"pixels": cross_entropy, "dice": dice}
