"""TensorFlow's ``same`` padding as fixed numbers, once the size of the input is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

PadWidths = tuple[int, int, int, int]


def compute_same_pads(height: int, width: int, layer: Any) -> PadWidths:
    """Return (left, right, top, bottom) pads after which ``layer`` answers one value per stride of its input.

    ``layer`` has a kernel and a stride, maybe a dilation. What cannot be halved goes to the right and the bottom.
    """
    kernel, stride, dilation = (_pair(getattr(layer, key, 1)) for key in ("kernel_size", "stride", "dilation"))
    return (
        *_side_pads(width, kernel[1], stride[1], dilation[1]),
        *_side_pads(height, kernel[0], stride[0], dilation[0]),
    )


class PaddedConv(nn.Conv2d):
    """A convolution after a zero padding of fixed width; in an ONNX graph it is one node."""

    pads: PadWidths

    @classmethod
    def wrap_conv(cls, plain: nn.Conv2d, pads: PadWidths) -> PaddedConv:
        """Return ``plain``, which pads nothing by itself, behind ``pads``; the two share their weights."""
        kernel, stride, dilation = (_pair(value) for value in (plain.kernel_size, plain.stride, plain.dilation))
        options: dict[str, Any] = {"groups": plain.groups, "bias": plain.bias is not None, "device": "meta"}
        padded = cls(plain.in_channels, plain.out_channels, kernel, stride, 0, dilation, **options)
        padded.weight, padded.bias, padded.pads = plain.weight, plain.bias, pads
        return padded

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of the padded ``x``."""
        if torch.onnx.is_in_onnx_export():
            shape = (self.stride, self.dilation, self.groups)
            return _PaddedConvFunction.apply(x, self.weight, self.bias, self.pads, *shape)  # type: ignore[no-any-return]
        return super().forward(nn.functional.pad(x, self.pads))


class PaddedPool(nn.Module):
    """A pooling after a padding of fixed width and value."""

    def __init__(self, pads: PadWidths, pool: nn.Module, value: float = 0.0) -> None:
        super().__init__()
        self.pads, self.value = pads, value
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooling of the padded ``x``."""
        return self.pool(nn.functional.pad(x, self.pads, value=self.value))  # type: ignore[no-any-return]


class _PaddedConvFunction(torch.autograd.Function):
    """ONNX's Conv pads each side by itself, which torch's cannot say: so the node is written here."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, pads: PadWidths, *shape: Any) -> Tensor:
        stride, dilation, groups = shape
        return nn.functional.conv2d(nn.functional.pad(x, pads), weight, bias, stride, 0, dilation, groups)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, pads: PadWidths, *shape: Any) -> Any:
        stride, dilation, groups = shape
        left, right, top, bottom = pads
        inputs = [x, weight] if bias is None or bias.node().mustBeNone() else [x, weight, bias]
        attributes = {"strides_i": stride, "dilations_i": dilation, "group_i": groups}
        return g.op("Conv", *inputs, pads_i=[top, left, bottom, right], **attributes)


def _side_pads(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
