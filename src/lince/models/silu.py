"""SiLU as training wants it: its input is kept once, and slopes lie in memory as the maps do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _SiluFunction(torch.autograd.Function):
    """x sigmoid(x) (Elfwing et al. 2018). The layer of torch copies its input when it works in place, and walks slowly
    through slopes that are a slice of larger ones, as joining maps leaves them: a tenth of a step of YOLOX.
    """

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        """Return SiLU of ``x`` (any shape)."""
        context.save_for_backward(x)
        return functional.silu(x)

    @staticmethod
    def backward(context: Any, slopes: Tensor) -> Tensor:
        """Return the slopes by ``x``."""
        (x,) = context.saved_tensors
        dense = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
        slope: Tensor = torch.ops.aten.silu_backward(slopes.contiguous(memory_format=dense), x)
        return slope


def memory_efficient_silu(x: Tensor) -> Tensor:
    """Return x sigmoid(x) of maps ``x`` (N, C, H, W), whose slopes are computed quickly."""
    out: Tensor = _SiluFunction.apply(x)
    return out
