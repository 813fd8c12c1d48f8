"""Reads Supervisely: a project folder with ``meta.json``, and ``ann/NAME.json`` beside ``img/NAME`` in each data set.

Corners are pixels from the top left corner of the image, as the file gives them: older versions name the last pixel of
a box, newer ones its edge, and the file does not say which, so a box may be a pixel too small. A bitmap is a PNG,
compressed once more, at its place in the image. A tag of the image that is called as a split puts it there; another
one is the class of the image where the project marks no objects.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lince.errors import DataError
from lince.formats.builders.entry_table import EntryTableBuilder, ImageEntry
from lince.formats.builders.shapes import Shape, are_coordinates, make_mask, make_polygon
from lince.formats.format import Capability, Format
from lince.formats.masks import png
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing.json_reader import (
    JsonNode,
    JsonValueError,
    as_float,
    format_value,
    is_encodable_text,
    is_number,
    load_json,
    parse_image_side,
    peek_json,
)
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS
from lince.storage.tree import DataLocation, FileTree

NAME = "supervisely"
_META_FILE = "meta.json"
_ANNOTATION_FOLDER = "ann"
_MAX_PROBES = 8
_MAX_MASK_BYTES = 2**26  # of one bitmap as PNG


def detect(location: DataLocation) -> str | None:
    """Return the number of annotation files and the name of one, ``None`` when no sampled JSON file is one."""
    names = [name for name in location.find_by_suffix(".json") if not _is_meta(name)]
    probes = names[:: max(1, len(names) // _MAX_PROBES)][: _MAX_PROBES + 1]
    match = next((name for name in probes if _is_annotation(location.tree, name)), None)
    return None if match is None else _("JSON of Supervisely such as {name}").format(name=match)


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read one image per annotation file; ``meta.json`` gives the order of the classes.

    A file without objects says that its image shows none. Shapes without area, and tags of whole images beside objects,
    are named. Raise ``DataError`` when a file that was named itself cannot be used.
    """
    json_files = location.find_by_suffix(".json")
    others = [] if location.file else _list_other_files(json_files)
    label_files = [name for name in json_files if name not in set(others)]
    entries = [(name, _list_references(name)[0]) for name in label_files]
    table = EntryTableBuilder(location, entries, options)
    tagged = _TaggedImages()
    for name in location.tree.listing.find_by_suffix(_META_FILE):
        if _is_meta(name):
            table.class_index.declare_classes(_read_classes(location.tree, name))
    with progress.open_stage(_("Reading the labels"), len(label_files)) as stage:
        for name in label_files:
            _add_file(table, location, name, tagged)
            stage.advance()
    tagged.add_to(table)
    for name in others:
        if not _is_meta(name):
            table.builder.reject(name, _("it is no annotation of an image"), kind="other-labels")
    return table.build_table(NAME)


class _TaggedImages:
    """The tags of images as a whole: classes where no file of the project marks an object, else only counted."""

    def __init__(self) -> None:
        self._plain_entries: list[tuple[ImageEntry, list[str]]] = []
        self._tagged_files: list[str] = []
        self._has_objects = False

    def take(self, entry: ImageEntry, tags: list[str]) -> bool:
        """Count an image with its tags; return whether it has no objects, so that it is added at the end."""
        self._tagged_files += [entry.label_file] if tags else []
        self._has_objects = self._has_objects or bool(entry.object_count)
        if not entry.object_count:
            self._plain_entries.append((entry, tags))
        return not entry.object_count

    def add_to(self, table: EntryTableBuilder) -> None:
        """Add the images without objects, with their classes where tags are classes."""
        are_classes = bool(self._tagged_files) and not self._has_objects
        for entry, tags in self._plain_entries:
            if are_classes and not tags:
                table.builder.reject(entry.path, _("no class"), _("give it a tag"), kind="no-class")
            else:
                table.add_image(replace(entry, class_names=tuple(tags)) if are_classes else entry)
        if self._tagged_files and not are_classes:
            reason = _("its tag of the whole image is not read ({count} files have one)")
            reason = reason.format(count=len(self._tagged_files))
            table.builder.reject(self._tagged_files[0], reason, kind="reduced")


def _list_other_files(names: Sequence[str]) -> list[str]:
    """Return the JSON files that are no annotations: ``meta.json``, and those outside of the folders ``ann``."""
    is_project = any(_is_in_folder(name, _ANNOTATION_FOLDER) for name in names)
    return [name for name in names if _is_meta(name) or (is_project and not _is_in_folder(name, _ANNOTATION_FOLDER))]


def _is_in_folder(name: str, folder: str) -> bool:
    return posixpath.basename(posixpath.dirname(name)) == folder


def _add_file(table: EntryTableBuilder, location: DataLocation, name: str, tagged: _TaggedImages) -> None:
    """Add the image and the objects of the file ``name``, or its rejection; one without objects goes to ``tagged``."""
    try:
        root = JsonNode(load_json(location.tree, name), name)
        objects = list(root.get_child("objects").items())
    except DataError as error:
        if location.file:
            raise error.to_file_error(location.tree.root) if isinstance(error, JsonValueError) else error from error
        reason = error.reason if isinstance(error, JsonValueError) else error.problem.rstrip(".")
        table.builder.reject(name, reason, error.remedy or _("export it again"))
        return
    size = _read_size(root)
    entry = ImageEntry(name, name, _list_references(name), None, size, _read_split(root), None, True, len(objects))
    if tagged.take(entry, _read_image_tags(root)):
        return
    row = table.add_image(entry)
    for node in objects if row is not None else ():
        try:
            class_name, shape = _parse_object(node, size)
        except JsonValueError as error:
            table.reject_value(error, row)
        else:
            table.add_object(row or 0, class_name, shape, node.path)


def _list_references(name: str) -> tuple[str, ...]:
    """Return what the image of an annotation file may be called: ``ds/img/a.jpg`` for ``ds/ann/a.jpg.json``."""
    folder, stem = posixpath.dirname(name), posixpath.basename(name)[: -len(".json")]
    beside = f"/{posixpath.join(posixpath.dirname(folder), 'img', stem)}"
    return posixpath.relpath(beside, f"/{folder}"), stem


def _read_size(root: JsonNode) -> tuple[int, int]:
    """Return (height, width) of the document, zeros where it gives none."""
    size = root.value.get("size")
    height, width = (parse_image_side(size.get(key)) if isinstance(size, dict) else 0 for key in ("height", "width"))
    return (height, width) if height and width else (0, 0)


def _read_split(root: JsonNode) -> int | None:
    """Return the split that a tag of the image names, ``None`` where none does, or several do."""
    tags = root.value.get("tags")
    names = [tag.get("name") for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
    splits = {SPLIT_WORDS[name.lower()] for name in names if isinstance(name, str) and name.lower() in SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def _read_image_tags(root: JsonNode) -> list[str]:
    """Return the tags of the image as a whole that are no splits: the text of each, else its name."""
    tags = root.value.get("tags")
    names = []
    for tag in tags if isinstance(tags, list) else ():
        texts = [tag.get(key) for key in ("value", "name")] if isinstance(tag, dict) else []
        text = next((one for one in texts if isinstance(one, str) and one.strip() and is_encodable_text(one)), "")
        if text and text.lower() not in SPLIT_WORDS:
            names.append(text.strip())
    return list(dict.fromkeys(names))


def _parse_object(node: JsonNode, size: tuple[int, int]) -> tuple[str, Shape]:
    """Return class and shape of an object; raise ``JsonValueError`` for what has no area."""
    class_name = node.get_text("classTitle")
    if not class_name.strip():
        raise JsonValueError(node.path, _("a shape without a label"), "no-class")
    kind = node.get_child("geometryType").value
    if kind is None:
        kind = "bitmap" if node.get_child("bitmap").value is not None else "polygon"
    if kind == "bitmap":
        return class_name, _parse_bitmap(node.get_child("bitmap"), size)
    if kind not in ("rectangle", "polygon"):
        raise JsonValueError(node.path, _("a shape of type {kind}, which has no area").format(kind=format_value(kind)))
    points = node.get_child("points")
    corners = _parse_points(points.get_child("exterior"))
    if kind == "rectangle":
        if len(corners) != 2:
            raise JsonValueError(node.path, _("a rectangle of {count} points").format(count=len(corners)))
        (x1, y1), (x2, y2) = corners
        return class_name, Shape((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
    if len(corners) < 3:
        raise JsonValueError(node.path, _("a polygon of {count} points").format(count=len(corners)), "empty")
    interior = points.get_child("interior")
    holes = [_parse_points(hole) for hole in interior.items()] if interior.value else []
    return class_name, make_polygon(corners, [hole for hole in holes if len(hole) > 2])


def _parse_points(node: JsonNode) -> list[tuple[float, float]]:
    """Return pairs of x and y; raise ``JsonValueError`` for anything else."""
    values = node.as_list()
    if not all(isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) for value in values):
        raise node.make_error(_("pairs of numbers"))
    points = [(as_float(x), as_float(y)) for x, y in values]
    if not all(map(are_coordinates, points)):
        raise JsonValueError(node.path, _("a coordinate is not a number"), "number")
    return points


def _parse_bitmap(node: JsonNode, size: tuple[int, int]) -> Shape:
    """Return the mask of a bitmap; raise ``JsonValueError`` where it is damaged or does not fit into the image."""
    origin = node.get_numbers("origin", 2)
    if not all(size) or not are_coordinates(origin):
        raise JsonValueError(node.path, _("a mask without its corner, or without the size of its image"))
    try:
        decompressor = zlib.decompressobj()
        data = decompressor.decompress(base64.b64decode(node.get_text("data"), validate=True), _MAX_MASK_BYTES)
        values = png.decode_mask_png(data, as_alpha=True).values
    except (binascii.Error, ValueError, zlib.error) as error:
        raise JsonValueError(f"{node.path}/data", _("text that is not base64 of a compressed PNG")) from error
    except JsonValueError:
        raise
    except DataError as error:
        raise JsonValueError(f"{node.path}/data", error.problem.rstrip(".")) from error
    left, top = map(int, origin)
    shape = make_mask(np.asarray(values != 0), left, top, size)
    if shape is None:
        raise JsonValueError(node.path, _("a mask that is empty or does not fit into the image"), "outside")
    return shape


def _is_meta(name: str) -> bool:
    return posixpath.basename(name).lower() == _META_FILE


def _is_annotation(tree: FileTree, name: str) -> bool:
    """Whether the beginning of a JSON file has the keys of an annotation of an image."""
    value = peek_json(tree, name)
    if not isinstance(value, dict) or not isinstance(value.get("objects"), list):
        return False
    first = next(iter(value["objects"]), None)
    if isinstance(first, dict):
        return "classTitle" in first or "classId" in first
    return first is None and isinstance(value.get("size"), dict) and "tags" in value


def _read_classes(tree: FileTree, name: str) -> list[str]:
    """Return the titles of the classes in ``meta.json``; none where it cannot be read."""
    try:
        return [node.get_text("title") for node in JsonNode(load_json(tree, name), name).get_child("classes").items()]
    except DataError:
        return []


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.LABELS
    | Capability.BOXES
    | Capability.OUTLINES
    | Capability.MASKS
    | Capability.SPLITS
    | Capability.CLASSES
    | Capability.NEGATIVES,
)
