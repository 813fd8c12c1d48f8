"""timm networks without their head, as backbones of classifiers; the only module that calls timm."""

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

NUM_STAGES = 3  # number of feature maps that the embedding is computed from
# Names in timm's networks of the layers after the last feature map.
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

    The embedding concatenates the mean and the maximum of the last feature map with the means of the maps of earlier
    stages, and the class token of a transformer. A linear head on several levels is better than on the last mean alone
    when there are few images. ``width`` is its number of values, 0 before ``initialise_for``.
    """

    def __init__(self, network: nn.Module, stages: int = NUM_STAGES) -> None:
        super().__init__()
        self.network = network
        self.num_prefix_tokens = int(getattr(network, "num_prefix_tokens", 0))
        self.out_indices = _select_feature_indices(network, stages)
        self.width = 0

    def initialise_for(self, spec: PreprocessSpec) -> None:
        """Determine the embedding's width in one forward pass, and remove layers of timm's head that it does not use.

        Must be called once, with the ``spec`` of the inputs, before the backbone is trained or exported.
        """
        called: set[nn.Module] = set()
        handles = [
            module.register_forward_hook(lambda called_module, *_args: called.add(called_module))
            for module in self.network.modules()
        ]
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
        last, earlier, tokens = self._extract_maps(x)
        parts = [last.mean((2, 3)), last.amax((2, 3)), *(stage_map.mean((2, 3)) for stage_map in earlier)]
        return torch.cat(parts + tokens, 1), last

    def list_blocks(self) -> list[Block]:
        """Return the (name, module) of every block from the input to the last feature map."""
        return split_into_blocks(self.network)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding (N, D) of images ``x`` (N, C, H, W)."""
        return self.embed(x)[0]

    def _extract_maps(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return the last feature map (N, K, h, w), those of earlier stages, and the class token (N, K) if any.

        timm's networks return maps (N, K, h, w), maps (N, h, w, K), or tokens (N, L, K).
        """
        network: Any = self.network
        if not self.out_indices:
            return _to_feature_map(network.forward_features(x), network), [], []
        final, earlier = network.forward_intermediates(x, indices=self.out_indices)
        if final.ndim == 3:
            patches = final[:, self.num_prefix_tokens :]
            last = patches.transpose(1, 2).reshape(final.shape[0], -1, *earlier[-1].shape[2:])
            return last, earlier[:-1], [final[:, 0]] if self.num_prefix_tokens else []
        last = _to_feature_map(final, network)
        # Without a projection after the last stage, its map is the last map itself, and would be used twice.
        return last, earlier[:-1] if last.shape[1:] == earlier[-1].shape[1:] else earlier, []


def _select_feature_indices(network: nn.Module, stages: int) -> list[int]:
    """Return the indices of up to ``stages`` feature maps that the embedding uses; empty where timm gives none.

    These are the ends of the last stages; in a transformer, whose blocks are all alike, they are spread evenly.
    """
    info = getattr(network, "feature_info", None)
    if not hasattr(network, "forward_intermediates") or not info:
        return []
    count = len(info)
    if count <= 6:
        return list(range(max(0, count - stages), count))
    step = count / stages
    return [round(step * (stage + 1)) - 1 for stage in range(stages)]


def _to_feature_map(x: Tensor, network: nn.Module) -> Tensor:
    """Return the output ``x`` of a timm network as a feature map (N, K, h, w)."""
    if x.ndim == 2:
        return x[:, :, None, None]
    if x.ndim == 3:
        return x.transpose(1, 2).unsqueeze(-1)
    channels = int(getattr(network, "num_features", 0))
    if x.shape[1] != channels and x.shape[-1] == channels:
        return x.permute(0, 3, 1, 2)
    return x


def create_backbone(entry: ModelEntry, spec: PreprocessSpec) -> TimmBackbone:
    """Return the backbone of ``entry`` for inputs of ``spec``, with random weights.

    Raises ``UsageError`` when the installed timm does not have it, or it cannot process images of that size.
    """
    try:
        backbone = TimmBackbone(create_timm_model(entry, spec.height, spec.width, spec.channel_count))
        backbone.initialise_for(spec)
    except (AssertionError, RuntimeError, ValueError, TypeError) as error:
        raise UsageError(
            _("{model} cannot be built for images of {h} x {w} pixels: {error}.").format(
                model=entry.name, h=spec.height, w=spec.width, error=error
            ),
            _("Expected the size of its published weights: {size} x {size}.").format(size=entry.size),
            _("Choose another size, or another model."),
        ) from error
    return backbone


def create_timm_model(entry: ModelEntry, height: int, width: int, channels: int = 3) -> nn.Module:
    """Return timm's network of ``entry`` without a classifier, for inputs (channels, height, width).

    Its weights are random. Raises ``UsageError`` when the installed timm does not have it.
    """
    if not timm.is_model(entry.architecture):
        raise UsageError(
            _("The installed timm {version} has no '{name}'.").format(version=timm.__version__, name=entry.name),
            remedy=_("Install a newer timm, or choose another model."),
        )
    options: dict[str, Any] = {"pad_type": entry.pad_type} if entry.pad_type else {}
    if _takes_size(entry):
        options["img_size"] = (height, width)
    network: nn.Module = timm.create_model(entry.architecture, num_classes=0, in_chans=channels, **options)
    return network


def _takes_size(entry: ModelEntry) -> bool:
    """Return whether timm needs the input size to build the network, as for position embeddings of one size."""
    config = timm.get_pretrained_cfg(entry.architecture)
    return config is not None and bool(config.fixed_input_size)


def adapt_checkpoint(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return ``state`` converted by timm for ``network``: renamed, and resampled for another input size.

    Networks for which timm has no conversion get it unchanged.
    """
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return state
    adapted: dict[str, Tensor] = convert(dict(state), network)
    return adapted


def fix_padding(network: nn.Module, x: Tensor) -> None:
    """Replace, in place, every layer that computes its padding from its input's size by one with constant padding.

    ``x`` (N, C, H, W) is an input of the size for which the padding is right. A traced ONNX graph then has padding
    attributes instead of arithmetic on shapes.
    """
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, _SAME_PADDING_LAYERS)}
    if not layers:
        return
    sizes: dict[str, torch.Size] = {}
    handles = [layer.register_forward_pre_hook(partial(_record_size, sizes, name)) for name, layer in layers.items()]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    for name, layer in layers.items():
        network.set_submodule(name, _with_fixed_padding(layer, sizes[name]))


def _record_size(sizes: dict[str, torch.Size], name: str, _layer: nn.Module, args: tuple[Tensor, ...]) -> None:
    """Store the shape of the input of the layer ``name`` (a forward hook)."""
    sizes[name] = args[0].shape


def _with_fixed_padding(layer: Any, size: torch.Size) -> nn.Module:
    """Return ``layer`` with constant padding for inputs of shape ``size``."""
    pads = compute_same_pads(size[2], size[3], layer)
    if isinstance(layer, Conv2dSame):
        return PaddedConv.wrap_conv(layer, pads)
    if isinstance(layer, MaxPool2dSame):
        pool = nn.MaxPool2d(layer.kernel_size, layer.stride, 0, layer.dilation, ceil_mode=layer.ceil_mode)
        return PaddedPool(pads, pool, float("-inf"))
    return PaddedPool(pads, nn.AvgPool2d(layer.kernel_size, layer.stride, 0, layer.ceil_mode, layer.count_include_pad))
