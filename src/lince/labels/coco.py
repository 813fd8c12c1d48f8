"""COCO JSON: all images, boxes, outlines and masks of a split in one file (Lin et al., "Microsoft COCO", ECCV 2014).

Read as the data format page of cocodataset.org and the COCO API have it. Class ids are the categories by ascending id,
whichever those are. Roboflow puts a category 0 first that only names the project: one that is the supercategory of all
others, and that no annotation of the first file has, is no class. In further files names count, not ids.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from lince.annotations import CROWD, Rejected
from lince.errors import DataError
from lince.labels import jsonfile
from lince.labels.cocobulk import block
from lince.labels.cocoimages import Id, Images, Known, id_of
from lince.labels.cocoshape import mark
from lince.labels.cocowrite import file, write
from lince.labels.format import Format, Holds
from lince.labels.jsonfile import Node, WrongValueError
from lince.labels.marks import Marks
from lince.labels.table import Options, Table
from lince.labels.tree import Place
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "coco"
_Found = TypeVar("_Found")
_HEAD = 4096
_LOOKED_INTO = 500  # files, as long as the format is not known
_AT_ONCE = 1024  # annotations; one that is not as it should be costs the pace of so many
_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_OF_ANNOTATIONS = {"bbox", "segmentation", "image_id", "category_id", "iscrowd"}


def detect(place: Place) -> str | None:
    """Return what speaks for COCO: JSON files with its lists of images, annotations or categories."""
    found = _label_files(place, _LOOKED_INTO)
    if not found:
        return None
    return _("{count} JSON files of images, annotations and categories, such as {name}").format(
        count=len(found), name=found[0]
    )


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read all COCO files at ``place``; the name of each, or of its folder, tells its split.

    An image without annotations is one that shows nothing. Raise ``DataError`` for a file that is not JSON, and when
    all of them hold something else: key points, captions, panoptic segments, images alone.
    """
    reader = _Reader(place, options)
    found = [place.file] if place.file else _label_files(place)
    with progress.stage(_("Reading the labels"), len(found)) as stage:
        for name in found:
            reader.add(name, progress)
            stage.advance()
    reader.refuse(jsonfile.broken(place.tree, _sisters(place, found)))
    return reader.table()


class _Reader:
    def __init__(self, place: Place, options: Options) -> None:
        self._tree = place.tree
        self._marks = Marks(options)
        self._images = Images(place, self._marks)
        self._classes: list[str] = []
        self._others: list[DataError] = []
        self._read = 0

    def add(self, name: str, progress: Progress) -> None:
        """Add what the file ``name`` says."""
        root = Node(jsonfile.load(self._tree, name), name)
        other = _other_content(root)
        if other:
            self._others.append(_not_objects(str(self._tree.root / name), other))
            self._marks.reject(name, other, _("lince reads boxes, outlines and masks"))
            return
        try:
            root = self._images.settled(root)
            kinds = self._kinds(root, progress)
            self._annotations(root, self._images.add(root), kinds)
        except WrongValueError as error:
            raise error.of_all(self._images.photos.tree.root) from error
        self._read += 1

    def refuse(self, refusals: Iterable[Rejected]) -> None:
        """Set files aside that cannot be read."""
        self._marks.rejected += refusals

    def table(self) -> Table:
        """Return the table of all files."""
        if not self._read:
            raise self._others[0] if self._others else DataError(_("There is no COCO file."))
        return self._marks.table(self._images.photos.tree, NAME, self._classes)

    def _kinds(self, root: Node, progress: Progress) -> dict[Id, int]:
        """Return the class id of each category of the file at ``root``."""
        names = self._categories(root)
        project = None if self._read else _project(root, names)
        if project is not None:
            said = _("Category 0, '{name}', is the supercategory of all others and has no marks: no class.")
            progress.say(said.format(name=names.pop(project)))
        self._classes += [name for name in names.values() if name not in self._classes]
        return {category: self._classes.index(name) for category, name in names.items()}

    def _categories(self, root: Node) -> dict[Id, str]:
        """Return the names of the categories by ascending id."""
        names: dict[Id, str] = {}
        for node in root.at("categories").items():
            try:
                category, name = id_of(node), unicodedata.normalize("NFC", node.text("name"))
                if not name.strip():
                    raise node.at("name").wrong(_("a name"))
            except WrongValueError as error:
                self._marks.reject(error.path, error.reason, error.remedy, fault="class")
                continue
            if names.setdefault(category, name) != name:
                raise _two_names(str(self._images.photos.tree.root / root.path), category, names[category], name)
        return {category: names[category] for category in sorted(names, key=lambda key: (isinstance(key, str), key))}

    def _annotations(self, root: Node, images: dict[Id, Known | None], kinds: dict[Id, int]) -> None:
        whole = root.at("annotations")
        for first in range(0, len(whole.listed()), _AT_ONCE):
            found = block(whole.value[first : first + _AT_ONCE], images, kinds)
            if found is None or not self._marks.extend(found):
                self._one_by_one(whole.items(first, first + _AT_ONCE), images, kinds)

    def _one_by_one(self, nodes: Iterable[Node], images: Mapping[Id, Known | None], kinds: Mapping[Id, int]) -> None:
        marks = self._marks
        for node in nodes:
            try:
                known = _looked_up(node, "image_id", images, "no-image")
                if known is not None:  # else the image was refused, and with it what is marked on it
                    marks.add(known.row, mark(node, _looked_up(node, "category_id", kinds, "class"), known.size))
            except WrongValueError as error:
                marks.reject(error.path, error.reason, error.remedy, fault=error.fault)


def _label_files(place: Place, at_most: int | None = None) -> list[str]:
    """Return the JSON files at ``place`` that are COCO's by their beginning, of the first ``at_most``."""
    return [name for name in place.ending(".json")[:at_most] if _is_coco(place, name)]


def _sisters(place: Place, found: list[str]) -> list[str]:
    """Return the other JSON files that lie beside those ``found`` or have the name of one: they may be damaged ones."""
    folders, names = {posixpath.dirname(name) for name in found}, {posixpath.basename(name) for name in found}
    others = [] if place.file else sorted({*place.ending(".json")} - {*found})
    return [name for name in others if posixpath.dirname(name) in folders or posixpath.basename(name) in names]


def _is_coco(place: Place, name: str) -> bool:
    try:
        head = place.tree.head(name, _HEAD)
    except DataError:
        return False
    plain = head.replace(b"\0", b"")  # UTF-16
    if not any(key in plain for key in _KEYS):
        return False
    value = jsonfile.peek(place.tree, name, _HEAD)
    if not isinstance(value, dict) or "shapes" in value:
        return False
    annotation, image = _first(value, "annotations"), _first(value, "images")
    category = _first(value, "categories")
    return bool(_OF_ANNOTATIONS & annotation.keys() or "file_name" in image or "coco_url" in image) or (
        {"id", "name"} <= category.keys()
    )


def _first(value: dict[str, Any], key: str) -> dict[str, Any]:
    items = value.get(key)
    first = items[0] if isinstance(items, list) and items else {}
    return first if isinstance(first, dict) else {}


def _other_content(root: Node) -> str:
    """Return what the file at ``root`` holds instead of marked objects; nothing when it does hold them."""
    if root.at("annotations").value is None:
        return _("images without annotations")
    first = _first(root.value, "annotations")
    if "caption" in first:
        return _("captions")
    if "segments_info" in first:
        return _("panoptic segments")
    return _("key points") if "keypoints" in first else ""


def _project(root: Node, names: dict[Id, str]) -> Id | None:
    """Return the category that only names the project, as Roboflow writes it; ``None`` when there is none."""
    lowest = next(iter(names), None)
    if lowest != 0 or len(names) < 2:
        return None
    items = (node.value for node in root.at("categories").items())
    others = [item for item in items if isinstance(item, dict) and item.get("id") != 0]
    if any(item.get("supercategory") != names[lowest] for item in others):
        return None
    used = any(_category(node.value) == 0 for node in root.at("annotations").items())
    return None if used else lowest


def _category(annotation: object) -> object:
    return annotation.get("category_id") if isinstance(annotation, dict) else None


def _looked_up(node: Node, key: str, known: Mapping[Id, _Found], fault: str) -> _Found:
    value = node.at(key).value
    try:
        return known[value]
    except (KeyError, TypeError):
        path, reason = f"{node.path}/{key}", _("{value} is declared nowhere").format(value=jsonfile.shown(value))
        raise WrongValueError(path, reason, fault) from None


def _not_objects(path: str, content: str) -> DataError:
    return DataError(
        _("{path} holds {content}.").format(path=path, content=content),
        _("Expected annotations with boxes, outlines or masks."),
        _("Take the file of instances instead."),
    )


def _two_names(path: str, category: Id, one: str, other: str) -> DataError:
    return DataError(
        _("{path}: category {id} is '{one}' and '{other}'.").format(path=path, id=category, one=one, other=other),
        _("Every category needs an id of its own."),
    )


FORMAT = Format(
    NAME,
    detect,
    read,
    Holds.BOXES
    | Holds.OUTLINES
    | Holds.MASKS
    | Holds.SPLITS
    | Holds.FLAGS
    | Holds.CLASSES
    | Holds.NEGATIVES
    | Holds.RINGS
    | Holds.PATHS,
    write,
    file,
    CROWD,
)
