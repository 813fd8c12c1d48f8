"""LabelMe: a JSON file for each photo, with the shapes that were drawn on it (github.com/wkentaro/labelme).

Polygons of one label and one ``group_id`` are one object of several rings, as LabelMe's own converters take them. Where
no file has a shape, the flags of the photos are classes, as ``labelme --flags`` writes them. A ``labels.txt`` beside
the files gives the order of the classes; they are sorted otherwise.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

import numpy as np

from lince import images
from lince.annotations import UNLABELLED, RejectedItem
from lince.errors import DataError
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject, compute_bounding_box
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, read_image_size
from lince.formats.labelme.embedded_images import EmbeddedImageTree, decode_embedded_image
from lince.formats.labelme.shapes import FLAGS_BY_NAME, parse_flags, parse_shape
from lince.formats.labelme.writer import CLASS_FILE, RESERVED_NAMES, image_path, write
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.parsing import json_reader
from lince.parsing.json_reader import JsonNode, JsonValueError, is_encodable_text, parse_image_side
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "labelme"
_MAX_PROBES = 8
_HEAD_BYTES = 4096
_MAX_CLASS_FILE_BYTES = 2**20
_LABELME_KEYS = {"version", "flags", "imagePath", "imageData", "imageHeight"}


def detect(place: DataLocation) -> str | None:
    """Return what speaks for LabelMe: JSON files with shapes on an image."""
    found = place.find_by_suffix(".json")
    probes = found[:: max(1, len(found) // _MAX_PROBES)][: _MAX_PROBES + 1]
    first = next((name for name in probes if _is_labelme(place.tree, name)), None)
    return None if first is None else _("{count} JSON files such as {name}").format(count=len(found), name=first)


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read a photo for each JSON file: the one it names, else the one called as itself, else the one within it.

    Raise ``DataError`` when the one file named is not LabelMe's.
    """
    photos, prefix = _find_image_root(place)
    labels = [prefix + name for name in place.find_by_suffix(".json")]
    reader = _LabelMeReader(photos, ObjectTableBuilder(options), bool(place.file))
    with progress.open_stage(_("Reading the labels"), len(labels)) as stage:
        for label in labels:
            reader.add_file(label)
            stage.advance()
    return reader.build_table(progress)


class _LabelMeReader:
    def __init__(self, photos: ImageLookup, marks: ObjectTableBuilder, alone: bool) -> None:
        self._image_lookup = photos
        self._builder = marks
        self._single_file = alone  # one file was named: photos that it does not speak of are nobody's business
        self._class_index = ClassIndex(_read_class_file(photos.tree))
        self._label_by_image: dict[str, str] = {}
        self._holder_files: dict[str, str] = {}
        self._image_flags: dict[int, list[str]] = {}
        self._shape_count = 0

    def add_file(self, label: str) -> None:
        """Add the photo of the file ``label`` and what is marked on it."""
        try:
            root = JsonNode(json_reader.load_json(self._image_lookup.tree, label), label)
            shapes = root.get_child("shapes").as_list()
            photo = self._find_image(root)
        except DataError as error:
            if self._single_file and isinstance(error, JsonValueError):
                raise error.to_file_error(self._image_lookup.tree.root) from error
            if self._single_file:
                raise
            self._builder.rejected.append(_rejected_item(label, error))
            return
        if photo in self._label_by_image:
            reason = _("{other} speaks of the same photo, {name}").format(other=self._label_by_image[photo], name=photo)
            self._builder.reject(label, reason, _("correct imagePath, or remove one"), kind="double")
            return
        self._label_by_image[photo] = label
        self._shape_count += len(shapes)
        self._add_image(root, photo)

    def build_table(self, progress: Progress) -> Table:
        """Return the table of all files."""
        if not self._single_file:
            for photo in self._image_lookup.names:
                if photo not in self._label_by_image and is_encodable_text(photo):
                    self._builder.reject(photo, _("no label file speaks of it"), _("label it"), kind="no-label")
        tree = (
            EmbeddedImageTree(self._image_lookup.tree, self._holder_files)
            if self._holder_files
            else self._image_lookup.tree
        )
        table = self._builder.build_table(tree, NAME, self._class_index.names)
        if self._shape_count or not self._image_flags:
            if self._image_flags:
                progress.show_message(
                    _("{count} photos have flags of their own: not used.").format(count=len(self._image_flags))
                )
            return self._class_index.finalise_table(table)
        return self._classification_table(table)

    def _find_image(self, root: JsonNode) -> str:
        mention = root.value.get("imagePath")
        found = _find_image(self._image_lookup, mention, root.path)
        if found is not None:
            return found
        kind = images.detect_format(decode_embedded_image(root.value) or b"")
        if kind is None:
            reason = _("its photo {name} is not there").format(name=json_reader.format_value(mention))
            raise JsonValueError(root.path, reason, "no-image")
        made_up = f"{posixpath.splitext(root.path)[0]}.{kind}"
        self._holder_files[made_up] = root.path
        return made_up

    def _add_image(self, root: JsonNode, photo: str) -> None:
        known = self._read_size(root, photo)
        row = self._builder.add_image(photo, _infer_split(photo), known)
        said = root.value.get("flags")
        true = [word for word, value in said.items() if value is True] if isinstance(said, dict) else []
        if true:
            self._image_flags[row] = true
        for found in self._read_objects(root, known):
            self._builder.add(row, found)

    def _read_objects(self, root: JsonNode, known: tuple[int, int]) -> list[RawObject]:
        """Return the marks of the file at ``root``, the outlines of a group as one."""
        found: list[RawObject] = []
        groups: dict[tuple[int, str], int] = {}
        for node in root.get_child("shapes").items():
            try:
                one = self._parse_object(node, known)
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)
                continue
            group = node.value.get("group_id")
            if group is None or not one.rings:
                found.append(one)
                continue
            place = groups.setdefault((one.class_id, repr(group)), len(found))
            if place == len(found):
                found.append(one)
            else:
                rings = [*found[place].rings, *one.rings]
                found[place] = replace(found[place], rings=rings, box=compute_bounding_box(rings))
        return found

    def _parse_object(self, node: JsonNode, known: tuple[int, int]) -> RawObject:
        drawn = parse_shape(node, known)
        name = node.get_text("label")
        return RawObject(
            self._class_index.get_id(name), drawn.box, node.path, None, parse_flags(node), drawn.rings, drawn.mask
        )

    def _read_size(self, root: JsonNode, photo: str) -> tuple[int, int]:
        height, width = (parse_image_side(root.value.get(key)) for key in ("imageHeight", "imageWidth"))
        if height and width:
            return height, width
        if photo not in self._holder_files:
            return read_image_size(self._image_lookup.tree, photo)
        try:
            return images.read_size(decode_embedded_image(root.value) or b"")
        except DataError:
            return 0, 0

    def _classification_table(self, table: Table) -> Table:
        """Return the table of photos that have a class by their flags: the one that is true."""
        class_ids = np.full(len(table.names), UNLABELLED, np.int32)
        refused = []
        for row, photo in enumerate(table.names):
            words = self._image_flags.get(row, [])
            if len(words) == 1:
                class_ids[row] = self._class_index.get_id(words[0])
            else:
                reason = _("it has several classes: {names}").format(names=", ".join(words)) if words else _("no class")
                refused.append(RejectedItem(photo, reason, _("set one flag"), None, "class" if words else "no-label"))
        keep = np.flatnonzero(class_ids != UNLABELLED)
        labelled = replace(
            table,
            names=table.names.take(keep),
            class_ids=class_ids[keep],
            splits=table.splits[keep],
            sizes=None if table.sizes is None else table.sizes[keep],
            objects=None,
            rejected=(*table.rejected, *refused),
        )
        return self._class_index.finalise_table(labelled)


def _is_labelme(tree: FileTree, name: str) -> bool:
    try:
        head = tree.head(name, _HEAD_BYTES).replace(b"\0", b"")  # UTF-16
    except DataError:
        return False
    if b'"shapes"' not in head and b'"imageData"' not in head:
        return False
    value = json_reader.peek_json(tree, name, _HEAD_BYTES)
    return isinstance(value, dict) and (
        ("shapes" in value and bool(_LABELME_KEYS & value.keys())) or {"imageData", "imagePath"} <= value.keys()
    )


def _find_image_root(place: DataLocation) -> tuple[ImageLookup, str]:
    """Return the photos, of the place itself or of the folders beside it, and what its names start by from there."""
    labels = place.find_by_suffix(".json")[:_MAX_PROBES]
    mentions = [(label, _read_image_reference(place.tree, label)) for label in labels]
    found = []
    for tree, prefix in iterate_parent_trees(place):
        photos = ImageLookup(tree)
        if any(_find_image(photos, mention, prefix + label) for label, mention in mentions):
            return photos, prefix
        found.append((photos, prefix))
    return found[0]


def _read_image_reference(tree: FileTree, label: str) -> object:
    try:
        return JsonNode(json_reader.load_json(tree, label), label).get_child("imagePath").value
    except DataError:
        return None


def _find_image(photos: ImageLookup, mention: object, label: str) -> str | None:
    """Return the photo that ``label`` names, else the one called as itself; ``None`` if none."""
    wanted = mention if isinstance(mention, str) and is_encodable_text(mention) else ""
    found = photos.find(wanted, posixpath.dirname(label)) or photos.find_by_stem(label)
    return found if found is not None and is_encodable_text(found) else None


def _read_class_file(tree: FileTree) -> list[str]:
    """Return the classes that ``labels.txt`` lists, in its order; nothing when there is none."""
    if not tree.has(CLASS_FILE):
        return []
    try:
        text = tree.read(CLASS_FILE, _MAX_CLASS_FILE_BYTES).decode("utf-8-sig")
    except (DataError, UnicodeDecodeError):
        return []
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and line not in RESERVED_NAMES]


def _infer_split(photo: str) -> int:
    folders = () if posixpath.isabs(photo) else photo.lower().split("/")[:-1]
    return next((SPLIT_WORDS[word] for word in folders if word in SPLIT_WORDS), UNASSIGNED)


def _rejected_item(label: str, error: DataError) -> RejectedItem:
    if not isinstance(error, JsonValueError):
        return RejectedItem(label, error.problem.rstrip("."), error.remedy, None, "row")
    absent = error.kind == "no-image"
    return RejectedItem(error.path, error.reason, _("put it there") if absent else error.remedy, None, error.kind)


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.BOXES
    | Capability.OUTLINES
    | Capability.MASKS
    | Capability.FLAGS
    | Capability.CLASSES
    | Capability.NEGATIVES
    | Capability.MULTI_RING_OUTLINES
    | Capability.EXTERNAL_PATHS,
    write,
    image_path,
    sum(FLAGS_BY_NAME.values()),
)
