"""CSPDarknet, the backbone of YOLOX, and the layers that its neck and head share (Ge et al. 2021).

Modules have the names of the published state dicts, so that published weights load without renaming.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lince.models.silu import memory_efficient_silu

_EPSILON, _MOMENTUM = 1e-3, 0.03  # of the batch norms, as the published weights were trained


class ConvBnSilu(nn.Module):
    """Convolution with padding ``kernel // 2``, batch norm, SiLU; H and W are divided by ``stride``."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, _EPSILON, _MOMENTUM)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H / stride, W / stride) for ``x`` (N, in_channels, H, W)."""
        return self.normalise_and_activate(self.conv(x))

    def normalise_and_activate(self, x: Tensor) -> Tensor:
        """Return the convolution's output ``x`` after batch norm and SiLU.

        In training SiLU saves memory; in evaluation it is the plain layer, which exports to ONNX.
        """
        normed = self.bn(x)
        activated: Tensor = memory_efficient_silu(normed) if self.training else self.act(normed)
        return activated


class DepthwiseConvBnSilu(nn.Module):
    """A depthwise ``ConvBnSilu`` followed by a pointwise one, instead of every larger kernel of the nano size."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = ConvBnSilu(in_channels, in_channels, kernel, stride, groups=in_channels)
        self.pconv = ConvBnSilu(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H / stride, W / stride) for ``x`` (N, in_channels, H, W)."""
        mixed: Tensor = self.pconv(self.dconv(x))
        return mixed


def make_conv3x3(in_channels: int, out_channels: int, stride: int, separable: bool) -> nn.Module:
    """Return a 3 x 3 convolution with batch norm and SiLU, depthwise separable if ``separable``."""
    return (
        DepthwiseConvBnSilu(in_channels, out_channels, 3, stride)
        if separable
        else ConvBnSilu(in_channels, out_channels, 3, stride)
    )


class FocusStem(nn.Module):
    """The stem: moves the four pixels of every 2 x 2 square into channels, and convolves those with a 3 x 3 kernel.

    It is computed as the equivalent 6 x 6 convolution with stride 2 on the image itself, which gives the same sums and
    does not copy the image.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvBnSilu(4 * in_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H / 2, W / 2) for ``x`` (N, in_channels, H, W)."""
        return self.conv.normalise_and_activate(
            functional.conv2d(x, _unfold_focus_kernel(self.conv.conv.weight), stride=2, padding=2)
        )

    def to_plain_conv(self) -> nn.Sequential:
        """Return the equivalent 6 x 6 convolution with batch norm and SiLU; its weights are copies."""
        convolution = self.conv.conv
        equivalent = nn.Conv2d(convolution.in_channels // 4, convolution.out_channels, 6, 2, 2, bias=False)
        equivalent.weight = nn.Parameter(_unfold_focus_kernel(convolution.weight.detach()))
        return nn.Sequential(equivalent, self.conv.bn, self.conv.act)


def replace_focus_layers(network: nn.Module) -> None:
    """Replace each ``FocusStem`` in ``network`` by plain layers, in place, before export."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, FocusStem):
                setattr(module, name, child.to_plain_conv())


def _unfold_focus_kernel(kernel: Tensor) -> Tensor:
    """Return ``kernel`` (O, 4 C, 3, 3) over 2 x 2 squares of pixels as (O, C, 6, 6) over the pixels.

    The pixels of a square are in the channels in the order upper left, lower left, upper right, lower right.
    """
    out_channels, channels, height, width = kernel.shape
    squares = kernel.reshape(out_channels, 2, 2, channels // 4, height, width)
    return squares.permute(0, 3, 4, 2, 5, 1).reshape(out_channels, channels // 4, 2 * height, 2 * width)


class Bottleneck(nn.Module):
    """A 1 x 1 and a 3 x 3 convolution, with a residual connection if ``shortcut``."""

    def __init__(self, channels: int, shortcut: bool, separable: bool) -> None:
        super().__init__()
        self.conv1 = ConvBnSilu(channels, channels, 1)
        self.conv2 = make_conv3x3(channels, channels, 1, separable)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H, W) for ``x`` of the same shape."""
        residual: Tensor = self.conv2(self.conv1(x))
        return x + residual if self.shortcut else residual


class CspLayer(nn.Module):
    """Cross-stage partial layer (Wang et al. 2020).

    Half of the channels pass ``depth`` bottlenecks, the other half bypasses them.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int, shortcut: bool, separable: bool) -> None:
        super().__init__()
        half_channels = out_channels // 2
        self.conv1 = ConvBnSilu(in_channels, half_channels, 1)
        self.conv2 = ConvBnSilu(in_channels, half_channels, 1)
        self.conv3 = ConvBnSilu(2 * half_channels, out_channels, 1)
        self.m = nn.Sequential(*(Bottleneck(half_channels, shortcut, separable) for _layer in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H, W) for ``x`` (N, in_channels, H, W)."""
        merged: Tensor = self.conv3(torch.cat((self.m(self.conv1(x)), self.conv2(x)), 1))
        return merged


class SppBottleneck(nn.Module):
    """Spatial pyramid pooling: maxima over 5 x 5, 9 x 9 and 13 x 13 cells beside the map itself (He et al. 2015)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBnSilu(channels, channels // 2, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.conv2 = ConvBnSilu(4 * (channels // 2), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H, W) for ``x`` of the same shape."""
        maps = [self.conv1(x)]
        for _size in (5, 9, 13):  # pooling over 5 twice is pooling over 9, three times over 13
            maps.append(self.pool(maps[-1]))
        merged: Tensor = self.conv2(torch.cat(maps, 1))
        return merged


class CspDarknet(nn.Module):
    """The backbone: feature maps at strides 8, 16 and 32 with 4, 8 and 16 times ``base`` channels."""

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
        """Return the three feature maps of images ``x`` (N, 3, H, W), finest first."""
        fine = self.dark3(self.dark2(self.stem(x)))
        middle = self.dark4(fine)
        return fine, middle, self.dark5(middle)


def _make_stage(in_channels: int, depth: int, separable: bool) -> nn.Sequential:
    """Return a stage that halves the resolution and doubles the channels."""
    return nn.Sequential(
        make_conv3x3(in_channels, 2 * in_channels, 2, separable),
        CspLayer(2 * in_channels, 2 * in_channels, depth, True, separable),
    )
