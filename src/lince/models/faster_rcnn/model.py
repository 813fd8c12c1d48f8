"""Faster R-CNN over any timm backbone (Ren et al. 2015; Lin et al. 2017), from the parts of torchvision.

Modules have torchvision's names. Inputs have a fixed size and are already preprocessed; torchvision's own resizing and
normalisation are not used.
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

ANCHOR_SCALE = 6  # side of an anchor in strides of its map: 24 to 384 pixels, for inputs of about 320 to 800
ASPECT_RATIOS = (0.5, 1.0, 2.0)
MAX_PROPOSALS = 300  # per image after NMS, and per feature map before it
NMS_IOU_THRESHOLD = 0.7  # of proposals
_ROI_SIZE = 7  # cells along each side of a pooled region
_SAMPLED_ANCHORS, _SAMPLED_ROIS = 256, 64  # per image in training; a region costs a thousand times an anchor
_RPN_BOX_WEIGHTS, _ROI_BOX_WEIGHTS = (1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)
_CLASS_LAYERS = "roi_heads.box_predictor."
_ROI_STRIDES = STRIDES[:-1]  # of the feature maps from which regions are pooled


class FasterRcnn(Detector):
    """Faster R-CNN with a feature pyramid, for ``num_classes`` classes and the background.

    ``width`` multiplies torchvision's 256 channels of every feature map and 1024 of the head.
    """

    decoder_name = "boxes"

    def __init__(self, backbone: FpnBackbone, num_classes: int, width: float) -> None:
        super().__init__()
        channels, hidden = int(256 * width), int(1024 * width)
        self.backbone = backbone
        self.rpn = _build_rpn(channels)
        self.roi_heads = _build_roi_heads(channels, hidden, num_classes)
        self.num_classes = num_classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps at strides 4, 8, 16, 32 and 64 of ``images`` (N, 3, H, W)."""
        maps: FeatureMaps = self.backbone(images)
        return maps

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return ``boxes`` (N, K, C, 4) in input pixels and ``scores`` (N, K, C) of K proposals.

        Where an image has fewer proposals, the scores of the others are 0.
        """
        anchors = self._make_anchors(maps)
        objectness, deltas = self._run_rpn_head(maps)
        boxes, is_real = self._select_proposals(objectness, deltas, anchors, size)
        logits, box_deltas = self._run_roi_head(maps, proposals.boxes_to_rois(boxes))
        count = boxes.shape[1]
        scores = logits.softmax(-1).view(-1, count, self.num_classes + 1)[..., 1:] * is_real[..., None]
        box_deltas = box_deltas.view(-1, count, self.num_classes + 1, 4)[:, :, 1:]
        return proposals.decode_deltas(box_deltas, boxes[:, :, None], _ROI_BOX_WEIGHTS), scores

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the classification and box losses of the region proposal network and of the head (Ren et al. 2015)."""
        truths = [_to_torchvision_target(boxes, class_ids) for boxes, class_ids in targets]
        anchors = self._make_anchors(maps)
        objectness, deltas = self._run_rpn_head(maps)
        all_anchors = [torch.cat(anchors)] * len(truths)
        labels, matched_boxes = self.rpn.assign_targets_to_anchors(all_anchors, truths)
        regression_targets = self.rpn.box_coder.encode(matched_boxes, all_anchors)
        logits = torch.cat(objectness, 1).reshape(-1, 1)
        objectness_loss, rpn_box_loss = self.rpn.compute_loss(
            logits, torch.cat(deltas, 1).flatten(0, 1), labels, regression_targets
        )
        with torch.no_grad():
            boxes, is_real = self._select_proposals(objectness, deltas, anchors, size)
        candidates = [image_boxes[real_mask > 0] for image_boxes, real_mask in zip(boxes, is_real, strict=True)]
        candidates, _matched_rows, labels, regression_targets = self.roi_heads.select_training_samples(
            candidates, truths
        )
        regions = torch.cat([proposals.boxes_to_rois(image_boxes[None]) for image_boxes in candidates])
        regions[:, 0] = torch.cat(
            [torch.full_like(image_boxes[:, 0], number) for number, image_boxes in enumerate(candidates)]
        )
        class_loss, box_loss = fastrcnn_loss(*self._run_roi_head(maps, regions), labels, regression_targets)
        return {"proposed": objectness_loss, "proposed_boxes": rpn_box_loss, "classes": class_loss, "boxes": box_loss}

    def list_blocks(self) -> list[Block]:
        """Return the blocks of the timm network, the feature pyramid, and the head: all that reads feature maps."""
        backbone = [(f"body.{name}", module) for name, module in split_into_blocks(self.backbone.body)]
        return [*backbone, ("fpn", self.backbone.fpn), ("head", nn.ModuleList((self.rpn, self.roi_heads)))]

    def get_backbone(self) -> nn.Module:
        """Return the timm network, which can be loaded with weights of a classifier."""
        return self.backbone.body

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` belongs to the layer that predicts classes and their boxes."""
        return name.startswith(_CLASS_LAYERS)

    def _make_anchors(self, maps: FeatureMaps) -> list[Tensor]:
        """Return the anchors (A, 4) of each feature map, in input pixels."""
        sizes = [[int(feature_map.shape[2]), int(feature_map.shape[3])] for feature_map in maps]
        strides = [[torch.tensor(stride, device=maps[0].device)] * 2 for stride in STRIDES]
        self.rpn.anchor_generator.set_cell_anchors(torch.float32, maps[0].device)
        anchors: list[Tensor] = self.rpn.anchor_generator.grid_anchors(sizes, strides)
        return anchors

    def _run_rpn_head(self, maps: FeatureMaps) -> tuple[list[Tensor], list[Tensor]]:
        """Return the objectness logits (N, A) and the box deltas (N, A, 4) of the anchors of each feature map."""
        logits, deltas_by_map = self.rpn.head(list(maps))
        anchors_per_cell = len(ASPECT_RATIOS)
        objectness = [level_map.permute(0, 2, 3, 1).flatten(1).float() for level_map in logits]
        deltas = [
            level_map.unflatten(1, (anchors_per_cell, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3).float()
            for level_map in deltas_by_map
        ]
        return objectness, deltas

    def _select_proposals(
        self, objectness: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor], size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return the proposals (N, K, 4) in input pixels, and 1 for real ones and 0 for padding, (N, K)."""
        boxes, scores, levels = [], [], []
        for level, (logits, level_deltas, level_anchors) in enumerate(zip(objectness, deltas, anchors, strict=True)):
            count = min(MAX_PROPOSALS, len(level_anchors))
            best_logits, rows = logits.detach().topk(count, 1)
            best_deltas = level_deltas.detach().gather(1, rows[..., None].expand(-1, -1, 4))
            boxes.append(proposals.decode_deltas(best_deltas, level_anchors[rows], _RPN_BOX_WEIGHTS))
            scores.append(best_logits.sigmoid())
            levels.append(torch.full((count,), level, device=rows.device))
        clipped = proposals.clip_boxes(torch.cat(boxes, 1), size)
        count = min(MAX_PROPOSALS, sum(len(level_rows) for level_rows in levels))
        return proposals.filter_proposals(clipped, torch.cat(scores, 1), torch.cat(levels), NMS_IOU_THRESHOLD, count)

    def _run_roi_head(self, maps: FeatureMaps, rois: Tensor) -> tuple[Tensor, Tensor]:
        """Return the class logits (R, 1 + C), background first, and box deltas (R, 4 + 4 C) of ``rois`` (R, 5)."""
        features = self.roi_heads.box_head(proposals.pool_regions(maps, _ROI_STRIDES, rois, _ROI_SIZE))
        logits, box_deltas = self.roi_heads.box_predictor(features)
        return logits.float(), box_deltas.float()


def _to_torchvision_target(boxes: Tensor, class_ids: Tensor) -> dict[str, Tensor]:
    """Return a target as torchvision has it: without boxes of no area, and with class 0 for the background."""
    has_area = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)
    return {"boxes": boxes[has_area], "labels": class_ids[has_area] + 1}


def _build_rpn(channels: int) -> RegionProposalNetwork:
    """Return the region proposal network for feature maps of ``channels`` channels."""
    anchors = AnchorGenerator(tuple((ANCHOR_SCALE * stride,) for stride in STRIDES), (ASPECT_RATIOS,) * len(STRIDES))
    head = RPNHead(channels, len(ASPECT_RATIOS))
    counts = dict.fromkeys(("training", "testing"), MAX_PROPOSALS)
    return RegionProposalNetwork(anchors, head, 0.7, 0.3, _SAMPLED_ANCHORS, 0.5, counts, counts, NMS_IOU_THRESHOLD)


def _build_roi_heads(channels: int, hidden: int, num_classes: int) -> RoIHeads:
    """Return the head that classifies regions, with ``hidden`` units in its two dense layers."""
    pool = MultiScaleRoIAlign([str(level) for level in range(len(_ROI_STRIDES))], _ROI_SIZE, 2)
    head = TwoMLPHead(channels * _ROI_SIZE**2, hidden)
    predictor = FastRCNNPredictor(hidden, num_classes + 1)
    make = partial(RoIHeads, pool, head, predictor, 0.5, 0.5, _SAMPLED_ROIS, 0.25, _ROI_BOX_WEIGHTS)
    return make(0.0, 0.5, MAX_PROPOSALS)


def create_detector(entry: DetectorEntry, num_classes: int, height: int, width: int) -> FasterRcnn:
    """Return the Faster R-CNN of ``entry`` for ``num_classes`` classes with random weights.

    Raises ``UsageError`` when a side of the input is not a multiple of 32, or its timm network cannot be a backbone.
    """
    if height % 32 or width % 32 or min(height, width) < 64:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(step=32, size=entry.size),
        )
    backbone = fpn.create_fpn_backbone(entry, height, width, int(256 * entry.width))
    return FasterRcnn(backbone, num_classes, entry.width)
