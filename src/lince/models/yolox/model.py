"""YOLOX, an anchor-free detector with a decoupled head, written from its paper (Ge et al. 2021).

Modules have the names of the published state dicts. ``lince.postprocess.yolox`` decodes the outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lince.errors import UsageError
from lince.i18n import _
from lince.models.blocks import Block
from lince.models.detection.detector import DetectionTarget, Detector, FeatureMaps
from lince.models.detection.registry import DetectorEntry
from lince.models.yolox.csp_darknet import ConvBnSilu, CspDarknet, CspLayer, make_conv3x3
from lince.models.yolox.loss import MaskOutputs, compute_yolox_loss
from lince.postprocess.yolox import STRIDES, make_grid

_PRIOR_LOGIT = -math.log(99.0)  # the logit of 1 %, initial score of every cell (Lin et al. 2017, focal loss)
_CLASS_LAYERS = "head.cls_preds."  # the only ones whose shape depends on the classes
_LEVEL_RANGE = range(len(STRIDES))


class YoloxPafpn(nn.Module):
    """Backbone and neck: a top-down and a bottom-up path over its feature maps (PAFPN: Liu et al. 2018)."""

    def __init__(self, base: int, depth: int, separable: bool) -> None:
        super().__init__()
        fine, middle, coarse = 4 * base, 8 * base, 16 * base
        self.backbone = CspDarknet(base, depth, separable)
        self.lateral_conv0 = ConvBnSilu(coarse, middle, 1)
        self.C3_p4 = CspLayer(2 * middle, middle, depth, False, separable)
        self.reduce_conv1 = ConvBnSilu(middle, fine, 1)
        self.C3_p3 = CspLayer(2 * fine, fine, depth, False, separable)
        self.bu_conv2 = make_conv3x3(fine, fine, 2, separable)
        self.C3_n3 = CspLayer(2 * fine, middle, depth, False, separable)
        self.bu_conv1 = make_conv3x3(middle, middle, 2, separable)
        self.C3_n4 = CspLayer(2 * middle, coarse, depth, False, separable)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the feature maps at strides 8, 16 and 32 of images ``x`` (N, 3, H, W)."""
        fine, middle, coarse = self.backbone(x)
        coarse_lateral = self.lateral_conv0(coarse)
        middle_lateral = self.reduce_conv1(self.C3_p4(torch.cat((_upsample(coarse_lateral), middle), 1)))
        out8 = self.C3_p3(torch.cat((_upsample(middle_lateral), fine), 1))
        out16 = self.C3_n3(torch.cat((self.bu_conv2(out8), middle_lateral), 1))
        out32 = self.C3_n4(torch.cat((self.bu_conv1(out16), coarse_lateral), 1))
        return out8, out16, out32


def _upsample(x: Tensor) -> Tensor:
    """Return ``x`` at twice the resolution (nearest neighbour)."""
    return interpolate(x, scale_factor=2.0, mode="nearest")


class PrototypeNet(nn.Module):
    """``count`` maps at stride 4 of which the masks are made, from the feature map at stride 8."""

    def __init__(self, channels: int, count: int, separable: bool) -> None:
        super().__init__()
        self.conv1 = make_conv3x3(channels, channels, 1, separable)
        self.conv2 = make_conv3x3(channels, channels, 1, separable)
        self.pred = nn.Conv2d(channels, count, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, count, 2 H, 2 W) for ``x`` (N, channels, H, W)."""
        prototypes: Tensor = self.pred(self.conv2(_upsample(self.conv1(x))))
        return prototypes


class YoloxHead(nn.Module):
    """The decoupled head: box, objectness and classes of every cell of every feature map.

    With ``prototypes`` above 0, also as many coefficients of each cell, and the maps of ``PrototypeNet``.
    """

    def __init__(self, base: int, num_classes: int, separable: bool, prototypes: int = 0) -> None:
        super().__init__()
        width = 4 * base
        self.cls_convs = nn.ModuleList(_make_branch(width, separable) for _level in _LEVEL_RANGE)
        self.reg_convs = nn.ModuleList(_make_branch(width, separable) for _level in _LEVEL_RANGE)
        self.cls_preds = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for _level in _LEVEL_RANGE)
        self.reg_preds = nn.ModuleList(nn.Conv2d(width, 4, 1) for _level in _LEVEL_RANGE)
        self.obj_preds = nn.ModuleList(nn.Conv2d(width, 1, 1) for _level in _LEVEL_RANGE)
        self.stems = nn.ModuleList(ConvBnSilu(in_channels, width, 1) for in_channels in (4 * base, 8 * base, 16 * base))
        for layer in (*self.cls_preds, *self.obj_preds):
            nn.init.constant_(layer.bias, _PRIOR_LOGIT)
        if prototypes:
            self.coef_preds = nn.ModuleList(nn.Conv2d(width, prototypes, 1) for _level in _LEVEL_RANGE)
            self.prototypes = PrototypeNet(4 * base, prototypes, separable)
        self.prototype_count = prototypes

    def forward(self, maps: FeatureMaps) -> Tensor:
        """Return (N, A, 5 + C) for the feature maps at strides 8, 16, 32: box, objectness logit, class logits.

        With prototypes they are followed by the D coefficients, (N, A, 5 + C + D).
        """
        return torch.cat([self._run_level(level, x).flatten(2) for level, x in enumerate(maps)], 2).transpose(1, 2)

    def _run_level(self, level: int, x: Tensor) -> Tensor:
        """Return the outputs (N, 5 + C, h, w), and coefficients, for the feature map ``x`` of one level."""
        x = self.stems[level](x)
        class_features, box_features = self.cls_convs[level](x), self.reg_convs[level](x)
        outputs = (
            self.reg_preds[level](box_features),
            self.obj_preds[level](box_features),
            self.cls_preds[level](class_features),
        )
        coefficients = (self.coef_preds[level](box_features),) if self.prototype_count else ()
        return torch.cat((*outputs, *coefficients), 1)


def _make_branch(width: int, separable: bool) -> nn.Sequential:
    """Return the two convolutions of one branch of the head."""
    return nn.Sequential(make_conv3x3(width, width, 1, separable), make_conv3x3(width, width, 1, separable))


class Yolox(Detector):
    """YOLOX for ``num_classes`` classes; ``depth`` and ``width`` are the multipliers of the published sizes.

    Inputs are (N, 3, H, W) with H and W multiples of 32. Output rows are the A = H W (1/64 + 1/256 + 1/1024) cells of
    the feature maps at strides 8, 16 and 32, in the order of ``postprocess.yolox.make_grid``. ``prototypes`` above 0
    gives each object a mask of as many prototypes (Bolya et al. 2019).
    """

    def __init__(
        self, num_classes: int, depth: float, width: float, separable: bool = False, prototypes: int = 0
    ) -> None:
        super().__init__()
        base, layers = int(64 * width), max(1, round(3 * depth))
        self.backbone = YoloxPafpn(base, layers, separable)
        self.head = YoloxHead(base, num_classes, separable, prototypes)
        self.num_classes = num_classes
        self.decoder_name = "yolox-prototypes" if prototypes else "yolox"
        self.learns_masks = prototypes > 0

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps at strides 8, 16 and 32 of ``images`` (N, 3, H, W)."""
        maps: FeatureMaps = self.backbone(images)
        return maps

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return ``raw`` (N, A, 5 + C), with sigmoid on all but the boxes, for feature maps of inputs of ``size``.

        With prototypes, ``coefficients`` (N, A, D) and ``prototypes`` (N, D, H / 4, W / 4) follow.
        """
        logits, mask_outputs = self._split_outputs(maps)
        raw = torch.cat((logits[..., :4], logits[..., 4:].sigmoid()), -1)
        return (raw,) if mask_outputs is None else (raw, mask_outputs.coefficients, mask_outputs.prototypes)

    def _split_outputs(self, maps: FeatureMaps) -> tuple[Tensor, MaskOutputs | None]:
        """Return the outputs (N, A, 5 + C) of the head, and those of masks where it has them."""
        outputs = self.head(maps)
        if not self.head.prototype_count:
            return outputs, None
        end = 5 + self.num_classes
        return outputs[..., :end], MaskOutputs(outputs[..., end:], self.head.prototypes(maps[0]))

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the losses ``box``, ``objectness`` and ``classes``, ``masks`` if any, and ``l1`` in the last phase."""
        logits, mask_outputs = self._split_outputs(maps)
        grid = make_grid(*size)
        cells, strides = (torch.from_numpy(column.copy()).to(logits.device) for column in (grid.cells, grid.strides))
        losses = compute_yolox_loss(logits, cells, strides, targets, is_last_phase, mask_outputs)
        parts = {"box": losses.box, "objectness": losses.objectness, "classes": losses.classes}
        if mask_outputs is not None:
            parts["masks"] = losses.masks
        return {**parts, "l1": losses.l1} if is_last_phase else parts

    def list_blocks(self) -> list[Block]:
        """Return the stages of the backbone, the layers of the neck, and the head."""
        backbone = [(f"backbone.{name}", module) for name, module in self.backbone.backbone.named_children()]
        neck = [(f"neck.{name}", module) for name, module in self.backbone.named_children() if name != "backbone"]
        return [*backbone, *neck, ("head", self.head)]

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` belongs to a classification layer."""
        return name.startswith(_CLASS_LAYERS)


def create_detector(entry: DetectorEntry, num_classes: int, height: int, width: int) -> Yolox:
    """Return the YOLOX of ``entry`` for ``num_classes`` classes with random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side is not a multiple of 32.
    """
    coarsest = STRIDES[-1]
    if height % coarsest or width % coarsest or min(height, width) < coarsest:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(step=coarsest, size=entry.size),
        )
    return Yolox(num_classes, entry.depth, entry.width, entry.separable, entry.prototypes)
