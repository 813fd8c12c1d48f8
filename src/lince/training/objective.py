"""Defines what the training loop needs of a task: batches, the training loss and the validation metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class BatchLoader(Protocol):
    """Yields the batches of an epoch; each batch has a length, the number of its images.

    The same ``epoch`` and number of a batch must always give the same batch, so that a run can resume in mid-epoch.
    """

    def __len__(self) -> int:
        """The number of batches of an epoch."""

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[Any]:
        """Yield the batches of ``epoch`` (from 0), starting with batch number ``first_batch`` (from 0)."""


class Objective(Protocol):
    """Training loss and validation metrics of one task (classification or detection)."""

    @property
    def forward_method(self) -> str:
        """The name of the network's method that ``compute_loss`` calls; Fabric wraps it for mixed precision."""

    def compute_loss(
        self, network: Any, batch: Any, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of ``batch`` (a scalar with a gradient) and figures for the log, means over its images.

        ``mixing_off`` is true in the last epochs, where images are no longer combined by mosaic or mixup.
        """

    def validate(self, network: Any, device: torch.device) -> dict[str, float]:
        """Return the validation metrics of ``network`` by name (``val_...``).

        Values are NaN where there are no validation images.
        """

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the log line for one record of the history."""


def make_input_tensor(inputs: Any, device: torch.device) -> Tensor:
    """Return an array (N, C, H, W) as a float32 tensor on ``device``, in channels-last memory format.

    The values are copied into memory that torch aligns itself: with numpy's memory, whose alignment varies, the same
    batch could give results that differ in the last bits.
    """
    tensor = torch.empty(inputs.shape, memory_format=torch.channels_last)
    return tensor.copy_(torch.from_numpy(inputs)).to(device)


def move_maps(maps: Sequence[Any], device: torch.device) -> tuple[Tensor, ...]:
    """Return arrays (N, C, H, W) as float32 tensors on ``device``, in channels-last memory format."""
    return tuple(
        torch.from_numpy(level).to(device).float().contiguous(memory_format=torch.channels_last) for level in maps
    )


def sum_losses(parts: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Return the sum of the scalar losses ``parts``, and each of them as a number, by name."""
    return torch.stack([*parts.values()]).sum(), {name: float(part.detach()) for name, part in parts.items()}


@dataclass
class LossMean:
    """The mean of the losses of batches, weighted by their numbers of images; NaN before the first batch."""

    total: float = 0.0
    count: int = 0

    def add(self, losses: dict[str, Tensor], image_count: int) -> None:
        """Add the scalar ``losses`` of a batch of ``image_count`` images, whose sum is its loss."""
        self.total += float(torch.stack([*losses.values()]).sum()) * image_count
        self.count += image_count

    @property
    def mean(self) -> float:
        """The mean loss of an image."""
        return self.total / self.count if self.count else math.nan
