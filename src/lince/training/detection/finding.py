"""The goal of a detector: every object in a box of its own, under its right class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lince.annotations import Detections
from lince.decode import decoder
from lince.evaluation.detection import headline
from lince.messages import _
from lince.models.detector import Detector
from lince.preprocess import Preprocess
from lince.training.detection.answering import curve, truth
from lince.training.detection.loader import Batch, Loader, Target
from lince.training.goal import tensor


@dataclass(frozen=True)
class Finding:
    """The losses of a detector on images, judged by average precision on the images of ``val``."""

    val: Loader
    call: str = "losses"

    def loss(
        self, network: Detector, batch: Batch, device: torch.device, plain: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each of them."""
        return summed(network.losses(tensor(batch.inputs, device), on(batch.targets, device), plain))

    def judge(self, network: Detector, device: torch.device) -> dict[str, float]:
        """Return mean average precision at an overlap of 0.5, and over 0.5 to 0.95."""
        return judged(self.val, detections(network, self.val, device))

    def told(self, entry: dict[str, Any]) -> str:
        """Return the loss and the average precision."""
        return told(entry)


def summed(parts: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Return the sum of ``parts``, and each of them as a number."""
    return torch.stack([*parts.values()]).sum(), {name: float(part.detach()) for name, part in parts.items()}


def on(targets: Sequence[Target], device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Return ``targets`` as tensors on ``device``."""
    return [(torch.from_numpy(boxes).to(device), torch.from_numpy(ids).to(device)) for boxes, ids in targets]


def judged(val: Loader, found: Sequence[Detections]) -> dict[str, float]:
    """Return the figures of ``found`` on the validation images; NaN where nothing is to be found."""
    map50, map50_95 = headline(truth(val), found, val.samples.classes) if len(val.rows) else (math.nan, math.nan)
    return {"val_map50": map50, "val_map50_95": map50_95}


def told(entry: dict[str, Any]) -> str:
    """Return the loss and the average precision of an epoch in words."""
    return _("loss {train_loss:.3f}; validation mAP50 {val_map50:.1%}, mAP50-95 {val_map50_95:.1%}").format(**entry)


@torch.inference_mode()
def detections(network: Detector, loader: Loader, device: torch.device | str = "cpu") -> list[Detections]:
    """Return what ``network``, in evaluation mode, finds on the images of ``loader``, in order."""
    network.eval()
    found: list[Detections] = []
    for batch in loader.batches():
        outputs = network(tensor(batch.inputs, torch.device(device)))
        rows = loader.rows[len(found) : len(found) + len(batch)]
        found += read(network, outputs, [loader.samples.sizes[row] for row in rows], loader.spec)
    return found


def read(network: Detector, outputs: Sequence[Tensor], sizes: Sequence[Any], spec: Preprocess) -> list[Detections]:
    """Return what ``outputs`` of ``network`` say of photos of ``sizes`` (height, width)."""
    kind, kept = decoder(network.decoding), curve(network.decoding)
    arrays = [output.float().cpu().numpy() for output in outputs]
    return [
        kind.read([array[at] for array in arrays], (int(size[0]), int(size[1])), spec, kept)
        for at, size in enumerate(sizes)
    ]
