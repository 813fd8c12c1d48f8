"""Writes Pascal VOC: one XML file per image, the lists of the splits, and the classes in their order."""

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
    """Return the path of an image in the target folder: ``JPEGImages/`` and its file name, without splits."""
    return _IMAGE_PREFIX + file_name


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``Annotations/*.xml``, ``ImageSets/Main/*.txt`` for the splits that occur, and ``labelmap.txt``.

    Raise ``DataError`` for class names that XML or ``labelmap.txt`` cannot hold.
    """
    objects = export.table.objects or ObjectTable.empty(len(export.table.names))
    names = list(map(_check_class_name, export.table.classes.names))
    ids_by_split: dict[str, list[str]] = {split_name: [] for split_name in SPLITS}
    used_names: set[str] = set()
    for row, image_file in enumerate(export.image_paths):
        image_id = _label_stem(image_file, used_names)
        target = folder / "Annotations" / f"{image_id}.xml"
        target.parent.mkdir(parents=True, exist_ok=True)
        height, width = export.image_sizes[row].tolist()
        target.write_text(
            _format_document(image_file, (height, width), objects, row, names), encoding="utf-8", newline="\n"
        )
        for split_name, split in SPLITS.items():
            if export.table.splits[row] == split:
                ids_by_split[split_name].append(image_id)
    write_image_sets({split_name: ids for split_name, ids in ids_by_split.items() if ids}, folder)
    write_label_map(names, folder)


def _label_stem(image_file: str, used_names: set[str]) -> str:
    """Return the name of the label file for the image ``image_file``, without suffix.

    Images whose names differ only in suffix or case get different files; ``used_names``
    (casefolded) is updated.
    """
    relative_path = (
        posixpath.basename(image_file) if posixpath.isabs(image_file) else image_file.removeprefix(_IMAGE_PREFIX)
    )
    candidates = chain(
        (posixpath.splitext(relative_path)[0], relative_path), (f"{relative_path}-{number}" for number in count(2))
    )
    name = next(name for name in candidates if name.casefold() not in used_names)
    used_names.add(name.casefold())
    return require_valid_text(name)


def _check_class_name(name: str) -> str:
    """Return ``name``; raise ``DataError`` when it is empty, has spaces around it, or is not valid in XML."""
    if name.strip() != name or not name:
        raise DataError(
            _("The class name {name} starts or ends in a space.").format(name=ascii(name)), "", _("Rename it.")
        )
    return require_valid_text(name)


def _format_document(image_file: str, size: tuple[int, int], objects: ObjectTable, row: int, names: list[str]) -> str:
    """Return the XML of the image at ``row``, of ``size`` (height, width)."""
    folder = posixpath.basename(posixpath.dirname(image_file))
    lines = [
        "<annotation>",
        f"  <folder>{escape_text(folder)}</folder>",
        f"  <filename>{escape_text(image_file.removeprefix(_IMAGE_PREFIX))}</filename>",
        "  <source><database>lince</database><annotation>corners count from 0</annotation></source>",
        f"  <size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]
    rows = objects.slice_of_image(row)
    columns = zip(
        objects.class_ids[rows].tolist(), objects.boxes[rows].tolist(), objects.flags[rows].tolist(), strict=True
    )
    for class_id, box, flags in columns:
        lines += _object_lines(names[class_id], box, flags)
    return "\n".join([*lines, "</annotation>", ""])


def _object_lines(name: str, box: list[float], flags: int) -> list[str]:
    """Return the lines of one ``<object>``; ``box`` is (left, top, right, bottom) in pixels."""
    sides = "".join(f"<{side}>{format_number(value)}</{side}>" for side, value in zip(BOX_TAGS, box, strict=True))
    flag_tags = "".join(f"<{tag}>{int(bool(flags & flag))}</{tag}>" for tag, flag in FLAG_TAGS.items())
    return [
        "  <object>",
        f"    <name>{escape_text(name)}</name><pose>Unspecified</pose>{flag_tags}",
        f"    <bndbox>{sides}</bndbox>",
        "  </object>",
    ]
