"""Converts datasets for use without lince: ``lince.to_pandas`` and ``lince.to_torch``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.api.extras import require_training_extra
from lince.datasets import Dataset
from lince.datasets.dataframe import to_pandas

if TYPE_CHECKING:
    from lince.training.torch_dataset import TorchExportDataset

__all__ = ["to_pandas", "to_torch"]


def to_torch(
    dataset: Dataset, split: str | None = None, size: int | tuple[int, int] | None = None
) -> TorchExportDataset:
    """Return the images of ``split`` as a torch ``Dataset`` of (uint8 RGB tensor (3, H, W), target).

    ``split`` is ``train``, ``val`` or ``test``; ``None`` for all images. ``size`` resizes all images to that side, or
    to (height, width), in pixels. A target is the class id; where the dataset has objects it is the dict that
    torchvision's detectors are trained with: ``boxes``, ``labels`` (from 1) and more.

    Raises ``MissingExtraError`` where PyTorch is not installed.
    """
    with require_training_extra():
        # torch takes seconds to load, and to_pandas works where it is not installed.
        from lince.training import torch_dataset  # noqa: PLC0415

        return torch_dataset.to_torch(dataset, split, size)
