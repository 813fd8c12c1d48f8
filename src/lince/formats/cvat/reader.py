"""Reads "CVAT for images 1.1" and "for video 1.1": one XML file describes all images (docs.cvat.ai, "XML annotation
format").

Coordinates are continuous pixels, as in lince. A mask is drawn row by row within a rectangle; ``rotation`` turns a box
or ellipse clockwise around its centre, in degrees. Rotated boxes and ellipses become polygons.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator
from math import radians

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.annotations import OCCLUDED, RejectedItem
from lince.errors import DataError
from lince.formats import row_rle
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject, compute_bounding_box
from lince.formats.cvat.tracks import (
    CORNERS,
    find_frame_images,
    list_shapes,
    read_extent,
    read_frame,
    read_frame_side,
)
from lince.formats.cvat.writer import image_path, write
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup
from lince.formats.table import LabelTable, ReadOptions
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
_SIGNATURE = re.compile(rb"<(?:version|meta|image|track)[\s>]")
_ELLIPSE_POINTS = 64
ParsedShape = tuple[Box, list[NDArray[np.float64]], str]  # box, rings, mask as COCO text


def detect(location: DataLocation) -> str | None:
    """Return the names of the CVAT files: XML with the root ``annotations``; ``None`` when there are none.

    The beginnings of up to 8 XML files are looked at.
    """
    names = [name for name in location.find_by_suffix(".xml")[:_MAX_PROBES] if _is_cvat(location, name)]
    return _("CVAT's XML: {names}").format(names=", ".join(names[:2])) if names else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every image in the XML files, classes in the order of ``<labels>``, splits from the subsets.

    The shapes of a track belong to the frames that are there as images. Shapes other than box, polygon, ellipse and
    mask are rejected with their lines. An image without shapes shows no object. Raise ``DataError`` when a file is
    damaged.
    """
    image_lookup, label_files, other_files = _locate_files(location)
    reader = _CvatReader(image_lookup, options)
    reader.reject_files(other_files)
    with progress.open_stage(_("Reading the labels"), len(label_files)) as stage:
        for label_file in label_files:
            reader.read_file(label_file)
            stage.advance()
    return reader.build_table(location)


class _CvatReader:
    """Reads one CVAT file after the other into one table."""

    def __init__(self, image_lookup: ImageLookup, options: ReadOptions) -> None:
        self._image_lookup = image_lookup
        self._builder = ObjectTableBuilder(options)
        self._class_index = ClassIndex()
        self._image_names: set[str] = set()

    def read_file(self, label_file: str) -> None:
        """Read one file, by its name in the tree of the images; raise ``DataError`` when it is damaged."""
        subsets: dict[str, str] = {}
        meta: XmlElement | None = None
        tracks: list[XmlElement] = []
        for element in self._read_elements(label_file):
            if element.tag == "meta":
                self._class_index.declare_classes(_read_class_names(element))
                subsets, meta = _read_subsets(element), element
            elif element.tag == "image":
                subset = element.attributes.get("subset", subsets.get(element.attributes.get("task_id", ""), ""))
                self._add_image(label_file, element, subset or subsets.get("", ""))
            elif element.tag == "track":
                tracks.append(element)
        if tracks:
            self._add_tracks(label_file, meta, tracks, SPLIT_WORDS.get(subsets.get("", "").lower(), UNASSIGNED))

    def reject_files(self, names: list[str]) -> None:
        """Reject XML files that are not CVAT's."""
        for name in names:
            self._builder.reject(name, _("not the XML of CVAT"), _("export it again, or move it elsewhere"))

    def build_table(self, location: DataLocation) -> LabelTable:
        """Return the table of all images read; those of ``location`` that no file names are rejected."""
        self._builder.rejected += self._image_lookup.pop_guesses()
        self._builder.rejected += self._image_lookup.list_unnamed(self._image_names, location)
        return self._class_index.finalise_table(
            self._builder.build_table(self._image_lookup.tree, NAME, self._class_index.names)
        )

    def _read_elements(self, label_file: str) -> Iterator[XmlElement]:
        """Yield the root and its children; raise ``DataError`` with the line where the XML is damaged."""
        elements = xml_reader.iterate_children(self._image_lookup.tree.read(label_file), label_file)
        for element in elements:
            if isinstance(element, RejectedItem):
                path = f"{self._image_lookup.tree.root / element.path}:{element.line}"
                raise DataError(f"{path}: {element.reason}.", _("Expected the XML of CVAT."), element.remedy)
            yield element

    def _add_image(self, label_file: str, image: XmlElement, subset: str) -> None:
        """Add an image and its shapes; reject one whose file is missing or has been added already."""
        name = image.attributes.get("name", "")
        image_name = self._find_image(label_file, name, subset)
        if image_name is None:
            reason = _("its photo {name} is missing").format(name=name or _("without a name"))
            reason = self._image_lookup.explain_missing(reason, name, posixpath.dirname(label_file))
            self._builder.reject(label_file, reason, _("add it, or remove the label"), image.line, "no-image")
            return
        if image_name in self._image_names:
            reason = _("{name} appears twice").format(name=image_name)
            self._builder.reject(label_file, reason, _("remove one"), image.line, "double")
            return
        self._image_names.add(image_name)
        self._image_lookup.note_guess(name, image_name, label_file)
        class_ids = [self._class_index.get_id(name) for name in _read_tags(image)] or None
        size = _parse_side(image.attributes.get("height", "")), _parse_side(image.attributes.get("width", ""))
        split = SPLIT_WORDS.get(subset.lower(), UNASSIGNED)
        row = self._builder.add_image(image_name, split, size, class_ids)
        for element in image.children:
            if element.tag != "tag":
                self._add_shape(row, label_file, element, size)

    def _add_tracks(self, label_file: str, meta: XmlElement | None, tracks: list[XmlElement], split: int) -> None:
        """Add the frames of a video that are there as images, and on them the shapes of its ``tracks``."""
        damaged = [frame for track in tracks for frame in self._drop_damaged_shapes(label_file, track)]
        named = Counter(read_frame(shape) for track in tracks for shape in track.children if _is_inside(shape))
        if not named:
            return
        size = _parse_side(read_frame_side(meta, "height")), _parse_side(read_frame_side(meta, "width"))
        images = find_frame_images(self._image_lookup, label_file, named)
        first, last = read_extent(meta, named)
        rows: dict[int, int] = {}
        for frame in sorted(images):
            if first <= frame <= last and images[frame] not in self._image_names:
                self._image_names.add(images[frame])
                rows[frame] = self._builder.add_image(images[frame], split, size if all(size) else (0, 0))
        self._reject_missing_frames(label_file, named, rows, tracks[0].line)
        for frame in damaged:
            if frame in rows:
                self._builder.count_refused(rows[frame], 1)
        for track in tracks:
            for frame, shape in list_shapes(track, rows):
                shape.attributes["label"] = track.attributes.get("label", "")
                self._add_shape(rows[frame], label_file, shape, size)

    def _drop_damaged_shapes(self, label_file: str, track: XmlElement) -> list[int]:
        """Reject the shapes of a track that do not give their frame or a corner; return their frames where known."""
        kept, frames = [], []
        for shape in track.children:
            try:
                frame = read_frame(shape)
                frames.append(frame)
                for corner in CORNERS if shape.tag == "box" else ():
                    parse_number(shape.attributes[corner])
            except (KeyError, ValueError) as error:
                reason = _("a shape of a track without its frame or a corner: {text}").format(text=str(error)[:80])
                self._builder.reject(label_file, reason, _("correct or remove it"), shape.line, "row")
                continue
            frames.pop()
            kept.append(shape)
        track.children = kept
        return frames

    def _reject_missing_frames(self, label_file: str, named: Counter[int], rows: dict[int, int], line: int) -> None:
        """Reject the frames that tracks name, with the number of their shapes, and that are not in ``rows``."""
        missing = sorted(named.keys() - rows.keys())
        if missing:
            reason = _("{count} frames of the video are missing as photos, such as {name} ({shapes} shapes)").format(
                count=len(missing), name=f"frame_{missing[0]:06d}", shapes=sum(named[frame] for frame in missing)
            )
            remedy = _("export it from CVAT with its images, or as 'CVAT for images 1.1' with them")
            self._builder.reject(label_file, reason, remedy, line, "no-image")

    def _add_shape(self, row: int, label_file: str, element: XmlElement, size: tuple[int, int]) -> None:
        """Add a shape to the image in ``row``, or reject it with the line of ``element``."""
        reason, kind = "", "row"
        parse_shape = _SHAPE_PARSERS.get(element.tag)
        class_name = element.attributes.get("label", "").strip()
        if parse_shape is None:
            reason = _("lince does not read <{tag}>").format(tag=element.tag)
        elif not class_name:
            reason = _("a shape without a label")
        else:
            try:
                with np.errstate(over="ignore", invalid="ignore"):
                    box, rings, mask = parse_shape(element.attributes, size)
            except KeyError as error:
                reason = _("a <{tag}> without {name}").format(tag=element.tag, name=error.args[0])
            except ValueError as error:
                reason, kind = _("a coordinate is not a number: {text}").format(text=error), "number"
            except DataError as error:
                reason = error.problem
            else:
                flags = OCCLUDED if element.attributes.get("occluded") == "1" else 0
                self._builder.add(
                    row,
                    RawObject(self._class_index.get_id(class_name), box, label_file, element.line, flags, rings, mask),
                )
        if reason:
            self._builder.reject(label_file, reason, _("correct or remove it"), element.line, kind, row=row)

    def _find_image(self, label_file: str, name: str, subset: str) -> str | None:
        """Return the image file that CVAT calls ``name``, ``None`` for none.

        ``images/<subset>/<name>`` and ``images/<name>`` beside the label file come first, where CVAT's own exports have
        them.
        """
        label_folder = posixpath.dirname(label_file)
        paths = (f"images/{subset}/{name}", f"images/{name}") if subset else (f"images/{name}",)
        names = (posixpath.normpath(posixpath.join(label_folder, path)) for path in paths)
        name_set = self._image_lookup.tree.listing.name_set
        image_name = next((path for path in names if path in name_set), None) if name else None
        image_name = image_name or self._image_lookup.find_by_name_or_stem(name, label_folder)
        return image_name if image_name is not None and is_encodable_text(image_name) else None


def _is_inside(shape: XmlElement) -> bool:
    return shape.attributes.get("outside") != "1"


def _parse_box(attributes: dict[str, str], size: tuple[int, int]) -> ParsedShape:
    """Return a box; with a rotation, the polygon of its corners and the box around them."""
    left, top, right, bottom = (parse_number(attributes[side]) for side in CORNERS)
    rotation = parse_number(attributes.get("rotation", "0"))
    if not rotation:
        return (left, top, right, bottom), [], ""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    ring = _rotate_points(corners, ((left + right) / 2, (top + bottom) / 2), rotation)
    return compute_bounding_box([ring]), [ring], ""


def _parse_polygon(attributes: dict[str, str], size: tuple[int, int]) -> ParsedShape:
    """Return a polygon, from ``x,y`` pairs with semicolons between; raise ``KeyError`` for less than three."""
    pairs = [pair.split(",") for pair in attributes["points"].split(";") if pair.strip()]
    if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
        raise KeyError(_("three points or more"))
    ring = np.array([[parse_number(x), parse_number(y)] for x, y in pairs], np.float64)
    return compute_bounding_box([ring]), [ring], ""


def _parse_ellipse(attributes: dict[str, str], size: tuple[int, int]) -> ParsedShape:
    """Return an ellipse as a polygon of 64 points."""
    centre = parse_number(attributes["cx"]), parse_number(attributes["cy"])
    radii = parse_number(attributes["rx"]), parse_number(attributes["ry"])
    angles = np.arange(_ELLIPSE_POINTS) * (2 * np.pi / _ELLIPSE_POINTS)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + centre
    ring = _rotate_points(points, centre, parse_number(attributes.get("rotation", "0")))
    return compute_bounding_box([ring]), [ring], ""


def _parse_mask(attributes: dict[str, str], size: tuple[int, int]) -> ParsedShape:
    """Return a mask as COCO text and the box around it; ``size`` is (height, width) of the image."""
    left, top, width, height = (
        int(row_rle.parse_runs(attributes[key])[0]) for key in ("left", "top", "width", "height")
    )
    counts = row_rle.decode_cvat_rle(row_rle.parse_runs(attributes["rle"]), (left, top, width, height), size)
    return rle.compute_bounding_box(rle.string_to_counts(counts), size[0]), [], counts


_SHAPE_PARSERS: dict[str, Callable[[dict[str, str], tuple[int, int]], ParsedShape]] = {
    "box": _parse_box,
    "polygon": _parse_polygon,
    "ellipse": _parse_ellipse,
    "mask": _parse_mask,
}


def _rotate_points(points: NDArray[np.float64], centre: tuple[float, float], degrees: float) -> NDArray[np.float64]:
    """Return ``points`` (N, 2) turned clockwise around ``centre`` (y points down)."""
    cosine, sine = np.cos(radians(degrees)), np.sin(radians(degrees))
    return np.asarray((points - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre, np.float64)


def _is_cvat(location: DataLocation, name: str) -> bool:
    """Whether an XML file has the root ``annotations`` and one of CVAT's elements near its beginning."""
    try:
        head = location.tree.head(name, _HEAD_BYTES)
    except DataError:
        return False
    return xml_reader.read_root_tag(head) == "annotations" and _SIGNATURE.search(head.replace(b"\0", b"")) is not None


def _locate_files(location: DataLocation) -> tuple[ImageLookup, list[str], list[str]]:
    """Return the images, the CVAT files and the other XML files, named as in the tree of the images.

    That is the tree of the location, or of a folder above it, the first that has images at all.
    """
    xml_files = location.find_by_suffix(".xml")
    label_files = [name for name in xml_files if location.file or _is_cvat(location, name)]
    other_files = sorted(set(xml_files) - set(label_files))
    first: tuple[ImageLookup, list[str], list[str]] | None = None
    for tree, prefix in iterate_parent_trees(location):
        candidate = ImageLookup(tree), [prefix + name for name in label_files], [prefix + name for name in other_files]
        if candidate[0].names:
            return candidate
        first = first or candidate
    return first or (ImageLookup(location.tree), label_files, other_files)


def _read_class_names(meta: XmlElement) -> list[str]:
    """Return the names of the labels in ``<meta>``, in order; the parts of a skeleton are left out."""
    labels = (
        element
        for element in meta.iterate_descendants()
        if element.tag == "label" and element.find_child("parent") is None
    )
    return [name for label in labels if (name := label.find_text("name"))]


def _read_subsets(meta: XmlElement) -> dict[str, str]:
    """Return the subset of each task by task id; with one task also under the empty id."""
    tasks = [element for element in meta.iterate_descendants() if element.tag == "task"]
    subsets = {task.find_text("id"): task.find_text("subset") for task in tasks}
    return {**subsets, "": tasks[0].find_text("subset")} if len(tasks) == 1 else subsets


def _read_tags(image: XmlElement) -> list[str]:
    """Return the different classes of the image as a whole, by its tags."""
    labels = [element.attributes.get("label", "") for element in image.children if element.tag == "tag"]
    return list(dict.fromkeys(label for label in labels if label))


def _parse_side(text: str) -> int:
    """Return an image's width or height in pixels; 0 when it is not a whole number of at most 7 digits."""
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
