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

from lince import rle
from lince.annotations import OCCLUDED, UNLABELLED, RejectedItem
from lince.errors import DataError
from lince.formats import row_rle
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject, compute_bounding_box
from lince.formats.cvat.writer import image_path, write
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.parsing import xml_reader
from lince.parsing.json_reader import is_encodable_text
from lince.parsing.xml_reader import XmlElement, parse_number
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation

NAME = "cvat"
_HEAD_BYTES = 4096
_MAX_PROBES = 8
_SIGNATURE = re.compile(rb"<(?:version|meta|image)[\s>]")
_CORNER_ATTRIBUTES = ("xtl", "ytl", "xbr", "ybr")
_ELLIPSE_POINTS = 64
ParsedShape = tuple[Box, list[NDArray[np.float64]], str]  # box, rings, mask


def detect(place: DataLocation) -> str | None:
    """Return what speaks for CVAT at ``place``: XML with the root ``annotations``; ``None`` when nothing does."""
    found = [name for name in place.find_by_suffix(".xml")[:_MAX_PROBES] if _is_cvat(place, name)]
    return _("CVAT's XML: {names}").format(names=", ".join(found[:2])) if found else None


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read every image that the XML files speak of; classes in the order of ``<labels>``, splits from the subsets.

    What is neither box, polygon, ellipse, mask nor tag is refused with its line. Raise ``DataError`` when a file is not
    whole.
    """
    photos, labels, others = _locate_files(place)
    reader = _CvatReader(photos, options)
    reader.reject_files(others)
    with progress.open_stage(_("Reading the labels"), len(labels)) as stage:
        for label in labels:
            reader.read_file(label)
            stage.advance()
    return reader.build_table()


class _CvatReader:
    def __init__(self, photos: ImageLookup, options: ReadOptions) -> None:
        self._image_lookup = photos
        self._builder = ObjectTableBuilder(options)
        self._class_index = ClassIndex()
        self._image_names: set[str] = set()

    def read_file(self, label: str) -> None:
        """Read one file; raise ``DataError`` when it is not whole."""
        subsets: dict[str, str] = {}
        for element in self._read_elements(label):
            if element.tag == "meta":
                self._class_index.declare_classes(_read_class_names(element))
                subsets = _read_subsets(element)
            elif element.tag == "image":
                subset = element.attributes.get("subset", subsets.get(element.attributes.get("task_id", ""), ""))
                self._add_image(label, element, subset or subsets.get("", ""))
            elif element.tag == "track":
                reason = _("a track over the frames of a video")
                self._builder.reject(label, reason, _("export it as 'CVAT for images 1.1'"), element.line, "row")

    def reject_files(self, others: list[str]) -> None:
        """Name the files that are something else."""
        for name in others:
            self._builder.reject(name, _("not the XML of CVAT"), _("export it again, or move it elsewhere"))

    def build_table(self) -> Table:
        """Return the table of all images read."""
        return self._class_index.finalise_table(
            self._builder.build_table(self._image_lookup.tree, NAME, self._class_index.names)
        )

    def _read_elements(self, label: str) -> Iterator[XmlElement]:
        found = xml_reader.iterate_children(self._image_lookup.tree.read(label), label)
        for element in found:
            if isinstance(element, RejectedItem):
                path = f"{self._image_lookup.tree.root / element.path}:{element.line}"
                raise DataError(f"{path}: {element.reason}.", _("Expected the XML of CVAT."), element.remedy)
            yield element

    def _add_image(self, label: str, image: XmlElement, subset: str) -> None:
        name = image.attributes.get("name", "")
        photo = self._find_image(label, name, subset)
        if photo is None:
            reason = _("its photo {name} is not there").format(name=name or _("without a name"))
            self._builder.reject(label, reason, _("put it there, or remove the label"), image.line, "no-image")
            return
        if photo in self._image_names:
            reason = _("{name} stands twice").format(name=photo)
            self._builder.reject(label, reason, _("remove one"), image.line, "double")
            return
        self._image_names.add(photo)
        size = _parse_side(image.attributes.get("height", "")), _parse_side(image.attributes.get("width", ""))
        split = SPLIT_WORDS.get(subset.lower(), UNASSIGNED)
        row = self._builder.add_image(photo, split, size, self._read_image_class(label, image))
        for element in image.children:
            if element.tag != "tag":
                self._add_shape(row, label, element, size)

    def _read_image_class(self, label: str, image: XmlElement) -> int:
        """Return the class of the image as a whole; further ones are refused."""
        tags = [element for element in image.children if element.tag == "tag" and element.attributes.get("label")]
        for element in tags[1:]:
            reason = _("an image of several classes")
            self._builder.reject(label, reason, _("keep one"), element.line, "row")
        return self._class_index.get_id(tags[0].attributes["label"]) if tags else UNLABELLED

    def _add_shape(self, row: int, label: str, element: XmlElement, size: tuple[int, int]) -> None:
        reason, fault = "", "row"
        shape = _SHAPE_PARSERS.get(element.tag)
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
                reason = error.problem
            else:
                flags = OCCLUDED if element.attributes.get("occluded") == "1" else 0
                self._builder.add(
                    row, RawObject(self._class_index.get_id(name), box, label, element.line, flags, rings, mask)
                )
        if reason:
            self._builder.reject(label, reason, _("correct or remove it"), element.line, fault)

    def _find_image(self, label: str, name: str, subset: str) -> str | None:
        near = posixpath.dirname(label)
        tried = (f"images/{subset}/{name}", f"images/{name}") if subset else (f"images/{name}",)
        exact = (posixpath.normpath(posixpath.join(near, path)) for path in tried)
        known = self._image_lookup.tree.listing.name_set
        found = next((path for path in exact if path in known), None) if name else None
        found = found or self._image_lookup.find(name, near)
        return found if found is not None and is_encodable_text(found) else None


def _parse_box(attributes: dict[str, str], size: tuple[int, int]) -> ParsedShape:
    left, top, right, bottom = (parse_number(attributes[side]) for side in _CORNER_ATTRIBUTES)
    rotation = parse_number(attributes.get("rotation", "0"))
    if not rotation:
        return (left, top, right, bottom), [], ""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    ring = _rotate_points(corners, ((left + right) / 2, (top + bottom) / 2), rotation)
    return compute_bounding_box([ring]), [ring], ""


def _parse_polygon(attributes: dict[str, str], size: tuple[int, int]) -> ParsedShape:
    pairs = [pair.split(",") for pair in attributes["points"].split(";") if pair.strip()]
    if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
        raise KeyError(_("three points or more"))
    ring = np.array([[parse_number(x), parse_number(y)] for x, y in pairs], np.float64)
    return compute_bounding_box([ring]), [ring], ""


def _parse_ellipse(attributes: dict[str, str], size: tuple[int, int]) -> ParsedShape:
    middle = parse_number(attributes["cx"]), parse_number(attributes["cy"])
    radii = parse_number(attributes["rx"]), parse_number(attributes["ry"])
    angles = np.arange(_ELLIPSE_POINTS) * (2 * np.pi / _ELLIPSE_POINTS)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + middle
    ring = _rotate_points(points, middle, parse_number(attributes.get("rotation", "0")))
    return compute_bounding_box([ring]), [ring], ""


def _parse_mask(attributes: dict[str, str], size: tuple[int, int]) -> ParsedShape:
    left, top, width, height = (
        int(row_rle.parse_runs(attributes[key])[0]) for key in ("left", "top", "width", "height")
    )
    text = row_rle.decode_cvat_rle(row_rle.parse_runs(attributes["rle"]), (left, top, width, height), size)
    return rle.compute_bounding_box(rle.string_to_counts(text), size[0]), [], text


_SHAPE_PARSERS: dict[str, Callable[[dict[str, str], tuple[int, int]], ParsedShape]] = {
    "box": _parse_box,
    "polygon": _parse_polygon,
    "ellipse": _parse_ellipse,
    "mask": _parse_mask,
}


def _rotate_points(points: NDArray[np.float64], middle: tuple[float, float], degrees: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(radians(degrees)), np.sin(radians(degrees))
    return np.asarray((points - middle) @ np.array([[cosine, sine], [-sine, cosine]]) + middle, np.float64)


def _is_cvat(place: DataLocation, name: str) -> bool:
    try:
        head = place.tree.head(name, _HEAD_BYTES)
    except DataError:
        return False
    return xml_reader.read_root_tag(head) == "annotations" and _SIGNATURE.search(head.replace(b"\0", b"")) is not None


def _locate_files(place: DataLocation) -> tuple[ImageLookup, list[str], list[str]]:
    """Return the photos, of the place or the folders beside it; the label files, and other XML, as seen from there."""
    there = place.find_by_suffix(".xml")
    named = [name for name in there if place.file or _is_cvat(place, name)]
    others = sorted(set(there) - set(named))
    first: tuple[ImageLookup, list[str], list[str]] | None = None
    for tree, prefix in iterate_parent_trees(place):
        found = ImageLookup(tree), [prefix + name for name in named], [prefix + name for name in others]
        if found[0].names:
            return found
        first = first or found
    return first or (ImageLookup(place.tree), named, others)


def _read_class_names(meta: XmlElement) -> list[str]:
    """Return the names of the labels in ``<meta>``, in order; parts of a skeleton are no classes."""
    labels = (
        element
        for element in meta.iterate_descendants()
        if element.tag == "label" and element.find_child("parent") is None
    )
    return [name for label in labels if (name := label.find_text("name"))]


def _read_subsets(meta: XmlElement) -> dict[str, str]:
    """Return the subset of each task by its id; under '' that of the only one."""
    tasks = [element for element in meta.iterate_descendants() if element.tag == "task"]
    found = {task.find_text("id"): task.find_text("subset") for task in tasks}
    return {**found, "": tasks[0].find_text("subset")} if len(tasks) == 1 else found


def _parse_side(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0


FORMAT = Format(
    NAME,
    detect,
    read,
    (
        Capability.LABELS
        | Capability.BOXES
        | Capability.OUTLINES
        | Capability.MASKS
        | Capability.SPLITS
        | Capability.FLAGS
        | Capability.CLASSES
    )
    | (Capability.NEGATIVES | Capability.EXTERNAL_PATHS),
    write,
    image_path,
    OCCLUDED,
)
