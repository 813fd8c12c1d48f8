"""Writes a project of the VGG Image Annotator (VIA 2) for each split, beside its images."""

from __future__ import annotations

import json
import os
import posixpath
from pathlib import Path
from typing import Any

from lince.annotations import UNLABELLED, ObjectTable
from lince.fileio import write_text
from lince.formats.format import WriteRequest
from lince.formats.via.documents import ATTRIBUTE_TYPES_KEY, METADATA_KEY
from lince.formats.via.regions import CLASS_ATTRIBUTE
from lince.splits import SPLITS

_FILE_NAME = "via_project.json"
# As VIA 2.0.12 writes them for a new project; regions are labelled with their class.
_SETTINGS: dict[str, Any] = {
    "ui": {
        "annotation_editor_height": 25,
        "annotation_editor_fontsize": 0.8,
        "leftsidebar_width": 18,
        "image_grid": {
            "img_height": 80,
            "rshape_fill": "none",
            "rshape_fill_opacity": 0.3,
            "rshape_stroke": "yellow",
            "rshape_stroke_width": 2,
            "show_region_shape": True,
            "show_image_policy": "all",
        },
        "image": {
            "region_label": CLASS_ATTRIBUTE,
            "region_color": "__via_default_region_color__",
            "region_label_font": "10px Sans",
            "on_image_annotation_editor_placement": "NEAR_REGION",
        },
    },
    "core": {"buffer_size": 18, "filepath": {}, "default_filepath": ""},
    "project": {"name": "lince"},
}


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: into the folder of its split, beside the project."""
    return f"{split}/{file_name}" if split else file_name


def write(request: WriteRequest, folder: Path) -> None:
    """Write ``<split>/via_project.json`` for each split; that of images of no split is in ``folder`` itself.

    Images are named relative to the project, those outside of the dataset by their full paths. All classes are options
    of the attribute ``class``, in their order.
    """
    split_names = {split: split_name for split_name, split in SPLITS.items()}
    records: dict[str, dict[str, Any]] = {}
    for row, name in enumerate(request.image_paths):
        split_name = split_names.get(int(request.table.splits[row]), "")
        reference = name.removeprefix(f"{split_name}/") if split_name and not posixpath.isabs(name) else name
        size = os.stat(folder / name).st_size
        records.setdefault(split_name, {})[f"{reference}{size}"] = _image_record(request, row, reference, size)
    for split_name, images in records.items():
        target = folder / split_name / _FILE_NAME
        target.parent.mkdir(parents=True, exist_ok=True)
        project = {
            "_via_settings": _SETTINGS,
            METADATA_KEY: images,
            ATTRIBUTE_TYPES_KEY: _attribute_types(request),
            "_via_data_format_version": "2.0.10",
            "_via_image_id_list": list(images),
        }
        write_text(target, json.dumps(project, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _attribute_types(request: WriteRequest) -> dict[str, Any]:
    """Return the attributes of regions and of files, each with all classes to choose from where it is used."""
    table = request.table
    attribute = {
        "type": "dropdown",
        "description": "",
        "options": {name: name for name in table.classes.names},
        "default_options": {},
    }
    return {
        "region": {} if table.objects is None else {CLASS_ATTRIBUTE: attribute},
        "file": {CLASS_ATTRIBUTE: attribute} if (table.class_ids != UNLABELLED).any() else {},
    }


def _image_record(request: WriteRequest, row: int, reference: str, size: int) -> dict[str, Any]:
    """Return the record of the image in ``row``, of ``size`` bytes, with its regions and its class."""
    table = request.table
    objects = table.objects or ObjectTable.empty(len(table.names))
    class_id = int(table.class_ids[row])
    rows = objects.slice_of_image(row)
    return {
        "filename": reference,
        "size": size,
        "regions": [
            {
                "shape_attributes": _shape_attributes(objects, index),
                "region_attributes": {CLASS_ATTRIBUTE: table.classes.names[objects.class_ids[index]]},
            }
            for index in range(rows.start, rows.stop)
        ],
        "file_attributes": {} if class_id == UNLABELLED else {CLASS_ATTRIBUTE: table.classes.names[class_id]},
    }


def _shape_attributes(objects: ObjectTable, index: int) -> dict[str, Any]:
    """Return the polygon or the box of an object."""
    if objects.has_polygons[index]:
        (ring,) = objects.get_polygons(index)
        x, y = ring.T.tolist()
        return {"name": "polygon", "all_points_x": x, "all_points_y": y}
    left, top, right, bottom = objects.boxes[index].tolist()
    return {"name": "rect", "x": left, "y": top, "width": right - left, "height": bottom - top}
