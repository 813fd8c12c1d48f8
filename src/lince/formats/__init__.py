"""Reads and writes dataset formats: label files become a ``LabelTable``, and a ``LabelTable`` becomes label files.

Names are imported when they are first used, because the command line imports ``lince.formats.registry`` for the names
of the formats, and must not load numpy for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lince.formats.format import Capability, Format, WriteRequest
    from lince.formats.format_detector import open_table
    from lince.formats.registry import FORMATS
    from lince.formats.table import FIXES, LabelTable, PixelBlocks, ReadOptions
    from lince.storage.tree import DataLocation, FileTree
else:
    _LAZY_IMPORTS = {
        "FIXES": "lince.formats.table",
        "FORMATS": "lince.formats.registry",
        "Capability": "lince.formats.format",
        "DataLocation": "lince.storage.tree",
        "FileTree": "lince.storage.tree",
        "Format": "lince.formats.format",
        "PixelBlocks": "lince.formats.table",
        "ReadOptions": "lince.formats.table",
        "LabelTable": "lince.formats.table",
        "WriteRequest": "lince.formats.format",
        "open_table": "lince.formats.format_detector",
    }

    def __getattr__(name: str) -> Any:
        """Import the public name ``name``; raise ``AttributeError`` for any other."""
        if name not in _LAZY_IMPORTS:
            raise AttributeError(f"module 'lince.formats' has no attribute '{name}'")
        value = getattr(import_module(_LAZY_IMPORTS[name]), name)
        globals()[name] = value
        return value


__all__ = [
    "FIXES",
    "FORMATS",
    "Capability",
    "DataLocation",
    "FileTree",
    "Format",
    "LabelTable",
    "PixelBlocks",
    "ReadOptions",
    "WriteRequest",
    "open_table",
]
