"""Faster R-CNN over any timm backbone (Ren et al. 2015; Lin et al. 2017), from torchvision's parts.

Modules bear torchvision's names. Inputs have a fixed size, already prepared; its own resizing is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign

from lince.errors import UsageError
from lince.i18n import _
from lince.models import fpn
from lince.models.blocks import Block, split_into_blocks
from lince.models.detection.detector import DetectionTarget, Detector, FeatureMaps
from lince.models.detection.registry import DetectorEntry
from lince.models.faster_rcnn import proposals
from lince.models.fpn import STRIDES, FpnBackbone

ANCHOR_SCALE = 6  # sides of an anchor in strides of its map: 24 to 384 pixels, for inputs of some 320 to 800
ASPECT_RATIOS = (0.5, 1.0, 2.0)
MAX_PROPOSALS = 300  # for each image; and as many of each map before those that overlap go
NMS_IOU_THRESHOLD = 0.7  # of proposals
_ROI_SIZE = 7  # cells of a region, each way
_SAMPLED_ANCHORS, _SAMPLED_ROIS = 256, 64  # of an image from which is learnt; a region costs a thousand times an anchor
_RPN_BOX_WEIGHTS, _ROI_BOX_WEIGHTS = (1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)
_CLASS_LAYERS = "roi_heads.box_predictor."
_ROI_STRIDES = STRIDES[:-1]  # regions are read from these


class FasterRcnn(Detector):
    """Proposals from the maps of a pyramid, each then looked at by itself: ``classes`` classes and the background.

    ``width`` 1 has torchvision's 256 channels in every map and 1024 in the head.
    """

    decoding = "boxes"

    def __init__(self, backbone: FpnBackbone, classes: int, width: float) -> None:
        super().__init__()
        channels, inner = int(256 * width), int(1024 * width)
        self.backbone = backbone
        self.rpn = _build_rpn(channels)
        self.roi_heads = _build_roi_heads(channels, inner, classes)
        self.classes = classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the maps at strides 4, 8, 16, 32 and 64 of ``images`` (N, 3, H, W)."""
        maps: FeatureMaps = self.backbone(images)
        return maps

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return ``boxes`` (N, K, C, 4) in pixels of the input and ``scores`` (N, K, C) of K proposals.

        Where an image has fewer, the scores of the rest are 0.
        """
        anchors = self._make_anchors(maps)
        objectness, deltas = self._run_rpn_head(maps)
        boxes, real = self._select_proposals(objectness, deltas, anchors, size)
        logits, moves = self._run_roi_head(maps, proposals.boxes_to_rois(boxes))
        count = boxes.shape[1]
        scores = logits.softmax(-1).view(-1, count, self.classes + 1)[..., 1:] * real[..., None]
        moves = moves.view(-1, count, self.classes + 1, 4)[:, :, 1:]
        return proposals.decode_deltas(moves, boxes[:, :, None], _ROI_BOX_WEIGHTS), scores

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the four parts of the loss, of the proposals (Ren et al. 2015) and of what becomes of them."""
        wanted = [_to_torchvision_target(boxes, classes) for boxes, classes in targets]
        anchors = self._make_anchors(maps)
        objectness, deltas = self._run_rpn_head(maps)
        everywhere = [torch.cat(anchors)] * len(wanted)
        labels, matched = self.rpn.assign_targets_to_anchors(everywhere, wanted)
        moves = self.rpn.box_coder.encode(matched, everywhere)
        logits = torch.cat(objectness, 1).reshape(-1, 1)
        there, placed = self.rpn.compute_loss(logits, torch.cat(deltas, 1).flatten(0, 1), labels, moves)
        with torch.no_grad():
            boxes, real = self._select_proposals(objectness, deltas, anchors, size)
        chosen = [one[mask > 0] for one, mask in zip(boxes, real, strict=True)]
        chosen, _matched, labels, moves = self.roi_heads.select_training_samples(chosen, wanted)
        regions = torch.cat([proposals.boxes_to_rois(one[None]) for one in chosen])
        regions[:, 0] = torch.cat([torch.full_like(one[:, 0], number) for number, one in enumerate(chosen)])
        classes, moved = fastrcnn_loss(*self._run_roi_head(maps, regions), labels, moves)
        return {"proposed": there, "proposed_boxes": placed, "classes": classes, "boxes": moved}

    def list_blocks(self) -> list[Block]:
        """Return the blocks of the timm network, the pyramid, and the head: all that works on maps."""
        body = [(f"body.{name}", one) for name, one in split_into_blocks(self.backbone.body)]
        return [*body, ("fpn", self.backbone.fpn), ("head", nn.ModuleList((self.rpn, self.roi_heads)))]

    def get_backbone(self) -> nn.Module:
        """Return the timm network, which weights of a classifier fill."""
        return self.backbone.body

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` is of the layers that name classes."""
        return name.startswith(_CLASS_LAYERS)

    def _make_anchors(self, maps: FeatureMaps) -> list[Tensor]:
        """Return the anchors (A, 4) of each map, in pixels of the input."""
        grids = [[int(one.shape[2]), int(one.shape[3])] for one in maps]
        steps = [[torch.tensor(stride, device=maps[0].device)] * 2 for stride in STRIDES]
        self.rpn.anchor_generator.set_cell_anchors(torch.float32, maps[0].device)
        anchors: list[Tensor] = self.rpn.anchor_generator.grid_anchors(grids, steps)
        return anchors

    def _run_rpn_head(self, maps: FeatureMaps) -> tuple[list[Tensor], list[Tensor]]:
        """Return the logits (N, A) and the moves (N, A, 4) of each map's anchors."""
        logits, moves = self.rpn.head(list(maps))
        each = len(ASPECT_RATIOS)
        flat = [one.permute(0, 2, 3, 1).flatten(1).float() for one in logits]
        deltas = [one.unflatten(1, (each, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3).float() for one in moves]
        return flat, deltas

    def _select_proposals(
        self, objectness: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor], size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return the proposals (N, K, 4) that are looked at, and which of them are real, (N, K) of 0 and 1."""
        boxes, scores, levels = [], [], []
        for level, (logits, moves, places) in enumerate(zip(objectness, deltas, anchors, strict=True)):
            count = min(MAX_PROPOSALS, len(places))
            values, rows = logits.detach().topk(count, 1)
            near = moves.detach().gather(1, rows[..., None].expand(-1, -1, 4))
            boxes.append(proposals.decode_deltas(near, places[rows], _RPN_BOX_WEIGHTS))
            scores.append(values.sigmoid())
            levels.append(torch.full((count,), level, device=rows.device))
        inside = proposals.clip_boxes(torch.cat(boxes, 1), size)
        count = min(MAX_PROPOSALS, sum(len(one) for one in levels))
        return proposals.filter_proposals(inside, torch.cat(scores, 1), torch.cat(levels), NMS_IOU_THRESHOLD, count)

    def _run_roi_head(self, maps: FeatureMaps, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (R, 1 + C) and the moves (R, 4 + 4 C) of ``regions`` (R, 5), background first."""
        seen = self.roi_heads.box_head(proposals.pool_regions(maps, _ROI_STRIDES, regions, _ROI_SIZE))
        logits, moves = self.roi_heads.box_predictor(seen)
        return logits.float(), moves.float()


def _to_torchvision_target(boxes: Tensor, classes: Tensor) -> dict[str, Tensor]:
    # A box without area has no logarithm to learn; class 0 is the background.
    real = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)
    return {"boxes": boxes[real], "labels": classes[real] + 1}


def _build_rpn(channels: int) -> RegionProposalNetwork:
    anchors = AnchorGenerator(tuple((ANCHOR_SCALE * stride,) for stride in STRIDES), (ASPECT_RATIOS,) * len(STRIDES))
    head = RPNHead(channels, len(ASPECT_RATIOS))
    counts = dict.fromkeys(("training", "testing"), MAX_PROPOSALS)
    return RegionProposalNetwork(anchors, head, 0.7, 0.3, _SAMPLED_ANCHORS, 0.5, counts, counts, NMS_IOU_THRESHOLD)


def _build_roi_heads(channels: int, inner: int, classes: int) -> RoIHeads:
    pool = MultiScaleRoIAlign([str(level) for level in range(len(_ROI_STRIDES))], _ROI_SIZE, 2)
    head = TwoMLPHead(channels * _ROI_SIZE**2, inner)
    predictor = FastRCNNPredictor(inner, classes + 1)
    make = partial(RoIHeads, pool, head, predictor, 0.5, 0.5, _SAMPLED_ROIS, 0.25, _ROI_BOX_WEIGHTS)
    return make(0.0, 0.5, MAX_PROPOSALS)


def create_detector(entry: DetectorEntry, classes: int, height: int, width: int) -> FasterRcnn:
    """Return the Faster R-CNN of ``entry`` with ``classes`` classes at random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side is no multiple of 32, or when its backbone cannot be one.
    """
    if height % 32 or width % 32 or min(height, width) < 64:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(step=32, size=entry.size),
        )
    backbone = fpn.create_fpn_backbone(entry, height, width, int(256 * entry.width))
    return FasterRcnn(backbone, classes, entry.width)
