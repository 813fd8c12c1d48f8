"""Writes CreateML JSON: one list of images with their boxes for each split."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any

from lince.annotations import ObjectTable
from lince.fileio import write_text
from lince.formats.format import WriteRequest
from lince.splits import SPLITS

COORDINATE_KEYS = ("x", "y", "width", "height")  # of a box: its centre and its sides
_FILE_NAME = "_annotations.createml.json"


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: into the folder of its split, beside the label file."""
    return f"{split}/{file_name}" if split else file_name


def write(request: WriteRequest, folder: Path) -> None:
    """Write ``<split>/_annotations.createml.json`` for each split; that of images of no split is in ``folder`` itself.

    Images are named relative to the label file, those outside of the dataset by their full paths.
    """
    split_names = {split: split_name for split_name, split in SPLITS.items()}
    entries_by_split: dict[str, list[Any]] = {}
    for row, name in enumerate(request.image_paths):
        split_name = split_names.get(int(request.table.splits[row]), "")
        image_reference = name.removeprefix(f"{split_name}/") if split_name and not posixpath.isabs(name) else name
        entries_by_split.setdefault(split_name, []).append(
            {"image": image_reference, "annotations": _annotation_records(request, row)}
        )
    for split_name, entries in entries_by_split.items():
        target = folder / split_name / _FILE_NAME
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _annotation_records(request: WriteRequest, row: int) -> list[dict[str, Any]]:
    """Return the ``annotations`` of the image in ``row``: boxes as centre and sides in pixels."""
    table = request.table
    objects = table.objects or ObjectTable.empty(len(table.names))
    object_slice = objects.slice_of_image(row)
    records = []
    for class_id, (left, top, right, bottom) in zip(
        objects.class_ids[object_slice].tolist(), objects.boxes[object_slice].tolist(), strict=True
    ):
        centre_and_sides = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        coordinates = dict(zip(COORDINATE_KEYS, centre_and_sides, strict=True))
        records.append({"label": table.classes.names[class_id], "coordinates": coordinates})
    return records
