"""Builds the optimiser with its parameter groups, and keeps the moving average of the weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from lince.models.blocks import FreezableNetwork
from lince.training.plan import TrainingPlan


def build_optimizer(network: FreezableNetwork, plan: TrainingPlan) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019) over the parameters of ``network`` that are not frozen.

    The learning rate falls by the factor ``plan.depth_decay`` from each block to the one below it (discriminative
    fine-tuning, Howard and Ruder 2018); parameters outside the blocks get the lowest one. Vectors (biases, scales of
    norms) have no weight decay. Each group keeps its fraction of the peak learning rate under the key ``share``.
    """
    groups = []
    assigned_ids: set[int] = set()
    blocks = network.list_blocks()
    for depth, (_, module) in enumerate(reversed(blocks)):
        groups += _parameter_groups(list(module.parameters()), plan, plan.depth_decay**depth, assigned_ids)
    groups += _parameter_groups(list(network.parameters()), plan, plan.depth_decay ** len(blocks), assigned_ids)
    return torch.optim.AdamW(groups, lr=plan.rate, fused=True)


def _parameter_groups(
    parameters: list[nn.Parameter], plan: TrainingPlan, share: float, assigned_ids: set[int]
) -> list[dict[str, object]]:
    """Return groups for the trainable ``parameters`` that are not in ``assigned_ids`` yet, and add them to it.

    Matrices and kernels get ``plan.decay`` as weight decay, vectors none; empty groups are left out.
    """
    unassigned = [p for p in parameters if p.requires_grad and id(p) not in assigned_ids]
    assigned_ids.update(id(p) for p in unassigned)
    matrices = [p for p in unassigned if p.ndim > 1]
    vectors = [p for p in unassigned if p.ndim <= 1]
    groups = ((matrices, plan.decay), (vectors, 0.0))
    return [{"params": members, "weight_decay": decay, "share": share} for members, decay in groups if members]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group to its ``share`` of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


class ModelEMA:
    """Exponential moving average of a network's weights (Polyak and Juditsky 1992), with a warm-up of the decay.

    With ``decay`` 0 nothing is averaged and ``network`` is the trained network itself; otherwise it is a copy in
    evaluation mode. The decay used at step t is min(decay, (1 + t) / (10 + t)).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = deepcopy(network).eval().requires_grad_(False) if decay else network

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards ``network`` after training step ``step`` (from 0).

        Parameters are averaged, buffers (such as the statistics of batch norms) are copied.
        """
        if not self.decay:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, parameter in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)
        for average_buffer, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            average_buffer.copy_(buffer)
