"""The body of YOLOX: CSPDarknet and the layers that its neck and head are made of too (Ge et al. 2021).

Modules bear the names of the published key layout, so that published weights load as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lince.models.silu import memory_efficient_silu

_EPSILON, _MOMENTUM = 1e-3, 0.03  # of the batch norms that the published weights were trained with


class ConvBnSilu(nn.Module):
    """Convolution that keeps the size (divided by ``stride``), batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, _EPSILON, _MOMENTUM)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride) for ``x`` (N, inputs, H, W)."""
        return self.normalise_and_activate(self.conv(x))

    def normalise_and_activate(self, convolved: Tensor) -> Tensor:
        """Return what the convolution gave, normed and through SiLU."""
        normed = self.bn(convolved)
        out: Tensor = memory_efficient_silu(normed) if self.training else self.act(normed)
        return out


class DepthwiseConvBnSilu(nn.Module):
    """A depthwise and then a pointwise ``Unit``: what takes the place of every large kernel in the nano size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = ConvBnSilu(inputs, inputs, kernel, stride, groups=inputs)
        self.pconv = ConvBnSilu(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride) for ``x`` (N, inputs, H, W)."""
        out: Tensor = self.pconv(self.dconv(x))
        return out


def make_conv3x3(inputs: int, outputs: int, stride: int, separable: bool) -> nn.Module:
    """Return a unit with a kernel of 3 x 3, in one piece or in two."""
    return DepthwiseConvBnSilu(inputs, outputs, 3, stride) if separable else ConvBnSilu(inputs, outputs, 3, stride)


class FocusStem(nn.Module):
    """Halves an image by laying the four pixels of every square into channels, which a kernel of 3 x 3 convolves.

    That is a kernel of 6 x 6 at every second pixel of the image itself: the same sums, and no copy of the image.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBnSilu(4 * inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / 2, W / 2) for ``x`` (N, inputs, H, W)."""
        return self.conv.normalise_and_activate(
            functional.conv2d(x, _unfold_focus_kernel(self.conv.conv.weight), stride=2, padding=2)
        )

    def to_plain_conv(self) -> nn.Sequential:
        """Return the layers that this amounts to when its weights no longer change."""
        inner = self.conv.conv
        whole = nn.Conv2d(inner.in_channels // 4, inner.out_channels, 6, 2, 2, bias=False)
        whole.weight = nn.Parameter(_unfold_focus_kernel(inner.weight.detach()))
        return nn.Sequential(whole, self.conv.bn, self.conv.act)


def replace_focus_layers(network: nn.Module) -> None:
    """Put plain layers in place of each ``Focus`` in ``network``, for those who write it down."""
    for module in list(network.modules()):
        for name, inner in list(module.named_children()):
            if isinstance(inner, FocusStem):
                setattr(module, name, inner.to_plain_conv())


def _unfold_focus_kernel(kernel: Tensor) -> Tensor:
    """Return ``kernel`` (O, 4 C, 3, 3) over squares of pixels as one (O, C, 6, 6) over the pixels.

    Squares lie in the channels as upper left, lower left, upper right, lower right.
    """
    outputs, channels, height, width = kernel.shape
    squares = kernel.reshape(outputs, 2, 2, channels // 4, height, width)
    return squares.permute(0, 3, 4, 2, 5, 1).reshape(outputs, channels // 4, 2 * height, 2 * width)


class Bottleneck(nn.Module):
    """1 x 1, then 3 x 3, around which the input may pass unchanged (``shortcut``)."""

    def __init__(self, channels: int, shortcut: bool, separable: bool) -> None:
        super().__init__()
        self.conv1 = ConvBnSilu(channels, channels, 1)
        self.conv2 = make_conv3x3(channels, channels, 1, separable)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H, W) for ``x`` of the same shape."""
        out: Tensor = self.conv2(self.conv1(x))
        return x + out if self.shortcut else out


class CspLayer(nn.Module):
    """Half of the channels pass ``depth`` bottlenecks, the other half goes by; then they join (Wang et al. 2020)."""

    def __init__(self, inputs: int, outputs: int, depth: int, shortcut: bool, separable: bool) -> None:
        super().__init__()
        hidden = outputs // 2
        self.conv1 = ConvBnSilu(inputs, hidden, 1)
        self.conv2 = ConvBnSilu(inputs, hidden, 1)
        self.conv3 = ConvBnSilu(2 * hidden, outputs, 1)
        self.m = nn.Sequential(*(Bottleneck(hidden, shortcut, separable) for _layer in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H, W) for ``x`` (N, inputs, H, W)."""
        out: Tensor = self.conv3(torch.cat((self.m(self.conv1(x)), self.conv2(x)), 1))
        return out


class SppBottleneck(nn.Module):
    """Maxima over squares of 5, 9 and 13 pixels beside the map itself (He et al. 2015)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBnSilu(channels, channels // 2, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.conv2 = ConvBnSilu(4 * (channels // 2), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H, W) for ``x`` of the same shape."""
        maps = [self.conv1(x)]
        for _size in (5, 9, 13):  # the maxima of maxima over 5 are those over 9, and those again over 13
            maps.append(self.pool(maps[-1]))
        out: Tensor = self.conv2(torch.cat(maps, 1))
        return out


class CspDarknet(nn.Module):
    """Maps at strides 8, 16 and 32 with 4, 8 and 16 times ``base`` channels."""

    def __init__(self, base: int, depth: int, separable: bool) -> None:
        super().__init__()
        self.stem = FocusStem(3, base)
        self.dark2 = _make_stage(base, depth, separable)
        self.dark3 = _make_stage(2 * base, 3 * depth, separable)
        self.dark4 = _make_stage(4 * base, 3 * depth, separable)
        self.dark5 = nn.Sequential(
            make_conv3x3(8 * base, 16 * base, 2, separable),
            SppBottleneck(16 * base),
            CspLayer(16 * base, 16 * base, depth, False, separable),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three maps of images ``x`` (N, 3, H, W), finest first."""
        fine = self.dark3(self.dark2(self.stem(x)))
        middle = self.dark4(fine)
        return fine, middle, self.dark5(middle)


def _make_stage(inputs: int, depth: int, separable: bool) -> nn.Sequential:
    return nn.Sequential(
        make_conv3x3(inputs, 2 * inputs, 2, separable), CspLayer(2 * inputs, 2 * inputs, depth, True, separable)
    )
