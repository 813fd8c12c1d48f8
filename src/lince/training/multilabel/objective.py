"""Multilabel objective: binary cross-entropy of each class, validation loss and mean average precision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lince.i18n import _
from lince.training.classification.loader import ClassificationBatch, ClassificationLoader
from lince.training.classification.objective import predict_logits
from lince.training.objective import make_input_tensor


@dataclass(frozen=True)
class MultilabelObjective:
    """Binary cross-entropy with logits, the mean over images and classes, validated on ``val_loader``."""

    val_loader: ClassificationLoader
    forward_method: str = "forward"

    def compute_loss(
        self, network: nn.Module, batch: ClassificationBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the mean binary cross-entropy of an answer in ``batch``, in nats; it is too small for a figure."""
        logits = network(make_input_tensor(batch.inputs, device)).float()
        targets = torch.from_numpy(batch.targets).to(logits.device)
        return functional.binary_cross_entropy_with_logits(logits, targets), {}

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Return ``val_loss`` (mean binary cross-entropy, nats) and ``val_map``; NaN without images."""
        loader = self.val_loader
        if not len(loader.rows):
            return {"val_loss": math.nan, "val_map": math.nan}
        truth = loader.labels.read_truth(loader.dataset, loader.rows)
        loss, mean_precision = loader.labels.measure(predict_logits(network, loader, device), truth)
        return {"val_loss": loss, "val_map": mean_precision}

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the log line of an epoch: the losses, and the figures of validation where they were measured."""
        if math.isnan(entry["val_loss"]):
            return _("loss {train_loss:.3f}; no validation images").format(**entry)
        if math.isnan(entry["val_map"]):
            return _("loss {train_loss:.3f}; validation loss {val_loss:.3f}, no validation image with a class").format(
                **entry
            )
        return _("loss {train_loss:.3f}; validation loss {val_loss:.3f}, mean average precision {val_map:.1%}").format(
            **entry
        )
