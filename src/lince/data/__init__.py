"""Datasets: opened from any known format, divided, verified."""

from lince.data.dataset import Dataset
from lince.data.open import open_dataset
from lince.data.source import ImageSource
from lince.data.split import split_dataset
from lince.data.verify import keys, require_classes, require_objects, require_usable, verify
from lince.labels import SPLITS, TEST, TRAIN, UNASSIGNED, VAL

__all__ = [
    "SPLITS",
    "TEST",
    "TRAIN",
    "UNASSIGNED",
    "VAL",
    "Dataset",
    "ImageSource",
    "keys",
    "open_dataset",
    "require_classes",
    "require_objects",
    "require_usable",
    "split_dataset",
    "verify",
]
