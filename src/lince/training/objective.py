"""What the loop asks of a task: batches to learn from, their loss, and how well the network does so far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor


class BatchLoader(Protocol):
    """A set of images as batches, each with a length: how many images it holds."""

    def __len__(self) -> int:
        """The number of batches of an epoch."""

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[Any]:
        """Yield the batches of ``epoch`` from number ``first`` on."""


class Objective(Protocol):
    """What a network is trained towards."""

    @property
    def forward_method(self) -> str:
        """The method of the network that ``loss`` calls."""

    def compute_loss(
        self, network: Any, batch: Any, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of ``batch`` to learn from, and figures to be told, means over its images.

        ``plain`` says that this is one of the last epochs, where images are no longer mixed.
        """

    def validate(self, network: Any, device: torch.device) -> dict[str, float]:
        """Return the figures of ``network`` on the validation images, NaN where there are none."""

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the figures of one epoch of the history in words."""


def make_input_tensor(inputs: Any, device: torch.device) -> Tensor:
    """Return an array (N, C, H, W) as a tensor, channels last.

    A copy into torch's own aligned memory: the same bits must come out wherever numpy put the batch.
    """
    made = torch.empty(inputs.shape, memory_format=torch.channels_last)
    return made.copy_(torch.from_numpy(inputs)).to(device)
