"""Detection objective: the detector's losses, and mean average precision on the validation images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lince.annotations import Detections
from lince.evaluation.detection.metrics import compute_summary
from lince.evaluation.instances.metrics import ignore_boxes_without_mask
from lince.i18n import _
from lince.models.detection.detector import Detector
from lince.postprocess import get_decoder, make_evaluation_filter
from lince.preprocess import PreprocessSpec
from lince.training.detection.loader import DetectionBatch, DetectionLoader, DetectionTarget
from lince.training.detection.network_outputs import select_ground_truth
from lince.training.objective import LossMean, make_input_tensor, sum_losses


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
        """Return ``val_loss`` and the figures of ``compute_validation_metrics``."""
        detections, losses = predict_with_losses(network, self.val_loader, device)
        return {"val_loss": losses.mean, **compute_validation_metrics(self.val_loader, detections)}

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the log line of an epoch."""
        return describe_epoch(entry)


def move_targets(targets: Sequence[DetectionTarget], device: torch.device) -> list[tuple[Tensor, ...]]:
    """Return ``targets``, one of an image, as tensors on ``device``: what a target of ``DetectionBatch`` has."""
    return [tuple(torch.from_numpy(part).to(device) for part in target) for target in targets]


def compute_validation_metrics(val_loader: DetectionLoader, detections: Sequence[Detections]) -> dict[str, float]:
    """Return figures in [0, 1] of ``detections`` on the images of ``val_loader``.

    They are ``val_precision`` and ``val_recall`` at an IoU of 0.5, of all classes together at the score of highest F1,
    ``val_map50`` (IoU threshold 0.5) and ``val_map50_95`` (mean over 0.5 to 0.95); where masks are learnt, also
    ``val_segm_map50`` and ``val_segm_map50_95``, and precision and recall are those of masks. NaN where there are no
    images or no objects.
    """
    if not len(val_loader.rows):
        return dict.fromkeys(_list_figures(val_loader), math.nan)
    truth, classes = select_ground_truth(val_loader), val_loader.samples.classes
    figures = compute_summary(truth, detections, classes)
    if val_loader.samples.with_masks:
        outlined = ignore_boxes_without_mask(truth, val_loader.samples.image_sizes[val_loader.rows])
        masks = compute_summary(outlined, detections, classes, by_mask=True)
        figures |= {key: masks[key] for key in ("precision", "recall")}
        figures |= {f"segm_{key}": masks[key] for key in ("map50", "map50_95")}
    return {f"val_{name}": value for name, value in figures.items()}


def _list_figures(val_loader: DetectionLoader) -> tuple[str, ...]:
    """Return the keys of ``compute_validation_metrics``."""
    keys = ("val_precision", "val_recall", "val_map50", "val_map50_95")
    return (*keys, "val_segm_map50", "val_segm_map50_95") if val_loader.samples.with_masks else keys


def describe_epoch(entry: dict[str, Any]) -> str:
    """Return the log line for one record of the history: the training loss, and the validation mAP where measured."""
    if math.isnan(entry["val_map50_95"]):
        return _("loss {train_loss:.3f}; no mAP without validation boxes").format(**entry)
    if "val_segm_map50" in entry:
        return _(
            "loss {train_loss:.3f}; validation mask mAP50 {val_segm_map50:.1%}, mask mAP50-95 {val_segm_map50_95:.1%}, "
            "box mAP50-95 {val_map50_95:.1%}"
        ).format(**entry)
    return _("loss {train_loss:.3f}; validation mAP50 {val_map50:.1%}, mAP50-95 {val_map50_95:.1%}").format(**entry)


@torch.inference_mode()
def predict_with_losses(
    network: Detector, loader: DetectionLoader, device: torch.device
) -> tuple[list[Detections], LossMean]:
    """Return what ``predict_detections`` does, and the losses against the labels, from the same feature maps.

    They are those of the first phase, in evaluation mode: terms that a network adds in training alone are not in them.
    Random choices of a loss are the same in every epoch, and leave the generators of the training as they are.
    """
    network.eval()
    detections: list[Detections] = []
    losses = LossMean()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        for batch in loader.iter_batches():
            inputs = make_input_tensor(batch.inputs, device)
            maps, size = network.extract_features(inputs), (inputs.shape[2], inputs.shape[3])
            rows = loader.rows[len(detections) : len(detections) + len(batch)]
            sizes = [loader.samples.image_sizes[row] for row in rows]
            detections += decode_outputs(network, network.run_head(maps, size), sizes, loader.spec)
            losses.add(network.compute_head_losses(maps, size, move_targets(batch.targets, device), False), len(batch))
    return detections, losses


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
