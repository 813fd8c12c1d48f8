"""TensorFlow's ``same`` padding as constant widths, for a known input size.

timm computes it in every forward pass from the input's shape, which a traced ONNX graph would repeat as arithmetic.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

PadWidths = tuple[int, int, int, int]  # left, right, top, bottom in pixels, as ``nn.functional.pad`` takes them


def compute_same_pads(height: int, width: int, layer: Any) -> PadWidths:
    """Return the padding with which ``layer`` gives ceil(size / stride) outputs for an input of (height, width).

    ``layer`` has ``kernel_size`` and ``stride``, and may have ``dilation``. An odd total is larger on the right and at
    the bottom, as in TensorFlow.
    """
    kernel, stride, dilation = (_pair(getattr(layer, key, 1)) for key in ("kernel_size", "stride", "dilation"))
    return (
        *_side_pads(width, kernel[1], stride[1], dilation[1]),
        *_side_pads(height, kernel[0], stride[0], dilation[0]),
    )


class PaddedConv(nn.Conv2d):
    """A convolution after zero padding of constant width, which may differ between opposite sides.

    It is one node in an ONNX graph.
    """

    pads: PadWidths

    @classmethod
    def wrap_conv(cls, convolution: nn.Conv2d, pads: PadWidths) -> PaddedConv:
        """Return ``convolution``, which must not pad by itself, with ``pads`` before it; the weights are shared."""
        kernel, stride, dilation = (
            _pair(value) for value in (convolution.kernel_size, convolution.stride, convolution.dilation)
        )
        options: dict[str, Any] = {"groups": convolution.groups, "bias": convolution.bias is not None, "device": "meta"}
        padded = cls(convolution.in_channels, convolution.out_channels, kernel, stride, 0, dilation, **options)
        padded.weight, padded.bias, padded.pads = convolution.weight, convolution.bias, pads
        return padded

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of the padded ``x`` (N, C, H, W)."""
        if torch.onnx.is_in_onnx_export():
            shape = (self.stride, self.dilation, self.groups)
            return _PaddedConvFunction.apply(x, self.weight, self.bias, self.pads, *shape)  # type: ignore[no-any-return]
        return super().forward(nn.functional.pad(x, self.pads))


class PaddedPool(nn.Module):
    """A pooling layer after padding of constant width with ``value``."""

    def __init__(self, pads: PadWidths, pool: nn.Module, value: float = 0.0) -> None:
        super().__init__()
        self.pads, self.value = pads, value
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled ``x`` (N, C, H, W) after padding."""
        return self.pool(nn.functional.pad(x, self.pads, value=self.value))  # type: ignore[no-any-return]


class _PaddedConvFunction(torch.autograd.Function):
    """A convolution with different padding on opposite sides, which ONNX has as one node and torch has not."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, pads: PadWidths, *shape: Any) -> Tensor:
        """Return the convolution of the padded ``x``; ``shape`` is stride, dilation and groups."""
        stride, dilation, groups = shape
        return nn.functional.conv2d(nn.functional.pad(x, pads), weight, bias, stride, 0, dilation, groups)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, pads: PadWidths, *shape: Any) -> Any:
        """Return the ``Conv`` node with its padding as an attribute."""
        stride, dilation, groups = shape
        left, right, top, bottom = pads
        inputs = [x, weight] if bias is None or bias.node().mustBeNone() else [x, weight, bias]
        attributes = {"strides_i": stride, "dilations_i": dilation, "group_i": groups}
        return g.op("Conv", *inputs, pads_i=[top, left, bottom, right], **attributes)


def _side_pads(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the padding before and after one axis of ``size`` pixels."""
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """Return ``value`` for both axes, (vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])
