"""Writes COCO JSON: one file of instances per split, as the COCO API reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio, rle
from lince.annotations import CROWD, ObjectTable
from lince.formats.format import WriteRequest
from lince.splits import SPLITS, UNASSIGNED

_IMAGE_FOLDER = "images"


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: ``images/split/file_name``; all classes share a folder."""
    return "/".join(filter(None, (_IMAGE_FOLDER, split, file_name)))


def write(request: WriteRequest, folder: Path) -> None:
    """Write ``annotations/instances_<split>.json`` for each split, ``instances.json`` for images of none.

    Ids of images, annotations and categories start from 1. ``file_name`` is relative to the folder of the split. Where
    an object has an outline or mask, ``area`` is its number of pixels, as the COCO API computes it, else the area of
    the box.
    """
    splits = request.table.splits
    for split_name, split in {**SPLITS, "": UNASSIGNED}.items():
        rows = np.flatnonzero(splits == split).tolist()
        if rows:
            name = f"instances_{split_name}.json" if split_name else "instances.json"
            document = _build_document(request, rows, image_path(split_name, "", ""))
            text = json.dumps(document, ensure_ascii=False, allow_nan=False)
            fileio.write_text(folder / "annotations" / name, text + "\n")


def _build_document(request: WriteRequest, rows: Sequence[int], base: str) -> dict[str, Any]:
    """Return the COCO file for the images ``rows``, whose folder is ``base``."""
    objects = request.table.objects or ObjectTable.empty(len(request.table.names))
    annotations: list[dict[str, Any]] = []
    for image_id, row in enumerate(rows, start=1):
        size = request.image_sizes[row].tolist()
        for index in range(*objects.slice_of_image(row).indices(len(objects))):
            record = _annotation_record(objects, index, (size[0], size[1]))
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **record})
    names = request.table.classes.names
    return {
        "info": {"description": "", "version": "1.0"},
        "licenses": [],
        "images": [_image_record(request, image_id, row, base) for image_id, row in enumerate(rows, start=1)],
        "annotations": annotations,
        "categories": [{"id": i, "name": name, "supercategory": ""} for i, name in enumerate(names, start=1)],
    }


def _image_record(request: WriteRequest, image_id: int, row: int, base: str) -> dict[str, Any]:
    """Return an item of ``images``; an image outside of the dataset keeps its full path."""
    height, width = request.image_sizes[row].tolist()
    name = request.image_paths[row].removeprefix(f"{base}/")
    return {"id": image_id, "file_name": name, "width": width, "height": height}


def _annotation_record(objects: ObjectTable, index: int, size: tuple[int, int]) -> dict[str, Any]:
    """Return an item of ``annotations`` without its ids; ``size`` is (height, width) of its image."""
    left, top, right, bottom = objects.boxes[index].tolist()
    segmentation, area = _segmentation_and_area(objects, index, size)
    return {
        "category_id": int(objects.class_ids[index]) + 1,
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top) if area is None else area,
        "segmentation": segmentation,
        "iscrowd": int(bool(objects.flags[index] & CROWD)),
    }


def _segmentation_and_area(objects: ObjectTable, index: int, size: tuple[int, int]) -> tuple[Any, int | None]:
    """Return ``segmentation`` and ``area`` of an object; ``area`` is ``None`` where it has a box only.

    A mask becomes compressed run lengths, each ring of an outline a flat list x, y, x, y, ...
    """
    mask = objects.masks[index]
    if mask:
        return {"size": list(size), "counts": mask}, rle.compute_area(rle.string_to_counts(mask))
    rings: list[NDArray[np.float64]] = objects.get_polygons(index)
    area = rle.compute_area(rle.polygons_to_counts(rings, *size)) if rings else None
    return [ring.ravel().tolist() for ring in rings], area
