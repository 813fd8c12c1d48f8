"""Feature maps of any timm network at strides 4 to 32, and a feature pyramid network (FPN) over them."""

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

STRIDES = (4, 8, 16, 32, 64)  # of the five feature maps, in pixels; the last is the fourth, subsampled by 2


class FpnBackbone(nn.Module):
    """A timm network with a feature pyramid (Lin et al. 2017) over its stages.

    ``out_indices`` are the indices of the network's feature maps at strides 4 to 32, ``channels`` their channels; every
    map of the pyramid has ``width`` channels.
    """

    def __init__(self, network: nn.Module, out_indices: list[int], channels: list[int], width: int) -> None:
        super().__init__()
        self.body = network
        self.out_indices = out_indices
        self.fpn = FeaturePyramidNetwork(channels, width, LastLevelMaxPool())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps at strides 4, 8, 16, 32 and 64 of ``images`` (N, 3, H, W), finest first."""
        network: Any = self.body
        stages = network.forward_intermediates(images, indices=self.out_indices, intermediates_only=True)
        pyramid = self.fpn(OrderedDict((str(level), stage) for level, stage in enumerate(stages)))
        return tuple(pyramid.values())


def create_fpn_backbone(entry: ModelEntry, height: int, width: int, channels: int) -> FpnBackbone:
    """Return the backbone of ``entry`` with random weights; each map of its pyramid has ``channels`` channels.

    Layers of the network above its last map are removed. Raises ``UsageError`` for a network without feature maps at
    strides 4, 8, 16 and 32, and for one that cannot process images of (height, width).
    """
    return FpnBackbone(*create_pyramid_body(entry, height, width), channels)


def create_pyramid_body(entry: ModelEntry, height: int, width: int) -> tuple[nn.Module, list[int], list[int]]:
    """Return the timm network of ``entry`` with random weights, up to its map at stride 32.

    Also return the indices of its feature maps at strides 4, 8, 16 and 32, and their numbers of channels. Raises
    ``UsageError`` as ``create_fpn_backbone`` does.
    """
    network: Any = timm_backbone.create_timm_model(entry, height, width)
    out_indices = _select_feature_indices(entry, network)
    widths = [int(network.feature_info[index]["num_chs"]) for index in out_indices]
    if hasattr(network, "prune_intermediate_layers"):
        network.prune_intermediate_layers(out_indices, prune_norm=True)
    return network, out_indices, widths


def _select_feature_indices(entry: ModelEntry, network: Any) -> list[int]:
    """Return the indices of the feature maps of ``network`` at strides 4, 8, 16 and 32."""
    info = getattr(network, "feature_info", None) or []
    by_stride = {stage["reduction"]: index for index, stage in enumerate(info)}
    if not hasattr(network, "forward_intermediates") or not by_stride.keys() >= set(STRIDES[:-1]):
        raise UsageError(
            _("{model} cannot be the backbone of a feature pyramid.").format(model=entry.architecture),
            _(
                "Expected a network that halves its feature map at each stage, such as resnet50 or "
                "mobilenetv3_large_100."
            ),
        )
    return [by_stride[stride] for stride in STRIDES[:-1]]
