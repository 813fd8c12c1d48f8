"""What people said about their photos, on disk: one file per format, and one that finds which format a path holds."""

from lince.labels.open import FORMATS, open_table
from lince.labels.table import SPLITS, TEST, TRAIN, UNASSIGNED, VAL, Options, Pixels, Strings, Table

__all__ = [
    "FORMATS",
    "SPLITS",
    "TEST",
    "TRAIN",
    "UNASSIGNED",
    "VAL",
    "Options",
    "Pixels",
    "Strings",
    "Table",
    "open_table",
]
