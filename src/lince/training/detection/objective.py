"""Detection objective: the detector's losses, and mean average precision on the validation images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lince.annotations import Detections
from lince.evaluation.detection.metrics import compute_mean_ap
from lince.i18n import _
from lince.models.detection.detector import Detector
from lince.postprocess import get_decoder, make_evaluation_filter
from lince.preprocess import PreprocessSpec
from lince.training.detection.loader import DetectionBatch, DetectionLoader, DetectionTarget
from lince.training.detection.network_outputs import select_ground_truth
from lince.training.objective import make_input_tensor


@dataclass(frozen=True)
class DetectionObjective:
    """The losses of a detector on images, validated by mean average precision on ``val_loader``."""

    val_loader: DetectionLoader
    forward_method: str = "compute_losses"

    def compute_loss(
        self, network: Detector, batch: DetectionBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each loss by name for the log."""
        return sum_losses(
            network.compute_losses(
                make_input_tensor(batch.inputs, device), move_targets(batch.targets, device), mixing_off
            )
        )

    def validate(self, network: Detector, device: torch.device) -> dict[str, float]:
        """Return ``val_map50`` (IoU threshold 0.5) and ``val_map50_95`` (mean over 0.5 to 0.95), in [0, 1]."""
        return compute_validation_metrics(self.val_loader, predict_detections(network, self.val_loader, device))

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the log line of an epoch."""
        return describe_epoch(entry)


def sum_losses(parts: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Return the sum of the scalar losses ``parts``, and each of them as a number, by name."""
    return torch.stack([*parts.values()]).sum(), {name: float(part.detach()) for name, part in parts.items()}


def move_targets(targets: Sequence[DetectionTarget], device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Return ``targets`` as tensors on ``device``: boxes float32 (K, 4) and class ids int64 (K,) of each image."""
    return [(torch.from_numpy(boxes).to(device), torch.from_numpy(ids).to(device)) for boxes, ids in targets]


def compute_validation_metrics(val_loader: DetectionLoader, detections: Sequence[Detections]) -> dict[str, float]:
    """Return the mAP of ``detections`` on the images of ``val_loader``; NaN where it has no images or no objects."""
    map50, map50_95 = (
        compute_mean_ap(select_ground_truth(val_loader), detections, val_loader.samples.classes)
        if len(val_loader.rows)
        else (math.nan, math.nan)
    )
    return {"val_map50": map50, "val_map50_95": map50_95}


def describe_epoch(entry: dict[str, Any]) -> str:
    """Return the log line for one record of the history: the training loss, and the validation mAP where measured."""
    if math.isnan(entry["val_map50_95"]):
        return _("loss {train_loss:.3f}; no mAP without validation boxes").format(**entry)
    return _("loss {train_loss:.3f}; validation mAP50 {val_map50:.1%}, mAP50-95 {val_map50_95:.1%}").format(**entry)


@torch.inference_mode()
def predict_detections(
    network: Detector, loader: DetectionLoader, device: torch.device | str = "cpu"
) -> list[Detections]:
    """Return the detections of ``network``, set to evaluation mode, on the images of ``loader``, in its order.

    Boxes are in pixels of the original images.
    """
    network.eval()
    detections: list[Detections] = []
    for batch in loader.iter_batches():
        outputs = network(make_input_tensor(batch.inputs, torch.device(device)))
        rows = loader.rows[len(detections) : len(detections) + len(batch)]
        detections += decode_outputs(network, outputs, [loader.samples.image_sizes[row] for row in rows], loader.spec)
    return detections


def decode_outputs(
    network: Detector, outputs: Sequence[Tensor], sizes: Sequence[Any], spec: PreprocessSpec
) -> list[Detections]:
    """Return the detections, one per image, that the raw ``outputs`` of ``network`` contain.

    ``sizes`` are the original images' (height, width) in pixels; ``spec`` is the input that they were resized to.
    """
    decoder, detection_filter = get_decoder(network.decoder_name), make_evaluation_filter(network.decoder_name)
    arrays = [output.float().cpu().numpy() for output in outputs]
    return [
        decoder.decode([array[position] for array in arrays], (int(size[0]), int(size[1])), spec, detection_filter)
        for position, size in enumerate(sizes)
    ]
