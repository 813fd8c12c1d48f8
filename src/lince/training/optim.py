"""The optimiser's parameter groups, and the moving average of the weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from lince.models.blocks import FreezableNetwork
from lince.training.plan import TrainingPlan


def build_optimizer(network: FreezableNetwork, plan: TrainingPlan) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019) over what is not frozen.

    The rate falls by ``plan.depth_decay`` from each block to the one below it (Howard and Ruder 2018); vectors
    (biases, norms) are not decayed. Each group keeps its share of the peak rate as ``share``.
    """
    groups = []
    seen: set[int] = set()
    blocks = network.list_blocks()
    for depth, (_, module) in enumerate(reversed(blocks)):
        groups += _parameter_groups(list(module.parameters()), plan, plan.depth_decay**depth, seen)
    groups += _parameter_groups(list(network.parameters()), plan, plan.depth_decay ** len(blocks), seen)
    return torch.optim.AdamW(groups, lr=plan.rate, fused=True)


def _parameter_groups(
    parameters: list[nn.Parameter], plan: TrainingPlan, share: float, seen: set[int]
) -> list[dict[str, object]]:
    fresh = [one for one in parameters if one.requires_grad and id(one) not in seen]
    seen.update(id(one) for one in fresh)
    matrices = [one for one in fresh if one.ndim > 1]
    vectors = [one for one in fresh if one.ndim <= 1]
    both = ((matrices, plan.decay), (vectors, 0.0))
    return [{"params": part, "weight_decay": decay, "share": share} for part, decay in both if part]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


class ModelEMA:
    """An exponential moving average of a network's weights (Polyak and Juditsky 1992); early steps count less."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = deepcopy(network).eval().requires_grad_(False) if decay else network

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards ``network`` after training step number ``step`` (from 0)."""
        if not self.decay:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.network.parameters(), network.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for kept, current in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(current)
