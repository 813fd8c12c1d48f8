"""Datasets: opening, merging, grouping, splitting, verifying and converting labelled images.

A ``Dataset`` holds the labels as flat numpy columns, one row per image, and reads images only when asked for them
(``ImageSource``). Datasets are never changed; every operation returns a new one that shares the arrays.
"""

from lince.datasets.dataset import Dataset
from lince.datasets.image_source import ImageSource
from lince.datasets.open import open_dataset
from lince.datasets.stratified_split import split_dataset
from lince.datasets.verification import (
    compute_content_keys,
    require_usable_dataset,
    verify_images,
)

__all__ = [
    "Dataset",
    "ImageSource",
    "compute_content_keys",
    "open_dataset",
    "require_usable_dataset",
    "split_dataset",
    "verify_images",
]
