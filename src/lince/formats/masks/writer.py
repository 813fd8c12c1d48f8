"""Writes masks: one indexed PNG per image, and ``labelmap.txt`` with the classes and their colours."""

from __future__ import annotations

import posixpath
from pathlib import Path

import numpy as np

from lince.class_maps import ClassMap, draw_class_map, require_class_count
from lince.fileio import write_bytes, write_text
from lince.formats.format import WriteRequest
from lince.formats.masks import color_map, png


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return the path of an image in the target folder: ``images/train/x.jpg``, ``images/x.jpg`` without a split."""
    return posixpath.join("images", split, file_name)


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``masks/``, which mirrors ``images/``, and ``labelmap.txt``.

    The value of class id i is i + 1; 0 is the background, 255 is void. Where objects overlap, the later one
    covers the earlier; objects of the same class are merged. The box of an object without a mask is void.
    Raise ``DataError`` for more than 254 classes.
    """
    require_class_count(export.table.classes)
    write_text(folder / color_map.LABELMAP_FILE, color_map.format_labelmap(export.table.classes.names))
    colours = np.array(color_map.make_voc_palette(), np.uint8)
    for row, path in enumerate(export.image_paths):
        target = folder / "masks" / (posixpath.splitext(path.removeprefix("images/"))[0] + ".png")
        write_bytes(target, png.encode_mask_png(_draw_class_mask(export, row), colours))


def _draw_class_mask(export: WriteRequest, row: int) -> ClassMap:
    """Return the mask of the image at ``row``, uint8 (H, W)."""
    table = export.table
    height, width = export.image_sizes[row].tolist()
    void = table.void_masks[row] if table.void_masks is not None else ""
    return draw_class_map(table.objects, row, (height, width), void)
