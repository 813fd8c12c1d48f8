"""Pretrained networks without their head: the one place that speaks to timm."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import timm
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
from torch import Tensor, nn

from lince.errors import UsageError
from lince.i18n import _
from lince.models.blocks import Block, split_into_blocks
from lince.models.classification.registry import ModelEntry
from lince.models.same_padding import PaddedConv, PaddedPool, compute_same_pads
from lince.preprocess import PreprocessSpec

NUM_STAGES = 3
# What timm's networks call the layers after their last map.
HEAD_PARTS = (
    "classifier",
    "fc",
    "head",
    "head_dist",
    "last_linear",
    "pre_logits",
    "conv_head",
    "norm_head",
    "fc_norm",
    "attn_pool",
    "global_pool",
    "head_drop",
    "drop",
)
_SAME_PADDING_LAYERS = (Conv2dSame, MaxPool2dSame, AvgPool2dSame)


class TimmBackbone(nn.Module):
    """A timm network up to its last feature map.

    The embedding joins what the last map holds on average and at most with the averages of the stages below it:
    a linear head on several levels beats one on the last average alone when photos are few.
    """

    def __init__(self, network: nn.Module, stages: int = NUM_STAGES) -> None:
        super().__init__()
        self.network = network
        self.prefix_tokens = int(getattr(network, "num_prefix_tokens", 0))
        self.taps = _select_feature_indices(network, stages)
        self.width = 0

    def initialise_for(self, spec: PreprocessSpec) -> None:
        """Learn the embedding's width by one dry run, and drop the parts of timm's head that it never reaches."""
        called: set[nn.Module] = set()
        handles = [one.register_forward_hook(lambda m, *_args: called.add(m)) for one in self.network.modules()]
        self.eval()
        with torch.no_grad():
            self.width = self.embed(torch.zeros(1, *spec.shape))[0].shape[1]
        self.train()
        for handle in handles:
            handle.remove()
        for name, child in self.network.named_children():
            if name in HEAD_PARTS and called.isdisjoint(child.modules()):
                setattr(self.network, name, nn.Identity())

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, D) and the last feature map (N, K, h, w) of images ``x`` (N, C, H, W)."""
        last, lower, tokens = self._extract_maps(x)
        parts = [last.mean((2, 3)), last.amax((2, 3)), *(one.mean((2, 3)) for one in lower)]
        return torch.cat(parts + tokens, 1), last

    def list_blocks(self) -> list[Block]:
        """Return the blocks from input to the last map."""
        return split_into_blocks(self.network)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding (N, D) of images ``x`` (N, C, H, W)."""
        return self.embed(x)[0]

    def _extract_maps(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        # timm's networks answer with maps (N, K, h, w), with maps (N, h, w, K), or with tokens (N, L, K).
        network: Any = self.network
        if not self.taps:
            return _to_feature_map(network.forward_features(x), network), [], []
        final, lower = network.forward_intermediates(x, indices=self.taps)
        if final.ndim == 3:
            patches = final[:, self.prefix_tokens :]
            last = patches.transpose(1, 2).reshape(final.shape[0], -1, *lower[-1].shape[2:])
            return last, lower[:-1], [final[:, 0]] if self.prefix_tokens else []
        last = _to_feature_map(final, network)
        # Without a projection after the last stage, the last tap is the last map itself and would count twice.
        return last, lower[:-1] if last.shape[1:] == lower[-1].shape[1:] else lower, []


def _select_feature_indices(network: nn.Module, stages: int) -> list[int]:
    # Stages end where the map shrinks; a transformer of equal blocks is tapped at thirds of its depth.
    info = getattr(network, "feature_info", None)
    if not hasattr(network, "forward_intermediates") or not info:
        return []
    count = len(info)
    if count <= 6:
        return list(range(max(0, count - stages), count))
    step = count / stages
    return [round(step * (stage + 1)) - 1 for stage in range(stages)]


def _to_feature_map(x: Tensor, network: nn.Module) -> Tensor:
    if x.ndim == 2:
        return x[:, :, None, None]
    if x.ndim == 3:
        return x.transpose(1, 2).unsqueeze(-1)
    channels = int(getattr(network, "num_features", 0))
    if x.shape[1] != channels and x.shape[-1] == channels:
        return x.permute(0, 3, 1, 2)
    return x


def create_backbone(entry: ModelEntry, spec: PreprocessSpec) -> TimmBackbone:
    """Return the backbone of ``entry`` for inputs of ``spec``, at random weights.

    Raises ``UsageError`` when the installed timm does not have it, or when it cannot read images of that size.
    """
    try:
        backbone = TimmBackbone(create_timm_model(entry, spec.height, spec.width, spec.channel_count))
        backbone.initialise_for(spec)
    except (AssertionError, RuntimeError, ValueError, TypeError) as error:
        raise UsageError(
            _("{model} cannot be built for images of {h} x {w} pixels: {error}.").format(
                model=entry.name, h=spec.height, w=spec.width, error=error
            ),
            _("Its published weights read {size} x {size}.").format(size=entry.size),
            _("Choose another size, or another model."),
        ) from error
    return backbone


def create_timm_model(entry: ModelEntry, height: int, width: int, depth: int = 3) -> nn.Module:
    """Return timm's network of ``entry`` without classes, at random weights, for inputs (depth, height, width).

    Raises ``UsageError`` when the installed timm does not have it.
    """
    if not timm.is_model(entry.architecture):
        raise UsageError(
            _("The installed timm {version} has no '{name}'.").format(version=timm.__version__, name=entry.name),
            remedy=_("Install a newer timm, or choose another model."),
        )
    options: dict[str, Any] = {"pad_type": entry.pad_type} if entry.pad_type else {}
    if _takes_size(entry):
        options["img_size"] = (height, width)
    network: nn.Module = timm.create_model(entry.architecture, num_classes=0, in_chans=depth, **options)
    return network


def _takes_size(entry: ModelEntry) -> bool:
    # Only networks whose positions are learned for one size take it when built.
    config = timm.get_pretrained_cfg(entry.architecture)
    return config is not None and bool(config.fixed_input_size)


def adapt_checkpoint(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return ``state`` as timm renames and resamples published weights for ``network``; unchanged if it does not."""
    rename = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if rename is None:
        return state
    adapted: dict[str, Tensor] = rename(dict(state), network)
    return adapted


def fix_padding(network: nn.Module, x: Tensor) -> None:
    """Replace, in place, every layer that pads by its input's size with a fixed one, right for inputs like ``x``.

    A traced graph then holds plain padding instead of the arithmetic on shapes that finds its width.
    """
    same = {name: one for name, one in network.named_modules() if isinstance(one, _SAME_PADDING_LAYERS)}
    if not same:
        return
    sizes: dict[str, torch.Size] = {}
    handles = [one.register_forward_pre_hook(partial(_record_size, sizes, name)) for name, one in same.items()]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    for name, layer in same.items():
        network.set_submodule(name, _with_fixed_padding(layer, sizes[name]))


def _record_size(sizes: dict[str, torch.Size], name: str, _layer: nn.Module, args: tuple[Tensor, ...]) -> None:
    sizes[name] = args[0].shape


def _with_fixed_padding(layer: Any, size: torch.Size) -> nn.Module:
    pads = compute_same_pads(size[2], size[3], layer)
    if isinstance(layer, Conv2dSame):
        return PaddedConv.wrap_conv(layer, pads)
    if isinstance(layer, MaxPool2dSame):
        pool = nn.MaxPool2d(layer.kernel_size, layer.stride, 0, layer.dilation, ceil_mode=layer.ceil_mode)
        return PaddedPool(pads, pool, float("-inf"))
    return PaddedPool(pads, nn.AvgPool2d(layer.kernel_size, layer.stride, 0, layer.ceil_mode, layer.count_include_pad))
