"""Writes Pascal VOC: an XML file for each photo, the lists of the splits, and all classes in their order."""

from __future__ import annotations

import posixpath
from itertools import chain, count
from pathlib import Path

from lince.annotations import DIFFICULT, OCCLUDED, TRUNCATED, ObjectTable
from lince.errors import DataError
from lince.formats.format import WriteRequest
from lince.formats.voc.image_sets import write_image_sets, write_label_map
from lince.i18n import _
from lince.parsing.xml_reader import escape_text, format_number, require_valid_text
from lince.splits import SPLITS

BOX_TAGS = ("xmin", "ymin", "xmax", "ymax")
FLAG_TAGS = {"difficult": DIFFICULT, "truncated": TRUNCATED, "occluded": OCCLUDED}
_IMAGE_PREFIX = "JPEGImages/"


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes."""
    return _IMAGE_PREFIX + file_name


def write(export: WriteRequest, folder: Path) -> None:
    """Write an XML file for each image into ``Annotations``, the splits, and all classes in their order."""
    objects = export.table.objects or ObjectTable.empty(len(export.table.names))
    names = list(map(_check_class_name, export.table.classes.names))
    members: dict[str, list[str]] = {word: [] for word in SPLITS}
    taken: set[str] = set()
    for row, mention in enumerate(export.image_paths):
        called = _label_stem(mention, taken)
        target = folder / "Annotations" / f"{called}.xml"
        target.parent.mkdir(parents=True, exist_ok=True)
        height, width = export.image_sizes[row].tolist()
        target.write_text(
            _format_document(mention, (height, width), objects, row, names), encoding="utf-8", newline="\n"
        )
        for word, split in SPLITS.items():
            if export.table.splits[row] == split:
                members[word].append(called)
    write_image_sets({word: found for word, found in members.items() if found}, folder)
    write_label_map(names, folder)


def _label_stem(mention: str, taken: set[str]) -> str:
    """Return what the label file of the image ``mention`` is called, without its ending: a name not yet ``taken``."""
    inner = posixpath.basename(mention) if posixpath.isabs(mention) else mention.removeprefix(_IMAGE_PREFIX)
    candidates = chain((posixpath.splitext(inner)[0], inner), (f"{inner}-{number}" for number in count(2)))
    name = next(name for name in candidates if name.casefold() not in taken)
    taken.add(name.casefold())
    return require_valid_text(name)


def _check_class_name(name: str) -> str:
    if name.strip() != name or not name:
        raise DataError(
            _("The class name {name} starts or ends in a space.").format(name=ascii(name)), "", _("Rename it.")
        )
    return require_valid_text(name)


def _format_document(mention: str, size: tuple[int, int], objects: ObjectTable, row: int, names: list[str]) -> str:
    folder = posixpath.basename(posixpath.dirname(mention))
    lines = [
        "<annotation>",
        f"  <folder>{escape_text(folder)}</folder>",
        f"  <filename>{escape_text(mention.removeprefix(_IMAGE_PREFIX))}</filename>",
        "  <source><database>lince</database><annotation>corners count from 0</annotation></source>",
        f"  <size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]
    found = objects.slice_of_image(row)
    marks = zip(
        objects.class_ids[found].tolist(), objects.boxes[found].tolist(), objects.flags[found].tolist(), strict=True
    )
    for class_id, box, flags in marks:
        lines += _object_lines(names[class_id], box, flags)
    return "\n".join([*lines, "</annotation>", ""])


def _object_lines(name: str, box: list[float], flags: int) -> list[str]:
    sides = "".join(f"<{side}>{format_number(value)}</{side}>" for side, value in zip(BOX_TAGS, box, strict=True))
    said = "".join(f"<{tag}>{int(bool(flags & flag))}</{tag}>" for tag, flag in FLAG_TAGS.items())
    return [
        "  <object>",
        f"    <name>{escape_text(name)}</name><pose>Unspecified</pose>{said}",
        f"    <bndbox>{sides}</bndbox>",
        "  </object>",
    ]
