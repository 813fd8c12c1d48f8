"""Writes CVAT's XML for images 1.1: ``annotations.xml`` beside ``images``, with a subset for each split."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from lince.annotations import OCCLUDED, UNLABELLED, ObjectTable
from lince.formats.format import WriteRequest
from lince.formats.row_rle import encode_cvat_rle
from lince.parsing.xml_reader import escape_text, format_number, format_open_tag
from lince.splits import SPLITS

_FILE_NAME = "annotations.xml"
_IMAGE_FOLDER = "images"


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes."""
    return posixpath.join(_IMAGE_FOLDER, split, file_name)


def write(export: WriteRequest, folder: Path) -> None:
    """Write the file with all classes in their order, and every image with its size and what is marked on it."""
    with open(folder / _FILE_NAME, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in _document_lines(export))


def _document_lines(export: WriteRequest) -> Iterator[str]:
    names = export.table.classes.names
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield "<annotations>"
    yield "  <version>1.1</version>"
    yield "  <meta><task>"
    yield f"    <size>{len(export.image_paths)}</size><mode>annotation</mode>"
    yield "    <labels>"
    yield from (f"      <label><name>{escape_text(name)}</name><attributes></attributes></label>" for name in names)
    yield "    </labels>"
    yield "  </task></meta>"
    objects = export.table.objects or ObjectTable.empty(len(export.image_paths))
    for row in range(len(export.image_paths)):
        yield from _image_lines(export, objects, row)
    yield "</annotations>"


def _image_lines(export: WriteRequest, objects: ObjectTable, row: int) -> Iterator[str]:
    table = export.table
    height, width = export.image_sizes[row].tolist()
    word = next((word for word, split in SPLITS.items() if split == table.splits[row]), "")
    mention = export.image_paths[row]
    inner = mention.removeprefix(_IMAGE_FOLDER + "/").removeprefix(f"{word}/" if word else "")
    subset = {"subset": word} if word else {}
    yield "  " + format_open_tag("image", {"id": row, "name": inner, **subset, "width": width, "height": height}) + ">"
    if table.class_ids[row] != UNLABELLED:
        yield (
            "    "
            + format_open_tag("tag", {"label": table.classes.names[table.class_ids[row]], "source": "manual"})
            + "/>"
        )
    found = objects.slice_of_image(row)
    for index in range(found.start, found.stop):
        name = table.classes.names[objects.class_ids[index]]
        occluded = int(bool(objects.flags[index] & OCCLUDED))
        tag, shape = _shape_attributes(objects, index, (height, width))
        attributes = {"label": name, "source": "manual", "occluded": occluded, **shape, "z_order": 0}
        yield "    " + format_open_tag(tag, attributes) + "/>"
    yield "  </image>"


def _shape_attributes(objects: ObjectTable, index: int, size: tuple[int, int]) -> tuple[str, dict[str, object]]:
    if objects.has_mask[index]:
        return "mask", _mask_attributes(objects.masks[index], size)
    if objects.has_polygons[index]:
        (ring,) = objects.get_polygons(index)
        points = (f"{format_number(x)},{format_number(y)}" for x, y in ring.tolist())
        return "polygon", {"points": ";".join(points)}
    sides = zip(("xtl", "ytl", "xbr", "ybr"), objects.boxes[index].tolist(), strict=True)
    return "box", {side: format_number(value) for side, value in sides}


def _mask_attributes(text: str, size: tuple[int, int]) -> dict[str, object]:
    runs, (left, top, width, height) = encode_cvat_rle(text, size)
    return {"rle": ", ".join(map(str, runs)), "left": left, "top": top, "width": width, "height": height}
