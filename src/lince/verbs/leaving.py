"""The verbs for those who go on without lince: to_pandas, to_torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.data import Dataset
from lince.data.outside import to_pandas
from lince.verbs.parts import training_part

if TYPE_CHECKING:
    from lince.training.outside import OutsideDataset

__all__ = ["to_pandas", "to_torch"]


def to_torch(dataset: Dataset, split: str | None = None, size: int | tuple[int, int] | None = None) -> OutsideDataset:
    """Return the images of ``split`` (all when ``None``) as a torch dataset of (uint8 RGB tensor (3, H, W), target).

    ``size`` brings all to that side, or (height, width). A target is the class id, or, where objects are marked, what
    torchvision's detectors are trained with: a dict of ``boxes``, ``labels`` (from 1) and more.
    """
    with training_part():
        from lince.training.outside import to_torch as leave  # noqa: PLC0415

        return leave(dataset, split, size)
