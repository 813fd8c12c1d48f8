"""Reads COCO JSON: one file holds the images, boxes, outlines and masks of a split.

The format is that of Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, as the data format page of
cocodataset.org and the COCO API define it. Class ids are given to the categories by ascending COCO id. Roboflow puts a
category 0 first that only names the project: it is no class when it is the supercategory of all others and no
annotation has it. Between files names count, not ids.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from lince.annotations import CROWD, RejectedItem
from lince.errors import DataError
from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.coco.annotation import parse_annotation
from lince.formats.coco.fast_path import read_batch
from lince.formats.coco.image_index import CocoId, CocoImage, ImageIndex, add_other_forms, read_id
from lince.formats.coco.writer import image_path, write
from lince.formats.format import Capability, Format
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing import json_reader
from lince.parsing.json_reader import JsonNode, JsonValueError
from lince.progress import SILENT, Progress
from lince.storage.tree import DataLocation

NAME = "coco"
_Entry = TypeVar("_Entry")
_HEAD_BYTES = 4096
_MAX_PROBES = 500  # JSON files looked at to detect the format
_BATCH_SIZE = 1024  # annotations; one that is unusual makes the whole batch be parsed one by one
_TOP_LEVEL_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_ANNOTATION_KEYS = {"bbox", "segmentation", "image_id", "category_id", "iscrowd"}


def detect(location: DataLocation) -> str | None:
    """Return how many COCO files there are and the name of one; ``None`` when there are none.

    COCO are JSON files with the lists ``images``, ``annotations`` or ``categories``, judged by their first 4 KiB. Up to
    500 JSON files are looked at.
    """
    label_files = _find_label_files(location, _MAX_PROBES)
    if not label_files:
        return None
    return _("{count} JSON files of images, annotations and categories, such as {name}").format(
        count=len(label_files), name=label_files[0]
    )


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read all COCO files at ``location``; the name of each file, or of its folder, gives its split.

    An image without annotations shows no object. Other JSON files beside them are rejected if they are damaged. Raise
    ``DataError`` for a COCO file that is not valid JSON, and when all of them hold something else: key points,
    captions, panoptic segments, or no annotations.
    """
    reader = _CocoReader(location, options)
    label_files = [location.file] if location.file else _find_label_files(location)
    with progress.open_stage(_("Reading the labels"), len(label_files)) as stage:
        for name in label_files:
            reader.add_file(name, progress)
            stage.advance()
    reader.add_rejected(json_reader.find_invalid_files(location.tree, _sibling_files(location, label_files)))
    return reader.build_table(progress)


class _CocoReader:
    """Reads one COCO file after the other into one table; classes are joined by name."""

    def __init__(self, location: DataLocation, options: ReadOptions) -> None:
        self._tree = location.tree
        self._builder = ObjectTableBuilder(options)
        self._image_index = ImageIndex(location, self._builder)
        self._class_names: list[str] = []
        self._unsupported_errors: list[DataError] = []
        self._key_point_files: list[str] = []
        self._told: set[str] = set()
        self._files_read = 0

    def add_file(self, name: str, progress: Progress, use_key_points: bool = False) -> None:
        """Add the images and annotations of the file ``name``.

        A file of captions and the like is rejected; ``build_table`` raises if there is no other. One of key points with
        boxes is kept aside unless ``use_key_points``, since another file usually has the boxes of the same images.
        """
        root = JsonNode(json_reader.load_json(self._tree, name), name)
        content = _unsupported_content(root)
        has_key_points = "keypoints" in _first_item(root.value, "annotations") and not content
        if has_key_points and not use_key_points:
            self._key_point_files.append(name)
            return
        if content:
            self._unsupported_errors.append(_unsupported_error(str(self._tree.root / name), content))
            self._builder.reject(name, content, _("lince reads boxes, polygons and masks"), kind="other-labels")
            return
        try:
            root = self._image_index.relocate_root(root)
            class_ids = self._read_class_ids(root, progress)
            self._add_annotations(root, self._image_index.add_images(root), class_ids)
        except JsonValueError as error:
            raise error.to_file_error(self._image_index.image_lookup.tree.root) from error
        self._files_read += 1

    def add_rejected(self, rejections: Iterable[RejectedItem]) -> None:
        """Record files that cannot be read."""
        self._builder.rejected += rejections

    def build_table(self, progress: Progress) -> LabelTable:
        """Return the table of all files; raise ``DataError`` when none could be used."""
        for name in self._key_point_files:
            if self._files_read:
                self._builder.reject(
                    name, _("key points"), _("lince reads boxes, polygons and masks"), kind="other-labels"
                )
        for name in [] if self._files_read else self._key_point_files:
            self.add_file(name, progress, use_key_points=True)
        if not self._files_read:
            raise self._unsupported_errors[0] if self._unsupported_errors else DataError(_("There is no COCO file."))
        self._image_index.reject_unnamed()
        return self._builder.build_table(self._image_index.image_lookup.tree, NAME, self._class_names)

    def _read_class_ids(self, root: JsonNode, progress: Progress) -> dict[CocoId, int]:
        """Return the class id of each category of the file at ``root``, and add new class names."""
        names = self._read_categories(root)
        project_category = _find_project_category(root, names)
        project_name = "" if project_category is None else names.pop(project_category)
        if project_name and project_name not in self._told:
            self._told.add(project_name)
            message = _(
                "Category 0, '{name}', is the supercategory of all others and has no annotations: not used as a class."
            )
            progress.show_message(message.format(name=project_name))
        self._tell_repeated_names(root, names, progress)
        self._class_names += [name for name in dict.fromkeys(names.values()) if name not in self._class_names]
        return add_other_forms({category: self._class_names.index(name) for category, name in names.items()})

    def _tell_repeated_names(self, root: JsonNode, names: Mapping[CocoId, str], progress: Progress) -> None:
        """Say which categories of the file at ``root`` have one name, and so are one class."""
        for name, count in Counter(names.values()).items():
            if count > 1 and name not in self._told:
                self._told.add(name)
                text = _("{path}: {count} categories are called '{name}': read as one class.")
                progress.show_message(text.format(path=root.path, count=count, name=name))

    def _read_categories(self, root: JsonNode) -> dict[CocoId, str]:
        """Return the names of the categories by ascending id, numbers before texts.

        Categories without id or name are rejected. Raise ``DataError`` when one id has two names.
        """
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
        self, root: JsonNode, images: dict[CocoId, CocoImage | None], class_ids: dict[CocoId, int]
    ) -> None:
        """Add the annotations of a file: in batches where possible, else one by one."""
        annotations = root.get_child("annotations")
        count = sum(isinstance(item, dict) and bool(item.get("keypoints")) for item in annotations.as_list())
        if count:
            reason = _("{count} annotations have key points: only their boxes, polygons and masks are read")
            self._builder.reject(root.path, reason.format(count=count), kind="reduced")
        for first in range(0, len(annotations.as_list()), _BATCH_SIZE):
            batch = read_batch(annotations.value[first : first + _BATCH_SIZE], images, class_ids)
            if batch is None or not self._builder.extend(batch):
                self._add_one_by_one(annotations.items(first, first + _BATCH_SIZE), images, class_ids)

    def _add_one_by_one(
        self, nodes: Iterable[JsonNode], images: Mapping[CocoId, CocoImage | None], class_ids: Mapping[CocoId, int]
    ) -> None:
        """Add annotations, and reject those that are not as COCO defines them, with their place."""
        builder = self._builder
        for node in nodes:
            try:
                image = _look_up(node, "image_id", images, "no-image")
                if image is not None:  # else the image was rejected, and its annotations with it
                    self._add_annotation(node, image, class_ids)
            except JsonValueError as error:
                builder.reject(error.path, error.reason, error.remedy, kind=error.kind)

    def _add_annotation(self, node: JsonNode, image: CocoImage, class_ids: Mapping[CocoId, int]) -> None:
        """Add the annotation at ``node`` to ``image``, or its rejection."""
        try:
            class_id = _look_up(node, "category_id", class_ids, "class")
            self._builder.add(image.row, parse_annotation(node, class_id, image.size))
        except JsonValueError as error:
            self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind, row=image.row)


def _find_label_files(location: DataLocation, at_most: int | None = None) -> list[str]:
    """Return the names of the COCO files among the first ``at_most`` JSON files (all when ``None``)."""
    return [name for name in location.find_by_suffix(".json")[:at_most] if _is_coco(location, name)]


def _sibling_files(location: DataLocation, label_files: list[str]) -> list[str]:
    """Return the other JSON files in the folders of ``label_files`` or of the same file name.

    They may be COCO files that are damaged at their beginning, which ``_is_coco`` does not recognise.
    """
    folders = {posixpath.dirname(name) for name in label_files}
    names = {posixpath.basename(name) for name in label_files}
    others = [] if location.file else sorted({*location.find_by_suffix(".json")} - {*label_files})
    return [name for name in others if posixpath.dirname(name) in folders or posixpath.basename(name) in names]


def _is_coco(location: DataLocation, name: str) -> bool:
    """Whether the beginning of a JSON file has COCO's lists, with the keys of their records where it shows some."""
    try:
        head = location.tree.head(name, _HEAD_BYTES)
    except DataError:
        return False
    plain = head.replace(b"\0", b"")  # UTF-16
    if not any(key in plain for key in _TOP_LEVEL_KEYS):
        return False
    value = json_reader.peek_json(location.tree, name, _HEAD_BYTES)
    if not isinstance(value, dict) or "shapes" in value:
        return False
    if len(head) < _HEAD_BYTES and not {"annotations", "images"} & value.keys():
        return False  # a list of categories alone, as Label Studio writes beside other formats
    annotation, image = _first_item(value, "annotations"), _first_item(value, "images")
    category = _first_item(value, "categories")
    return bool(_ANNOTATION_KEYS & annotation.keys() or "file_name" in image or "coco_url" in image) or (
        {"id", "name"} <= category.keys()
    )


def _first_item(value: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the first record of the list ``value[key]``; an empty one when there is none."""
    items = value.get(key)
    first = items[0] if isinstance(items, list) and items else {}
    return first if isinstance(first, dict) else {}


def _unsupported_content(root: JsonNode) -> str:
    """Return what the file at ``root`` holds instead of objects; empty when it does hold objects."""
    if root.get_child("annotations").value is None:
        return _("images without annotations")
    first = _first_item(root.value, "annotations")
    if "caption" in first:
        return _("captions")
    if "segments_info" in first:
        return _("panoptic segments")
    return _("key points") if "keypoints" in first and not ({"bbox", "segmentation"} & first.keys()) else ""


def _find_project_category(root: JsonNode, names: dict[CocoId, str]) -> CocoId | None:
    """Return the id of the category that only names the project, as Roboflow writes it, or ``None``."""
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


def _look_up(node: JsonNode, key: str, by_id: Mapping[CocoId, _Entry], kind: str) -> _Entry:
    """Return the entry of ``by_id`` that the id under ``key`` names; raise ``JsonValueError`` of ``kind`` for none."""
    value = node.get_child(key).value
    try:
        return by_id[value]
    except (KeyError, TypeError):
        if value is None:
            error = node.get_child(key).make_error(_("an id"))
            raise JsonValueError(error.path, error.reason, kind) from None
        reason = _("{value} is not declared").format(value=json_reader.format_value(value))
        raise JsonValueError(f"{node.path}/{key}", reason, kind) from None


def _unsupported_error(path: str, content: str) -> DataError:
    return DataError(
        _("{path} contains {content}.").format(path=path, content=content),
        _("Expected annotations with boxes, polygons or masks."),
        _("Use the instances file instead."),
    )


def _conflicting_names_error(path: str, category: CocoId, first_name: str, second_name: str) -> DataError:
    return DataError(
        _("{path}: category id {id} is used for both '{one}' and '{other}'.").format(
            path=path, id=category, one=first_name, other=second_name
        ),
        _("Expected a unique id for every category."),
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
