"""What people said about their photos, on disk: one file per format, and one that finds which format a path holds."""

from lince.formats.format import Capability, Format, WriteRequest
from lince.formats.registry import FORMATS, open_table
from lince.formats.table import FIXES, PixelBlocks, ReadOptions, Table
from lince.storage.tree import DataLocation, FileTree

__all__ = [
    "FIXES",
    "FORMATS",
    "Capability",
    "DataLocation",
    "FileTree",
    "Format",
    "PixelBlocks",
    "ReadOptions",
    "Table",
    "WriteRequest",
    "open_table",
]
