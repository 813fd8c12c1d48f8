"""The loss of segmentation: cross-entropy, and soft Dice over the classes that occur; void pixels are left out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lince.class_maps import VOID

_FINENESS = 2  # cells of the loss along a cell of the logits: edges within a cell count, at a quarter of the cost of 4
_SMOOTHING = 1.0  # cells, added to both parts of the quotient of Dice


def compute_pixel_losses(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return the losses ``pixels`` and ``dice`` of ``logits`` (N, K, h, w) against ``targets``, uint8 (N, H, W).

    They are computed at twice the resolution of the logits, where each cell has the shares of the classes in its
    pixels. ``pixels`` is the mean cross-entropy in nats, ``dice`` one minus the mean, over the classes that the batch
    has, of the soft Dice coefficient (Milletari et al. 2016) of all its cells. Without any pixel but void both are 0.
    """
    truth = measure_shares(targets, logits.shape[1], (_FINENESS * logits.shape[2], _FINENESS * logits.shape[3]))
    known = truth.sum(1, keepdim=True)
    scores = functional.interpolate(logits.float(), truth.shape[2:], mode="bilinear", align_corners=False)
    logarithms = scores.log_softmax(1)
    cross_entropy = -(logarithms * truth).sum() / known.sum().clamp(min=1)
    probabilities = logarithms.exp() * known
    overlaps = (probabilities * truth).sum((0, 2, 3))
    areas = truth.sum((0, 2, 3))
    coefficients = (2 * overlaps + _SMOOTHING) / (probabilities.sum((0, 2, 3)) + areas + _SMOOTHING)
    present = areas > 0
    dice = (1 - coefficients)[present].mean() if bool(present.any()) else 0.0 * overlaps.sum()
    return {"pixels": cross_entropy, "dice": dice}


@torch.no_grad()
def measure_shares(targets: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    """Return the shares float32 (N, count, h, w) of each value in the cells of ``targets``, uint8 (N, H, W).

    The cells are those of a grid of ``size`` (h, w). What is missing to 1 is void.
    """
    values = torch.arange(count, device=targets.device, dtype=torch.uint8).view(1, -1, 1, 1)
    is_value = ((targets[:, None] == values) & (targets[:, None] != VOID)).float()
    return is_value if is_value.shape[2:] == size else functional.adaptive_avg_pool2d(is_value, size)
