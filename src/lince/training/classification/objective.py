"""Classification objective: cross-entropy, validation loss and accuracy."""

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
    """Cross-entropy against soft targets, validated on the images of ``val_loader``.

    ``label_smoothing`` in [0, 1) is the part of each target that is spread evenly over all classes.
    """

    val_loader: ClassificationLoader
    label_smoothing: float = 0.0
    forward_method: str = "forward"

    def compute_loss(
        self, network: nn.Module, batch: ClassificationBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the mean cross-entropy of ``batch`` in nats, and its training accuracy in [0, 1].

        Where images are mixed, the accuracy is against the class of each image before mixing.
        """
        logits = network(make_input_tensor(batch.inputs, device)).float()
        targets = torch.from_numpy(batch.targets).to(logits.device)
        loss = functional.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        accuracy = (logits.detach().argmax(1).cpu().numpy() == batch.labels).mean()
        return loss, {"accuracy": float(accuracy)}

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Return ``val_loss`` (mean cross-entropy without smoothing, nats) and ``val_accuracy``; NaN without images."""
        loss, accuracy = evaluate_network(network, self.val_loader, device)
        return {"val_loss": loss, "val_accuracy": accuracy}

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the log line of an epoch: losses and accuracies, those of validation where they were measured."""
        if math.isnan(entry["val_loss"]):
            return _("loss {train_loss:.3f}, accuracy {train_accuracy:.1%}; no validation images").format(**entry)
        return _(
            "loss {train_loss:.3f}, accuracy {train_accuracy:.1%}; validation loss {val_loss:.3f}, "
            "accuracy {val_accuracy:.1%}"
        ).format(**entry)


def predict_logits(
    network: nn.Module, loader: ClassificationLoader, device: torch.device | str = "cpu"
) -> np.ndarray[Any, Any]:
    """Return the logits float32 (N, K) of ``network``, in evaluation mode, for the rows of ``loader`` in its order."""
    return np.concatenate([predict_batch(network, batch.inputs, device) for batch in loader.iter_batches()])


@torch.inference_mode()
def predict_batch(
    network: nn.Module, inputs: np.ndarray[Any, Any], device: torch.device | str = "cpu"
) -> np.ndarray[Any, Any]:
    """Return the logits float32 (N, K) of ``network``, set to evaluation mode, for ``inputs`` float32 (N, C, H, W)."""
    network.eval()
    return np.asarray(network(torch.from_numpy(inputs).to(device)).float().cpu().numpy(), np.float32)


def evaluate_network(
    network: nn.Module, loader: ClassificationLoader, device: torch.device | str = "cpu"
) -> tuple[float, float]:
    """Return (mean cross-entropy in nats, accuracy in [0, 1]) of ``network`` on ``loader``; NaN when it has no rows."""
    if not len(loader.rows):
        return math.nan, math.nan
    logits = torch.from_numpy(predict_logits(network, loader, device))
    labels = torch.from_numpy(loader.dataset.class_ids[loader.rows].astype(np.int64))
    loss = functional.cross_entropy(logits, labels)
    return float(loss), float((logits.argmax(1) == labels).float().mean())
