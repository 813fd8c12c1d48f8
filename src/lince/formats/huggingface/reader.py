"""Reads Hugging Face image folders: ``metadata.jsonl`` or ``metadata.csv`` beside the images, with classes or boxes.

A record has ``file_name``, and ``label`` (a name or a number), or ``objects`` with ``bbox`` (left, top, width and
height in pixels; corners where only these fit the images) and ``categories``. Names of numbers are those of the card,
``README.md``. A ``metadata.csv`` with classes alone is read as a table of classes.
"""

from __future__ import annotations

import ast
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lince.errors import DataError
from lince.formats.builders.box_numbers import are_fractions, join_sides, tell_corners
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject
from lince.formats.csv_headers import CLASS_HEADERS
from lince.formats.csv_nodes import read_row_nodes
from lince.formats.csv_text import decode_text, find_first_line, split_cells
from lince.formats.format import Capability, Format
from lince.formats.huggingface.card import read_class_names
from lince.formats.huggingface.writer import FILE_NAME, image_path, write
from lince.formats.image_lookup import ImageLookup, read_sizes_by_name
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing.json_lines import iterate_json_lines, read_json_lines
from lince.parsing.json_reader import JsonNode, JsonValueError, is_encodable_text, is_number
from lince.progress import SILENT, Progress
from lince.splits import infer_split_from_folders
from lince.storage.tree import DataLocation, FileTree

NAME = "huggingface"
_TABLE_NAME = "metadata.csv"
_HEAD_BYTES = 65_536
_MAX_PROBES = 64
_OBJECTS = "objects"
_BOX_KEYS = ("bbox", "boxes", "box")
_CATEGORY_KEYS = ("categories", "category", "category_id", "labels", "label", "class", "classes")


def detect(location: DataLocation) -> str | None:
    """Return the names of the metadata files with classes or boxes, ``None`` when there are none."""
    files = [name for name in _list_files(location)[:_MAX_PROBES] if _has_labels(location.tree, name)]
    return _("Hugging Face's metadata: {names}").format(names=", ".join(files[:4])) if files else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every metadata file; the split of an image is that of a folder named as one.

    Records that cannot be used are rejected with their lines, and images that no record names. Raise ``DataError`` when
    a file cannot be read, or there is none.
    """
    tree = location.tree
    files = [location.file] if location.file else _list_files(location)
    if not files:
        raise DataError(
            _("{path} contains no {name}.").format(path=location.path, name=FILE_NAME),
            _("Expected one beside the images of each split."),
        )
    reader = _MetadataReader(tree, options)
    for name in files:
        reader.read_file(name)
    return reader.build_table(progress)


@dataclass(frozen=True)
class _RawBox:
    """A box of a record: four numbers as they stand there, the provisional class id, and its path."""

    numbers: Box
    class_id: int
    path: str


@dataclass(frozen=True)
class _Record:
    """A usable record: its file and path, the provisional class ids of its image, its boxes, and how many it lost.

    ``class_ids`` are ``None`` where it says nothing of classes, and empty where it has a list without one.
    """

    file: str
    path: str
    class_ids: list[int] | None
    boxes: list[_RawBox]
    refused_count: int


class _MetadataReader:
    """Collects the records of all files by image, then adds images and objects to one table."""

    def __init__(self, tree: FileTree, options: ReadOptions) -> None:
        self._tree = tree
        self._image_lookup = ImageLookup(tree)
        self._builder = ObjectTableBuilder(options)
        self._class_names = read_class_names(tree)
        self._class_index = ClassIndex(name for _number, name in sorted(self._class_names.items()))
        self._records: dict[str, _Record] = {}

    def read_file(self, name: str) -> None:
        """Collect the records of the file ``name``; those that cannot be used are rejected."""
        is_table = name.lower().endswith(".csv")
        nodes = (
            read_row_nodes(self._tree, name, _parse_cell, with_empty=True)
            if is_table
            else read_json_lines(self._tree, name)
        )
        for node in nodes:
            try:
                if isinstance(node, JsonValueError):
                    raise node
                self._add_record(node, name)
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)
        self._builder.rejected += self._image_lookup.pop_guesses(name)

    def build_table(self, progress: Progress) -> LabelTable:
        """Return the table of all records; images that none names are rejected."""
        sizes = read_sizes_by_name(self._tree, [name for name, one in self._records.items() if one.boxes], progress)
        are_corners = {name: self._tell_corners(name, sizes) for name in {one.file for one in self._records.values()}}
        with progress.open_stage(_("Reading the labels"), len(self._records)) as stage:
            for image_name, record in self._records.items():
                corners, normalised = are_corners[record.file]
                self._add_image(image_name, record, sizes.get(image_name, (0, 0)), corners, normalised)
                stage.advance()
        for name in self._image_lookup.names if not self._tree.is_remote else ():
            if name not in self._records:
                reason = _("no row of {table} names it").format(table=FILE_NAME)
                self._builder.reject(name, reason, _("add a row for it"), kind="unlabelled")
        table = self._builder.build_table(self._tree, NAME, self._class_index.names)
        return self._class_index.finalise_table(table)

    def _add_record(self, node: JsonNode, name: str) -> None:
        """Collect a record of the file ``name``; raise ``JsonValueError`` when it cannot be used."""
        reference, folder = node.get_text("file_name"), posixpath.dirname(name)
        image_name = self._image_lookup.find_by_name_or_stem(reference, folder)
        if image_name is None or not is_encodable_text(image_name):
            reason = _("no such file: {name}").format(name=reference[:200])
            reason = self._image_lookup.explain_missing(reason, reference, folder)
            raise JsonValueError(node.path, reason, "no-image")
        self._image_lookup.note_guess(reference, image_name)
        if image_name in self._records:
            raise JsonValueError(node.path, _("{name} appears twice").format(name=image_name), "double")
        has_objects = _OBJECTS in node.value
        classes = self._list_classes(node)
        if classes is None and not has_objects:
            raise JsonValueError(node.path, _("no class"), "no-class")
        refused_before = len(self._builder.rejected)
        boxes = list(self._parse_boxes(node)) if has_objects else []
        refused_count = len(self._builder.rejected) - refused_before
        class_ids = None if classes is None else [self._class_index.get_id(one) for one in classes]
        self._records[image_name] = _Record(name, node.path, class_ids, boxes, refused_count)

    def _list_classes(self, node: JsonNode) -> list[str] | None:
        """Return the classes of the image as a whole, ``None`` where nothing is said of them.

        Raise ``JsonValueError`` for values that are no class.
        """
        key = next((key for key in node.value if key.lower() in (*CLASS_HEADERS, "labels")), None)
        value = None if key is None else node.value[key]
        if key is None or value is None:
            return None
        values = value if isinstance(value, list) else [value]
        return list(dict.fromkeys(self._name_class(JsonNode(one, f"{node.path}#/{key}")) for one in values))

    def _name_class(self, node: JsonNode) -> str:
        """Return the name of a class that is given by name or number; raise ``JsonValueError`` for anything else."""
        value = node.value
        if is_number(value) and (isinstance(value, int) or value.is_integer()):
            return self._class_names.get(int(value), str(int(value)))
        if not isinstance(value, str) or not value.strip() or not is_encodable_text(value):
            raise node.make_error(_("the name of a class"))
        return value.strip()

    def _parse_boxes(self, node: JsonNode) -> Iterator[_RawBox]:
        """Yield the boxes of a record; those that cannot be used are rejected."""
        objects = node.get_child(_OBJECTS)
        if objects.value is None:
            return
        for box, category in _pair_objects(objects):
            try:
                if not isinstance(box.value, list) or len(box.value) != 4 or not all(map(is_number, box.value)):
                    raise box.make_error(_("{count} numbers").format(count=4))
                left, top, third, fourth = map(_to_float, box.value)
                class_id = self._class_index.get_id(self._name_class(category))
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)
            else:
                yield _RawBox((left, top, third, fourth), class_id, box.path)

    def _tell_corners(self, name: str, sizes: Mapping[str, tuple[int, int]]) -> tuple[bool, bool]:
        """Return whether the boxes of a file are corners, and whether they are fractions; corners are told."""
        pairs = [
            (box.numbers, sizes[image_name])
            for image_name, record in self._records.items()
            if record.file == name
            for box in record.boxes
        ]
        boxes = [numbers for numbers, _size in pairs]
        normalised = are_fractions(boxes)
        corners = bool(tell_corners(boxes, [size for _box, size in pairs], normalised))
        if corners:
            reason = _("boxes are read as left, top, right, bottom, since they do not fit otherwise")
            self._builder.reject(name, reason, _("write them as left, top, width, height"), kind="assumed")
        return corners, normalised

    def _add_image(
        self, image_name: str, record: _Record, size: tuple[int, int], corners: bool, normalised: bool
    ) -> None:
        """Add an image of ``size`` (height, width), and its objects, to the table."""
        if normalised and record.boxes and not all(size):
            reason = _("its size cannot be read, so its labels cannot be used")
            self._builder.reject(image_name, reason, _("save it as JPEG or PNG, or remove it"), kind="unusable")
            return
        row = self._builder.add_image(image_name, infer_split_from_folders(image_name), size, record.class_ids)
        self._builder.count_refused(row, record.refused_count)
        height, width = size
        scale = (width, height, width, height) if normalised else (1, 1, 1, 1)
        for box in record.boxes:
            numbers = box.numbers if corners else join_sides(box.numbers)
            left, top, right, bottom = (value * side for value, side in zip(numbers, scale, strict=True))
            self._builder.add(row, RawObject(box.class_id, (left, top, right, bottom), box.path))


def _pair_objects(objects: JsonNode) -> Iterator[tuple[JsonNode, JsonNode]]:
    """Yield the nodes of box and class of each object: of a record of two lists, or a list of records.

    Raise ``JsonValueError`` when it is neither, or the lists differ in length.
    """
    if isinstance(objects.value, list):
        for item in objects.items():
            if not isinstance(item.value, dict):
                raise item.make_error(_("a record"))
            yield item.get_child(_find_key(item, _BOX_KEYS)), item.get_child(_find_key(item, _CATEGORY_KEYS))
        return
    boxes = list(objects.get_child(_find_key(objects, _BOX_KEYS)).items())
    categories = list(objects.get_child(_find_key(objects, _CATEGORY_KEYS)).items())
    if len(boxes) != len(categories):
        reason = _("{boxes} boxes and {classes} classes").format(boxes=len(boxes), classes=len(categories))
        raise JsonValueError(objects.path, reason)
    yield from zip(boxes, categories, strict=True)


def _find_key(node: JsonNode, keys: tuple[str, ...]) -> str:
    """Return the first of ``keys`` in a record, or the first of all where there is none or it is no record."""
    return next((key for key in keys if isinstance(node.value, dict) and key in node.value), keys[0])


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _list_files(location: DataLocation) -> list[str]:
    """Return the files that are called as Hugging Face's metadata; tables only where they have objects."""
    names = location.find_by_suffix(".jsonl", ".csv")
    return [
        name
        for name in names
        if posixpath.basename(name).lower() == FILE_NAME
        or (posixpath.basename(name).lower() == _TABLE_NAME and _is_table_of_objects(location.tree, name))
    ]


def _is_table_of_objects(tree: FileTree, name: str) -> bool:
    """Whether a CSV file has the columns ``file_name`` and ``objects``."""
    try:
        line, delimiter = find_first_line(decode_text(tree.head(name, _HEAD_BYTES)))
    except DataError:
        return False
    return {"file_name", _OBJECTS} <= {cell.strip() for cell in split_cells(line, delimiter)}


def _has_labels(tree: FileTree, name: str) -> bool:
    """Whether a metadata file begins with records that have a class or objects."""
    if name.lower().endswith(".csv"):
        return True
    try:
        lines = tree.head(name, _HEAD_BYTES).decode("utf-8-sig", "replace")
    except DataError:
        return False
    values = (node.value for node in iterate_json_lines(lines, name) if isinstance(node, JsonNode))
    records = (value for value in values if isinstance(value, dict) and "file_name" in value)
    return any(key.lower() in (*CLASS_HEADERS, "labels", _OBJECTS) for record in records for key in record)


def _parse_cell(cell: str) -> Any:
    """Return the list or record in a cell, as JSON or Python writes it, ``None`` for an empty one, else its text."""
    if not cell.lstrip().startswith(("[", "{")):
        return cell.strip() or None
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(json.dumps(ast.literal_eval(cell.strip())))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return cell


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.LABELS | Capability.LABEL_SETS | Capability.BOXES | Capability.SPLITS | Capability.NEGATIVES,
    write,
    image_path,
)
