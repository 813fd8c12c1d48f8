"""The detector RF-DETR (Robinson et al. 2025) as ``transformers`` builds it: a body of attention, one map, queries.

Nothing is fetched: the networks are built from the settings below. What their numbers mean is said by
``lince.postprocess.detr``.
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
from lince.models.detection.detector import DetectionTarget, Detector, FeatureMaps
from lince.models.detection.registry import DetectorEntry
from lince.models.detr import rfdetr_state_dict as theirs
from lince.postprocess.detr import NUM_QUERIES

_PATCH_SIZE = 16  # pixels
_NUM_WINDOWS = 2  # along each side; within one, most layers attend
_SIZE_MULTIPLE = _PATCH_SIZE * _NUM_WINDOWS
_QUERY_GROUPS = 13  # sets of queries that learn side by side; the first one answers (Chen et al. 2023)
_DECODER_LAYERS = {"rfdetr-nano": 2, "rfdetr-small": 3, "rfdetr-medium": 4, "rfdetr-large": 4}  # of the decoder
# DINOv2's smallest body, as the published sizes have it; names are those of the settings of transformers.
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
_QUERY_KEYS = {f"{one}.weight": f"{one}.rows" for one in ("reference_point_embed", "query_feat")}
_UNUSED_KEY = "encoder.backbone.embeddings.mask_token"  # of DINOv2's own learning; no answer hangs on it
_LOSS_WEIGHTS = {"ce": ("classes", 1.0), "bbox": ("box", 5.0), "giou": ("overlap", 2.0)}


class RfDetr(Detector):
    """A detector whose queries each answer for one object; ``network`` is RF-DETR of transformers.

    Its outputs are ``logits`` (N, Q, C) and ``boxes`` (N, Q, 4), centre x, y, width, height as shares of the input.
    There are 300 queries, or as many as places where the input has fewer. Inputs are squares of a multiple of 32.
    """

    decoding = "queries"

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        model: Any = network.model
        self.encoder = model.backbone
        embeddings = self.encoder.backbone.embeddings
        embeddings.interpolate_pos_encoding = _PositionEmbeddingResizer(embeddings)
        model.backbone = _PrecomputedBackbone()
        model.reference_point_embed = _QueryEmbedding(model.reference_point_embed.weight)
        model.query_feat = _QueryEmbedding(model.query_feat.weight)
        self.network = network
        self.classes = classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the one map that the body makes of ``images`` (N, 3, H, W)."""
        encoder: Any = self.encoder
        return (encoder.projector(encoder.backbone(images).feature_maps),)

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return ``logits`` and ``boxes`` for the map of images of ``size``."""
        found = self._run_network(maps)
        return found.logits, found.pred_boxes

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the parts of the loss, each summed over the layers of the decoder and the first choice of places.

        In each group of queries every object is given the one query that suits it best (Carion et al. 2020).
        """
        height, width = size
        network: Any = self.network
        whole = torch.tensor([width, height, width, height], dtype=torch.float32, device=maps[0].device)
        labels = [{"class_labels": ids, "boxes": _xyxy_to_cxcywh(boxes.float()) / whole} for boxes, ids in targets]
        found = self._run_network(maps)
        between = network.predict_class_and_boxes(found.intermediate_hidden_states, found.intermediate_reference_points)
        config = copy(network.config)
        config.group_detr = _QUERY_GROUPS if self.training else 1
        # The logarithms of this loss need single precision, whatever the network was computed in.
        logits, boxes = found.logits.float(), found.pred_boxes.float()
        rest = [one.float() for one in (*between, found.enc_outputs_class, found.enc_outputs_coord_logits)]
        with torch.autocast(maps[0].device.type, enabled=False):
            _sum, losses, _layers = network.loss_function(logits, labels, maps[0].device, boxes, config, *rest)
        parts: dict[str, Tensor] = defaultdict(lambda: whole.new_zeros(()))
        for name, value in losses.items():
            part, weight = _LOSS_WEIGHTS.get(name.split("_")[1], ("", 0.0))
            if part:
                parts[part] += weight * value
        return dict(parts)

    def list_blocks(self) -> list[Block]:
        """Return the layers of the body, the neck, and the head, which is all that reads the map."""
        body: Any = self.encoder.backbone
        layers = [(f"backbone.layer{number}", one) for number, one in enumerate(body.encoder.layer, 1)]
        neck = [("neck.norm", body.layernorm), ("neck.projection", self.encoder.projector)]
        return [("backbone.stem", body.embeddings), *layers, *neck, ("head", self.network)]

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` is of the layers that name classes."""
        return name.startswith(("network.class_embed.", "network.model.enc_out_class_embed."))

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a published file, its authors' or one of transformers, as this network has them."""
        own = super().adapt_state_dict(theirs.to_transformers_keys(state))
        own.pop(_UNUSED_KEY, None)
        return own

    def adapt_key(self, name: str) -> str:
        """Return how this network calls the tensor ``name`` of a file of transformers."""
        if name.startswith(("network.", "encoder.")):
            return name
        name = name.removeprefix("model.")
        if name.startswith("backbone."):
            return f"encoder.{name.removeprefix('backbone.')}"
        if name.startswith(("class_embed.", "bbox_embed.")):
            return f"network.{name}"
        return f"network.model.{_QUERY_KEYS.get(name, name)}"

    def _run_network(self, maps: FeatureMaps) -> Any:
        network: Any = self.network
        count = min(NUM_QUERIES, int(maps[0].shape[2]) * int(maps[0].shape[3]))
        model = network.model
        network.config.num_queries = model.num_queries = count
        model.reference_point_embed.count = model.query_feat.count = count
        return network(maps[0])


class _PrecomputedBackbone(nn.Module):
    """What stands where transformers has the body: the map is made already, and all of it is image."""

    def forward(self, seen: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return seen, mask.to(torch.bool)


class _QueryEmbedding(nn.Module):
    """What every query starts from, (groups * queries, D); ``weight`` holds the first ``count`` of each group."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.detach().clone())
        self.count = NUM_QUERIES

    @property
    def weight(self) -> Tensor:
        return self.rows.view(_QUERY_GROUPS, NUM_QUERIES, -1)[:, : self.count].flatten(0, 1)


class _PositionEmbeddingResizer:
    """What is added to each patch for its place, brought to the grid of the input; no module, so it has no name."""

    def __init__(self, embeddings: nn.Module) -> None:
        self.embeddings = embeddings

    def __call__(self, _tokens: Tensor, height: int, width: int) -> Tensor:
        known: Any = self.embeddings.position_embeddings
        old = int((known.shape[1] - 1) ** 0.5)
        new = (int(height) // _PATCH_SIZE, int(width) // _PATCH_SIZE)
        if new == (old, old):
            return torch.as_tensor(known)
        # As products, since ONNX has no antialiased cubic resizing.
        rows, columns = (torch.from_numpy(_cubic_resize_matrix(old, one)).to(known) for one in new)
        grid = known[0, 1:].reshape(old, old, -1)
        grid = torch.einsum("ai,bj,ijd->abd", rows, columns, grid)
        return torch.cat((known[:, :1], grid.flatten(0, 1)[None]), 1)


def _cubic_resize_matrix(old: int, new: int) -> NDArray[np.float32]:
    """Return the weights (new, old) of antialiased cubic resizing, with a = -0.5 (Keys 1981)."""
    scale = old / new
    reach = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale
    far = np.abs((np.arange(old)[None] + 0.5 - centres[:, None]) / reach)
    near, wide = 1.5 * far**3 - 2.5 * far**2 + 1, -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    weights = np.where(far < 1, near, np.where(far < 2, wide, 0.0))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def create_detector(entry: DetectorEntry, classes: int, height: int, width: int) -> RfDetr:
    """Return the detector of ``entry`` with ``classes`` classes at random weights, for inputs of (height, width).

    Raises ``UsageError`` when they are no square whose side is a multiple of 32.
    """
    if height != width or height % _SIZE_MULTIPLE or height < _SIZE_MULTIPLE:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(
                step=_SIZE_MULTIPLE, size=f"{entry.size} x {entry.size}"
            ),
        )
    import transformers  # it takes seconds, so only these detectors load it  # noqa: PLC0415

    body = transformers.RfDetrDinov2Config(**_BACKBONE_CONFIG, image_size=entry.size)
    options: dict[str, Any] = {**_DETECTOR_CONFIG, "decoder_layers": _DECODER_LAYERS[entry.name], "num_labels": classes}
    config = transformers.RfDetrConfig(**options, backbone_config=body)
    return RfDetr(transformers.RfDetrForObjectDetection(config), classes)


def _xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Return centre x, y, width, height (K, 4) of ``boxes`` (K, 4), left, top, right, bottom."""
    return torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1)
