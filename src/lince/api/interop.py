"""The verbs for those who go on without lince: to_pandas, to_torch."""

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
    """Return the images of ``split`` (all when ``None``) as a torch dataset of (uint8 RGB tensor (3, H, W), target).

    ``size`` brings all to that side, or (height, width). A target is the class id, or, where objects are marked, what
    torchvision's detectors are trained with: a dict of ``boxes``, ``labels`` (from 1) and more.
    """
    with require_training_extra():
        from lince.training.torch_dataset import to_torch as leave  # noqa: PLC0415

        return leave(dataset, split, size)
