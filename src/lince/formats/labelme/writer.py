"""Writes LabelMe: one JSON file beside each image, and the list of all classes."""

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
RESERVED_NAMES = ("__ignore__", "_background_")  # first lines of LabelMe's own class lists; no classes
_IMAGE_FOLDER = "images"
_VERSION = "5.5.0"


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return the path of an image in the target folder: ``images/`` and its file name, without splits."""
    return f"{_IMAGE_FOLDER}/{file_name}"


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``images/*.json``, one file per image and without embedded images, and ``labels.txt`` with all classes.

    ``imagePath`` is relative to the JSON file, or absolute for an image that stays where it is.
    Raise ``DataError`` for a class name that ``labels.txt`` cannot hold.
    """
    names = export.table.classes.names
    fileio.write_text(folder / CLASS_FILE, "".join(f"{_require_valid_name(name)}\n" for name in names))
    objects = export.table.objects or ObjectTable.empty(len(export.table.names))
    used_names: set[str] = set()
    for row, image_file in enumerate(export.image_paths):
        target = folder / _label_file_path(image_file, used_names)
        target.parent.mkdir(parents=True, exist_ok=True)
        is_external = posixpath.isabs(image_file)
        path = image_file if is_external else posixpath.relpath(image_file, _IMAGE_FOLDER)
        text = json.dumps(_build_document(export, objects, row, path), indent=1, ensure_ascii=False, allow_nan=False)
        target.write_text(text, encoding="utf-8")


def _label_file_path(image_file: str, used_names: set[str]) -> str:
    """Return the path of the label file for the image ``image_file``.

    Images whose names differ only in suffix or case get different files; ``used_names``
    (casefolded) is updated.
    """
    base_path = f"{_IMAGE_FOLDER}/{posixpath.basename(image_file)}" if posixpath.isabs(image_file) else image_file
    candidates = chain((posixpath.splitext(base_path)[0], base_path), (f"{base_path}-{number}" for number in count(2)))
    name = next(name for name in candidates if name.casefold() not in used_names)
    used_names.add(name.casefold())
    return f"{name}.json"


def _build_document(export: WriteRequest, objects: ObjectTable, row: int, path: str) -> dict[str, Any]:
    """Return the JSON document of the image at ``row``; ``path`` is its ``imagePath``."""
    height, width = export.image_sizes[row].tolist()
    names = export.table.classes.names
    shapes: list[dict[str, Any]] = []
    for number, index in enumerate(range(*objects.slice_of_image(row).indices(len(objects)))):
        flags = int(objects.flags[index])
        common = {
            "label": names[int(objects.class_ids[index])],
            "description": "",
            "flags": {name: True for name, flag in FLAGS_BY_NAME.items() if flags & flag},
            "mask": None,
        }
        shapes += [{**common, **shape} for shape in _shape_records(objects, index, number, (height, width))]
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
    """Yield the shapes of the object at ``index``, which is the ``number``-th of its image.

    The rings of an object with several become one shape each, with ``number`` as their
    ``group_id``.
    """
    rings = objects.get_polygons(index)
    mask = objects.masks[index]
    left, top, right, bottom = objects.boxes[index].tolist()
    if mask:
        yield _mask_record(mask, size)
    elif not rings:
        yield {"shape_type": "rectangle", "points": [[left, top], [right, bottom]], "group_id": None}
    for ring in rings if not mask else ():
        group = number if len(rings) > 1 else None
        yield {"shape_type": "polygon", "points": ring.tolist(), "group_id": group}


def _mask_record(mask: str, size: tuple[int, int]) -> dict[str, Any]:
    """Return the shape of a mask: the crop of its bounding box as PNG in base64."""
    counts = rle.string_to_counts(mask)
    left, top, right, bottom = map(int, rle.compute_bounding_box(counts, size[0]))
    crop = rle.counts_to_mask(counts, *size)[top:bottom, left:right]
    data = base64.b64encode(png.encode_mask_png(crop.astype("uint8"))).decode("ascii")
    # The points are the first and the last pixel of the crop, so the second corner is included.
    points = [[left, top], [right - 1, bottom - 1]]
    return {"shape_type": "mask", "points": points, "group_id": None, "mask": data}


def _require_valid_name(name: str) -> str:
    """Return ``name``; raise ``DataError`` when it cannot be a line of ``labels.txt``."""
    if name.strip() != name or len(name.splitlines()) != 1 or name in RESERVED_NAMES:
        raise DataError(
            _("The class name {name} cannot be written in a LabelMe list.").format(name=ascii(name)),
            _("Expected one line without spaces around."),
            _("Rename it."),
        )
    return name
