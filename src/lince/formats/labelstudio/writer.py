"""Writes tasks for import into Label Studio: ``tasks.json``, and the labelling configuration ``config.xml``."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lince.annotations import UNLABELLED, ObjectTable
from lince.formats.format import WriteRequest
from lince.formats.row_rle import encode_labelstudio_rle
from lince.parsing.xml_reader import format_open_tag
from lince.splits import SPLITS

_LOCAL_FILES_PREFIX = "/data/local-files/?d="  # URL of a file in Label Studio's local storage
_CONTROL_TAGS = ("RectangleLabels", "PolygonLabels", "BrushLabels")


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return the path of an image in the target folder: ``images/train/x.jpg``, ``images/x.jpg`` without a split."""
    return posixpath.join("images", split, file_name)


def write(export: WriteRequest, folder: Path) -> None:
    """Write one task per image, each on a line of ``tasks.json``, and the classes in their order to ``config.xml``.

    A task has one annotation with all objects of the image. The images are referred to as files of
    Label Studio's local storage, whose root has to be the target folder.
    """
    (folder / "config.xml").write_text("\n".join(_format_config(export)) + "\n", encoding="utf-8", newline="\n")
    objects = export.table.objects or ObjectTable.empty(len(export.image_paths))
    with open(folder / "tasks.json", "w", encoding="utf-8", newline="\n") as stream:
        for row in range(len(export.image_paths)):
            task = json.dumps(_build_task(export, objects, row), ensure_ascii=False, allow_nan=False)
            stream.write(f"{',' if row else '['}\n{task}")
        stream.write("\n]\n")


def _format_config(export: WriteRequest) -> Iterator[str]:
    """Yield the lines of the labelling configuration, with the controls that the data need."""
    names = export.table.classes.names
    yield "<View>"
    yield '  <Image name="image" value="$image"/>'
    if (export.table.class_ids != UNLABELLED).any():
        yield from _format_control("Choices", "choice", "Choice", names)
    if export.table.objects is not None:
        for tag in _CONTROL_TAGS:
            yield from _format_control(tag, tag.lower(), "Label", names)
    yield "</View>"


def _format_control(tag: str, name: str, inner: str, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of one control, with an ``inner`` tag per class."""
    yield "  " + format_open_tag(tag, {"name": name, "toName": "image"}) + ">"
    yield from ("    " + format_open_tag(inner, {"value": value}) + "/>" for value in names)
    yield f"  </{tag}>"


def _build_task(export: WriteRequest, objects: ObjectTable, row: int) -> dict[str, Any]:
    """Return the task of the image at ``row``."""
    table = export.table
    data = {"image": _LOCAL_FILES_PREFIX + quote(export.image_paths[row])}
    split_name = next((split_name for split_name, split in SPLITS.items() if split == table.splits[row]), "")
    if split_name:
        data["split"] = split_name
    results = []
    if table.class_ids[row] != UNLABELLED:
        value = {"choices": [table.classes.names[table.class_ids[row]]]}
        results.append({"type": "choices", "from_name": "choice", "to_name": "image", "value": value})
    rows = objects.slice_of_image(row)
    for index in range(rows.start, rows.stop):
        name = table.classes.names[objects.class_ids[index]]
        results.append(_build_result(objects, index, name, export.image_sizes[row].tolist()))
    annotation = {"id": row + 1, "was_cancelled": False, "ground_truth": False, "result": results}
    return {"id": row + 1, "data": data, "annotations": [annotation], "predictions": []}


def _build_result(objects: ObjectTable, index: int, name: str, size: list[int]) -> dict[str, Any]:
    """Return the result of the object at ``index``, of class ``name`` on an image of ``size`` (height, width)."""
    height, width = size
    kind, value = _build_value(objects, index, (height, width))
    return {
        "id": f"lince{index}",
        "type": kind,
        "from_name": kind,
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**value, kind: [name]},
    }


def _build_value(objects: ObjectTable, index: int, size: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    """Return the control tag of an object, and its mask, polygon or box in percent."""
    height, width = size
    if objects.has_mask[index]:
        return "brushlabels", {"format": "rle", "rle": encode_labelstudio_rle(objects.masks[index], size)}
    if objects.has_polygons[index]:
        (ring,) = objects.get_polygons(index)
        return "polygonlabels", {"points": (ring / (width, height) * 100).tolist(), "closed": True}
    left, top, right, bottom = objects.boxes[index].tolist()
    fractions = {
        "x": left / width,
        "y": top / height,
        "width": (right - left) / width,
        "height": (bottom - top) / height,
    }
    return "rectanglelabels", {**{key: 100 * fraction for key, fraction in fractions.items()}, "rotation": 0}
