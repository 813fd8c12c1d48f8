"""Writes "CVAT for images 1.1": ``annotations.xml`` beside ``images``, with a subset for each split."""

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
    """Return where the image ``file_name`` goes: ``images/split/file_name``."""
    return posixpath.join(_IMAGE_FOLDER, split, file_name)


def write(request: WriteRequest, folder: Path) -> None:
    """Write ``annotations.xml``: all classes in their order, then every image with its size, class and objects.

    Raise ``DataError`` for names that XML cannot hold.
    """
    with open(folder / _FILE_NAME, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in _document_lines(request))


def _document_lines(request: WriteRequest) -> Iterator[str]:
    """Yield the lines of the XML file."""
    names = request.table.classes.names
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield "<annotations>"
    yield "  <version>1.1</version>"
    yield "  <meta><task>"
    yield f"    <size>{len(request.image_paths)}</size><mode>annotation</mode>"
    yield "    <labels>"
    yield from (f"      <label><name>{escape_text(name)}</name><attributes></attributes></label>" for name in names)
    yield "    </labels>"
    yield "  </task></meta>"
    objects = request.table.objects or ObjectTable.empty(len(request.image_paths))
    for row in range(len(request.image_paths)):
        yield from _image_lines(request, objects, row)
    yield "</annotations>"


def _image_lines(request: WriteRequest, objects: ObjectTable, row: int) -> Iterator[str]:
    """Yield the lines of one image; its name is relative to the folder of its subset."""
    table = request.table
    height, width = request.image_sizes[row].tolist()
    split_name = next((name for name, split in SPLITS.items() if split == table.splits[row]), "")
    path = request.image_paths[row]
    image_name = path.removeprefix(_IMAGE_FOLDER + "/").removeprefix(f"{split_name}/" if split_name else "")
    subset = {"subset": split_name} if split_name else {}
    attributes = {"id": row, "name": image_name, **subset, "width": width, "height": height}
    yield "  " + format_open_tag("image", attributes) + ">"
    if table.class_ids[row] != UNLABELLED:
        class_name = table.classes.names[table.class_ids[row]]
        yield "    " + format_open_tag("tag", {"label": class_name, "source": "manual"}) + "/>"
    object_slice = objects.slice_of_image(row)
    for index in range(object_slice.start, object_slice.stop):
        name = table.classes.names[objects.class_ids[index]]
        occluded = int(bool(objects.flags[index] & OCCLUDED))
        common = {"label": name, "source": "manual", "occluded": occluded}
        tag, shape = _shape_attributes(objects, index, (height, width))
        yield "    " + format_open_tag(tag, {**common, **shape, "z_order": 0}) + "/>"
    yield "  </image>"


def _shape_attributes(objects: ObjectTable, index: int, size: tuple[int, int]) -> tuple[str, dict[str, object]]:
    """Return the element name of an object and its attributes; an outline has one ring only."""
    if objects.has_mask[index]:
        return "mask", _mask_attributes(objects.masks[index], size)
    if objects.has_polygons[index]:
        (ring,) = objects.get_polygons(index)
        points = (f"{format_number(x)},{format_number(y)}" for x, y in ring.tolist())
        return "polygon", {"points": ";".join(points)}
    sides = zip(("xtl", "ytl", "xbr", "ybr"), objects.boxes[index].tolist(), strict=True)
    return "box", {side: format_number(value) for side, value in sides}


def _mask_attributes(text: str, size: tuple[int, int]) -> dict[str, object]:
    """Return the attributes of a mask, run lengths of the rectangle around it; ``text`` is COCO's."""
    runs, (left, top, width, height) = encode_cvat_rle(text, size)
    return {"rle": ", ".join(map(str, runs)), "left": left, "top": top, "width": width, "height": height}
