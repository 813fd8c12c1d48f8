"""Pascal VOC: an XML file for each photo (Everingham et al., "The PASCAL VOC Challenge", IJCV 2010; VOC devkit).

Which corner is meant by a whole number is not the same everywhere. The VOC sets themselves count pixels from 1 and
include the last, so the pixel in the top left corner is ``xmin`` 1 to ``xmax`` 1. Nearly all tools that write this
format since write distances from the image's corner instead. lince takes the numbers as they stand, as continuous
coordinates, except in files whose ``<source>`` names one of the VOC databases (VOC2005 to VOC2012): there, left and top
are taken one less. What lince writes counts from 0 and says so in ``<source>``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject, compute_bounding_box
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, normalise_path
from lince.formats.table import ReadOptions, Table
from lince.formats.voc.image_sets import ImageSets, read_label_map
from lince.formats.voc.writer import BOX_TAGS, FLAG_TAGS, image_path, write
from lince.i18n import _
from lince.parsing import xml_reader
from lince.parsing.json_reader import is_encodable_text
from lince.parsing.xml_reader import XmlElement, parse_number
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation

NAME = "voc"
_PROBE_COUNT = 8
_MAX_THREADS = 16
_BATCH = 256
_HEAD_BYTES = 2048
_IMAGE_FOLDERS = ("JPEGImages", "images")
_MASK_FOLDERS = frozenset({"segmentationclass", "segmentationobject", "trimaps"})
_ONE_BASED_SOURCE = re.compile(r"\bVOC20(0[5-9]|1[0-2])\b")
_TRUE_WORDS = ("1", "true", "yes")
_CORNER_TAG = re.compile(r"([xy])(\d{1,6})")


def detect(place: DataLocation) -> str | None:
    """Return what speaks for VOC at ``place``: XML files with the root ``annotation``; ``None`` when nothing does."""
    found = place.find_by_suffix(".xml")
    probes = found[:: max(1, len(found) // _PROBE_COUNT)][: _PROBE_COUNT + 1]
    if not any(_is_voc(place, name) for name in probes):
        return None
    return _("{count} XML files such as {name}").format(count=len(found), name=found[0])


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read a photo for each XML file, found by its ``<filename>``, else by the name of the XML file.

    Splits come from ``ImageSets``, else from folders called train, val or test; the order of the classes from a
    ``labelmap.txt`` as CVAT writes it, else they are sorted. Raise ``DataError`` when the one file named is not XML.
    """
    photos, labels = _locate_files(place)
    return _VocReader(photos, labels, options, bool(place.file)).read(progress)


class _VocReader:
    def __init__(self, photos: ImageLookup, labels: list[str], options: ReadOptions, alone: bool) -> None:
        self._image_lookup = photos
        self._labels = labels
        self._single_file = alone  # one file was named: the photos that it does not speak of are nobody's business
        self._builder = ObjectTableBuilder(options)
        self._image_sets = ImageSets(photos.tree, labels, self._builder)
        declared, doubtful = read_label_map(photos.tree)
        self._class_index = ClassIndex([name for name in declared if name not in doubtful])
        self._same_stem_images = {label: self._find_same_stem_image(label) for label in labels}
        self._claimed_images = set(self._same_stem_images.values())
        self._label_by_image: dict[str, str] = {}

    def read(self, progress: Progress) -> Table:
        """Return the table of all files."""
        with progress.open_stage(_("Reading the labels"), len(self._labels)) as stage:
            for label, content in self._read_contents():
                root = self._parse_root(label, content)
                if root is not None:
                    self._add_image(label, root)
                stage.advance()
        if not self._single_file:
            self._reject_unlabelled()
        return self._class_index.finalise_table(
            self._builder.build_table(self._image_lookup.tree, NAME, self._class_index.names)
        )

    def _read_contents(self) -> Iterator[tuple[str, bytes | RejectedItem]]:
        """Yield every label file with what it holds; where each is a journey, many are under way at once."""
        if not self._image_lookup.tree.is_remote:
            yield from ((label, self._read_content(label)) for label in self._labels)
            return
        with ThreadPoolExecutor(_MAX_THREADS) as pool:
            for start in range(0, len(self._labels), _BATCH):
                batch = self._labels[start : start + _BATCH]
                yield from zip(batch, pool.map(self._read_content, batch), strict=True)

    def _read_content(self, label: str) -> bytes | RejectedItem:
        try:
            return self._image_lookup.tree.read(label, xml_reader.MAX_XML_BYTES)
        except DataError as error:
            return RejectedItem(label, error.problem, error.remedy)

    def _parse_root(self, label: str, content: bytes | RejectedItem) -> XmlElement | None:
        root = content if isinstance(content, RejectedItem) else xml_reader.parse_xml(content, label)
        if isinstance(root, XmlElement) and root.tag != "annotation":
            reason = _("its root is <{tag}>, not <annotation>").format(tag=root.tag)
            root = RejectedItem(label, reason, _("move it elsewhere"), root.line, "row")
        if isinstance(root, XmlElement):
            return root
        if self._single_file:
            raise DataError(f"{self._image_lookup.tree.root / str(root)}.", _("Expected a VOC label file, in XML."))
        self._builder.rejected.append(root)
        return None

    def _add_image(self, label: str, root: XmlElement) -> None:
        photo = self._find_image(label, root)
        if photo is None:
            reason = _("its photo {name} is not there").format(
                name=root.find_text("filename") or posixpath.basename(label)
            )
            self._builder.reject(label, reason, _("put it there, or remove the label"), root.line, "no-image")
            return
        if photo in self._label_by_image:
            reason = _("{other} speaks of the same photo, {name}").format(other=self._label_by_image[photo], name=photo)
            self._builder.reject(label, reason, _("correct <filename>, or remove one"), root.line, "double")
            return
        self._label_by_image[photo] = label
        row = self._builder.add_image(photo, self._find_split(label, photo), _parse_size(root))
        shift = _coordinate_base(root)
        for element in root.children:
            if element.tag == "object":
                self._add_object(row, label, element, shift)

    def _add_object(self, row: int, label: str, element: XmlElement, shift: int) -> None:
        fields = {child.tag: child for child in element.children}
        try:
            name = _require_text(fields["name"])
            rings = [_parse_polygon(child) for child in element.children if child.tag == "polygon"]
            box = (
                _parse_box(fields["bndbox"], shift) if "bndbox" in fields or not rings else compute_bounding_box(rings)
            )
        except KeyError as error:
            reason = _("an object without <{tag}>").format(tag=error.args[0])
            self._builder.reject(label, reason, _("complete or remove it"), element.line, "row")
        except ValueError as error:
            reason = _("a coordinate that is no number: {error}").format(error=error)
            self._builder.reject(label, reason, _("correct or remove it"), element.line, "number")
        else:
            flags = sum(flag for tag, flag in FLAG_TAGS.items() if tag in fields and _is_true(fields[tag]))
            self._builder.add(row, RawObject(self._class_index.get_id(name), box, label, element.line, flags, rings))

    def _find_image(self, label: str, root: XmlElement) -> str | None:
        """Return the photo of ``label``: the one it mentions, unless that one has a label file of its own name."""
        twin = self._same_stem_images[label]
        mentioned = self._find_mentioned_image(label, root)
        if mentioned is None or (twin is not None and mentioned in self._claimed_images):
            return twin
        return mentioned

    def _find_mentioned_image(self, label: str, root: XmlElement) -> str | None:
        name = normalise_path(root.find_text("filename"))
        near = posixpath.dirname(label)
        found = self._image_lookup.find(name, near)
        if found is None and name:
            above = posixpath.dirname(near)
            tried = (self._image_lookup.find(posixpath.join(above, folder, name)) for folder in _IMAGE_FOLDERS)
            found = next((photo for photo in tried if photo), None) or self._image_lookup.find(
                root.find_text("path"), near
            )
        return found if found is not None and is_encodable_text(found) else None

    def _find_same_stem_image(self, label: str) -> str | None:
        twin = self._image_lookup.find_by_stem(label)
        if twin is None:
            above, name = posixpath.dirname(posixpath.dirname(label)), posixpath.basename(label)
            tried = (self._image_lookup.find_by_stem(posixpath.join(above, folder, name)) for folder in _IMAGE_FOLDERS)
            twin = next((photo for photo in tried if photo), None)
        return twin if twin is not None and is_encodable_text(twin) else None

    def _find_split(self, label: str, photo: str) -> int:
        if self._image_sets.has_lists:
            return self._image_sets.get_split(label)
        paths = [name for name in (photo, label) if not posixpath.isabs(name)]
        words = [word for name in paths for word in name.lower().split("/")[:-1]]
        return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), UNASSIGNED)

    def _reject_unlabelled(self) -> None:
        for photo in self._image_lookup.names:
            if photo not in self._label_by_image:
                shown = photo if is_encodable_text(photo) else photo.encode("utf-8", "backslashreplace").decode()
                self._builder.reject(shown, _("no label file speaks of it"), _("label it"), kind="no-label")
        self._image_sets.reject_missing(self._image_lookup.names)


def _is_voc(place: DataLocation, name: str) -> bool:
    try:
        return xml_reader.read_root_tag(place.tree.head(name, _HEAD_BYTES)) == "annotation"
    except DataError:
        return False


def _locate_files(place: DataLocation) -> tuple[ImageLookup, list[str]]:
    """Return the photos, of the place itself or of the folders beside it, and the label files as seen from there."""
    first: tuple[ImageLookup, list[str]] | None = None
    for tree, prefix in iterate_parent_trees(place):
        found = ImageLookup(tree, _MASK_FOLDERS), [prefix + name for name in place.find_by_suffix(".xml")]
        if found[0].names and (not place.file or found[0].find_by_stem(found[1][0])):
            return found
        if first is None or (found[0].names and not first[0].names):
            first = found
    return first or (ImageLookup(place.tree), [])


def _coordinate_base(root: XmlElement) -> int:
    """Return 1 where the file counts pixels from 1, as the VOC databases do; else 0."""
    source = root.find_child("source")
    if source is None:
        return 0
    return int(any(_ONE_BASED_SOURCE.search(source.find_text(tag)) is not None for tag in ("database", "annotation")))


def _require_text(element: XmlElement) -> str:
    """Return the text of ``element`` without spaces around; raise ``KeyError`` when there is none."""
    text = element.text.strip()
    if not text:
        raise KeyError(element.tag)
    return text


def _is_true(element: XmlElement) -> bool:
    return element.text.strip().lower() in _TRUE_WORDS


def _parse_size(root: XmlElement) -> tuple[int, int]:
    size = root.find_child("size")
    return (0, 0) if size is None else (_parse_side(size.find_text("height")), _parse_side(size.find_text("width")))


def _parse_side(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0


def _parse_box(element: XmlElement, shift: int) -> Box:
    """Return left, top, right, bottom; raise ``KeyError`` when one is missing, ``ValueError`` when it is no number."""
    corners = {child.tag: child.text for child in element.children}
    left, top, right, bottom = (parse_number(corners[side]) for side in BOX_TAGS)
    return left - shift, top - shift, right, bottom


def _parse_polygon(element: XmlElement) -> NDArray[np.float64]:
    """Return the points (K, 2) of a polygon: ``<pt><x/><y/></pt>`` as LabelMe writes them, ``<x1/><y1/>`` as Roboflow.

    Raise ``KeyError`` when one lacks a coordinate or there are less than three, ``ValueError`` when one is no number.
    """
    points: list[tuple[float, float]] = []
    numbered: dict[int, dict[str, str]] = {}
    for child in element.children:
        match = _CORNER_TAG.fullmatch(child.tag)
        if match:
            numbered.setdefault(int(match[2]), {})[match[1]] = child.text
        elif child.tag == "pt":
            points.append((parse_number(child.find_text("x")), parse_number(child.find_text("y"))))
    points += [(parse_number(numbered[i]["x"]), parse_number(numbered[i]["y"])) for i in sorted(numbered)]
    if len(points) < 3:
        raise KeyError("pt")
    return np.array(points, np.float64)


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.BOXES
    | Capability.SPLITS
    | Capability.FLAGS
    | Capability.CLASSES
    | Capability.NEGATIVES
    | Capability.EXTERNAL_PATHS,
    write,
    image_path,
    sum(FLAG_TAGS.values()),
)
