"""CreateML JSON: a list of photos, each with labels and boxes (Apple, "Building an object detector data source").

A box is its middle and its sides in pixels of the upright photo, counted from the top left corner. Apple lets a program
say at training time that they are meant otherwise, but the file cannot: one whose numbers are all within 0 and 1 holds
shares of the photo, everything else is taken for pixels. Both ways to write the keys are read (``image`` and
``annotations``; ``imagefilename`` and ``annotation``), and one file for each part as Roboflow lays them out.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince.annotations import ObjectTable
from lince.errors import DataError
from lince.fileio import write_text
from lince.formats import image_lookup as headers
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject
from lince.formats.format import Capability, Format, WriteRequest
from lince.formats.image_lookup import ImageLookup
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, is_encodable_text, load_json, peek_json
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, SPLITS, UNASSIGNED
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "createml"
_FILE_NAME = "_annotations.createml.json"
_IMAGE_KEYS = ("image", "imagefilename", "imageFilename")
_ANNOTATION_KEYS = ("annotations", "annotation")
_COORDINATE_KEYS = ("x", "y", "width", "height")
_MAX_PROBES = 64


def detect(place: DataLocation) -> str | None:
    """Return what speaks for CreateML: JSON files that are lists of photos with labels and coordinates."""
    found = _find_label_files(place, _MAX_PROBES)
    return _("JSON lists of photos and boxes: {names}").format(names=", ".join(found[:4])) if found else None


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read every such file; a photo's part is told by the folder or, of several files, by the name of its file.

    Raise ``DataError`` when a file is no list in JSON.
    """
    files = _with_sibling_files(place, _find_label_files(place)) or place.find_by_suffix(".json")
    lists = {name: list(JsonNode(load_json(place.tree, name), name).items()) for name in files}
    tree, prefix = _find_image_root(place, lists)
    return _CreateMLReader(tree, prefix, options).read_lists(lists, progress)


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: beside the file of its part."""
    return f"{split}/{file_name}" if split else file_name


def write(export: WriteRequest, folder: Path) -> None:
    """Write one file for each part, into its folder; images of no part stand in the one above."""
    words = {split: word for word, split in SPLITS.items()}
    found: dict[str, list[Any]] = {}
    for row, name in enumerate(export.image_paths):
        word = words.get(int(export.table.splits[row]), "")
        mention = name.removeprefix(f"{word}/") if word and not posixpath.isabs(name) else name
        found.setdefault(word, []).append({"image": mention, "annotations": _annotation_records(export, row)})
    for word, entries in found.items():
        target = folder / word / _FILE_NAME
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _annotation_records(export: WriteRequest, row: int) -> list[dict[str, Any]]:
    table = export.table
    objects = table.objects or ObjectTable.empty(len(table.names))
    here = objects.slice_of_image(row)
    found = []
    for class_id, (left, top, right, bottom) in zip(
        objects.class_ids[here].tolist(), objects.boxes[here].tolist(), strict=True
    ):
        middle = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        coordinates = dict(zip(_COORDINATE_KEYS, middle, strict=True))
        found.append({"label": table.classes.names[class_id], "coordinates": coordinates})
    return found


@dataclass(frozen=True)
class _ImageEntry:
    """One photo that a file speaks of, its split, and its marks."""

    image_name: str
    split: int
    annotations: list[JsonNode]
    normalised: bool


class _CreateMLReader:
    def __init__(self, tree: FileTree, prefix: str, options: ReadOptions) -> None:
        self._image_lookup = ImageLookup(tree)
        self._prefix = prefix
        self._builder = ObjectTableBuilder(options)
        self._class_index = ClassIndex()

    def read_lists(self, lists: dict[str, list[JsonNode]], progress: Progress) -> Table:
        """Return the table of all photos in ``lists``."""
        entries: dict[str, _ImageEntry] = {}
        for name, nodes in lists.items():
            shares = _are_normalised(nodes)
            for node in nodes:
                self._add_entry(name, node, entries, shares, len(lists) > 1)
        tree = self._image_lookup.tree
        scaled = [entry.image_name for entry in entries.values() if entry.normalised]
        sizes = (
            dict(zip(scaled, headers.read_image_sizes(tree, scaled, progress).tolist(), strict=True)) if scaled else {}
        )
        with progress.open_stage(_("Reading the labels"), len(entries)) as stage:
            for entry in entries.values():
                self._add_image(entry, sizes.get(entry.image_name))
                stage.advance()
        return self._class_index.finalise_table(self._builder.build_table(tree, NAME, self._class_index.names))

    def _add_entry(
        self, name: str, node: JsonNode, entries: dict[str, _ImageEntry], shares: bool, several: bool
    ) -> None:
        mention, marks = _read_image_reference(node), _list_annotations(node)
        if mention is None or marks is None:
            reason = _("no record of an image and its annotations")
            self._builder.reject(node.path, reason, _("correct or remove it"))
            return
        path = self._prefix + name
        photo = self._image_lookup.find(mention, posixpath.dirname(path))
        if photo is None or not is_encodable_text(photo):
            reason = _("its photo {name} is not there").format(name=mention[:200])
            self._builder.reject(node.path, reason, _("put it there, or remove the entry"), kind="no-image")
        elif photo in entries:
            reason = _("{name} has an entry already").format(name=photo)
            self._builder.reject(node.path, reason, _("join the two, or remove one"), kind="double")
        else:
            entries[photo] = _ImageEntry(photo, _infer_split(path, photo, several), marks, shares)

    def _add_image(self, entry: _ImageEntry, size: list[int] | None) -> None:
        if size is not None and not all(size):
            reason = _("its size cannot be read, so its labels say nothing")
            self._builder.reject(entry.image_name, reason, _("save it as JPEG or PNG, or remove it"), kind="unusable")
            return
        height, width = size or (0, 0)
        row = self._builder.add_image(entry.image_name, entry.split, (height, width))
        for node in entry.annotations:
            try:
                label, (x, y, across, down) = _parse_annotation(node)
            except DataError as error:
                self._builder.reject(node.path, error.problem.removeprefix(f"{node.path}: "), error.remedy)
                continue
            across, down = (across * width, down * height) if size else (across, down)
            x, y = (x * width, y * height) if size else (x, y)
            box = x - across / 2, y - down / 2, x + across / 2, y + down / 2
            self._builder.add(row, RawObject(self._class_index.get_id(label), box, node.path))


def _find_label_files(place: DataLocation, probes: int | None = None) -> list[str]:
    return [name for name in place.find_by_suffix(".json")[:probes] if _is_createml(place, name)]


def _with_sibling_files(place: DataLocation, found: list[str]) -> list[str]:
    """Return the files ``found`` and those of the same names in other folders: one that is damaged is one too."""
    names = {posixpath.basename(name) for name in found}
    return [name for name in place.find_by_suffix(".json") if posixpath.basename(name) in names or name in found]


def _is_createml(place: DataLocation, name: str) -> bool:
    value = peek_json(place.tree, name)
    if not isinstance(value, list) or not value:
        return False
    entries = [JsonNode(entry, name) for entry in value[:4]]
    if any(_read_image_reference(entry) is None for entry in entries[:1]) or _list_annotations(entries[0]) is None:
        return False
    marks = [node.value for entry in entries for node in _list_annotations(entry) or []]
    whole = [mark for mark in marks if isinstance(mark, dict) and mark.get("coordinates") is not None]
    return bool(whole) or not marks


def _read_image_reference(node: JsonNode) -> str | None:
    if not isinstance(node.value, dict):
        return None
    found = next((node.value[key] for key in _IMAGE_KEYS if node.value.get(key) is not None), None)
    return found if isinstance(found, str) and found.strip() and is_encodable_text(found) else None


def _list_annotations(node: JsonNode) -> list[JsonNode] | None:
    if not isinstance(node.value, dict):
        return None
    key = next((key for key in _ANNOTATION_KEYS if isinstance(node.value.get(key), list)), None)
    return None if key is None else list(node.get_child(key).items())


def _parse_annotation(node: JsonNode) -> tuple[str, Box]:
    label = node.get_text("label")
    if not label.strip():
        raise node.get_child("label").make_error(_("the name of a class"))
    coordinates = node.get_child("coordinates")
    x, y, across, down = (coordinates.get_number(side) for side in _COORDINATE_KEYS)
    return label, (x, y, across, down)


def _are_normalised(nodes: list[JsonNode]) -> bool:
    """Whether the numbers of a file are shares of the photo: all of them are within 0 and 1, and none is a pixel."""
    values = list(_iterate_coordinates(nodes))
    return bool(values) and all(0 <= value <= 1 for value in values)


def _iterate_coordinates(nodes: list[JsonNode]) -> Iterator[float]:
    for node in nodes:
        for mark in _list_annotations(node) or []:
            try:
                yield from _parse_annotation(mark)[1]
            except DataError:
                continue  # it is rejected where marks are read


def _find_image_root(place: DataLocation, lists: dict[str, list[JsonNode]]) -> tuple[FileTree, str]:
    """Return the tree in which one of the first photos is found, and what our names start by there."""
    asked = [
        (name, mention)
        for name, nodes in lists.items()
        for node in nodes[:4]
        if (mention := _read_image_reference(node))
    ]
    for tree, prefix in iterate_parent_trees(place):
        photos = ImageLookup(tree)
        if any(photos.find(mention, posixpath.dirname(prefix + name)) for name, mention in asked[:20]):
            return tree, prefix
    return place.tree, ""


def _infer_split(path: str, photo: str, several: bool) -> int:
    words = [word for name in (path, photo) if not posixpath.isabs(name) for word in name.lower().split("/")[:-1]]
    if several:
        words += re.split(r"[^a-z]+", posixpath.basename(path).lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), UNASSIGNED)


FORMAT = Format(
    NAME, detect, read, Capability.BOXES | Capability.SPLITS | Capability.NEGATIVES | Capability.EXTERNAL_PATHS, write, image_path
)  # fmt: skip
