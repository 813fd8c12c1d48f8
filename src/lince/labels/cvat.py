"""CVAT for images 1.1: one XML file over all images (docs.cvat.ai, "XML annotation format").

Coordinates are continuous pixels, as lince's own. A mask is drawn row by row within a rectangle; a ``rotation`` turns a
box clockwise, by degrees, round its middle.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from math import radians

import numpy as np
from numpy.typing import NDArray

from lince import masks
from lince.annotations import OCCLUDED, UNLABELLED, Rejected
from lince.errors import DataError
from lince.labels import maskrows, xmltree
from lince.labels.cvatwrite import file, write
from lince.labels.format import Format, Holds
from lince.labels.jsonfile import is_text
from lince.labels.kinds import Kinds
from lince.labels.marks import Box, Mark, Marks, around
from lince.labels.nearby import outwards
from lince.labels.photos import Photos
from lince.labels.table import SPLIT_WORDS, UNASSIGNED, Options, Table
from lince.labels.tree import Place
from lince.labels.xmltree import Element, number
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "cvat"
_HEAD = 4096
_PROBES = 8
_SIGNS = re.compile(rb"<(?:version|meta|image)[\s>]")
_SIDES = ("xtl", "ytl", "xbr", "ybr")
_PARTS_OF_ELLIPSE = 64
Shape = tuple[Box, list[NDArray[np.float64]], str]  # box, rings, mask


def detect(place: Place) -> str | None:
    """Return what speaks for CVAT at ``place``: XML with the root ``annotations``; ``None`` when nothing does."""
    found = [name for name in place.ending(".xml")[:_PROBES] if _is_cvat(place, name)]
    return _("CVAT's XML: {names}").format(names=", ".join(found[:2])) if found else None


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read every image that the XML files speak of; classes in the order of ``<labels>``, splits from the subsets.

    What is neither box, polygon, ellipse, mask nor tag is refused with its line. Raise ``DataError`` when a file is not
    whole.
    """
    photos, labels, others = _found(place)
    reader = _Reader(photos, options)
    reader.pass_over(others)
    with progress.stage(_("Reading the labels"), len(labels)) as stage:
        for label in labels:
            reader.read(label)
            stage.advance()
    return reader.table()


class _Reader:
    def __init__(self, photos: Photos, options: Options) -> None:
        self._photos = photos
        self._marks = Marks(options)
        self._kinds = Kinds()
        self._rows: set[str] = set()

    def read(self, label: str) -> None:
        """Read one file; raise ``DataError`` when it is not whole."""
        subsets: dict[str, str] = {}
        for element in self._elements(label):
            if element.tag == "meta":
                self._kinds.declare(_class_names(element))
                subsets = _subsets(element)
            elif element.tag == "image":
                subset = element.attributes.get("subset", subsets.get(element.attributes.get("task_id", ""), ""))
                self._image(label, element, subset or subsets.get("", ""))
            elif element.tag == "track":
                reason = _("a track over the frames of a video")
                self._marks.reject(label, reason, _("export it as 'CVAT for images 1.1'"), element.line, "row")

    def pass_over(self, others: list[str]) -> None:
        """Name the files that are something else."""
        for name in others:
            self._marks.reject(name, _("not the XML of CVAT"), _("export it again, or move it elsewhere"))

    def table(self) -> Table:
        """Return the table of all images read."""
        return self._kinds.settled(self._marks.table(self._photos.tree, NAME, self._kinds.names))

    def _elements(self, label: str) -> Iterator[Element]:
        found = xmltree.children(self._photos.tree.read(label), label)
        for element in found:
            if isinstance(element, Rejected):
                path = f"{self._photos.tree.root / element.path}:{element.line}"
                raise DataError(f"{path}: {element.reason}.", _("Expected the XML of CVAT."), element.remedy)
            yield element

    def _image(self, label: str, image: Element, subset: str) -> None:
        name = image.attributes.get("name", "")
        photo = self._photo(label, name, subset)
        if photo is None:
            reason = _("its photo {name} is not there").format(name=name or _("without a name"))
            self._marks.reject(label, reason, _("put it there, or remove the label"), image.line, "no-image")
            return
        if photo in self._rows:
            reason = _("{name} stands twice").format(name=photo)
            self._marks.reject(label, reason, _("remove one"), image.line, "double")
            return
        self._rows.add(photo)
        size = _side(image.attributes.get("height", "")), _side(image.attributes.get("width", ""))
        split = SPLIT_WORDS.get(subset.lower(), UNASSIGNED)
        row = self._marks.image(photo, split, size, self._tag(label, image))
        for element in image.children:
            if element.tag != "tag":
                self._shape(row, label, element, size)

    def _tag(self, label: str, image: Element) -> int:
        """Return the class of the image as a whole; further ones are refused."""
        tags = [element for element in image.children if element.tag == "tag" and element.attributes.get("label")]
        for element in tags[1:]:
            reason = _("an image of several classes")
            self._marks.reject(label, reason, _("keep one"), element.line, "row")
        return self._kinds.id(tags[0].attributes["label"]) if tags else UNLABELLED

    def _shape(self, row: int, label: str, element: Element, size: tuple[int, int]) -> None:
        reason, fault = "", "row"
        shape = _SHAPES.get(element.tag)
        name = element.attributes.get("label", "").strip()
        if shape is None:
            reason = _("lince does not read <{tag}>").format(tag=element.tag)
        elif not name:
            reason = _("a shape without a label")
        else:
            try:
                with np.errstate(over="ignore", invalid="ignore"):
                    box, rings, mask = shape(element.attributes, size)
            except KeyError as error:
                reason = _("a <{tag}> without {name}").format(tag=element.tag, name=error.args[0])
            except ValueError as error:
                reason, fault = _("a coordinate that is no number: {error}").format(error=error), "number"
            except DataError as error:
                reason = error.found
            else:
                flags = OCCLUDED if element.attributes.get("occluded") == "1" else 0
                self._marks.add(row, Mark(self._kinds.id(name), box, label, element.line, flags, rings, mask))
        if reason:
            self._marks.reject(label, reason, _("correct or remove it"), element.line, fault)

    def _photo(self, label: str, name: str, subset: str) -> str | None:
        near = posixpath.dirname(label)
        tried = (f"images/{subset}/{name}", f"images/{name}") if subset else (f"images/{name}",)
        exact = (posixpath.normpath(posixpath.join(near, path)) for path in tried)
        known = self._photos.tree.listing.known
        found = next((path for path in exact if path in known), None) if name else None
        found = found or self._photos.find(name, near)
        return found if found is not None and is_text(found) else None


def _box(attributes: dict[str, str], size: tuple[int, int]) -> Shape:
    left, top, right, bottom = (number(attributes[side]) for side in _SIDES)
    rotation = number(attributes.get("rotation", "0"))
    if not rotation:
        return (left, top, right, bottom), [], ""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    ring = _turned(corners, ((left + right) / 2, (top + bottom) / 2), rotation)
    return around([ring]), [ring], ""


def _polygon(attributes: dict[str, str], size: tuple[int, int]) -> Shape:
    pairs = [pair.split(",") for pair in attributes["points"].split(";") if pair.strip()]
    if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
        raise KeyError(_("three points or more"))
    ring = np.array([[number(x), number(y)] for x, y in pairs], np.float64)
    return around([ring]), [ring], ""


def _ellipse(attributes: dict[str, str], size: tuple[int, int]) -> Shape:
    middle = number(attributes["cx"]), number(attributes["cy"])
    radii = number(attributes["rx"]), number(attributes["ry"])
    angles = np.arange(_PARTS_OF_ELLIPSE) * (2 * np.pi / _PARTS_OF_ELLIPSE)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + middle
    ring = _turned(points, middle, number(attributes.get("rotation", "0")))
    return around([ring]), [ring], ""


def _mask(attributes: dict[str, str], size: tuple[int, int]) -> Shape:
    left, top, width, height = (int(maskrows.runs_of(attributes[key])[0]) for key in ("left", "top", "width", "height"))
    text = maskrows.of_rectangle(maskrows.runs_of(attributes["rle"]), (left, top, width, height), size)
    return masks.around(masks.read(text), size[0]), [], text


_SHAPES: dict[str, Callable[[dict[str, str], tuple[int, int]], Shape]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}


def _turned(points: NDArray[np.float64], middle: tuple[float, float], degrees: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(radians(degrees)), np.sin(radians(degrees))
    return np.asarray((points - middle) @ np.array([[cosine, sine], [-sine, cosine]]) + middle, np.float64)


def _is_cvat(place: Place, name: str) -> bool:
    try:
        head = place.tree.head(name, _HEAD)
    except DataError:
        return False
    return xmltree.root_tag(head) == "annotations" and _SIGNS.search(head.replace(b"\0", b"")) is not None


def _found(place: Place) -> tuple[Photos, list[str], list[str]]:
    """Return the photos, of the place or the folders beside it; the label files, and other XML, as seen from there."""
    there = place.ending(".xml")
    named = [name for name in there if place.file or _is_cvat(place, name)]
    others = sorted(set(there) - set(named))
    first: tuple[Photos, list[str], list[str]] | None = None
    for tree, prefix in outwards(place):
        found = Photos(tree), [prefix + name for name in named], [prefix + name for name in others]
        if found[0].names:
            return found
        first = first or found
    return first or (Photos(place.tree), named, others)


def _class_names(meta: Element) -> list[str]:
    """Return the names of the labels in ``<meta>``, in order; parts of a skeleton are no classes."""
    labels = (element for element in meta.within() if element.tag == "label" and element.child("parent") is None)
    return [name for label in labels if (name := label.word("name"))]


def _subsets(meta: Element) -> dict[str, str]:
    """Return the subset of each task by its id; under '' that of the only one."""
    tasks = [element for element in meta.within() if element.tag == "task"]
    found = {task.word("id"): task.word("subset") for task in tasks}
    return {**found, "": tasks[0].word("subset")} if len(tasks) == 1 else found


def _side(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0


FORMAT = Format(
    NAME,
    detect,
    read,
    (Holds.LABELS | Holds.BOXES | Holds.OUTLINES | Holds.MASKS | Holds.SPLITS | Holds.FLAGS | Holds.CLASSES)
    | (Holds.NEGATIVES | Holds.PATHS),
    write,
    file,
    OCCLUDED,
)
