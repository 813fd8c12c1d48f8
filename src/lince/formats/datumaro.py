"""Reads Datumaro: ``annotations/SUBSET.json`` with all images of a subset, photos in ``images/SUBSET``.

Polygons of one group and class are one object of several rings, and a box in their group is theirs, as in Datumaro's
own export to COCO. A subset is a split where it is called so. A label of an image as a whole is its class.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lince.annotations import CROWD, DIFFICULT, OCCLUDED, TRUNCATED
from lince.errors import DataError
from lince.formats.builders.entry_table import EntryTableBuilder, ImageEntry
from lince.formats.builders.object_table import Box, compute_bounding_box
from lince.formats.builders.shapes import Shape, are_coordinates, make_ellipse, make_polygon
from lince.formats.coco.annotation import parse_mask
from lince.formats.format import Capability, Format
from lince.formats.table import LabelTable, ReadOptions
from lince.geometry import compute_iou
from lince.i18n import _
from lince.parsing.json_reader import (
    JsonNode,
    JsonValueError,
    format_value,
    is_encodable_text,
    load_json,
    parse_image_side,
    peek_json,
)
from lince.progress import SILENT, Progress
from lince.splits import parse_split_name
from lince.storage.tree import DataLocation, FileTree, get_file_stem

NAME = "datumaro"
_MAX_PROBES = 64
_MIN_IOU = 0.5  # of a box and the outline of its group, for both to be one object
_FLAGS = {"occluded": OCCLUDED, "truncated": TRUNCATED, "difficult": DIFFICULT, "is_crowd": CROWD}


@dataclass(frozen=True)
class _GroupedShape:
    """A shape with its class, place, flags, and group, which is ``None`` for none."""

    class_name: str
    shape: Shape
    path: str
    flags: int
    group: tuple[str, int | str] | None


def detect(location: DataLocation) -> str | None:
    """Return the names of the files of Datumaro, ``None`` when there are none."""
    names = _find_label_files(location, _MAX_PROBES)
    return _("JSON of Datumaro: {names}").format(names=", ".join(names[:4])) if names else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every item of every subset; an item without annotations shows no object.

    Annotations without area, such as points, are named. Raise ``DataError`` when a file is damaged.
    """
    label_files = [location.file] if location.file else _find_label_files(location)
    roots = [JsonNode(load_json(location.tree, name), name) for name in label_files]
    references = []
    for root in roots:
        try:
            references += [(root.path, _list_references(node, root.path)[0]) for node in _list_items(root)[:20]]
        except JsonValueError as error:
            raise error.to_file_error(location.tree.root) from error
    table = EntryTableBuilder(location, references, options)
    with progress.open_stage(_("Reading the labels"), len(roots)) as stage:
        for root in roots:
            names = _read_class_names(root)
            table.class_index.declare_classes(name for name in names if name)
            for node in _list_items(root):
                _add_item(table, root.path, node, names)
            stage.advance()
    return table.build_table(NAME)


def _list_items(root: JsonNode) -> list[JsonNode]:
    return list(root.get_child("items").items())


def _list_references(item: JsonNode, label_file: str) -> tuple[str, ...]:
    """Return what the image of an item may be called: by its path in ``images/SUBSET`` or ``images``, or by its id."""
    names = []
    for key in ("image", "media"):
        media = item.value.get(key) if isinstance(item.value, dict) else None
        path = media.get("path") if isinstance(media, dict) else None
        names += [path] if isinstance(path, str) and path.strip() and is_encodable_text(path) else []
    item_id = item.value.get("id") if isinstance(item.value, dict) else None
    names += [item_id] if isinstance(item_id, str) and item_id.strip() and is_encodable_text(item_id) else []
    subset = get_file_stem(label_file)
    folders = (f"../images/{subset}", "../images", "")
    return tuple(posixpath.join(folder, name) for name in names for folder in folders) or ("",)


def _add_item(table: EntryTableBuilder, label_file: str, item: JsonNode, names: Sequence[str]) -> None:
    """Add an image with its class and objects, or reject it; ``names`` are the classes by their number."""
    try:
        annotations = list(item.get_child("annotations").items())
        references = _list_references(item, label_file)
        if not references[0]:
            raise item.make_error(_("a record with an id"))
    except JsonValueError as error:
        table.reject_value(error)
        return
    size = _read_size(item.value)
    labels = [node for node in annotations if node.value.get("type") == "label"] if _are_records(annotations) else []
    class_names = _read_image_classes(table, labels, names)
    split = parse_split_name(get_file_stem(label_file))
    objects = [node for node in annotations if node not in labels]
    entry = ImageEntry(
        label_file, item.path, references, None, size, split, class_names or None, object_count=len(objects)
    )
    row = table.add_image(entry)
    if row is not None:
        _add_objects(table, row, objects, names, size)


def _read_image_classes(table: EntryTableBuilder, labels: Sequence[JsonNode], names: Sequence[str]) -> tuple[str, ...]:
    """Return the different classes of an image as a whole; labels of an unknown number are rejected."""
    found: dict[str, None] = {}
    for node in labels:
        try:
            found[_find_class_name(node, names)] = None
        except JsonValueError as error:
            table.reject_value(error)
    return tuple(name for name in found if name)


def _are_records(nodes: Sequence[JsonNode]) -> bool:
    return all(isinstance(node.value, dict) for node in nodes)


def _add_objects(
    table: EntryTableBuilder, row: int, nodes: Sequence[JsonNode], names: Sequence[str], size: tuple[int, int]
) -> None:
    """Add the objects of an image; polygons of one group and class are joined, and boxes around them left out."""
    found: list[_GroupedShape] = []
    places: dict[tuple[str, Any], int] = {}
    for node in nodes:
        try:
            class_name = _find_class_name(node, names)
            shape = _parse_shape(node, size)
            if not class_name:
                raise JsonValueError(node.path, _("a shape without a label"), "no-class")
        except JsonValueError as error:
            table.reject_value(error, row)
            continue
        group = node.value.get("group")
        key = (class_name, group) if group and isinstance(group, (int, str)) and not shape.mask else None
        if shape.rings and key is not None and key in places:
            first = found[places[key]]
            rings = [*first.shape.rings, *shape.rings]
            found[places[key]] = replace(first, shape=Shape(compute_bounding_box(rings), rings))
            continue
        if shape.rings and key is not None:
            places[key] = len(found)
        found.append(_GroupedShape(class_name, shape, node.path, _parse_flags(node), key))
    _add_grouped(table, row, found, {key: found[place] for key, place in places.items()})


def _add_grouped(
    table: EntryTableBuilder,
    row: int,
    found: Sequence[_GroupedShape],
    outlines: Mapping[tuple[str, Any], _GroupedShape],
) -> None:
    """Add ``found`` without the boxes that stand around the outline of their group in ``outlines``, which are told."""
    boxes = []
    for one in found:
        outline = outlines.get(one.group) if one.group is not None else None
        if outline is None or one.shape.rings or not _coincide(one.shape.box, outline.shape.box):
            table.add_object(row, one.class_name, one.shape, one.path, flags=one.flags)
        else:
            boxes.append(one)
    if boxes:
        reason = _("{count} boxes stand around polygons of their group, which are read").format(count=len(boxes))
        table.builder.reject(boxes[0].path, reason, kind="reduced")


def _coincide(box: Box, other: Box) -> bool:
    """Whether two boxes are those of one object."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(compute_iou(np.array([box]), np.array([other]))[0, 0] >= _MIN_IOU)


def _find_class_name(node: JsonNode, names: Sequence[str]) -> str:
    """Return the class of an annotation, '' for none; raise ``JsonValueError`` for an unknown number."""
    if node.get_child("label_id").value is None:
        return ""
    label_id = node.get_integer("label_id")
    if not 0 <= label_id < len(names) or not names[label_id]:
        raise JsonValueError(f"{node.path}/label_id", _("{value} is not declared").format(value=label_id), "class")
    return names[label_id]


def _parse_shape(node: JsonNode, size: tuple[int, int]) -> Shape:
    """Return the shape of an annotation in pixels; raise ``JsonValueError`` for those without area."""
    kind = node.get_child("type").value
    if kind == "bbox":
        left, top, width, height = node.get_numbers("bbox", 4)
        return Shape((left, top, left + width, top + height))
    if kind == "mask":
        mask, box = parse_mask(node.get_child("rle"), size)
        return Shape(box, (), mask)
    if kind not in ("polygon", "ellipse"):
        raise JsonValueError(node.path, _("a shape of type {kind}, which has no area").format(kind=format_value(kind)))
    numbers = node.get_numbers("points")
    if not are_coordinates(numbers):
        raise JsonValueError(node.path, _("a coordinate is not a number"), "number")
    if kind == "ellipse" and len(numbers) == 4:
        left, top, right, bottom = numbers
        return make_ellipse(((left + right) / 2, (top + bottom) / 2), ((right - left) / 2, (bottom - top) / 2))
    if len(numbers) < 6 or len(numbers) % 2:
        raise JsonValueError(node.path, _("a polygon of {count} points").format(count=len(numbers) // 2), "empty")
    return make_polygon(list(zip(numbers[::2], numbers[1::2], strict=True)))


def _parse_flags(node: JsonNode) -> int:
    attributes = node.value.get("attributes")
    if not isinstance(attributes, dict):
        return 0
    return sum(flag for name, flag in _FLAGS.items() if attributes.get(name) in (True, 1))


def _read_size(item: Any) -> tuple[int, int]:
    """Return (height, width) of the image of an item, zeros where it gives none."""
    image = item.get("image") if isinstance(item, dict) else None
    size = image.get("size") if isinstance(image, dict) else None
    sides = [parse_image_side(value) for value in size] if isinstance(size, list) and len(size) == 2 else [0, 0]
    return (sides[0], sides[1]) if all(sides) else (0, 0)


def _read_class_names(root: JsonNode) -> list[str]:
    """Return the names of the classes by their number; '' for one without a name. None where the file lists none."""
    try:
        nodes = list(root.get_child("categories").get_child("label").get_child("labels").items())
    except JsonValueError:
        return []
    names = [node.value.get("name") if isinstance(node.value, dict) else None for node in nodes]
    return [name if isinstance(name, str) and name.strip() and is_encodable_text(name) else "" for name in names]


def _find_label_files(location: DataLocation, probes: int | None = None) -> list[str]:
    return [name for name in location.find_by_suffix(".json")[:probes] if _is_datumaro(location.tree, name)]


def _is_datumaro(tree: FileTree, name: str) -> bool:
    """Whether a JSON file begins with the categories of Datumaro, which are a record."""
    value = peek_json(tree, name)
    if not isinstance(value, dict):
        return False
    categories = value.get("categories")
    kinds = {"label", "mask", "points"}
    try:
        return isinstance(categories, dict) and (
            isinstance(value.get("items"), list) or bool(kinds & categories.keys() and value.keys() & {"info", "items"})
        )
    except DataError:
        return False


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.LABELS
    | Capability.BOXES
    | Capability.OUTLINES
    | Capability.MASKS
    | Capability.SPLITS
    | Capability.FLAGS
    | Capability.CLASSES
    | Capability.NEGATIVES
    | Capability.MULTI_RING_OUTLINES,
    supported_flags=CROWD | DIFFICULT | OCCLUDED | TRUNCATED,
)
