"""Any timm network as the body of a detector: its maps at strides 4 to 32, joined from coarse to fine (FPN)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from lince.errors import UsageError
from lince.i18n import _
from lince.models.classification import timm_backbone
from lince.models.classification.registry import ModelEntry

STRIDES = (4, 8, 16, 32, 64)  # pixels between the places of the five maps; the last one is every second of the fourth


class FpnBackbone(nn.Module):
    """A timm network and a feature pyramid (Lin et al. 2017) over its stages, ``width`` channels in every map."""

    def __init__(self, network: nn.Module, taps: list[int], channels: list[int], width: int) -> None:
        super().__init__()
        self.body = network
        self.taps = taps
        self.fpn = FeaturePyramidNetwork(channels, width, LastLevelMaxPool())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps at strides 4, 8, 16, 32 and 64 of ``images`` (N, 3, H, W)."""
        network: Any = self.body
        stages = network.forward_intermediates(images, indices=self.taps, intermediates_only=True)
        joined = self.fpn(OrderedDict((str(level), one) for level, one in enumerate(stages)))
        return tuple(joined.values())


def create_fpn_backbone(entry: ModelEntry, height: int, width: int, channels: int) -> FpnBackbone:
    """Return the backbone of ``entry`` at random weights, with ``channels`` channels in each map of its pyramid.

    What the network has above its last map is left out. Raises ``UsageError`` for a network without maps at strides
    4, 8, 16 and 32, or one that cannot read images of (height, width).
    """
    network: Any = timm_backbone.create_timm_model(entry, height, width)
    taps = _select_feature_indices(entry, network)
    widths = [int(network.feature_info[tap]["num_chs"]) for tap in taps]
    if hasattr(network, "prune_intermediate_layers"):
        network.prune_intermediate_layers(taps, prune_norm=True)
    return FpnBackbone(network, taps, widths, channels)


def _select_feature_indices(entry: ModelEntry, network: Any) -> list[int]:
    """Return which of the maps of ``network`` stand at strides 4, 8, 16 and 32."""
    info = getattr(network, "feature_info", None) or []
    by_stride = {one["reduction"]: number for number, one in enumerate(info)}
    if not hasattr(network, "forward_intermediates") or not by_stride.keys() >= set(STRIDES[:-1]):
        raise UsageError(
            _("{model} cannot be the backbone of a detector.").format(model=entry.architecture),
            _("Expected a network that halves its map step by step, such as resnet50 or mobilenetv3_large_100."),
        )
    return [by_stride[stride] for stride in STRIDES[:-1]]
