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

from lince.annotations import CROWD, RejectedItem
from lince.errors import DataError
from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.coco.annotation import parse_annotation
from lince.formats.coco.fast_path import read_batch
from lince.formats.coco.image_index import CocoId, CocoImage, ImageIndex, read_id
from lince.formats.coco.writer import image_path, write
from lince.formats.format import Capability, Format
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.parsing import json_reader
from lince.parsing.json_reader import JsonNode, JsonValueError
from lince.progress import SILENT, Progress
from lince.storage.tree import DataLocation

NAME = "coco"
_Found = TypeVar("_Found")
_HEAD_BYTES = 4096
_MAX_PROBES = 500  # files, as long as the format is not known
_BATCH_SIZE = 1024  # annotations; one that is not as it should be costs the pace of so many
_TOP_LEVEL_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_ANNOTATION_KEYS = {"bbox", "segmentation", "image_id", "category_id", "iscrowd"}


def detect(place: DataLocation) -> str | None:
    """Return what speaks for COCO: JSON files with its lists of images, annotations or categories."""
    found = _find_label_files(place, _MAX_PROBES)
    if not found:
        return None
    return _("{count} JSON files of images, annotations and categories, such as {name}").format(
        count=len(found), name=found[0]
    )


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read all COCO files at ``place``; the name of each, or of its folder, tells its split.

    An image without annotations is one that shows nothing. Raise ``DataError`` for a file that is not JSON, and when
    all of them hold something else: key points, captions, panoptic segments, images alone.
    """
    reader = _CocoReader(place, options)
    found = [place.file] if place.file else _find_label_files(place)
    with progress.open_stage(_("Reading the labels"), len(found)) as stage:
        for name in found:
            reader.add_file(name, progress)
            stage.advance()
    reader.add_rejected(json_reader.find_invalid_files(place.tree, _sibling_files(place, found)))
    return reader.build_table()


class _CocoReader:
    def __init__(self, place: DataLocation, options: ReadOptions) -> None:
        self._tree = place.tree
        self._builder = ObjectTableBuilder(options)
        self._image_index = ImageIndex(place, self._builder)
        self._class_names: list[str] = []
        self._unsupported_errors: list[DataError] = []
        self._files_read = 0

    def add_file(self, name: str, progress: Progress) -> None:
        """Add what the file ``name`` says."""
        root = JsonNode(json_reader.load_json(self._tree, name), name)
        other = _unsupported_content(root)
        if other:
            self._unsupported_errors.append(_unsupported_error(str(self._tree.root / name), other))
            self._builder.reject(name, other, _("lince reads boxes, outlines and masks"))
            return
        try:
            root = self._image_index.relocate_root(root)
            kinds = self._read_class_ids(root, progress)
            self._add_annotations(root, self._image_index.add_images(root), kinds)
        except JsonValueError as error:
            raise error.to_file_error(self._image_index.image_lookup.tree.root) from error
        self._files_read += 1

    def add_rejected(self, refusals: Iterable[RejectedItem]) -> None:
        """Set files aside that cannot be read."""
        self._builder.rejected += refusals

    def build_table(self) -> Table:
        """Return the table of all files."""
        if not self._files_read:
            raise self._unsupported_errors[0] if self._unsupported_errors else DataError(_("There is no COCO file."))
        return self._builder.build_table(self._image_index.image_lookup.tree, NAME, self._class_names)

    def _read_class_ids(self, root: JsonNode, progress: Progress) -> dict[CocoId, int]:
        """Return the class id of each category of the file at ``root``."""
        names = self._read_categories(root)
        project = None if self._files_read else _find_project_category(root, names)
        if project is not None:
            said = _("Category 0, '{name}', is the supercategory of all others and has no marks: no class.")
            progress.show_message(said.format(name=names.pop(project)))
        self._class_names += [name for name in names.values() if name not in self._class_names]
        return {category: self._class_names.index(name) for category, name in names.items()}

    def _read_categories(self, root: JsonNode) -> dict[CocoId, str]:
        """Return the names of the categories by ascending id."""
        names: dict[CocoId, str] = {}
        for node in root.get_child("categories").items():
            try:
                category, name = read_id(node), unicodedata.normalize("NFC", node.get_text("name"))
                if not name.strip():
                    raise node.get_child("name").make_error(_("a name"))
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind="class")
                continue
            if names.setdefault(category, name) != name:
                raise _conflicting_names_error(
                    str(self._image_index.image_lookup.tree.root / root.path), category, names[category], name
                )
        return {category: names[category] for category in sorted(names, key=lambda key: (isinstance(key, str), key))}

    def _add_annotations(
        self, root: JsonNode, images: dict[CocoId, CocoImage | None], kinds: dict[CocoId, int]
    ) -> None:
        whole = root.get_child("annotations")
        for first in range(0, len(whole.as_list()), _BATCH_SIZE):
            found = read_batch(whole.value[first : first + _BATCH_SIZE], images, kinds)
            if found is None or not self._builder.extend(found):
                self._add_one_by_one(whole.items(first, first + _BATCH_SIZE), images, kinds)

    def _add_one_by_one(
        self, nodes: Iterable[JsonNode], images: Mapping[CocoId, CocoImage | None], kinds: Mapping[CocoId, int]
    ) -> None:
        marks = self._builder
        for node in nodes:
            try:
                known = _look_up(node, "image_id", images, "no-image")
                if known is not None:  # else the image was refused, and with it what is marked on it
                    marks.add(
                        known.row, parse_annotation(node, _look_up(node, "category_id", kinds, "class"), known.size)
                    )
            except JsonValueError as error:
                marks.reject(error.path, error.reason, error.remedy, kind=error.kind)


def _find_label_files(place: DataLocation, at_most: int | None = None) -> list[str]:
    """Return the JSON files at ``place`` that are COCO's by their beginning, of the first ``at_most``."""
    return [name for name in place.find_by_suffix(".json")[:at_most] if _is_coco(place, name)]


def _sibling_files(place: DataLocation, found: list[str]) -> list[str]:
    """Return the other JSON files that lie beside those ``found`` or have the name of one: they may be damaged ones."""
    folders, names = {posixpath.dirname(name) for name in found}, {posixpath.basename(name) for name in found}
    others = [] if place.file else sorted({*place.find_by_suffix(".json")} - {*found})
    return [name for name in others if posixpath.dirname(name) in folders or posixpath.basename(name) in names]


def _is_coco(place: DataLocation, name: str) -> bool:
    try:
        head = place.tree.head(name, _HEAD_BYTES)
    except DataError:
        return False
    plain = head.replace(b"\0", b"")  # UTF-16
    if not any(key in plain for key in _TOP_LEVEL_KEYS):
        return False
    value = json_reader.peek_json(place.tree, name, _HEAD_BYTES)
    if not isinstance(value, dict) or "shapes" in value:
        return False
    annotation, image = _first_item(value, "annotations"), _first_item(value, "images")
    category = _first_item(value, "categories")
    return bool(_ANNOTATION_KEYS & annotation.keys() or "file_name" in image or "coco_url" in image) or (
        {"id", "name"} <= category.keys()
    )


def _first_item(value: dict[str, Any], key: str) -> dict[str, Any]:
    items = value.get(key)
    first = items[0] if isinstance(items, list) and items else {}
    return first if isinstance(first, dict) else {}


def _unsupported_content(root: JsonNode) -> str:
    """Return what the file at ``root`` holds instead of marked objects; nothing when it does hold them."""
    if root.get_child("annotations").value is None:
        return _("images without annotations")
    first = _first_item(root.value, "annotations")
    if "caption" in first:
        return _("captions")
    if "segments_info" in first:
        return _("panoptic segments")
    return _("key points") if "keypoints" in first else ""


def _find_project_category(root: JsonNode, names: dict[CocoId, str]) -> CocoId | None:
    """Return the category that only names the project, as Roboflow writes it; ``None`` when there is none."""
    lowest = next(iter(names), None)
    if lowest != 0 or len(names) < 2:
        return None
    items = (node.value for node in root.get_child("categories").items())
    others = [item for item in items if isinstance(item, dict) and item.get("id") != 0]
    if any(item.get("supercategory") != names[lowest] for item in others):
        return None
    used = any(_category_id_of(node.value) == 0 for node in root.get_child("annotations").items())
    return None if used else lowest


def _category_id_of(annotation: object) -> object:
    return annotation.get("category_id") if isinstance(annotation, dict) else None


def _look_up(node: JsonNode, key: str, known: Mapping[CocoId, _Found], fault: str) -> _Found:
    value = node.get_child(key).value
    try:
        return known[value]
    except (KeyError, TypeError):
        path, reason = (
            f"{node.path}/{key}",
            _("{value} is declared nowhere").format(value=json_reader.format_value(value)),
        )
        raise JsonValueError(path, reason, fault) from None


def _unsupported_error(path: str, content: str) -> DataError:
    return DataError(
        _("{path} holds {content}.").format(path=path, content=content),
        _("Expected annotations with boxes, outlines or masks."),
        _("Take the file of instances instead."),
    )


def _conflicting_names_error(path: str, category: CocoId, one: str, other: str) -> DataError:
    return DataError(
        _("{path}: category {id} is '{one}' and '{other}'.").format(path=path, id=category, one=one, other=other),
        _("Every category needs an id of its own."),
    )


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.BOXES
    | Capability.OUTLINES
    | Capability.MASKS
    | Capability.SPLITS
    | Capability.FLAGS
    | Capability.CLASSES
    | Capability.NEGATIVES
    | Capability.MULTI_RING_OUTLINES
    | Capability.EXTERNAL_PATHS,
    write,
    image_path,
    CROWD,
)
