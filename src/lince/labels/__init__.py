"""What people said about their photos, on disk: one file per format, and one that finds which format a path holds."""

from lince.labels.format import Export, Format, Holds
from lince.labels.open import FORMATS, open_table
from lince.labels.table import FIXES, SPLITS, TEST, TRAIN, UNASSIGNED, VAL, Options, Pixels, Table
from lince.labels.tree import Place, Tree

__all__ = [
    "FIXES",
    "FORMATS",
    "SPLITS",
    "TEST",
    "TRAIN",
    "UNASSIGNED",
    "VAL",
    "Export",
    "Format",
    "Holds",
    "Options",
    "Pixels",
    "Place",
    "Table",
    "Tree",
    "open_table",
]
