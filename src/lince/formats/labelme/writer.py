"""Writes LabelMe: a JSON file beside each photo, and the list of all classes."""

from __future__ import annotations

import base64
import json
import posixpath
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

from lince import fileio, rle
from lince.annotations import ObjectTable
from lince.errors import DataError
from lince.formats.format import WriteRequest
from lince.formats.labelme.shapes import FLAGS_BY_NAME
from lince.formats.masks import png
from lince.i18n import _

CLASS_FILE = "labels.txt"
RESERVED_NAMES = ("__ignore__", "_background_")  # what LabelMe's own lists begin with
_IMAGE_FOLDER = "images"
_VERSION = "5.5.0"


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes."""
    return f"{_IMAGE_FOLDER}/{file_name}"


def write(export: WriteRequest, folder: Path) -> None:
    """Write a JSON file for each image into ``images``, without the photo in it, and all classes in ``labels.txt``."""
    names = export.table.classes.names
    fileio.write_text(folder / CLASS_FILE, "".join(f"{_require_valid_name(name)}\n" for name in names))
    objects = export.table.objects or ObjectTable.empty(len(export.table.names))
    taken: set[str] = set()
    for row, mention in enumerate(export.image_paths):
        target = folder / _label_file_path(mention, taken)
        target.parent.mkdir(parents=True, exist_ok=True)
        elsewhere = posixpath.isabs(mention)
        path = mention if elsewhere else posixpath.relpath(mention, _IMAGE_FOLDER)
        text = json.dumps(_build_document(export, objects, row, path), indent=1, ensure_ascii=False, allow_nan=False)
        target.write_text(text, encoding="utf-8")


def _label_file_path(mention: str, taken: set[str]) -> str:
    """Return the path of the label file of the image ``mention``, one that is not yet ``taken``."""
    inner = f"{_IMAGE_FOLDER}/{posixpath.basename(mention)}" if posixpath.isabs(mention) else mention
    candidates = chain((posixpath.splitext(inner)[0], inner), (f"{inner}-{number}" for number in count(2)))
    name = next(name for name in candidates if name.casefold() not in taken)
    taken.add(name.casefold())
    return f"{name}.json"


def _build_document(export: WriteRequest, objects: ObjectTable, row: int, path: str) -> dict[str, Any]:
    height, width = export.image_sizes[row].tolist()
    names = export.table.classes.names
    shapes: list[dict[str, Any]] = []
    for number, index in enumerate(range(*objects.slice_of_image(row).indices(len(objects)))):
        said = int(objects.flags[index])
        common = {
            "label": names[int(objects.class_ids[index])],
            "description": "",
            "flags": {word: True for word, flag in FLAGS_BY_NAME.items() if said & flag},
            "mask": None,
        }
        shapes += [{**common, **drawn} for drawn in _shape_records(objects, index, number, (height, width))]
    return {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": path,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _shape_records(objects: ObjectTable, index: int, number: int, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Yield the shapes of one object, the ``number``-th of its image; several rings are a group."""
    rings = objects.get_polygons(index)
    text = objects.masks[index]
    left, top, right, bottom = objects.boxes[index].tolist()
    if text:
        yield _mask_record(text, size)
    elif not rings:
        yield {"shape_type": "rectangle", "points": [[left, top], [right, bottom]], "group_id": None}
    for ring in rings if not text else ():
        group = number if len(rings) > 1 else None
        yield {"shape_type": "polygon", "points": ring.tolist(), "group_id": group}


def _mask_record(text: str, size: tuple[int, int]) -> dict[str, Any]:
    counts = rle.string_to_counts(text)
    left, top, right, bottom = map(int, rle.compute_bounding_box(counts, size[0]))
    inside = rle.counts_to_mask(counts, *size)[top:bottom, left:right]
    data = base64.b64encode(png.encode_mask_png(inside.astype("uint8"))).decode("ascii")
    # LabelMe's corners are those of the first and of the last pixel.
    points = [[left, top], [right - 1, bottom - 1]]
    return {"shape_type": "mask", "points": points, "group_id": None, "mask": data}


def _require_valid_name(name: str) -> str:
    if name.strip() != name or len(name.splitlines()) != 1 or name in RESERVED_NAMES:
        raise DataError(
            _("The class name {name} cannot stand in a list of LabelMe's.").format(name=ascii(name)),
            _("Expected one line without spaces around."),
            _("Rename it."),
        )
    return name
