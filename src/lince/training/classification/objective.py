"""The goal of a classifier: the right class for every image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lince.i18n import _
from lince.training.classification.loader import ClassificationBatch, ClassificationLoader
from lince.training.objective import make_input_tensor


@dataclass(frozen=True)
class ClassificationObjective:
    """Cross-entropy against soft targets, judged on the images of ``val``."""

    val_loader: ClassificationLoader
    label_smoothing: float = 0.0
    forward_method: str = "forward"

    def compute_loss(
        self, network: nn.Module, batch: ClassificationBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the mean cross-entropy of ``batch``, and the share of its images that were named rightly."""
        logits = network(make_input_tensor(batch.inputs, device)).float()
        targets = torch.from_numpy(batch.targets).to(logits.device)
        loss = functional.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        right = (logits.detach().argmax(1).cpu().numpy() == batch.labels).mean()
        return loss, {"accuracy": float(right)}

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Return mean log loss and accuracy on the validation images."""
        loss, accuracy = evaluate_network(network, self.val_loader, device)
        return {"val_loss": loss, "val_accuracy": accuracy}

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return losses and accuracies."""
        return _(
            "loss {train_loss:.3f}, accuracy {train_accuracy:.1%}; validation loss {val_loss:.3f}, "
            "accuracy {val_accuracy:.1%}"
        ).format(**entry)


def predict_logits(
    network: nn.Module, loader: ClassificationLoader, device: torch.device | str = "cpu"
) -> np.ndarray[Any, Any]:
    """Return the logits (N, K) float32 of ``network``, in evaluation mode, for the rows of ``loader`` in order."""
    return np.concatenate([predict_batch(network, batch.inputs, device) for batch in loader.iter_batches()])


@torch.inference_mode()
def predict_batch(
    network: nn.Module, inputs: np.ndarray[Any, Any], device: torch.device | str = "cpu"
) -> np.ndarray[Any, Any]:
    """Return the logits (N, K) float32 of ``network``, in evaluation mode, for ``inputs`` (N, C, H, W)."""
    network.eval()
    return np.asarray(network(torch.from_numpy(inputs).to(device)).float().cpu().numpy(), np.float32)


def evaluate_network(
    network: nn.Module, loader: ClassificationLoader, device: torch.device | str = "cpu"
) -> tuple[float, float]:
    """Return the mean log loss and the accuracy of ``network`` on the rows of ``loader``; NaN when it has none."""
    if not len(loader.rows):
        return math.nan, math.nan
    found = torch.from_numpy(predict_logits(network, loader, device))
    labels = torch.from_numpy(loader.dataset.class_ids[loader.rows].astype(np.int64))
    loss = functional.cross_entropy(found, labels)
    return float(loss), float((found.argmax(1) == labels).float().mean())
