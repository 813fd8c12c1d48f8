"""Segmentation objectives: the losses of a network, and its mean IoU on the validation images at the input's size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lince.evaluation.segmentation.metrics import compute_mean_iou
from lince.evaluation.segmentation.pixel_counts import PixelCounts, count_pixels
from lince.i18n import _
from lince.models.segmentation.loss import compute_pixel_losses
from lince.models.segmentation.segmenter import Segmenter
from lince.training.feature_maps import FeatureMapBatch, FeatureMapLoader
from lince.training.objective import LossMean, make_input_tensor, move_maps, sum_losses
from lince.training.segmentation.loader import SegmentationBatch, SegmentationLoader
from lince.training.segmentation.samples import SegmentationViews

VAL_BATCH_SIZE = 8  # images per batch in validation
ClassMaps = NDArray[np.uint8]
MapBatch = FeatureMapBatch[ClassMaps]


@dataclass(frozen=True)
class SegmentationObjective:
    """The losses of a network on images, validated on ``val_loader``."""

    val_loader: SegmentationLoader
    forward_method: str = "compute_losses"

    def compute_loss(
        self, network: Segmenter, batch: SegmentationBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each loss by name for the log."""
        del mixing_off
        inputs = make_input_tensor(batch.inputs, device)
        return sum_losses(network.compute_losses(inputs, torch.from_numpy(batch.targets).to(device)))

    @torch.inference_mode()
    def validate(self, network: Segmenter, device: torch.device) -> dict[str, float]:
        """Return ``val_loss`` and ``val_miou`` on the validation images."""
        network.eval()
        answers = (
            (network(make_input_tensor(batch.inputs, device))[0], batch.targets)
            for batch in self.val_loader.iter_batches()
        )
        return measure_answers(answers, network.num_classes)

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the log line of an epoch."""
        return describe_epoch(entry)


@dataclass(frozen=True)
class FeatureMapObjective:
    """The losses of a network's head on cached feature maps, validated on the maps of the images ``val_rows`` (N,)."""

    views: SegmentationViews
    val_rows: NDArray[np.int64]
    forward_method: str = "compute_head_losses"

    def compute_loss(
        self, network: Segmenter, batch: MapBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each loss by name for the log."""
        del mixing_off
        targets = torch.from_numpy(np.stack(batch.targets)).to(device)
        return sum_losses(network.compute_head_losses(move_maps(batch.maps, device), targets))

    @torch.inference_mode()
    def validate(self, network: Segmenter, device: torch.device) -> dict[str, float]:
        """Return ``val_loss`` and ``val_miou`` on the maps of the unaltered validation images."""
        network.eval()
        views = self.views
        loader = FeatureMapLoader(views.feature_maps, views.make_target, self.val_rows, 1, VAL_BATCH_SIZE)
        answers = (
            (network.head(move_maps(batch.maps, device)), np.stack(batch.targets)) for batch in loader.iter_batches()
        )
        return measure_answers(answers, network.num_classes)

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the log line of an epoch."""
        return describe_epoch(entry)


def measure_answers(answers: Iterable[tuple[Tensor, ClassMaps]], class_count: int) -> dict[str, float]:
    """Return ``val_loss`` and ``val_miou`` of batches of logits (N, K, h, w) and true class maps (N, H, W).

    The mean IoU is over the background and the classes that occur, at the size of the maps. NaN without an image, or
    where all pixels are void.
    """
    losses = LossMean()
    counts: list[PixelCounts] = []
    for logits, targets in answers:
        losses.add(compute_pixel_losses(logits, torch.from_numpy(targets).to(logits.device)), len(targets))
        scores = functional.interpolate(logits.float(), targets.shape[1:], mode="bilinear", align_corners=False)
        predicted = scores.argmax(1).to(torch.uint8).cpu().numpy()
        counts += [count_pixels(truth, answer, class_count) for truth, answer in zip(targets, predicted, strict=True)]
    return {"val_loss": losses.mean, "val_miou": compute_mean_iou(counts, class_count) if counts else math.nan}


def describe_epoch(entry: dict[str, Any]) -> str:
    """Return the log line for one record of the history: the training loss, and the validation mean IoU if measured."""
    if math.isnan(entry["val_miou"]):
        return _("loss {train_loss:.3f}; no mean IoU without validation pixels").format(**entry)
    return _("loss {train_loss:.3f}; validation mean IoU {val_miou:.1%}").format(**entry)


@torch.inference_mode()
def predict_logits(network: Segmenter, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits float32 (N, K, h, w) of ``network``, set to evaluation mode, for ``inputs`` (N, C, H, W)."""
    network.eval()
    batches = [
        network(make_input_tensor(inputs[start : start + VAL_BATCH_SIZE], torch.device("cpu")))[0].numpy()
        for start in range(0, len(inputs), VAL_BATCH_SIZE)
    ]
    return np.concatenate(batches)
