"""Writes Pascal VOC: an XML file for each photo, the lists of the splits, and all classes in their order."""

from __future__ import annotations

import posixpath
from itertools import chain, count
from pathlib import Path

from lince.annotations import DIFFICULT, OCCLUDED, TRUNCATED, Objects
from lince.errors import DataError
from lince.labels.format import Export
from lince.labels.imagesets import write_map, write_sets
from lince.labels.table import SPLITS
from lince.labels.xmltree import checked, content, number_text
from lince.messages import _

SIDES = ("xmin", "ymin", "xmax", "ymax")
FLAGS = {"difficult": DIFFICULT, "truncated": TRUNCATED, "occluded": OCCLUDED}
_PHOTOS = "JPEGImages/"


def file(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes."""
    return _PHOTOS + file_name


def write(export: Export, folder: Path) -> None:
    """Write an XML file for each image into ``Annotations``, the splits, and all classes in their order."""
    objects = export.table.objects or Objects.none(len(export.table.names))
    names = list(map(_class_name, export.table.classes.names))
    members: dict[str, list[str]] = {word: [] for word in SPLITS}
    taken: set[str] = set()
    for row, mention in enumerate(export.files):
        called = _called(mention, taken)
        target = folder / "Annotations" / f"{called}.xml"
        target.parent.mkdir(parents=True, exist_ok=True)
        height, width = export.sizes[row].tolist()
        target.write_text(_document(mention, (height, width), objects, row, names), encoding="utf-8", newline="\n")
        for word, split in SPLITS.items():
            if export.table.splits[row] == split:
                members[word].append(called)
    write_sets({word: found for word, found in members.items() if found}, folder)
    write_map(names, folder)


def _called(mention: str, taken: set[str]) -> str:
    """Return what the label file of the image ``mention`` is called, without its ending: a name not yet ``taken``."""
    inner = posixpath.basename(mention) if posixpath.isabs(mention) else mention.removeprefix(_PHOTOS)
    candidates = chain((posixpath.splitext(inner)[0], inner), (f"{inner}-{number}" for number in count(2)))
    name = next(name for name in candidates if name.casefold() not in taken)
    taken.add(name.casefold())
    return checked(name)


def _class_name(name: str) -> str:
    if name.strip() != name or not name:
        raise DataError(
            _("The class name {name} starts or ends in a space.").format(name=ascii(name)), "", _("Rename it.")
        )
    return checked(name)


def _document(mention: str, size: tuple[int, int], objects: Objects, row: int, names: list[str]) -> str:
    folder = posixpath.basename(posixpath.dirname(mention))
    lines = [
        "<annotation>",
        f"  <folder>{content(folder)}</folder>",
        f"  <filename>{content(mention.removeprefix(_PHOTOS))}</filename>",
        "  <source><database>lince</database><annotation>corners count from 0</annotation></source>",
        f"  <size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]
    found = objects.of(row)
    marks = zip(
        objects.class_ids[found].tolist(), objects.boxes[found].tolist(), objects.flags[found].tolist(), strict=True
    )
    for class_id, box, flags in marks:
        lines += _object_lines(names[class_id], box, flags)
    return "\n".join([*lines, "</annotation>", ""])


def _object_lines(name: str, box: list[float], flags: int) -> list[str]:
    sides = "".join(f"<{side}>{number_text(value)}</{side}>" for side, value in zip(SIDES, box, strict=True))
    said = "".join(f"<{tag}>{int(bool(flags & flag))}</{tag}>" for tag, flag in FLAGS.items())
    return [
        "  <object>",
        f"    <name>{content(name)}</name><pose>Unspecified</pose>{said}",
        f"    <bndbox>{sides}</bndbox>",
        "  </object>",
    ]
