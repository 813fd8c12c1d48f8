"""Test data: mask images of every kind, and the masks of a table as pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lince import images, rle
from lince.formats import LabelTable, open_table

SHAPE = (6, 8)
PHOTO = images.encode_png(np.zeros((*SHAPE, 3), np.uint8))
RED, GREEN = (128, 0, 0), (0, 128, 0)


def png(values: Any, palette: list[tuple[int, int, int]] | None = None, mode: str | None = None) -> bytes:
    image = Image.fromarray(np.asarray(values))
    if palette is not None:
        image.putpalette([band for colour in palette for band in colour])
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, "PNG")
    return stream.getvalue()


def grey(**values: tuple[slice, slice]) -> np.ndarray:
    """Return a mask with the value 7 where ``v7=np.s_[...]`` is given, else 0."""
    made = np.zeros(SHAPE, np.uint8)
    for name, where in values.items():
        made[where] = int(name[1:])
    return made


def coloured(values: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> np.ndarray:
    made = np.zeros((*values.shape, 3), np.uint8)
    for value, colour in colours.items():
        made[values == value] = colour
    return made


def put(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return root


def read(root: Path) -> LabelTable:
    return open_table(root, "masks")


def drawn(table: LabelTable) -> dict[str, dict[str, list[list[int]]]]:
    """Return for each image and class the pixels (row, column) of its mask."""
    assert table.objects is not None
    assert table.sizes is not None
    found: dict[str, dict[str, list[list[int]]]] = {}
    for row, name in enumerate(table.names):
        said = found.setdefault(name, {})
        height, width = table.sizes[row].tolist()
        for i in range(*table.objects.slice_of_image(row).indices(len(table.objects))):
            kind = table.classes.names[table.objects.class_ids[i]]
            pixels = rle.decode(table.objects.masks[i], height, width)
            assert kind not in said
            said[kind] = np.argwhere(pixels).tolist()
            top, left = np.argwhere(pixels).min(axis=0)
            bottom, right = np.argwhere(pixels).max(axis=0) + 1
            assert table.objects.boxes[i].tolist() == [left, top, right, bottom]
    return found


def cells(where: tuple[slice, slice]) -> list[list[int]]:
    made = np.zeros(SHAPE, bool)
    made[where] = True
    return np.argwhere(made).tolist()


CAT, DOG = np.s_[1:3, 1:4], np.s_[3:6, 5:8]
VALUES = grey(v1=CAT, v2=DOG)
EXPECTED = {"images/a.jpg": {"cat": cells(CAT), "dog": cells(DOG)}}


def dataset(root: Path, mask: bytes, **more: bytes | str) -> Path:
    files = {
        "images/a.jpg": PHOTO,
        "masks/a.png": mask,
        **{name.replace("__", "."): data for name, data in more.items()},
    }
    return put(root, files)
