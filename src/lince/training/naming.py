"""The goal of a classifier: the right class for every image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lince.messages import _
from lince.training.goal import tensor
from lince.training.loader import Batch, Loader


@dataclass(frozen=True)
class Naming:
    """Cross-entropy against soft targets, judged on the images of ``val``."""

    val: Loader
    label_smoothing: float = 0.0
    call: str = "forward"

    def loss(
        self, network: nn.Module, batch: Batch, device: torch.device, plain: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the mean cross-entropy of ``batch``, and the share of its images that were named rightly."""
        logits = network(tensor(batch.inputs, device)).float()
        targets = torch.from_numpy(batch.targets).to(logits.device)
        loss = functional.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        right = (logits.detach().argmax(1).cpu().numpy() == batch.labels).mean()
        return loss, {"accuracy": float(right)}

    def judge(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Return mean log loss and accuracy on the validation images."""
        loss, accuracy = evaluate(network, self.val, device)
        return {"val_loss": loss, "val_accuracy": accuracy}

    def told(self, entry: dict[str, Any]) -> str:
        """Return losses and accuracies."""
        return _(
            "loss {train_loss:.3f}, accuracy {train_accuracy:.1%}; validation loss {val_loss:.3f}, "
            "accuracy {val_accuracy:.1%}"
        ).format(**entry)


def logits(network: nn.Module, loader: Loader, device: torch.device | str = "cpu") -> np.ndarray[Any, Any]:
    """Return the logits (N, K) float32 of ``network``, in evaluation mode, for the rows of ``loader`` in order."""
    return np.concatenate([answers(network, batch.inputs, device) for batch in loader.batches()])


@torch.inference_mode()
def answers(
    network: nn.Module, inputs: np.ndarray[Any, Any], device: torch.device | str = "cpu"
) -> np.ndarray[Any, Any]:
    """Return the logits (N, K) float32 of ``network``, in evaluation mode, for ``inputs`` (N, C, H, W)."""
    network.eval()
    return np.asarray(network(torch.from_numpy(inputs).to(device)).float().cpu().numpy(), np.float32)


def evaluate(network: nn.Module, loader: Loader, device: torch.device | str = "cpu") -> tuple[float, float]:
    """Return the mean log loss and the accuracy of ``network`` on the rows of ``loader``; NaN when it has none."""
    if not len(loader.rows):
        return math.nan, math.nan
    found = torch.from_numpy(logits(network, loader, device))
    labels = torch.from_numpy(loader.dataset.class_ids[loader.rows].astype(np.int64))
    loss = functional.cross_entropy(found, labels)
    return float(loss), float((found.argmax(1) == labels).float().mean())
