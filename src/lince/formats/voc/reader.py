"""Reads Pascal VOC: one XML file per image (Everingham et al., "The PASCAL VOC Challenge", IJCV 2010; VOC devkit).

The meaning of integer coordinates differs. The VOC datasets count pixels from 1 and include the
last one: the top left pixel is ``xmin`` 1 to ``xmax`` 1. Most tools that write the format since
then use distances from the corner of the image. lince takes the numbers as continuous coordinates
from 0, except in files whose ``<source>`` names one of the VOC datasets (VOC2005 to VOC2012): there
1 is subtracted from left and top. Files written by lince count from 0 and say so in ``<source>``.
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
from lince.formats.table import LabelTable, ReadOptions
from lince.formats.voc.image_sets import ImageSets, read_label_map
from lince.formats.voc.writer import BOX_TAGS, FLAG_TAGS, image_path, write
from lince.i18n import _
from lince.parsing import xml_reader
from lince.parsing.json_reader import is_encodable_text
from lince.parsing.xml_reader import XmlElement, parse_number
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED, infer_split_from_folders
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation

NAME = "voc"
_PROBE_COUNT = 8  # files opened to recognise the format
_MAX_THREADS = 16
_BATCH = 256
_HEAD_BYTES = 2048
_IMAGE_FOLDERS = ("JPEGImages", "images")
_MASK_FOLDERS = frozenset({"segmentationclass", "segmentationobject", "trimaps"})
_ONE_BASED_SOURCE = re.compile(r"\bVOC20(0[5-9]|1[0-2])\b")
_TRUE_WORDS = ("1", "true", "yes")
_CORNER_TAG = re.compile(r"([xy])(\d{1,6})")


def detect(location: DataLocation) -> str | None:
    """Return the evidence that ``location`` holds VOC labels, ``None`` when no sampled XML file is one."""
    xml_files = location.find_by_suffix(".xml")
    probes = xml_files[:: max(1, len(xml_files) // _PROBE_COUNT)][: _PROBE_COUNT + 1]
    if not any(_is_voc(location, name) for name in probes):
        return None
    return _("{count} XML files such as {name}").format(count=len(xml_files), name=xml_files[0])


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read one image per XML file, found by its ``<filename>``, else by the name of the XML file.

    Splits come from ``ImageSets``, else from folders named after them. The order of the classes is
    that of CVAT's ``labelmap.txt``, else sorted by name. Raise ``DataError`` when a single file was
    named and is not VOC.
    """
    image_lookup, label_files = _locate_files(location)
    return _VocReader(image_lookup, label_files, options, bool(location.file)).read(progress)


class _VocReader:
    """Collects the images and objects of XML files."""

    def __init__(
        self, image_lookup: ImageLookup, label_files: list[str], options: ReadOptions, single_file: bool
    ) -> None:
        self._image_lookup = image_lookup
        self._label_files = label_files
        self._single_file = single_file  # named by itself: other images beside it are not missing labels
        self._builder = ObjectTableBuilder(options)
        self._image_sets = ImageSets(image_lookup.tree, label_files, self._builder)
        class_names, uncertain_names = read_label_map(image_lookup.tree)
        self._class_index = ClassIndex([name for name in class_names if name not in uncertain_names])
        self._same_stem_images = {label_file: self._find_same_stem_image(label_file) for label_file in label_files}
        self._claimed_images = set(self._same_stem_images.values())
        self._label_by_image: dict[str, str] = {}

    def read(self, progress: Progress) -> LabelTable:
        """Return the table of all files."""
        with progress.open_stage(_("Reading the labels"), len(self._label_files)) as stage:
            for label_file, content in self._read_contents():
                root = self._parse_root(label_file, content)
                if root is not None:
                    self._add_image(label_file, root)
                stage.advance()
        self._builder.rejected += self._image_lookup.pop_guesses()
        if not self._single_file:
            self._reject_unlabelled()
        return self._class_index.finalise_table(
            self._builder.build_table(self._image_lookup.tree, NAME, self._class_index.names)
        )

    def _read_contents(self) -> Iterator[tuple[str, bytes | RejectedItem]]:
        """Yield every label file with its content, in order.

        Files of remote stores are read with several threads, since each costs a request.
        """
        if not self._image_lookup.tree.is_remote:
            yield from ((label_file, self._read_content(label_file)) for label_file in self._label_files)
            return
        with ThreadPoolExecutor(_MAX_THREADS) as pool:
            for start in range(0, len(self._label_files), _BATCH):
                batch = self._label_files[start : start + _BATCH]
                yield from zip(batch, pool.map(self._read_content, batch), strict=True)

    def _read_content(self, label_file: str) -> bytes | RejectedItem:
        """Return the bytes of a label file, or its rejection."""
        try:
            return self._image_lookup.tree.read(label_file, xml_reader.MAX_XML_BYTES)
        except DataError as error:
            return RejectedItem(label_file, error.problem, error.remedy)

    def _parse_root(self, label_file: str, content: bytes | RejectedItem) -> XmlElement | None:
        """Return the root of a label file; reject the file and return ``None`` when it is not VOC.

        Raise ``DataError`` instead where a single file was named.
        """
        root = content if isinstance(content, RejectedItem) else xml_reader.parse_xml(content, label_file)
        if isinstance(root, XmlElement) and root.tag != "annotation":
            reason = _("its root is <{tag}>, not <annotation>").format(tag=root.tag)
            root = RejectedItem(label_file, reason, _("move it elsewhere"), root.line, "row")
        if isinstance(root, XmlElement):
            return root
        if self._single_file:
            raise DataError(f"{self._image_lookup.tree.root / str(root)}.", _("Expected a VOC label file, in XML."))
        self._builder.rejected.append(root)
        return None

    def _add_image(self, label_file: str, root: XmlElement) -> None:
        """Add the image of a label file and its objects, or a rejection of the file."""
        image_name = self._find_image(label_file, root)
        reference = root.find_text("filename")
        if image_name is None:
            reason = _("its photo {name} is missing").format(name=reference or posixpath.basename(label_file))
            reason = self._image_lookup.explain_missing(reason, reference or label_file, posixpath.dirname(label_file))
            self._builder.reject(label_file, reason, _("add it, or remove the label"), root.line, "no-image")
            return
        if image_name in self._label_by_image:
            reason = _("{other} refers to the same photo, {name}").format(
                other=self._label_by_image[image_name], name=image_name
            )
            self._builder.reject(label_file, reason, _("correct <filename>, or remove one"), root.line, "double")
            return
        self._label_by_image[image_name] = label_file
        self._image_lookup.note_guess(reference, image_name, label_file, sidecar=True)
        row = self._builder.add_image(image_name, self._find_split(label_file, image_name), _parse_size(root))
        offset = _coordinate_base(root)
        for element in root.children:
            if element.tag == "object":
                self._add_object(row, label_file, element, offset)

    def _add_object(self, row: int, label_file: str, element: XmlElement, offset: int) -> None:
        """Add an ``<object>`` or its rejection.

        Its polygons are used where it has some; ``offset`` is that of ``_parse_box``, and does not apply to them.
        """
        fields = {child.tag: child for child in element.children}
        try:
            name = _require_text(fields["name"])
            rings = [_parse_polygon(child) for child in element.children if child.tag == "polygon"]
            box = (
                _parse_box(fields["bndbox"], offset) if "bndbox" in fields or not rings else compute_bounding_box(rings)
            )
        except KeyError as error:
            reason = _("an object without <{tag}>").format(tag=error.args[0])
            self._builder.reject(label_file, reason, _("complete it, or remove it"), element.line, "row", row=row)
        except ValueError as error:
            reason = _("a coordinate is not a number: {text}").format(text=error)
            self._builder.reject(label_file, reason, _("correct or remove it"), element.line, "number", row=row)
        else:
            flags = sum(flag for tag, flag in FLAG_TAGS.items() if tag in fields and _is_true(fields[tag]))
            self._builder.add(
                row, RawObject(self._class_index.get_id(name), box, label_file, element.line, flags, rings)
            )

    def _find_image(self, label_file: str, root: XmlElement) -> str | None:
        """Return the image of a label file, ``None`` if there is none.

        This is the referenced image, unless another label file has its name: then ``<filename>`` is
        a copying mistake, and the image with the name of this label file is used. Last comes one that
        is called almost as it is referenced.
        """
        same_stem_image = self._same_stem_images[label_file]
        referenced_image = self._find_referenced_image(label_file, root)
        if referenced_image is None or (same_stem_image is not None and referenced_image in self._claimed_images):
            return same_stem_image or self._find_similar_image(label_file, root)
        return referenced_image

    def _find_similar_image(self, label_file: str, root: XmlElement) -> str | None:
        """Return the image that ``<filename>`` names but for its suffix or an upload's code; none with an own label."""
        name, folder = normalise_path(root.find_text("filename")), posixpath.dirname(label_file)
        image_name = self._image_lookup.find_by_name_or_stem(name, folder, sidecar=True)
        is_usable = image_name is not None and is_encodable_text(image_name)
        return image_name if is_usable and image_name not in self._claimed_images else None

    def _find_referenced_image(self, label_file: str, root: XmlElement) -> str | None:
        """Return the image that ``<filename>`` or ``<path>`` names, also in the usual folders for images."""
        name = normalise_path(root.find_text("filename"))
        folder = posixpath.dirname(label_file)
        image_name = self._image_lookup.find(name, folder, sidecar=True)
        if image_name is None and name:
            parent = posixpath.dirname(folder)
            candidates = (
                self._image_lookup.find(posixpath.join(parent, image_folder, name)) for image_folder in _IMAGE_FOLDERS
            )
            image_name = next((candidate for candidate in candidates if candidate), None) or self._image_lookup.find(
                root.find_text("path"), folder, sidecar=True
            )
        return image_name if image_name is not None and is_encodable_text(image_name) else None

    def _find_same_stem_image(self, label_file: str) -> str | None:
        """Return the image with the name of the label file, also in the usual folders for images."""
        image_name = self._image_lookup.find_by_stem(label_file)
        if image_name is None:
            parent, name = posixpath.dirname(posixpath.dirname(label_file)), posixpath.basename(label_file)
            candidates = (
                self._image_lookup.find_by_stem(posixpath.join(parent, folder, name)) for folder in _IMAGE_FOLDERS
            )
            image_name = next((candidate for candidate in candidates if candidate), None)
        return image_name if image_name is not None and is_encodable_text(image_name) else None

    def _find_split(self, label_file: str, image_name: str) -> int:
        """Return the split in ``ImageSets`` where there are lists, else that of the folders."""
        if self._image_sets.has_lists:
            return self._image_sets.get_split(label_file)
        split = infer_split_from_folders(image_name)
        return infer_split_from_folders(label_file) if split == UNASSIGNED else split

    def _reject_unlabelled(self) -> None:
        """Reject the images without a label file, and the lines of ``ImageSets`` without an image."""
        for image_name in self._image_lookup.names:
            if image_name not in self._label_by_image:
                printable_name = image_name.encode("utf-8", "backslashreplace").decode()
                self._builder.reject(printable_name, _("no label file refers to it"), _("label it"), kind="no-label")
        self._image_sets.reject_missing(self._image_lookup.names)


def _is_voc(location: DataLocation, name: str) -> bool:
    """Whether the root element of the XML file ``name`` is ``<annotation>``, and holds no key points alone."""
    try:
        head = location.tree.head(name, _HEAD_BYTES)
        return xml_reader.read_root_tag(head) == "annotation" and (b"<keypoints>" not in head or b"<object>" in head)
    except DataError:
        return False


def _locate_files(location: DataLocation) -> tuple[ImageLookup, list[str]]:
    """Return the images, of the location or of a parent folder, and the label files as seen from there.

    For a single label file, a folder is used only when it has an image with the same name.
    """
    first: tuple[ImageLookup, list[str]] | None = None
    for tree, prefix in iterate_parent_trees(location):
        candidate = ImageLookup(tree, _MASK_FOLDERS), [prefix + name for name in location.find_by_suffix(".xml")]
        if candidate[0].names and (not location.file or candidate[0].find_by_stem(candidate[1][0])):
            return candidate
        if first is None or (candidate[0].names and not first[0].names):
            first = candidate
    return first or (ImageLookup(location.tree), [])


def _coordinate_base(root: XmlElement) -> int:
    """Return 1 where the file counts pixels from 1, as the VOC datasets do, else 0."""
    source = root.find_child("source")
    if source is None:
        return 0
    return int(any(_ONE_BASED_SOURCE.search(source.find_text(tag)) is not None for tag in ("database", "annotation")))


def _require_text(element: XmlElement) -> str:
    """Return the text of ``element``, stripped; raise ``KeyError`` with its tag when it is empty."""
    text = element.text.strip()
    if not text:
        raise KeyError(element.tag)
    return text


def _is_true(element: XmlElement) -> bool:
    """Whether the text of a flag is 1, true or yes."""
    return element.text.strip().lower() in _TRUE_WORDS


def _parse_size(root: XmlElement) -> tuple[int, int]:
    """Return (height, width) in pixels, (0, 0) when ``<size>`` is missing."""
    size = root.find_child("size")
    return (0, 0) if size is None else (_parse_side(size.find_text("height")), _parse_side(size.find_text("width")))


def _parse_side(text: str) -> int:
    """Return a height or width in pixels, 0 when ``text`` is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0


def _parse_box(element: XmlElement, offset: int) -> Box:
    """Return (left, top, right, bottom) with ``offset`` subtracted from left and top.

    Raise ``KeyError`` with the tag of a side that is missing, ``ValueError`` when one is not a
    number.
    """
    corners = {child.tag: child.text for child in element.children}
    left, top, right, bottom = (parse_number(corners[side]) for side in BOX_TAGS)
    return left - offset, top - offset, right, bottom


def _parse_polygon(element: XmlElement) -> NDArray[np.float64]:
    """Return the points of a polygon, float64 (K, 2).

    LabelMe writes them as ``<pt><x/><y/></pt>``, Roboflow as ``<x1/><y1/>``. Raise ``KeyError``
    when a coordinate is missing or there are fewer than three points, ``ValueError`` when a
    coordinate is not a number.
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
