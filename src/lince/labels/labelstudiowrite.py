"""Writes tasks that Label Studio imports: ``tasks.json``, and ``config.xml`` with the classes in their order."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lince.annotations import UNLABELLED, Objects
from lince.labels.format import Export
from lince.labels.maskrows import pack
from lince.labels.table import SPLITS
from lince.labels.xmltree import written

_LOCAL = "/data/local-files/?d="  # how Label Studio calls a file of its local storage
_TAGS = ("RectangleLabels", "PolygonLabels", "BrushLabels")


def file(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes."""
    return posixpath.join("images", split, file_name)


def write(export: Export, folder: Path) -> None:
    """Write a task for each image, one per line, with one annotation that holds all that is marked on it."""
    (folder / "config.xml").write_text("\n".join(_config(export)) + "\n", encoding="utf-8", newline="\n")
    objects = export.table.objects or Objects.none(len(export.files))
    with open(folder / "tasks.json", "w", encoding="utf-8", newline="\n") as stream:
        for row in range(len(export.files)):
            task = json.dumps(_task(export, objects, row), ensure_ascii=False, allow_nan=False)
            stream.write(f"{',' if row else '['}\n{task}")
        stream.write("\n]\n")


def _config(export: Export) -> Iterator[str]:
    names = export.table.classes.names
    yield "<View>"
    yield '  <Image name="image" value="$image"/>'
    if (export.table.class_ids != UNLABELLED).any():
        yield from _choices("Choices", "choice", "Choice", names)
    if export.table.objects is not None:
        for tag in _TAGS:
            yield from _choices(tag, tag.lower(), "Label", names)
    yield "</View>"


def _choices(tag: str, name: str, inner: str, names: tuple[str, ...]) -> Iterator[str]:
    yield "  " + written(tag, {"name": name, "toName": "image"}) + ">"
    yield from ("    " + written(inner, {"value": value}) + "/>" for value in names)
    yield f"  </{tag}>"


def _task(export: Export, objects: Objects, row: int) -> dict[str, Any]:
    table = export.table
    data = {"image": _LOCAL + quote(export.files[row])}
    word = next((word for word, split in SPLITS.items() if split == table.splits[row]), "")
    if word:
        data["split"] = word
    results = []
    if table.class_ids[row] != UNLABELLED:
        value = {"choices": [table.classes.names[table.class_ids[row]]]}
        results.append({"type": "choices", "from_name": "choice", "to_name": "image", "value": value})
    found = objects.of(row)
    for index in range(found.start, found.stop):
        name = table.classes.names[objects.class_ids[index]]
        results.append(_result(objects, index, name, export.sizes[row].tolist()))
    annotation = {"id": row + 1, "was_cancelled": False, "ground_truth": False, "result": results}
    return {"id": row + 1, "data": data, "annotations": [annotation], "predictions": []}


def _result(objects: Objects, index: int, name: str, size: list[int]) -> dict[str, Any]:
    height, width = size
    kind, value = _value(objects, index, (height, width))
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


def _value(objects: Objects, index: int, size: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    height, width = size
    if objects.masked[index]:
        return "brushlabels", {"format": "rle", "rle": pack(objects.masks[index], size)}
    if objects.outlined[index]:
        (ring,) = objects.outline(index)
        return "polygonlabels", {"points": (ring / (width, height) * 100).tolist(), "closed": True}
    left, top, right, bottom = objects.boxes[index].tolist()
    shares = {"x": left / width, "y": top / height, "width": (right - left) / width, "height": (bottom - top) / height}
    return "rectanglelabels", {**{key: 100 * share for key, share in shares.items()}, "rotation": 0}
