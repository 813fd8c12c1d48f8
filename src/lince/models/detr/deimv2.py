"""The detector DEIMv2 (Huang et al. 2025) as ``transformers`` builds it, in the sizes whose body is of convolutions.

The larger sizes stand on DINOv3, whose licence sets conditions; they are not here. Nothing is fetched: the networks
are built from the settings in ``detr_sizes``. What their numbers mean is said by ``lince.postprocess.detr``.
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
from lince.models.detr import deimv2_state_dict as theirs
from lince.models.detr.configs import get_configs
from lince.models.detr.model import Detr, check_input_size, make_shared_config

_REPEATED_BOX_HEAD = re.compile(r"decoder\.bbox_embed\.\d+\.")


class DeimV2(Detr):
    """A detector whose queries each answer for one object; ``network`` is DEIMv2 of transformers.

    Its outputs are those of ``Detr``; there are 100 to 300 queries, or as many as places where the input has fewer.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__(network, classes)
        model: Any = network.model
        self.shared: bool = model.config.share_bbox_head
        if self.shared:
            model.decoder.bbox_embed = _SharedLayer(model.decoder.bbox_embed[0])
        self.neck = model.encoder
        model.encoder = _PrecomputedNeck()

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the maps that body and neck make of ``images`` (N, 3, H, W), finest first."""
        model: Any = self.network.model
        return tuple(self.neck(model.conv_encoder(images)).feature_maps)

    def list_blocks(self) -> list[Block]:
        """Return the stages of the body, the neck, and the head, which is all that reads the maps."""
        model: Any = self.network.model
        body = model.conv_encoder.model
        stages = [(f"backbone.stage{number}", one) for number, one in enumerate(body.encoder.stages, 1)]
        neck = [("neck.encoder", self.neck)]
        if model.config.encoder_type == "hybrid":
            neck.insert(0, ("neck.projection", model.conv_encoder.encoder_input_proj))
        head = nn.ModuleList(one for name, one in model.named_children() if name != "conv_encoder")
        return [("backbone.stem", body.embedder), *stages, *neck, ("head", head)]

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a published file, its authors' or one of transformers, as this network has them."""
        return super().adapt_state_dict(theirs.to_transformers_keys(state))

    def adapt_key(self, name: str) -> str:
        """Return how this network calls the tensor ``name`` of a file of transformers."""
        if name.startswith(("network.", "neck.")):
            return name
        name = name.removeprefix("model.")
        if name.startswith("encoder."):
            return f"neck.{name.removeprefix('encoder.')}"
        if name.startswith(("class_embed.", "bbox_embed.")):
            name = f"decoder.{name}"
        return f"network.model.{_REPEATED_BOX_HEAD.sub('decoder.bbox_embed.one.', name) if self.shared else name}"

    def _run_network(self, maps: FeatureMaps, labels: list[dict[str, Tensor]] | None = None) -> Any:
        model: Any = self.network.model
        self._limit_queries(maps)
        model.encoder.maps = maps
        try:
            # The network wants images or embeddings for the batch's size; the neck gives the maps in any case.
            return self.network(None, inputs_embeds=maps[0], labels=labels)
        finally:
            model.encoder.maps = ()


class _PrecomputedNeck(nn.Module):
    """What stands where transformers has the neck: the maps are made already."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: FeatureMaps = ()

    def forward(self, _seen: Tensor) -> SimpleNamespace:
        return SimpleNamespace(feature_maps=self.maps, hidden_states=None, attentions=None)


class _SharedLayer(nn.Module):
    """One layer for every layer of the decoder, under one name: weight files keep no tensor twice."""

    def __init__(self, one: nn.Module) -> None:
        super().__init__()
        self.one = one

    def __getitem__(self, _number: int) -> nn.Module:
        return self.one


def create_detector(entry: DetectorEntry, classes: int, height: int, width: int) -> DeimV2:
    """Return the detector of ``entry`` with ``classes`` classes at random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side is no multiple of 32.
    """
    check_input_size(entry, height, width)
    import transformers  # it takes seconds, so only these detectors load it  # noqa: PLC0415

    whole, body = get_configs(entry.name)
    backbone = transformers.HGNetV2Config(**body)
    config = transformers.Deimv2Config(**whole, **make_shared_config(classes), backbone_config=backbone)
    return DeimV2(transformers.Deimv2ForObjectDetection(config), classes)
