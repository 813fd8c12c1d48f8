"""The detector RF-DETR (Robinson et al. 2025) as ``transformers`` implements it: a DINOv2 backbone and one feature map.

Nothing is downloaded: the networks are built from the configurations below. ``lince.postprocess.detr`` decodes the
outputs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lince.errors import UsageError
from lince.i18n import _
from lince.models.blocks import Block
from lince.models.box_ops import xyxy_to_cxcywh
from lince.models.detection.detector import DetectionTarget, Detector, FeatureMaps
from lince.models.detection.registry import DetectorEntry
from lince.models.detr.rfdetr_state_dict import to_transformers_keys
from lince.postprocess.detr import NUM_QUERIES

_PATCH_SIZE = 16  # pixels
_NUM_WINDOWS = 2  # along each side; most layers attend within one window
_SIZE_MULTIPLE = _PATCH_SIZE * _NUM_WINDOWS
_QUERY_GROUPS = 13  # groups of queries in training, of which inference uses the first (Group DETR: Chen et al. 2023)
_DECODER_LAYERS = {"rfdetr-nano": 2, "rfdetr-small": 3, "rfdetr-medium": 4, "rfdetr-large": 4}
# DINOv2-small, the backbone of all published sizes; keys are those of the configuration classes of transformers.
_BACKBONE_CONFIG: dict[str, Any] = {
    "hidden_size": 384,
    "num_attention_heads": 6,
    "patch_size": _PATCH_SIZE,
    "num_windows": _NUM_WINDOWS,
    "out_indices": [3, 6, 9, 12],
    "use_mask_token": False,
}
_DETECTOR_CONFIG: dict[str, Any] = {
    "decoder_n_points": 2,
    "group_detr": _QUERY_GROUPS,
    "num_queries": NUM_QUERIES,
    "dropout": 0.0,
}
_QUERY_KEYS = {f"{name}.weight": f"{name}.rows" for name in ("reference_point_embed", "query_feat")}
_UNUSED_KEY = "encoder.backbone.embeddings.mask_token"  # used in the pretraining of DINOv2 only
_LOSS_WEIGHTS = {"ce": ("classes", 1.0), "bbox": ("box", 5.0), "giou": ("overlap", 2.0)}


class RfDetr(Detector):
    """RF-DETR; ``network`` is the object detector of transformers.

    Outputs are ``logits`` (N, Q, C) and ``boxes`` (N, Q, 4), centre x, centre y, width and height as fractions of the
    input. Q is 300, or the number of cells of the feature map where the input has fewer. Inputs are squares whose side
    is a multiple of 32.
    """

    decoder_name = "queries"

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        model: Any = network.model
        self.encoder = model.backbone
        embeddings = self.encoder.backbone.embeddings
        embeddings.interpolate_pos_encoding = _PositionEmbeddingResizer(embeddings)
        model.backbone = _PrecomputedBackbone()
        model.reference_point_embed = _QueryEmbedding(model.reference_point_embed.weight)
        model.query_feat = _QueryEmbedding(model.query_feat.weight)
        self.network = network
        self.num_classes = num_classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the one feature map of the backbone for ``images`` (N, 3, H, W)."""
        encoder: Any = self.encoder
        return (encoder.projector(encoder.backbone(images).feature_maps),)

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return ``logits`` and ``boxes`` for the feature map of inputs of ``size``."""
        outputs = self._run_network(maps)
        return outputs.logits, outputs.pred_boxes

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the losses by name, weighted, each summed over the decoder's layers and the query selection.

        In each group, queries are matched one-to-one with objects (Carion et al. 2020).
        """
        height, width = size
        network: Any = self.network
        input_size = torch.tensor([width, height, width, height], dtype=torch.float32, device=maps[0].device)
        labels = [{"class_labels": ids, "boxes": xyxy_to_cxcywh(boxes.float()) / input_size} for boxes, ids in targets]
        outputs = self._run_network(maps)
        intermediate = network.predict_class_and_boxes(
            outputs.intermediate_hidden_states, outputs.intermediate_reference_points
        )
        config = copy(network.config)
        config.group_detr = _QUERY_GROUPS if self.training else 1
        # This loss needs single precision for its logarithms, also when the network runs in half precision.
        logits, boxes = outputs.logits.float(), outputs.pred_boxes.float()
        auxiliary = [
            output.float() for output in (*intermediate, outputs.enc_outputs_class, outputs.enc_outputs_coord_logits)
        ]
        with torch.autocast(maps[0].device.type, enabled=False):
            _sum, losses, _layers = network.loss_function(logits, labels, maps[0].device, boxes, config, *auxiliary)
        weighted: dict[str, Tensor] = defaultdict(lambda: input_size.new_zeros(()))
        for name, value in losses.items():
            loss_name, weight = _LOSS_WEIGHTS.get(name.split("_")[1], ("", 0.0))
            if loss_name:
                weighted[loss_name] += weight * value
        return dict(weighted)

    def list_blocks(self) -> list[Block]:
        """Return the layers of the backbone, the neck, and the head: everything that reads the feature map."""
        backbone: Any = self.encoder.backbone
        layers = [(f"backbone.layer{number}", layer) for number, layer in enumerate(backbone.encoder.layer, 1)]
        neck = [("neck.norm", backbone.layernorm), ("neck.projection", self.encoder.projector)]
        return [("backbone.stem", backbone.embeddings), *layers, *neck, ("head", self.network)]

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` belongs to a classification layer."""
        return name.startswith(("network.class_embed.", "network.model.enc_out_class_embed."))

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a published file, of the authors or of transformers, with this network's names."""
        adapted = super().adapt_state_dict(to_transformers_keys(state))
        adapted.pop(_UNUSED_KEY, None)
        return adapted

    def adapt_key(self, name: str) -> str:
        """Return the name in this network of the tensor ``name`` of a file of transformers."""
        if name.startswith(("network.", "encoder.")):
            return name
        name = name.removeprefix("model.")
        if name.startswith("backbone."):
            return f"encoder.{name.removeprefix('backbone.')}"
        if name.startswith(("class_embed.", "bbox_embed.")):
            return f"network.{name}"
        return f"network.model.{_QUERY_KEYS.get(name, name)}"

    def _run_network(self, maps: FeatureMaps) -> Any:
        """Return the network's output for the feature map, with fewer queries where it has fewer cells."""
        network: Any = self.network
        count = min(NUM_QUERIES, int(maps[0].shape[2]) * int(maps[0].shape[3]))
        model = network.model
        network.config.num_queries = model.num_queries = count
        model.reference_point_embed.count = model.query_feat.count = count
        return network(maps[0])


class _PrecomputedBackbone(nn.Module):
    """Takes the place of the backbone in transformers' network, which then receives the feature map itself."""

    def forward(self, feature_map: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the feature map and its mask, which is true everywhere."""
        return feature_map, mask.to(torch.bool)


class _QueryEmbedding(nn.Module):
    """The learned inputs of the queries, (groups * queries, D); ``weight`` has the first ``count`` of each group."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.detach().clone())
        self.count = NUM_QUERIES

    @property
    def weight(self) -> Tensor:
        """The embeddings in use, (groups * count, D)."""
        return self.rows.view(_QUERY_GROUPS, NUM_QUERIES, -1)[:, : self.count].flatten(0, 1)


class _PositionEmbeddingResizer:
    """Resizes the backbone's position embeddings to the grid of patches of the input.

    It is not a module, so that the embeddings have one name only.
    """

    def __init__(self, embeddings: nn.Module) -> None:
        self.embeddings = embeddings

    def __call__(self, _tokens: Tensor, height: int, width: int) -> Tensor:
        """Return the position embeddings (1, 1 + patches, D) for an input of (height, width) pixels."""
        embeddings: Any = self.embeddings.position_embeddings
        old_side = int((embeddings.shape[1] - 1) ** 0.5)
        new_sides = (int(height) // _PATCH_SIZE, int(width) // _PATCH_SIZE)
        if new_sides == (old_side, old_side):
            return torch.as_tensor(embeddings)
        # As matrix products, because ONNX has no antialiased cubic resizing.
        rows, columns = (torch.from_numpy(_cubic_resize_matrix(old_side, side)).to(embeddings) for side in new_sides)
        grid = embeddings[0, 1:].reshape(old_side, old_side, -1)
        grid = torch.einsum("ai,bj,ijd->abd", rows, columns, grid)
        return torch.cat((embeddings[:, :1], grid.flatten(0, 1)[None]), 1)


def _cubic_resize_matrix(old: int, new: int) -> NDArray[np.float32]:
    """Return the weights (new, old) of antialiased bicubic resizing along one axis, with a = -0.5 (Keys 1981)."""
    scale = old / new
    support = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs((np.arange(old)[None] + 0.5 - centres[:, None]) / support)
    inner, outer = 1.5 * distance**3 - 2.5 * distance**2 + 1, -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, inner, np.where(distance < 2, outer, 0.0))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def create_detector(entry: DetectorEntry, num_classes: int, height: int, width: int) -> RfDetr:
    """Return the detector of ``entry`` for ``num_classes`` classes with random weights, for inputs of (height, width).

    Raises ``UsageError`` unless they are square with a side that is a multiple of 32.
    """
    if height != width or height % _SIZE_MULTIPLE or height < _SIZE_MULTIPLE:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(
                step=_SIZE_MULTIPLE, size=f"{entry.size} x {entry.size}"
            ),
        )
    import transformers  # loading it takes seconds  # noqa: PLC0415

    backbone = transformers.RfDetrDinov2Config(**_BACKBONE_CONFIG, image_size=entry.size)
    options: dict[str, Any] = {
        **_DETECTOR_CONFIG,
        "decoder_layers": _DECODER_LAYERS[entry.name],
        "num_labels": num_classes,
    }
    config = transformers.RfDetrConfig(**options, backbone_config=backbone)
    return RfDetr(transformers.RfDetrForObjectDetection(config), num_classes)
