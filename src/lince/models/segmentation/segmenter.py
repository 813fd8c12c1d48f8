"""A network that gives each pixel a class: a light feature pyramid over any timm backbone with strides 4 to 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lince.models import fpn
from lince.models.blocks import Block, split_into_blocks
from lince.models.classification.classifier import list_cuda_devices
from lince.models.classification.registry import ModelEntry
from lince.models.pretrained_network import FeatureMaps, PretrainedNetwork
from lince.models.segmentation.loss import compute_pixel_losses
from lince.models.segmentation.registry import require_input_sides
from lince.preprocess import PreprocessSpec

HEAD_WIDTH = 64  # channels of every map of the pyramid
_MEMORY = 50  # batches
_FINE_LEVELS = 2  # maps of which no channel is dropped
_MAP_DROPOUT, _SCENE_DROPOUT = 0.3, 0.5  # shares of the channels that are dropped at random in training


class SteadyNorm(nn.BatchNorm2d):
    """A batch norm whose running statistics are the mean over all batches at first, and then over some ``_MEMORY``.

    Those of a usual one, over about ten batches, follow the photos that came last: with a few hundred of them, what
    whole photos are taken for then changes from epoch to epoch. In training a batch of one image is normalised by them,
    since it has no deviation of its own.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values`` (N, C, h, w) normalised for each channel."""
        if self.training and values.numel() > values.shape[1]:
            self.momentum = max(1 / _MEMORY, 1 / (1 + int(self.num_batches_tracked or 0)))
            return super().forward(values)
        if self.running_mean is None or self.running_var is None:
            raise ValueError("a norm needs its statistics")
        return functional.batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )


class SeparableConv(nn.Sequential):
    """A depthwise 3 x 3 and a pointwise convolution of ``channels`` channels, a batch norm and a ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            SteadyNorm(channels),
            nn.ReLU(),
        )


class SceneLogits(nn.Module):
    """What the whole image says of the classes: logits of the mean and the maximum of its coarsest map.

    Added to those of all pixels, they decide between classes that look alike in parts, such as breeds. ``channels`` are
    those of the map; there are ``outputs`` logits.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.norm = SteadyNorm(2 * channels)
        self.dropout = nn.Dropout(_SCENE_DROPOUT)
        self.linear = nn.Conv2d(2 * channels, outputs, 1)

    def forward(self, coarsest: Tensor) -> Tensor:
        """Return the logits (N, outputs, 1, 1) for the map ``coarsest`` (N, channels, h, w)."""
        pooled = torch.cat([coarsest.mean((2, 3), keepdim=True), coarsest.amax((2, 3), keepdim=True)], 1)
        normalised = self.norm(pooled) if self.training else self._normalise(pooled)
        logits: Tensor = self.linear(self.dropout(normalised))
        return logits

    def _normalise(self, pooled: Tensor) -> Tensor:
        """Return ``pooled`` (N, C, 1, 1) normalised by plain operators: here no convolution takes the norm in."""
        norm: Any = self.norm
        scale: Tensor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift: Tensor = norm.bias - norm.running_mean * scale
        return pooled * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)


class PyramidHead(nn.Module):
    """A feature pyramid (Lin et al. 2017) of ``width`` channels with separable convolutions, down to stride 4.

    ``channels`` are those of the maps at strides 4, 8, 16 and 32. The mean of the coarsest map is added to it, so that
    each pixel knows what the whole image shows (Liu et al. 2015, ParseNet). ``outputs`` logits leave it at stride 4. In
    training, whole channels of the coarse maps are dropped at random: what they say of a few hundred images is soon
    learned by heart. The fine ones, which have the edges, stay whole.
    """

    def __init__(self, channels: Sequence[int], outputs: int, width: int = HEAD_WIDTH) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, width, 1, bias=False), SteadyNorm(width)) for count in channels
        )
        self.context = nn.Sequential(nn.Conv2d(channels[-1], width, 1), nn.ReLU())
        self.smoothing = nn.ModuleList(SeparableConv(width) for _count in channels)
        self.classifier = nn.Conv2d(width, outputs, 1)
        self.scene = SceneLogits(channels[-1], outputs)
        self.dropout = nn.Dropout2d(_MAP_DROPOUT)

    def forward(self, maps: FeatureMaps) -> Tensor:
        """Return the logits (N, outputs, H / 4, W / 4) for ``maps`` at strides 4, 8, 16 and 32."""
        maps = (*maps[:_FINE_LEVELS], *(self.dropout(level) for level in maps[_FINE_LEVELS:]))
        merged = self.laterals[-1](maps[-1]) + self.context(maps[-1].mean((2, 3), keepdim=True))
        merged = self.smoothing[-1](merged)
        for level in range(len(maps) - 2, -1, -1):
            larger = functional.interpolate(merged, scale_factor=2.0, mode="bilinear", align_corners=False)
            merged = self.smoothing[level](larger + self.laterals[level](maps[level]))
        logits: Tensor = self.classifier(merged) + self.scene(maps[-1])
        return logits


class Segmenter(PretrainedNetwork):
    """A timm network ``body`` and a head that gives each pixel one of ``num_classes`` classes, or the background.

    ``out_indices`` are the indices of the body's maps at strides 4 to 32, ``channels`` their channels. The output is
    the logits (N, 1 + num_classes, H / 4, W / 4), those of the background first.
    """

    def __init__(self, body: nn.Module, out_indices: list[int], channels: list[int], num_classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = PyramidHead(channels, 1 + num_classes)
        self.out_indices, self.num_classes = out_indices, num_classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps at strides 4, 8, 16 and 32 of ``images`` (N, 3, H, W)."""
        body: Any = self.body
        return tuple(body.forward_intermediates(images, indices=self.out_indices, intermediates_only=True))

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return the logits of ``maps``, as the only output."""
        del size
        return (self.head(maps),)

    def compute_head_losses(self, maps: FeatureMaps, targets: Tensor) -> dict[str, Tensor]:
        """Return the losses by name for ``maps`` of inputs whose class maps are ``targets``, uint8 (N, H, W)."""
        return compute_pixel_losses(self.head(maps), targets)

    def compute_losses(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the losses for ``images`` (N, 3, H, W) by name, as ``compute_head_losses`` does."""
        return self.compute_head_losses(self.extract_features(images), targets)

    def list_blocks(self) -> list[Block]:
        """Return the blocks of the timm network, and the head."""
        return [*((f"body.{name}", module) for name, module in split_into_blocks(self.body)), ("head", self.head)]

    def get_backbone(self) -> nn.Module:
        """Return the timm network, which can be loaded with weights of a classifier."""
        return self.body

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` belongs to the layers that give the classes."""
        return name.startswith(("head.classifier.", "head.scene.linear."))


def build_segmenter(entry: ModelEntry, num_classes: int, spec: PreprocessSpec, seed: int = 0) -> Segmenter:
    """Return the network over the backbone ``entry`` for ``num_classes`` classes and inputs of ``spec``.

    Its random weights are drawn from ``seed``; torch's global random state is restored. Raises ``UsageError`` when a
    side of the input is not a multiple of 32, or the timm network has no maps at strides 4 to 32.
    """
    require_input_sides(entry, spec)
    with torch.random.fork_rng(devices=list_cuda_devices()):
        torch.manual_seed(seed)
        return Segmenter(*fpn.create_pyramid_body(entry, spec.height, spec.width), num_classes)
