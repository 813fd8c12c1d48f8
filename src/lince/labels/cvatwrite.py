"""Writes CVAT's XML for images 1.1: ``annotations.xml`` beside ``images``, with a subset for each split."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from lince.annotations import OCCLUDED, UNLABELLED, Objects
from lince.labels.format import Export
from lince.labels.maskrows import to_rectangle
from lince.labels.table import SPLITS
from lince.labels.xmltree import content, number_text, written

_FILE = "annotations.xml"
_PHOTOS = "images"


def file(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes."""
    return posixpath.join(_PHOTOS, split, file_name)


def write(export: Export, folder: Path) -> None:
    """Write the file with all classes in their order, and every image with its size and what is marked on it."""
    with open(folder / _FILE, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in _document(export))


def _document(export: Export) -> Iterator[str]:
    names = export.table.classes.names
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield "<annotations>"
    yield "  <version>1.1</version>"
    yield "  <meta><task>"
    yield f"    <size>{len(export.files)}</size><mode>annotation</mode>"
    yield "    <labels>"
    yield from (f"      <label><name>{content(name)}</name><attributes></attributes></label>" for name in names)
    yield "    </labels>"
    yield "  </task></meta>"
    objects = export.table.objects or Objects.none(len(export.files))
    for row in range(len(export.files)):
        yield from _image(export, objects, row)
    yield "</annotations>"


def _image(export: Export, objects: Objects, row: int) -> Iterator[str]:
    table = export.table
    height, width = export.sizes[row].tolist()
    word = next((word for word, split in SPLITS.items() if split == table.splits[row]), "")
    mention = export.files[row]
    inner = mention.removeprefix(_PHOTOS + "/").removeprefix(f"{word}/" if word else "")
    subset = {"subset": word} if word else {}
    yield "  " + written("image", {"id": row, "name": inner, **subset, "width": width, "height": height}) + ">"
    if table.class_ids[row] != UNLABELLED:
        yield "    " + written("tag", {"label": table.classes.names[table.class_ids[row]], "source": "manual"}) + "/>"
    found = objects.of(row)
    for index in range(found.start, found.stop):
        name = table.classes.names[objects.class_ids[index]]
        occluded = int(bool(objects.flags[index] & OCCLUDED))
        tag, shape = _shape(objects, index, (height, width))
        attributes = {"label": name, "source": "manual", "occluded": occluded, **shape, "z_order": 0}
        yield "    " + written(tag, attributes) + "/>"
    yield "  </image>"


def _shape(objects: Objects, index: int, size: tuple[int, int]) -> tuple[str, dict[str, object]]:
    if objects.masked[index]:
        return "mask", _mask(objects.masks[index], size)
    if objects.outlined[index]:
        (ring,) = objects.outline(index)
        points = (f"{number_text(x)},{number_text(y)}" for x, y in ring.tolist())
        return "polygon", {"points": ";".join(points)}
    sides = zip(("xtl", "ytl", "xbr", "ybr"), objects.boxes[index].tolist(), strict=True)
    return "box", {side: number_text(value) for side, value in sides}


def _mask(text: str, size: tuple[int, int]) -> dict[str, object]:
    runs, (left, top, width, height) = to_rectangle(text, size)
    return {"rle": ", ".join(map(str, runs)), "left": left, "top": top, "width": width, "height": height}
