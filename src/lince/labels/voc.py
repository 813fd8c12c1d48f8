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

from lince.annotations import Rejected
from lince.errors import DataError
from lince.labels import xmltree
from lince.labels.format import Format, Holds
from lince.labels.imagesets import ImageSets, read_map
from lince.labels.jsonfile import is_text
from lince.labels.kinds import Kinds
from lince.labels.marks import Box, Mark, Marks, around
from lince.labels.nearby import outwards
from lince.labels.photos import Photos, tidy
from lince.labels.table import SPLIT_WORDS, UNASSIGNED, Options, Table
from lince.labels.tree import Place
from lince.labels.vocwrite import FLAGS, SIDES, file, write
from lince.labels.xmltree import Element, number
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "voc"
_PROBES = 8
_AT_ONCE = 16
_BATCH = 256
_HEAD = 2048
_PHOTO_FOLDERS = ("JPEGImages", "images")
_APART = frozenset({"segmentationclass", "segmentationobject", "trimaps"})
_COUNTED_FROM_1 = re.compile(r"\bVOC20(0[5-9]|1[0-2])\b")
_TRUE = ("1", "true", "yes")
_CORNER = re.compile(r"([xy])(\d{1,6})")


def detect(place: Place) -> str | None:
    """Return what speaks for VOC at ``place``: XML files with the root ``annotation``; ``None`` when nothing does."""
    found = place.ending(".xml")
    probes = found[:: max(1, len(found) // _PROBES)][: _PROBES + 1]
    if not any(_is_voc(place, name) for name in probes):
        return None
    return _("{count} XML files such as {name}").format(count=len(found), name=found[0])


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read a photo for each XML file, found by its ``<filename>``, else by the name of the XML file.

    Splits come from ``ImageSets``, else from folders called train, val or test; the order of the classes from a
    ``labelmap.txt`` as CVAT writes it, else they are sorted. Raise ``DataError`` when the one file named is not XML.
    """
    photos, labels = _found(place)
    return _Reader(photos, labels, options, bool(place.file)).read(progress)


class _Reader:
    def __init__(self, photos: Photos, labels: list[str], options: Options, alone: bool) -> None:
        self._photos = photos
        self._labels = labels
        self._alone = alone  # one file was named: the photos that it does not speak of are nobody's business
        self._marks = Marks(options)
        self._sets = ImageSets(photos.tree, labels, self._marks)
        declared, doubtful = read_map(photos.tree)
        self._kinds = Kinds([name for name in declared if name not in doubtful])
        self._twins = {label: self._twin(label) for label in labels}
        self._owned = set(self._twins.values())
        self._used: dict[str, str] = {}

    def read(self, progress: Progress) -> Table:
        """Return the table of all files."""
        with progress.stage(_("Reading the labels"), len(self._labels)) as stage:
            for label, content in self._contents():
                root = self._root(label, content)
                if root is not None:
                    self._image(label, root)
                stage.advance()
        if not self._alone:
            self._reject_unlabelled()
        return self._kinds.settled(self._marks.table(self._photos.tree, NAME, self._kinds.names))

    def _contents(self) -> Iterator[tuple[str, bytes | Rejected]]:
        """Yield every label file with what it holds; where each is a journey, many are under way at once."""
        if not self._photos.tree.far:
            yield from ((label, self._content(label)) for label in self._labels)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(self._labels), _BATCH):
                batch = self._labels[start : start + _BATCH]
                yield from zip(batch, pool.map(self._content, batch), strict=True)

    def _content(self, label: str) -> bytes | Rejected:
        try:
            return self._photos.tree.read(label, xmltree.AT_MOST)
        except DataError as error:
            return Rejected(label, error.found, error.remedy)

    def _root(self, label: str, content: bytes | Rejected) -> Element | None:
        root = content if isinstance(content, Rejected) else xmltree.parse(content, label)
        if isinstance(root, Element) and root.tag != "annotation":
            reason = _("its root is <{tag}>, not <annotation>").format(tag=root.tag)
            root = Rejected(label, reason, _("move it elsewhere"), root.line, "row")
        if isinstance(root, Element):
            return root
        if self._alone:
            raise DataError(f"{self._photos.tree.root / str(root)}.", _("Expected a VOC label file, in XML."))
        self._marks.rejected.append(root)
        return None

    def _image(self, label: str, root: Element) -> None:
        photo = self._photo(label, root)
        if photo is None:
            reason = _("its photo {name} is not there").format(name=root.word("filename") or posixpath.basename(label))
            self._marks.reject(label, reason, _("put it there, or remove the label"), root.line, "no-image")
            return
        if photo in self._used:
            reason = _("{other} speaks of the same photo, {name}").format(other=self._used[photo], name=photo)
            self._marks.reject(label, reason, _("correct <filename>, or remove one"), root.line, "double")
            return
        self._used[photo] = label
        row = self._marks.image(photo, self._split(label, photo), _size(root))
        shift = _counts_from(root)
        for element in root.children:
            if element.tag == "object":
                self._object(row, label, element, shift)

    def _object(self, row: int, label: str, element: Element, shift: int) -> None:
        fields = {child.tag: child for child in element.children}
        try:
            name = _text(fields["name"])
            rings = [_ring(child) for child in element.children if child.tag == "polygon"]
            box = _box(fields["bndbox"], shift) if "bndbox" in fields or not rings else around(rings)
        except KeyError as error:
            reason = _("an object without <{tag}>").format(tag=error.args[0])
            self._marks.reject(label, reason, _("complete or remove it"), element.line, "row")
        except ValueError as error:
            reason = _("a coordinate that is no number: {error}").format(error=error)
            self._marks.reject(label, reason, _("correct or remove it"), element.line, "number")
        else:
            flags = sum(flag for tag, flag in FLAGS.items() if tag in fields and _is_true(fields[tag]))
            self._marks.add(row, Mark(self._kinds.id(name), box, label, element.line, flags, rings))

    def _photo(self, label: str, root: Element) -> str | None:
        """Return the photo of ``label``: the one it mentions, unless that one has a label file of its own name."""
        twin = self._twins[label]
        mentioned = self._mentioned(label, root)
        if mentioned is None or (twin is not None and mentioned in self._owned):
            return twin
        return mentioned

    def _mentioned(self, label: str, root: Element) -> str | None:
        name = tidy(root.word("filename"))
        near = posixpath.dirname(label)
        found = self._photos.find(name, near)
        if found is None and name:
            above = posixpath.dirname(near)
            tried = (self._photos.find(posixpath.join(above, folder, name)) for folder in _PHOTO_FOLDERS)
            found = next((photo for photo in tried if photo), None) or self._photos.find(root.word("path"), near)
        return found if found is not None and is_text(found) else None

    def _twin(self, label: str) -> str | None:
        twin = self._photos.twin(label)
        if twin is None:
            above, name = posixpath.dirname(posixpath.dirname(label)), posixpath.basename(label)
            tried = (self._photos.twin(posixpath.join(above, folder, name)) for folder in _PHOTO_FOLDERS)
            twin = next((photo for photo in tried if photo), None)
        return twin if twin is not None and is_text(twin) else None

    def _split(self, label: str, photo: str) -> int:
        if self._sets.present:
            return self._sets.split(label)
        paths = [name for name in (photo, label) if not posixpath.isabs(name)]
        words = [word for name in paths for word in name.lower().split("/")[:-1]]
        return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), UNASSIGNED)

    def _reject_unlabelled(self) -> None:
        for photo in self._photos.names:
            if photo not in self._used:
                shown = photo if is_text(photo) else photo.encode("utf-8", "backslashreplace").decode()
                self._marks.reject(shown, _("no label file speaks of it"), _("label it"), fault="no-label")
        self._sets.reject_absent(self._photos.names)


def _is_voc(place: Place, name: str) -> bool:
    try:
        return xmltree.root_tag(place.tree.head(name, _HEAD)) == "annotation"
    except DataError:
        return False


def _found(place: Place) -> tuple[Photos, list[str]]:
    """Return the photos, of the place itself or of the folders beside it, and the label files as seen from there."""
    first: tuple[Photos, list[str]] | None = None
    for tree, prefix in outwards(place):
        found = Photos(tree, _APART), [prefix + name for name in place.ending(".xml")]
        if found[0].names and (not place.file or found[0].twin(found[1][0])):
            return found
        if first is None or (found[0].names and not first[0].names):
            first = found
    return first or (Photos(place.tree), [])


def _counts_from(root: Element) -> int:
    """Return 1 where the file counts pixels from 1, as the VOC databases do; else 0."""
    source = root.child("source")
    if source is None:
        return 0
    return int(any(_COUNTED_FROM_1.search(source.word(tag)) is not None for tag in ("database", "annotation")))


def _text(element: Element) -> str:
    """Return the text of ``element`` without spaces around; raise ``KeyError`` when there is none."""
    text = element.text.strip()
    if not text:
        raise KeyError(element.tag)
    return text


def _is_true(element: Element) -> bool:
    return element.text.strip().lower() in _TRUE


def _size(root: Element) -> tuple[int, int]:
    size = root.child("size")
    return (0, 0) if size is None else (_side(size.word("height")), _side(size.word("width")))


def _side(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0


def _box(element: Element, shift: int) -> Box:
    """Return left, top, right, bottom; raise ``KeyError`` when one is missing, ``ValueError`` when it is no number."""
    corners = {child.tag: child.text for child in element.children}
    left, top, right, bottom = (number(corners[side]) for side in SIDES)
    return left - shift, top - shift, right, bottom


def _ring(element: Element) -> NDArray[np.float64]:
    """Return the points (K, 2) of a polygon: ``<pt><x/><y/></pt>`` as LabelMe writes them, ``<x1/><y1/>`` as Roboflow.

    Raise ``KeyError`` when one lacks a coordinate or there are less than three, ``ValueError`` when one is no number.
    """
    points: list[tuple[float, float]] = []
    numbered: dict[int, dict[str, str]] = {}
    for child in element.children:
        match = _CORNER.fullmatch(child.tag)
        if match:
            numbered.setdefault(int(match[2]), {})[match[1]] = child.text
        elif child.tag == "pt":
            points.append((number(child.word("x")), number(child.word("y"))))
    points += [(number(numbered[i]["x"]), number(numbered[i]["y"])) for i in sorted(numbered)]
    if len(points) < 3:
        raise KeyError("pt")
    return np.array(points, np.float64)


FORMAT = Format(
    NAME,
    detect,
    read,
    Holds.BOXES | Holds.SPLITS | Holds.FLAGS | Holds.CLASSES | Holds.NEGATIVES | Holds.PATHS,
    write,
    file,
    sum(FLAGS.values()),
)
