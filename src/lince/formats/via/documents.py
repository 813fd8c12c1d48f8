"""Reads files of the VGG Image Annotator into records of images and regions: projects, exports as JSON and as CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.formats.csv_text import decode_text, find_first_line, read_records, split_cells
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, JsonValueError, is_encodable_text, load_json, peek_json
from lince.storage.tree import FileTree

FILE_COLUMN, FILE_ATTRIBUTES = "filename", "file_attributes"
SHAPE_COLUMN, ATTRIBUTES_COLUMN = "region_shape_attributes", "region_attributes"
METADATA_KEY, ATTRIBUTE_TYPES_KEY = "_via_img_metadata", "_via_attributes"
_HEAD_BYTES = 8192


@dataclass(frozen=True)
class ViaRegion:
    """A region: its shape and attributes as the file has them; ``path`` and ``line`` say where, for messages.

    ``shape`` is usually a record; what is not is refused where shapes are parsed.
    """

    path: str
    shape: Any
    attributes: dict[str, Any]
    line: int | None = None


@dataclass
class ViaImage:
    """An image with its regions and the attributes of the file as a whole."""

    label_file: str
    path: str
    reference: str
    attributes: dict[str, Any]
    line: int | None = None
    regions: list[ViaRegion] = field(default_factory=list)

    @property
    def content(self) -> tuple[Any, ...]:
        """What is said of the image, for comparison with what another file says of it."""
        return self.attributes, [(region.shape, region.attributes) for region in self.regions]


@dataclass(frozen=True)
class ViaDocument:
    """One file: its images, what could not be used, and the options of the attributes of regions and of files."""

    images: Sequence[ViaImage]
    rejected: Sequence[RejectedItem]
    options: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def is_via_json(tree: FileTree, name: str) -> bool:
    """Whether a JSON file begins as a project or an export of VIA 1 or 2."""
    value = peek_json(tree, name)
    if isinstance(value, dict) and METADATA_KEY in value:
        return True
    first = next(iter(value.values() if isinstance(value, dict) else value), None)
    return isinstance(first, dict) and {"filename", "regions"} <= first.keys()


def is_via_table(tree: FileTree, name: str) -> bool:
    """Whether a CSV file begins with the column names of VIA."""
    try:
        line, delimiter = find_first_line(decode_text(tree.head(name, _HEAD_BYTES)))
    except DataError:
        return False
    return {FILE_COLUMN, SHAPE_COLUMN} <= set(_read_header(line, delimiter))


def load_document(tree: FileTree, name: str) -> ViaDocument:
    """Return the content of a file; raise ``DataError`` when it is no project or export of VIA, or damaged."""
    if name.lower().endswith(".json"):
        return _load_json_document(tree, name)
    return _load_table(tree, name)


def _load_json_document(tree: FileTree, name: str) -> ViaDocument:
    root = JsonNode(load_json(tree, name), name)
    is_project = isinstance(root.value, dict) and METADATA_KEY in root.value
    images: list[ViaImage] = []
    rejected: list[RejectedItem] = []
    for node in iterate_values(root.get_child(METADATA_KEY) if is_project else root):
        try:
            images.append(_parse_image(node, name))
        except JsonValueError as error:
            rejected.append(RejectedItem(error.path, error.reason, error.remedy, None, error.kind))
    return ViaDocument(images, rejected, _read_options(root.value) if is_project else {})


def iterate_values(node: JsonNode) -> Iterator[JsonNode]:
    """Yield the values of a list or record; raise ``JsonValueError`` for anything else."""
    if isinstance(node.value, dict):
        return (node.get_child(key) for key in node.value)
    return node.items()


def _parse_image(node: JsonNode, name: str) -> ViaImage:
    """Return the image at ``node`` of the file ``name``; raise ``JsonValueError`` when it is none."""
    attributes = node.get_child(FILE_ATTRIBUTES).value
    image = ViaImage(name, node.path, node.get_text("filename"), attributes if isinstance(attributes, dict) else {})
    for region in iterate_values(node.get_child("regions")):
        value = region.value if isinstance(region.value, dict) else {}
        own = value.get(ATTRIBUTES_COLUMN)
        shape = value.get("shape_attributes")
        image.regions.append(ViaRegion(region.path, shape, own if isinstance(own, dict) else {}))
    return image


def _read_options(project: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Return the options of each attribute, by ``region`` or ``file`` and the attribute's name."""
    found: dict[str, dict[str, list[str]]] = {}
    kinds = project.get(ATTRIBUTE_TYPES_KEY)
    for kind, attributes in kinds.items() if isinstance(kinds, dict) else ():
        for name, attribute in attributes.items() if isinstance(attributes, dict) else ():
            options = attribute.get("options") if isinstance(attribute, dict) else None
            names = [key for key in options if key.strip() and is_encodable_text(key)] if options else []
            if isinstance(options, dict) and names:
                found.setdefault(kind, {})[name] = names
    return found


def _load_table(tree: FileTree, name: str) -> ViaDocument:
    text = decode_text(tree.read(name))
    line, delimiter = find_first_line(text)
    header = _read_header(line, delimiter)
    if not {FILE_COLUMN, SHAPE_COLUMN, ATTRIBUTES_COLUMN} <= set(header):
        raise DataError(
            _("{path} is not a table of VIA.").format(path=tree.root / name),
            _("Expected the columns {names}.").format(names=", ".join((FILE_COLUMN, SHAPE_COLUMN, ATTRIBUTES_COLUMN))),
            _("Export the annotations from VIA again."),
        )
    images: dict[tuple[str, str], ViaImage] = {}
    rejected: list[RejectedItem] = []
    records = read_records(tree.root / name, text, delimiter, len(header), [header.index(FILE_COLUMN)])
    next(records, None)
    for number, cells in records:
        try:
            _add_row(images, name, number, dict(zip(header, cells or (), strict=True)))
        except (ValueError, RecursionError):
            reason = _("not a row of VIA: {count} columns, or a cell that is not JSON").format(count=len(cells or ()))
            rejected.append(RejectedItem(name, reason, _("correct it, or export it again"), number, "row"))
    return ViaDocument(list(images.values()), rejected)


def _read_header(line: str, delimiter: str) -> list[str]:
    """Return the column names; VIA 1 writes a ``#`` before the first."""
    return [cell.strip().lstrip("#").lower() for cell in split_cells(line, delimiter)]


def _add_row(images: dict[tuple[str, str], ViaImage], name: str, number: int, row: dict[str, str]) -> None:
    """Add the region in a row to its image; raise ``ValueError`` where a cell is not a record in JSON.

    A row without a shape says that the image has no region.
    """
    key = row[FILE_COLUMN].strip(), row.get("file_size", "").strip()
    if not key[0]:
        raise ValueError(FILE_COLUMN)
    shape, attributes = _parse_cell(row[SHAPE_COLUMN]), _parse_cell(row[ATTRIBUTES_COLUMN])
    file_attributes = _parse_cell(row.get(FILE_ATTRIBUTES, ""))
    image = images.setdefault(key, ViaImage(name, name, key[0], file_attributes, number))
    if shape or row.get("region_count", "0").strip() not in ("", "0"):
        image.regions.append(ViaRegion(name, shape, attributes, number))


def _parse_cell(text: str) -> dict[str, Any]:
    value = json.loads(text) if text.strip() else {}
    if not isinstance(value, dict):
        raise ValueError(text)
    return value
