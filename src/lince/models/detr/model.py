"""The detectors D-FINE (Peng et al. 2024) and RT-DETRv2 (Lv et al. 2024), as ``transformers`` implements them.

Nothing is downloaded: the networks are built from ``detr.configs``. ``lince.postprocess.detr`` decodes the outputs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lince.errors import UsageError
from lince.i18n import _
from lince.models.blocks import Block
from lince.models.box_ops import xyxy_to_cxcywh
from lince.models.detection.detector import DetectionTarget, Detector, FeatureMaps
from lince.models.detection.registry import DetectorEntry
from lince.models.detr.configs import get_configs

_SIZE_MULTIPLE = 32  # stride of the coarsest feature map, in pixels
_LOSS_NAMES = {
    "vfl": "classes",
    "mal": "classes",
    "bbox": "box",
    "giou": "overlap",
    "fgl": "edges",
    "ddf": "distillation",
}
_CLASS_LAYERS = re.compile(r"network\.model\.(denoising_class_embed|enc_score_head|decoder\.class_embed)\.")
# Published files have the names that transformers used before version 5.
_KEY_RULES = (
    (re.compile(r"out_proj"), "o_proj"),
    (re.compile(r"encoder\.encoder\.(\d+)\.layers"), r"encoder.aifi.\1.layers"),
)
_DENSE_LAYER = re.compile(r"layers\.(\d+)\.fc([12])\.")


class Detr(Detector):
    """A detector whose object queries each predict one object; ``network`` is an object detector of transformers.

    Outputs are ``logits`` (N, Q, C) and ``boxes`` (N, Q, 4), centre x, centre y, width and height as fractions of the
    input. Q is 300, or the number of cells of all feature maps where the input has fewer. H and W are multiples of 32.
    """

    decoder_name = "queries"

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        # The decoder has the same layers under a second name, and safetensors does not store a tensor twice.
        del network.class_embed, network.bbox_embed
        self.network = network
        config: Any = network.config
        self.num_queries: int = config.num_queries
        self.num_classes = num_classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps of backbone and encoder for ``images`` (N, 3, H, W), finest first."""
        model: Any = self.network.model
        pixel_mask = torch.ones(images.shape[0], *images.shape[2:], device=images.device)
        stages = model.backbone(images, pixel_mask)
        projected = [
            layer(feature_map) for layer, (feature_map, _mask) in zip(model.encoder_input_proj, stages, strict=True)
        ]
        return tuple(model.encoder(projected).last_hidden_state)

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return ``logits`` and ``boxes`` for the feature maps of inputs of ``size``."""
        outputs = self._run_network(maps)
        return outputs.logits, outputs.pred_boxes

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the losses by name, each summed over decoder layers and, in training mode, the denoising queries.

        Queries are matched one-to-one with objects (Carion et al. 2020). In training mode, denoising queries made of
        perturbed ground truth are trained to reconstruct it (Zhang et al. 2023).
        """
        height, width = size
        input_size = torch.tensor([width, height, width, height], dtype=torch.float32, device=maps[0].device)
        labels = [
            {"class_labels": ids, "boxes": xyxy_to_cxcywh(boxes.to(input_size.dtype)) / input_size}
            for boxes, ids in targets
        ]
        losses: dict[str, Tensor] = defaultdict(lambda: input_size.new_zeros(()))
        for name, value in self._run_network(maps, labels).loss_dict.items():
            part = name.split("_")[1]
            losses[_LOSS_NAMES.get(part, part)] += value
        return dict(losses)

    def list_blocks(self) -> list[Block]:
        """Return the stages of the backbone, the neck, and the head: everything that reads the feature maps."""
        model: Any = self.network.model
        backbone = model.backbone.model
        stages = [(f"backbone.stage{number}", module) for number, module in enumerate(backbone.encoder.stages, 1)]
        neck = [("neck.projection", model.encoder_input_proj), ("neck.encoder", model.encoder)]
        below = ("backbone", "encoder_input_proj", "encoder")
        head = nn.ModuleList(module for name, module in model.named_children() if name not in below)
        return [("backbone.stem", backbone.embedder), *stages, *neck, ("head", head)]

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` belongs to a classification layer or a class embedding."""
        return _CLASS_LAYERS.match(name) is not None

    def adapt_key(self, name: str) -> str:
        """Return the name in this network of the tensor ``name`` of a published file."""
        if name.startswith("network."):
            return name
        name = name.removeprefix("model.")
        if name.startswith(("class_embed.", "bbox_embed.")):
            name = f"decoder.{name}"
        for old, new in _KEY_RULES:
            name = old.sub(new, name)
        return f"network.model.{_DENSE_LAYER.sub(self._adapt_dense_key, name)}"

    def _adapt_dense_key(self, match: re.Match[str]) -> str:
        """Return the name of a dense layer of an attention block, which D-FINE numbers and RT-DETRv2 does not."""
        config: Any = self.network.config
        layer = f"layers.{int(match[2]) - 1}" if config.model_type == "d_fine" else f"fc{match[2]}"
        return f"layers.{match[1]}.mlp.{layer}."

    def _run_network(self, maps: FeatureMaps, labels: list[dict[str, Tensor]] | None = None) -> Any:
        """Return the network's output for feature ``maps``; with ``labels``, also its losses."""
        from transformers.modeling_outputs import BaseModelOutput  # seconds, for these alone  # noqa: PLC0415

        self._limit_queries(maps)
        # The network reads the batch size from images or embeddings, so a feature map is passed as embeddings.
        encoder_outputs = BaseModelOutput(last_hidden_state=maps)  # type: ignore[arg-type]
        return self.network(None, encoder_outputs=encoder_outputs, inputs_embeds=maps[0], labels=labels)

    def _limit_queries(self, maps: FeatureMaps) -> None:
        """Reduce the number of queries where ``maps`` have fewer cells."""
        config: Any = self.network.config
        config.num_queries = min(
            self.num_queries, sum(int(feature_map.shape[2]) * int(feature_map.shape[3]) for feature_map in maps)
        )


def create_detector(entry: DetectorEntry, num_classes: int, height: int, width: int) -> Detr:
    """Return the detector of ``entry`` for ``num_classes`` classes with random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side is not a multiple of 32.
    """
    check_input_size(entry, height, width)
    import transformers  # loading it takes seconds  # noqa: PLC0415

    detector, backbone = get_configs(entry.name)
    options = {**detector, **make_shared_config(num_classes)}
    if entry.family == "dfine":
        dfine = transformers.DFineConfig(**options, backbone_config=transformers.HGNetV2Config(**backbone))
        return Detr(transformers.DFineForObjectDetection(dfine), num_classes)
    rtdetr = transformers.RTDetrV2Config(**options, backbone_config=transformers.RTDetrResNetConfig(**backbone))
    return Detr(transformers.RTDetrV2ForObjectDetection(rtdetr), num_classes)


def check_input_size(entry: DetectorEntry, height: int, width: int) -> None:
    """Raise ``UsageError`` unless both sides of the input are multiples of 32 pixels."""
    if height % _SIZE_MULTIPLE or width % _SIZE_MULTIPLE or min(height, width) < _SIZE_MULTIPLE:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(
                step=_SIZE_MULTIPLE, size=entry.size
            ),
        )


def make_shared_config(num_classes: int) -> dict[str, Any]:
    """Return the configuration that all DETR detectors have here.

    The backbone's norms are trained, because with random weights there are no statistics to keep; and the initial score
    of every query is 1 % (Lin et al. 2017, focal loss).
    """
    return {"num_labels": num_classes, "freeze_backbone_batch_norms": False, "initializer_bias_prior_prob": 0.01}
