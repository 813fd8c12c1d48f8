"""TensorFlow's ``same`` padding as fixed numbers, once the size of the input is known."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

Pads = tuple[int, int, int, int]


def same_pads(height: int, width: int, layer: Any) -> Pads:
    """Return (left, right, top, bottom) pads after which ``layer`` answers one value per stride of its input.

    ``layer`` has a kernel and a stride, maybe a dilation. What cannot be halved goes to the right and the bottom.
    """
    kernel, stride, dilation = (_pair(getattr(layer, key, 1)) for key in ("kernel_size", "stride", "dilation"))
    return (
        *_around(width, kernel[1], stride[1], dilation[1]),
        *_around(height, kernel[0], stride[0], dilation[0]),
    )


class Padded(nn.Module):
    """A layer after a padding of fixed width."""

    def __init__(self, pads: Pads, layer: nn.Module, value: float = 0.0) -> None:
        super().__init__()
        self.pads, self.value = pads, value
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer makes of the padded ``x``."""
        return self.layer(nn.functional.pad(x, self.pads, value=self.value))  # type: ignore[no-any-return]


def _around(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
