"""Writes masks: one indexed PNG per image, and ``labelmap.txt`` with the classes and their colours."""

from __future__ import annotations

import posixpath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.errors import DataError
from lince.fileio import write_bytes, write_text
from lince.formats.format import WriteRequest
from lince.formats.masks import color_map, png
from lince.i18n import _

_MAX_CLASSES = 254  # a byte per pixel: 0 is the background, 255 is ignored


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return the path of an image in the target folder: ``images/train/x.jpg``, ``images/x.jpg`` without a split."""
    return posixpath.join("images", split, file_name)


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``masks/``, which mirrors ``images/``, and ``labelmap.txt``.

    The value of class id i is i + 1; 0 is the background. Where objects overlap, the later one
    covers the earlier; objects of the same class are merged. Objects without a mask are not
    written. Raise ``DataError`` for more than 254 classes.
    """
    names = export.table.classes.names
    if len(names) > _MAX_CLASSES:
        raise DataError(
            _("The dataset has {count} classes.").format(count=len(names)),
            _("Expected at most {limit}: a mask has a byte for each pixel.").format(limit=_MAX_CLASSES),
        )
    write_text(folder / color_map.LABELMAP_FILE, color_map.format_labelmap(names))
    colours = np.array(color_map.make_voc_palette(), np.uint8)
    for row, path in enumerate(export.image_paths):
        target = folder / "masks" / (posixpath.splitext(path.removeprefix("images/"))[0] + ".png")
        write_bytes(target, png.encode_mask_png(_draw_class_mask(export, row), colours))


def _draw_class_mask(export: WriteRequest, row: int) -> NDArray[np.uint8]:
    """Return the mask of the image at ``row``, uint8 (H, W)."""
    height, width = export.image_sizes[row].tolist()
    pixels = np.zeros((height, width), np.uint8)
    objects = export.table.objects
    if objects is not None:
        span = objects.slice_of_image(row)
        for i in range(span.start, span.stop):
            if objects.masks[i]:
                pixels[rle.decode(objects.masks[i], height, width)] = objects.class_ids[i] + 1
    return pixels
