"""YOLOX, the detector without anchors and with a head of two branches, written from its paper (Ge et al. 2021).

Modules bear the names of the published key layout. What its numbers mean in pixels is said by ``lince.postprocess.yolox``.
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
from lince.models.yolox.loss import compute_yolox_loss
from lince.postprocess.yolox import STRIDES, make_grid

_PRIOR_LOGIT = -math.log(99.0)  # the logit of 1 %: at first nearly every place is believed empty (Lin et al. 2017)
_CLASS_LAYERS = "head.cls_preds."  # the only ones whose shape depends on the classes
_LEVEL_RANGE = range(len(STRIDES))


class YoloxPafpn(nn.Module):
    """The body and a path down and up again through its maps, so that every map knows of the others (PAFPN)."""

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
        """Return the maps at strides 8, 16 and 32 of images ``x`` (N, 3, H, W)."""
        fine, middle, coarse = self.backbone(x)
        far = self.lateral_conv0(coarse)
        near = self.reduce_conv1(self.C3_p4(torch.cat((_upsample(far), middle), 1)))
        out8 = self.C3_p3(torch.cat((_upsample(near), fine), 1))
        out16 = self.C3_n3(torch.cat((self.bu_conv2(out8), near), 1))
        out32 = self.C3_n4(torch.cat((self.bu_conv1(out16), far), 1))
        return out8, out16, out32


def _upsample(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")


class YoloxHead(nn.Module):
    """For every place of every map: where a box is, whether there is one, and of which class."""

    def __init__(self, base: int, classes: int, separable: bool) -> None:
        super().__init__()
        width = 4 * base
        self.cls_convs = nn.ModuleList(_make_branch(width, separable) for _level in _LEVEL_RANGE)
        self.reg_convs = nn.ModuleList(_make_branch(width, separable) for _level in _LEVEL_RANGE)
        self.cls_preds = nn.ModuleList(nn.Conv2d(width, classes, 1) for _level in _LEVEL_RANGE)
        self.reg_preds = nn.ModuleList(nn.Conv2d(width, 4, 1) for _level in _LEVEL_RANGE)
        self.obj_preds = nn.ModuleList(nn.Conv2d(width, 1, 1) for _level in _LEVEL_RANGE)
        self.stems = nn.ModuleList(ConvBnSilu(inputs, width, 1) for inputs in (4 * base, 8 * base, 16 * base))
        for layer in (*self.cls_preds, *self.obj_preds):
            nn.init.constant_(layer.bias, _PRIOR_LOGIT)

    def forward(self, maps: FeatureMaps) -> Tensor:
        """Return (N, A, 5 + C) for the maps at strides 8, 16, 32: box, logit of an object, logits of the classes."""
        return torch.cat([self._run_level(level, x).flatten(2) for level, x in enumerate(maps)], 2).transpose(1, 2)

    def _run_level(self, level: int, x: Tensor) -> Tensor:
        x = self.stems[level](x)
        seen, placed = self.cls_convs[level](x), self.reg_convs[level](x)
        parts = (self.reg_preds[level](placed), self.obj_preds[level](placed), self.cls_preds[level](seen))
        return torch.cat(parts, 1)


def _make_branch(width: int, separable: bool) -> nn.Sequential:
    return nn.Sequential(make_conv3x3(width, width, 1, separable), make_conv3x3(width, width, 1, separable))


class Yolox(Detector):
    """YOLOX with ``classes`` classes; ``depth`` and ``width`` are the factors of the published sizes.

    A place is a cell of one of the maps at strides 8, 16, 32: A = H W (1/64 + 1/256 + 1/1024) of them, finest map
    first, row by row, as ``decode.yolox.places`` lists them. H and W are multiples of 32.
    """

    decoding = "yolox"

    def __init__(self, classes: int, depth: float, width: float, separable: bool = False) -> None:
        super().__init__()
        base, layers = int(64 * width), max(1, round(3 * depth))
        self.backbone = YoloxPafpn(base, layers, separable)
        self.head = YoloxHead(base, classes, separable)
        self.classes = classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the maps at strides 8, 16 and 32 of ``images`` (N, 3, H, W)."""
        maps: FeatureMaps = self.backbone(images)
        return maps

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return ``raw`` (N, A, 5 + C), all but the boxes in [0, 1], of the maps of images of ``size``."""
        logits = self.head(maps)
        return (torch.cat((logits[..., :4], logits[..., 4:].sigmoid()), -1),)

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of YOLOX; the plain distance of the boxes belongs to the ``last`` epochs."""
        logits = self.head(maps)
        where = make_grid(*size)
        cells, strides = (torch.from_numpy(column.copy()).to(logits.device) for column in (where.cells, where.strides))
        found = compute_yolox_loss(logits, cells, strides, targets, use_l1=is_last_phase)
        parts = {"box": found.box, "objectness": found.objectness, "classes": found.classes}
        return {**parts, "l1": found.l1} if is_last_phase else parts

    def list_blocks(self) -> list[Block]:
        """Return the stages of the body, the layers of the neck, and the head."""
        body = [(f"backbone.{name}", one) for name, one in self.backbone.backbone.named_children()]
        neck = [(f"neck.{name}", one) for name, one in self.backbone.named_children() if name != "backbone"]
        return [*body, *neck, ("head", self.head)]

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` is of the layers that name classes."""
        return name.startswith(_CLASS_LAYERS)


def create_detector(entry: DetectorEntry, classes: int, height: int, width: int) -> Yolox:
    """Return the YOLOX of ``entry`` with ``classes`` classes at random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side is no multiple of 32.
    """
    coarsest = STRIDES[-1]
    if height % coarsest or width % coarsest or min(height, width) < coarsest:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(step=coarsest, size=entry.size),
        )
    return Yolox(classes, entry.depth, entry.width, entry.separable)
