"""Datasets: opened from any known format, divided, verified."""

from lince.datasets.dataset import Dataset
from lince.datasets.image_source import ImageSource
from lince.datasets.open import open_dataset
from lince.datasets.stratified_split import split_dataset
from lince.datasets.verification import (
    compute_content_keys,
    require_classes,
    require_objects,
    require_usable_dataset,
    verify_images,
)

__all__ = [
    "Dataset",
    "ImageSource",
    "compute_content_keys",
    "open_dataset",
    "require_classes",
    "require_objects",
    "require_usable_dataset",
    "split_dataset",
    "verify_images",
]
