"""Detectors with queries, D-FINE (Peng et al. 2024) and RT-DETRv2 (Lv et al. 2024), as ``transformers`` builds them.

Nothing is fetched: the networks are built from the settings in ``detr_sizes``. What their numbers mean is said by
``lince.postprocess.detr``.
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
from lince.models.detection.detector import DetectionTarget, Detector, FeatureMaps
from lince.models.detection.registry import DetectorEntry
from lince.models.detr.configs import get_configs

_SIZE_MULTIPLE = 32  # pixels between the places of the coarsest map
_LOSS_NAMES = {
    "vfl": "classes",
    "mal": "classes",
    "bbox": "box",
    "giou": "overlap",
    "fgl": "edges",
    "ddf": "distillation",
}
_CLASS_LAYERS = re.compile(r"network\.model\.(denoising_class_embed|enc_score_head|decoder\.class_embed)\.")
# Published files bear the names that transformers used before its fifth version.
_KEY_RULES = (
    (re.compile(r"out_proj"), "o_proj"),
    (re.compile(r"encoder\.encoder\.(\d+)\.layers"), r"encoder.aifi.\1.layers"),
)
_DENSE_LAYER = re.compile(r"layers\.(\d+)\.fc([12])\.")


class Detr(Detector):
    """A detector whose queries each answer for one object; ``network`` is one for object detection of transformers.

    Its outputs are ``logits`` (N, Q, C) and ``boxes`` (N, Q, 4), centre x, y, width, height as shares of the input.
    There are 300 queries, or as many as places where the input has fewer. H and W are multiples of 32.
    """

    decoding = "queries"

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        # Its decoder holds the same layers under a second name, which no weight file could keep.
        del network.class_embed, network.bbox_embed
        self.network = network
        config: Any = network.config
        self.queries: int = config.num_queries
        self.classes = classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the maps that body and encoder make of ``images`` (N, 3, H, W), finest first."""
        model: Any = self.network.model
        everywhere = torch.ones(images.shape[0], *images.shape[2:], device=images.device)
        seen = model.backbone(images, everywhere)
        projected = [layer(one) for layer, (one, _mask) in zip(model.encoder_input_proj, seen, strict=True)]
        return tuple(model.encoder(projected).last_hidden_state)

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return ``logits`` and ``boxes`` for the maps of images of ``size``."""
        found = self._run_network(maps)
        return found.logits, found.pred_boxes

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the parts of the loss, each summed over the layers of the decoder and, in training, the denoising.

        Every query is given the one object that suits it best or none (Carion et al. 2020); in training mode queries
        made of altered truths must find these again (Zhang et al. 2023).
        """
        height, width = size
        whole = torch.tensor([width, height, width, height], dtype=torch.float32, device=maps[0].device)
        labels = [
            {"class_labels": ids, "boxes": _xyxy_to_cxcywh(boxes.to(whole.dtype)) / whole} for boxes, ids in targets
        ]
        parts: dict[str, Tensor] = defaultdict(lambda: whole.new_zeros(()))
        for name, value in self._run_network(maps, labels).loss_dict.items():
            part = name.split("_")[1]
            parts[_LOSS_NAMES.get(part, part)] += value
        return dict(parts)

    def list_blocks(self) -> list[Block]:
        """Return the stages of the body, the neck, and the head, which is all that reads the maps."""
        model: Any = self.network.model
        body = model.backbone.model
        stages = [(f"backbone.stage{number}", one) for number, one in enumerate(body.encoder.stages, 1)]
        neck = [("neck.projection", model.encoder_input_proj), ("neck.encoder", model.encoder)]
        below = ("backbone", "encoder_input_proj", "encoder")
        head = nn.ModuleList(one for name, one in model.named_children() if name not in below)
        return [("backbone.stem", body.embedder), *stages, *neck, ("head", head)]

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` is of the layers that name classes."""
        return _CLASS_LAYERS.match(name) is not None

    def adapt_key(self, name: str) -> str:
        """Return how this network calls the tensor ``name`` of a published file."""
        if name.startswith("network."):
            return name
        name = name.removeprefix("model.")
        if name.startswith(("class_embed.", "bbox_embed.")):
            name = f"decoder.{name}"
        for old, new in _KEY_RULES:
            name = old.sub(new, name)
        return f"network.model.{_DENSE_LAYER.sub(self._adapt_dense_key, name)}"

    def _adapt_dense_key(self, found: re.Match[str]) -> str:
        config: Any = self.network.config
        place = f"layers.{int(found[2]) - 1}" if config.model_type == "d_fine" else f"fc{found[2]}"
        return f"layers.{found[1]}.mlp.{place}."

    def _run_network(self, maps: FeatureMaps, labels: list[dict[str, Tensor]] | None = None) -> Any:
        from transformers.modeling_outputs import BaseModelOutput  # seconds, for these alone  # noqa: PLC0415

        self._limit_queries(maps)
        # The maps stand where images or embeddings would, since the network wants one of these for the batch's size.
        seen = BaseModelOutput(last_hidden_state=maps)  # type: ignore[arg-type]
        return self.network(None, encoder_outputs=seen, inputs_embeds=maps[0], labels=labels)

    def _limit_queries(self, maps: FeatureMaps) -> None:
        """Ask as many queries as there are, or as there are places on ``maps``."""
        config: Any = self.network.config
        config.num_queries = min(self.queries, sum(int(one.shape[2]) * int(one.shape[3]) for one in maps))


def create_detector(entry: DetectorEntry, classes: int, height: int, width: int) -> Detr:
    """Return the detector of ``entry`` with ``classes`` classes at random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side is no multiple of 32.
    """
    check_input_size(entry, height, width)
    import transformers  # it takes seconds, so only these detectors load it  # noqa: PLC0415

    whole, body = get_configs(entry.name)
    options = {**whole, **make_shared_config(classes)}
    if entry.family == "dfine":
        dfine = transformers.DFineConfig(**options, backbone_config=transformers.HGNetV2Config(**body))
        return Detr(transformers.DFineForObjectDetection(dfine), classes)
    rtdetr = transformers.RTDetrV2Config(**options, backbone_config=transformers.RTDetrResNetConfig(**body))
    return Detr(transformers.RTDetrV2ForObjectDetection(rtdetr), classes)


def check_input_size(entry: DetectorEntry, height: int, width: int) -> None:
    """Raise ``UsageError`` when a side of the input is no multiple of 32 pixels."""
    if height % _SIZE_MULTIPLE or width % _SIZE_MULTIPLE or min(height, width) < _SIZE_MULTIPLE:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(
                step=_SIZE_MULTIPLE, size=entry.size
            ),
        )


def make_shared_config(classes: int) -> dict[str, Any]:
    """Return the settings that all these networks have here.

    Norms of the body learn as all others do: at random weights they have nothing to keep. And at first nearly every
    query is believed to see nothing (Lin et al. 2017).
    """
    return {"num_labels": classes, "freeze_backbone_batch_norms": False, "initializer_bias_prior_prob": 0.01}


def _xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Return centre x, y, width, height (K, 4) of ``boxes`` (K, 4), left, top, right, bottom."""
    return torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1)
