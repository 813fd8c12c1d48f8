"""The goal of a detector: every object in a box of its own, under its right class."""

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
from lince.postprocess import get_decoder
from lince.preprocess import PreprocessSpec
from lince.training.detection.loader import DetectionBatch, DetectionLoader, DetectionTarget
from lince.training.detection.network_outputs import make_evaluation_filter, select_ground_truth
from lince.training.objective import make_input_tensor


@dataclass(frozen=True)
class DetectionObjective:
    """The losses of a detector on images, judged by average precision on the images of ``val``."""

    val_loader: DetectionLoader
    forward_method: str = "compute_losses"

    def compute_loss(
        self, network: Detector, batch: DetectionBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each of them."""
        return sum_losses(
            network.compute_losses(
                make_input_tensor(batch.inputs, device), move_targets(batch.targets, device), mixing_off
            )
        )

    def validate(self, network: Detector, device: torch.device) -> dict[str, float]:
        """Return mean average precision at an overlap of 0.5, and over 0.5 to 0.95."""
        return compute_validation_metrics(self.val_loader, predict_detections(network, self.val_loader, device))

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the loss and the average precision."""
        return describe_epoch(entry)


def sum_losses(parts: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Return the sum of ``parts``, and each of them as a number."""
    return torch.stack([*parts.values()]).sum(), {name: float(part.detach()) for name, part in parts.items()}


def move_targets(targets: Sequence[DetectionTarget], device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Return ``targets`` as tensors on ``device``."""
    return [(torch.from_numpy(boxes).to(device), torch.from_numpy(ids).to(device)) for boxes, ids in targets]


def compute_validation_metrics(val: DetectionLoader, found: Sequence[Detections]) -> dict[str, float]:
    """Return the figures of ``found`` on the validation images; NaN where nothing is to be found."""
    map50, map50_95 = (
        compute_mean_ap(select_ground_truth(val), found, val.samples.classes) if len(val.rows) else (math.nan, math.nan)
    )
    return {"val_map50": map50, "val_map50_95": map50_95}


def describe_epoch(entry: dict[str, Any]) -> str:
    """Return the loss and the average precision of an epoch in words."""
    return _("loss {train_loss:.3f}; validation mAP50 {val_map50:.1%}, mAP50-95 {val_map50_95:.1%}").format(**entry)


@torch.inference_mode()
def predict_detections(
    network: Detector, loader: DetectionLoader, device: torch.device | str = "cpu"
) -> list[Detections]:
    """Return what ``network``, in evaluation mode, finds on the images of ``loader``, in order."""
    network.eval()
    found: list[Detections] = []
    for batch in loader.iter_batches():
        outputs = network(make_input_tensor(batch.inputs, torch.device(device)))
        rows = loader.rows[len(found) : len(found) + len(batch)]
        found += decode_outputs(network, outputs, [loader.samples.image_sizes[row] for row in rows], loader.spec)
    return found


def decode_outputs(
    network: Detector, outputs: Sequence[Tensor], sizes: Sequence[Any], spec: PreprocessSpec
) -> list[Detections]:
    """Return what ``outputs`` of ``network`` say of photos of ``sizes`` (height, width)."""
    kind, kept = get_decoder(network.decoding), make_evaluation_filter(network.decoding)
    arrays = [output.float().cpu().numpy() for output in outputs]
    return [
        kind.decode([array[at] for array in arrays], (int(size[0]), int(size[1])), spec, kept)
        for at, size in enumerate(sizes)
    ]
