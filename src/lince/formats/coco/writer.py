"""Writes COCO JSON: a file of instances for each split, as the COCO API reads it."""

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
    """Return where the image ``file_name`` goes."""
    return "/".join(filter(None, (_IMAGE_FOLDER, split, file_name)))


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``annotations/instances_<split>.json``, ``instances.json`` for images without a split; ids from 1.

    Names of images are relative to the folder of their split; ``area`` counts pixels where there is an outline or
    mask, as the COCO API does.
    """
    splits = export.table.splits
    for word, split in {**SPLITS, "": UNASSIGNED}.items():
        rows = np.flatnonzero(splits == split).tolist()
        if rows:
            name = f"instances_{word}.json" if word else "instances.json"
            text = json.dumps(
                _build_document(export, rows, image_path(word, "", "")), ensure_ascii=False, allow_nan=False
            )
            fileio.write_text(folder / "annotations" / name, text + "\n")


def _build_document(export: WriteRequest, rows: Sequence[int], base: str) -> dict[str, Any]:
    objects = export.table.objects or ObjectTable.empty(len(export.table.names))
    annotations: list[dict[str, Any]] = []
    for image_id, row in enumerate(rows, start=1):
        size = export.image_sizes[row].tolist()
        for index in range(*objects.slice_of_image(row).indices(len(objects))):
            found = _annotation_record(objects, index, (size[0], size[1]))
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **found})
    names = export.table.classes.names
    return {
        "info": {"description": "", "version": "1.0"},
        "licenses": [],
        "images": [_image_record(export, image_id, row, base) for image_id, row in enumerate(rows, start=1)],
        "annotations": annotations,
        "categories": [{"id": i, "name": name, "supercategory": ""} for i, name in enumerate(names, start=1)],
    }


def _image_record(export: WriteRequest, image_id: int, row: int, base: str) -> dict[str, Any]:
    height, width = export.image_sizes[row].tolist()
    name = export.image_paths[row].removeprefix(f"{base}/")
    return {"id": image_id, "file_name": name, "width": width, "height": height}


def _annotation_record(objects: ObjectTable, index: int, size: tuple[int, int]) -> dict[str, Any]:
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
    text = objects.masks[index]
    if text:
        return {"size": list(size), "counts": text}, rle.compute_area(rle.string_to_counts(text))
    rings: list[NDArray[np.float64]] = objects.get_polygons(index)
    area = rle.compute_area(rle.polygons_to_counts(rings, *size)) if rings else None
    return [ring.ravel().tolist() for ring in rings], area
