"""The detector DEIMv2 (Huang et al. 2025) as ``transformers`` implements it, with convolutional backbones.

The larger sizes use DINOv3, whose licence is not permissive; they are not included. Nothing is downloaded: the networks
are built from ``detr.configs``. ``lince.postprocess.detr`` decodes the outputs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from lince.models.blocks import Block
from lince.models.detection.detector import FeatureMaps
from lince.models.detection.registry import DetectorEntry
from lince.models.detr.configs import get_configs
from lince.models.detr.deimv2_state_dict import to_transformers_keys
from lince.models.detr.model import Detr, check_input_size, make_shared_config

_REPEATED_BOX_HEAD = re.compile(r"decoder\.bbox_embed\.\d+\.")


class DeimV2(Detr):
    """DEIMv2; ``network`` is the object detector of transformers.

    Outputs are those of ``Detr``, with 100 to 300 queries, or as many as there are cells in the feature maps.
    """

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__(network, num_classes)
        model: Any = network.model
        self.shared: bool = model.config.share_bbox_head
        if self.shared:
            model.decoder.bbox_embed = _SharedLayer(model.decoder.bbox_embed[0])
        self.neck = model.encoder
        model.encoder = _PrecomputedNeck()

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps of backbone and neck for ``images`` (N, 3, H, W), finest first."""
        model: Any = self.network.model
        return tuple(self.neck(model.conv_encoder(images)).feature_maps)

    def list_blocks(self) -> list[Block]:
        """Return the stages of the backbone, the neck, and the head: everything that reads the feature maps."""
        model: Any = self.network.model
        backbone = model.conv_encoder.model
        stages = [(f"backbone.stage{number}", module) for number, module in enumerate(backbone.encoder.stages, 1)]
        neck = [("neck.encoder", self.neck)]
        if model.config.encoder_type == "hybrid":
            neck.insert(0, ("neck.projection", model.conv_encoder.encoder_input_proj))
        head = nn.ModuleList(module for name, module in model.named_children() if name != "conv_encoder")
        return [("backbone.stem", backbone.embedder), *stages, *neck, ("head", head)]

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a published file, of the authors or of transformers, with this network's names."""
        return super().adapt_state_dict(to_transformers_keys(state))

    def adapt_key(self, name: str) -> str:
        """Return the name in this network of the tensor ``name`` of a file of transformers."""
        if name.startswith(("network.", "neck.")):
            return name
        name = name.removeprefix("model.")
        if name.startswith("encoder."):
            return f"neck.{name.removeprefix('encoder.')}"
        if name.startswith(("class_embed.", "bbox_embed.")):
            name = f"decoder.{name}"
        return f"network.model.{_REPEATED_BOX_HEAD.sub('decoder.bbox_embed.one.', name) if self.shared else name}"

    def _run_network(self, maps: FeatureMaps, labels: list[dict[str, Tensor]] | None = None) -> Any:
        """Return the network's output for feature ``maps``; with ``labels``, also its losses."""
        model: Any = self.network.model
        self._limit_queries(maps)
        model.encoder.maps = maps
        try:
            # The network reads the batch size from images or embeddings; the feature maps come from the neck.
            return self.network(None, inputs_embeds=maps[0], labels=labels)
        finally:
            model.encoder.maps = ()


class _PrecomputedNeck(nn.Module):
    """Takes the place of the neck in transformers' network and returns the feature maps set in ``maps``."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: FeatureMaps = ()

    def forward(self, _features: Tensor) -> SimpleNamespace:
        """Return ``maps`` in the form of the neck's output."""
        return SimpleNamespace(feature_maps=self.maps, hidden_states=None, attentions=None)


class _SharedLayer(nn.Module):
    """One layer that every layer of the decoder uses; it has one name, so that weight files store it once."""

    def __init__(self, one: nn.Module) -> None:
        super().__init__()
        self.one = one

    def __getitem__(self, _number: int) -> nn.Module:
        """Return the shared layer, whatever the index."""
        return self.one


def create_detector(entry: DetectorEntry, num_classes: int, height: int, width: int) -> DeimV2:
    """Return the detector of ``entry`` for ``num_classes`` classes with random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side is not a multiple of 32.
    """
    check_input_size(entry, height, width)
    import transformers  # loading it takes seconds  # noqa: PLC0415

    detector, body = get_configs(entry.name)
    backbone = transformers.HGNetV2Config(**body)
    config = transformers.Deimv2Config(**detector, **make_shared_config(num_classes), backbone_config=backbone)
    return DeimV2(transformers.Deimv2ForObjectDetection(config), num_classes)
