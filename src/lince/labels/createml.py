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

from lince.annotations import Objects
from lince.errors import DataError
from lince.files import write_text
from lince.labels import photos as headers
from lince.labels.format import Export, Format, Holds
from lince.labels.jsonfile import Node, is_text, load, peek
from lince.labels.kinds import Kinds
from lince.labels.marks import Box, Mark, Marks
from lince.labels.nearby import outwards
from lince.labels.photos import Photos
from lince.labels.table import SPLIT_WORDS, SPLITS, UNASSIGNED, Options, Table
from lince.labels.tree import Place, Tree
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "createml"
_FILE = "_annotations.createml.json"
_IMAGE_KEYS = ("image", "imagefilename", "imageFilename")
_LIST_KEYS = ("annotations", "annotation")
_SIDES = ("x", "y", "width", "height")
_PROBES = 64


def detect(place: Place) -> str | None:
    """Return what speaks for CreateML: JSON files that are lists of photos with labels and coordinates."""
    found = _files(place, _PROBES)
    return _("JSON lists of photos and boxes: {names}").format(names=", ".join(found[:4])) if found else None


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read every such file; a photo's part is told by the folder or, of several files, by the name of its file.

    Raise ``DataError`` when a file is no list in JSON.
    """
    files = _with_sisters(place, _files(place)) or place.ending(".json")
    lists = {name: list(Node(load(place.tree, name), name).items()) for name in files}
    tree, prefix = _around(place, lists)
    return _Reader(tree, prefix, options).read(lists, progress)


def file(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: beside the file of its part."""
    return f"{split}/{file_name}" if split else file_name


def write(export: Export, folder: Path) -> None:
    """Write one file for each part, into its folder; images of no part stand in the one above."""
    words = {split: word for word, split in SPLITS.items()}
    found: dict[str, list[Any]] = {}
    for row, name in enumerate(export.files):
        word = words.get(int(export.table.splits[row]), "")
        mention = name.removeprefix(f"{word}/") if word and not posixpath.isabs(name) else name
        found.setdefault(word, []).append({"image": mention, "annotations": _written(export, row)})
    for word, entries in found.items():
        target = folder / word / _FILE
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _written(export: Export, row: int) -> list[dict[str, Any]]:
    table = export.table
    objects = table.objects or Objects.none(len(table.names))
    here = objects.of(row)
    found = []
    for class_id, (left, top, right, bottom) in zip(
        objects.class_ids[here].tolist(), objects.boxes[here].tolist(), strict=True
    ):
        middle = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        coordinates = dict(zip(_SIDES, middle, strict=True))
        found.append({"label": table.classes.names[class_id], "coordinates": coordinates})
    return found


@dataclass(frozen=True)
class _Entry:
    """One photo that a file speaks of, its split, and its marks."""

    photo: str
    split: int
    marks: list[Node]
    shares: bool


class _Reader:
    def __init__(self, tree: Tree, prefix: str, options: Options) -> None:
        self._photos = Photos(tree)
        self._prefix = prefix
        self._marks = Marks(options)
        self._kinds = Kinds()

    def read(self, lists: dict[str, list[Node]], progress: Progress) -> Table:
        """Return the table of all photos in ``lists``."""
        entries: dict[str, _Entry] = {}
        for name, nodes in lists.items():
            shares = _are_shares(nodes)
            for node in nodes:
                self._entry(name, node, entries, shares, len(lists) > 1)
        tree = self._photos.tree
        scaled = [entry.photo for entry in entries.values() if entry.shares]
        sizes = dict(zip(scaled, headers.sizes(tree, scaled, progress).tolist(), strict=True)) if scaled else {}
        with progress.stage(_("Reading the labels"), len(entries)) as stage:
            for entry in entries.values():
                self._image(entry, sizes.get(entry.photo))
                stage.advance()
        return self._kinds.settled(self._marks.table(tree, NAME, self._kinds.names))

    def _entry(self, name: str, node: Node, entries: dict[str, _Entry], shares: bool, several: bool) -> None:
        mention, marks = _image_of(node), _list_of(node)
        if mention is None or marks is None:
            reason = _("no record of an image and its annotations")
            self._marks.reject(node.path, reason, _("correct or remove it"))
            return
        path = self._prefix + name
        photo = self._photos.find(mention, posixpath.dirname(path))
        if photo is None or not is_text(photo):
            reason = _("its photo {name} is not there").format(name=mention[:200])
            self._marks.reject(node.path, reason, _("put it there, or remove the entry"), fault="no-image")
        elif photo in entries:
            reason = _("{name} has an entry already").format(name=photo)
            self._marks.reject(node.path, reason, _("join the two, or remove one"), fault="double")
        else:
            entries[photo] = _Entry(photo, _split_of(path, photo, several), marks, shares)

    def _image(self, entry: _Entry, size: list[int] | None) -> None:
        if size is not None and not all(size):
            reason = _("its size cannot be read, so its labels say nothing")
            self._marks.reject(entry.photo, reason, _("save it as JPEG or PNG, or remove it"), fault="unusable")
            return
        height, width = size or (0, 0)
        row = self._marks.image(entry.photo, entry.split, (height, width))
        for node in entry.marks:
            try:
                label, (x, y, across, down) = _mark(node)
            except DataError as error:
                self._marks.reject(node.path, error.found.removeprefix(f"{node.path}: "), error.remedy)
                continue
            across, down = (across * width, down * height) if size else (across, down)
            x, y = (x * width, y * height) if size else (x, y)
            box = x - across / 2, y - down / 2, x + across / 2, y + down / 2
            self._marks.add(row, Mark(self._kinds.id(label), box, node.path))


def _files(place: Place, probes: int | None = None) -> list[str]:
    return [name for name in place.ending(".json")[:probes] if _is_one(place, name)]


def _with_sisters(place: Place, found: list[str]) -> list[str]:
    """Return the files ``found`` and those of the same names in other folders: one that is damaged is one too."""
    names = {posixpath.basename(name) for name in found}
    return [name for name in place.ending(".json") if posixpath.basename(name) in names or name in found]


def _is_one(place: Place, name: str) -> bool:
    value = peek(place.tree, name)
    if not isinstance(value, list) or not value:
        return False
    entries = [Node(entry, name) for entry in value[:4]]
    if any(_image_of(entry) is None for entry in entries[:1]) or _list_of(entries[0]) is None:
        return False
    marks = [node.value for entry in entries for node in _list_of(entry) or []]
    whole = [mark for mark in marks if isinstance(mark, dict) and mark.get("coordinates") is not None]
    return bool(whole) or not marks


def _image_of(node: Node) -> str | None:
    if not isinstance(node.value, dict):
        return None
    found = next((node.value[key] for key in _IMAGE_KEYS if node.value.get(key) is not None), None)
    return found if isinstance(found, str) and found.strip() and is_text(found) else None


def _list_of(node: Node) -> list[Node] | None:
    if not isinstance(node.value, dict):
        return None
    key = next((key for key in _LIST_KEYS if isinstance(node.value.get(key), list)), None)
    return None if key is None else list(node.at(key).items())


def _mark(node: Node) -> tuple[str, Box]:
    label = node.text("label")
    if not label.strip():
        raise node.at("label").wrong(_("the name of a class"))
    coordinates = node.at("coordinates")
    x, y, across, down = (coordinates.number(side) for side in _SIDES)
    return label, (x, y, across, down)


def _are_shares(nodes: list[Node]) -> bool:
    """Whether the numbers of a file are shares of the photo: all of them are within 0 and 1, and none is a pixel."""
    values = list(_values(nodes))
    return bool(values) and all(0 <= value <= 1 for value in values)


def _values(nodes: list[Node]) -> Iterator[float]:
    for node in nodes:
        for mark in _list_of(node) or []:
            try:
                yield from _mark(mark)[1]
            except DataError:
                continue  # it is rejected where marks are read


def _around(place: Place, lists: dict[str, list[Node]]) -> tuple[Tree, str]:
    """Return the tree in which one of the first photos is found, and what our names start by there."""
    asked = [(name, mention) for name, nodes in lists.items() for node in nodes[:4] if (mention := _image_of(node))]
    for tree, prefix in outwards(place):
        photos = Photos(tree)
        if any(photos.find(mention, posixpath.dirname(prefix + name)) for name, mention in asked[:20]):
            return tree, prefix
    return place.tree, ""


def _split_of(path: str, photo: str, several: bool) -> int:
    words = [word for name in (path, photo) if not posixpath.isabs(name) for word in name.lower().split("/")[:-1]]
    if several:
        words += re.split(r"[^a-z]+", posixpath.basename(path).lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), UNASSIGNED)


FORMAT = Format(
    NAME, detect, read, Holds.BOXES | Holds.SPLITS | Holds.NEGATIVES | Holds.PATHS, write, file
)  # fmt: skip
