"""Reads LabelMe: one JSON file per image, with the shapes drawn on it (github.com/wkentaro/labelme).

Polygons with the same label and ``group_id`` are one object of several rings, as in LabelMe's own
converters. Where no file has a shape, the flags of the images are classes, as ``labelme --flags``
writes them (image classification). A ``labels.txt`` beside the files gives the order of the
classes; otherwise they are sorted by name.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

import numpy as np

from lince import images
from lince.annotations import UNLABELLED, RejectedItem
from lince.errors import DataError
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.label_set_builder import LabelSetBuilder, choose_class_id
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject, compute_bounding_box
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, read_image_size
from lince.formats.labelme.embedded_images import EmbeddedImageTree, decode_embedded_image
from lince.formats.labelme.shapes import FLAGS_BY_NAME, parse_flags, parse_shape
from lince.formats.labelme.writer import CLASS_FILE, RESERVED_NAMES, image_path, write
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing import json_reader
from lince.parsing.json_reader import JsonNode, JsonValueError, is_encodable_text, parse_image_side
from lince.progress import SILENT, Progress
from lince.splits import infer_split_from_folders
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "labelme"
_MAX_PROBES = 8  # files opened to recognise the format
_HEAD_BYTES = 4096
_NO_CLASSES = ("__ignore__", "_background_", "__background__")  # as in LabelMe's own list of labels
_MAX_CLASS_FILE_BYTES = 2**20
_LABELME_KEYS = {"version", "flags", "imagePath", "imageData", "imageHeight"}


def detect(location: DataLocation) -> str | None:
    """Return the evidence that ``location`` holds LabelMe files, ``None`` when no sampled JSON file is one."""
    json_files = location.find_by_suffix(".json")
    probes = json_files[:: max(1, len(json_files) // _MAX_PROBES)][: _MAX_PROBES + 1]
    first_match = next((name for name in probes if _is_labelme(location.tree, name)), None)
    if first_match is None:
        return None
    return _("{count} JSON files such as {name}").format(count=len(json_files), name=first_match)


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read one image per JSON file: the image it refers to, else the one of the same name, else the embedded one.

    Files that cannot be used, second files about one image, and images without a file are rejected.
    Raise ``DataError`` when a single file was named and cannot be used.
    """
    image_lookup, prefix = _find_image_root(location)
    label_files = [prefix + name for name in location.find_by_suffix(".json")]
    reader = _LabelMeReader(image_lookup, ObjectTableBuilder(options), bool(location.file))
    with progress.open_stage(_("Reading the labels"), len(label_files)) as stage:
        for label_file in label_files:
            reader.add_file(label_file)
            stage.advance()
    return reader.build_table(progress)


class _LabelMeReader:
    """Collects the images and objects of LabelMe files.

    The flags of images are kept aside until all files are read: they are classes only where no file
    has a shape.
    """

    def __init__(self, image_lookup: ImageLookup, builder: ObjectTableBuilder, single_file: bool) -> None:
        self._image_lookup = image_lookup
        self._builder = builder
        self._single_file = single_file  # named by itself: other images beside it are not missing labels
        self._class_index = ClassIndex(_read_class_file(image_lookup.tree))
        self._label_by_image: dict[str, str] = {}
        self._holder_files: dict[str, str] = {}
        self._image_flags: dict[int, list[str]] = {}
        self._shape_count = 0

    def add_file(self, label_file: str) -> None:
        """Add the image of ``label_file`` and its objects, or a rejection of the file."""
        try:
            root = JsonNode(json_reader.load_json(self._image_lookup.tree, label_file), label_file)
            shapes = root.get_child("shapes").as_list()
            image_name = self._find_image(root)
        except DataError as error:
            if self._single_file and isinstance(error, JsonValueError):
                raise error.to_file_error(self._image_lookup.tree.root) from error
            if self._single_file:
                raise
            self._builder.rejected.append(_rejected_item(label_file, error))
            return
        if image_name in self._label_by_image:
            reason = _("{other} refers to the same photo, {name}").format(
                other=self._label_by_image[image_name], name=image_name
            )
            self._builder.reject(label_file, reason, _("correct imagePath, or remove one"), kind="double")
            return
        self._label_by_image[image_name] = label_file
        self._shape_count += len(shapes)
        self._add_image(root, image_name)

    def build_table(self, progress: Progress) -> LabelTable:
        """Return the table of all files added: one of objects, or of classified images."""
        self._builder.rejected += self._image_lookup.pop_guesses()
        if not self._single_file:
            for image_name in self._image_lookup.names:
                if image_name not in self._label_by_image and is_encodable_text(image_name):
                    self._builder.reject(image_name, _("no label file refers to it"), _("label it"), kind="no-label")
        tree = (
            EmbeddedImageTree(self._image_lookup.tree, self._holder_files)
            if self._holder_files
            else self._image_lookup.tree
        )
        table = self._builder.build_table(tree, NAME, self._class_index.names)
        flagged_count = sum(map(bool, self._image_flags.values()))
        if self._shape_count or not flagged_count:
            if flagged_count:
                progress.show_message(
                    _("{count} photos have flags of their own: not used.").format(count=flagged_count)
                )
            return self._class_index.finalise_table(table)
        return self._classification_table(table)

    def _find_image(self, root: JsonNode) -> str:
        """Return the name of the image of a document; raise ``JsonValueError`` when it is missing.

        An embedded image gets the name of the JSON file, with the suffix of its image format.
        """
        reference = root.value.get("imagePath")
        image_name = _find_image(self._image_lookup, reference, root.path)
        if image_name is not None:
            if isinstance(reference, str):
                self._image_lookup.note_guess(reference, image_name, root.path, sidecar=True)
            return image_name
        image_format = images.detect_format(decode_embedded_image(root.value) or b"")
        if image_format is None:
            reason = _("its photo {name} is missing").format(name=json_reader.format_value(reference))
            if isinstance(reference, str):
                reason = self._image_lookup.explain_missing(reason, reference, posixpath.dirname(root.path))
            raise JsonValueError(root.path, reason, "no-image")
        embedded_name = f"{posixpath.splitext(root.path)[0]}.{image_format}"
        self._holder_files[embedded_name] = root.path
        return embedded_name

    def _add_image(self, root: JsonNode, image_name: str) -> None:
        """Add a row for the image, its flags that are true, and its objects."""
        size = self._read_size(root, image_name)
        row = self._builder.add_image(image_name, infer_split_from_folders(image_name), size)
        flags = root.value.get("flags")
        if isinstance(flags, dict) and flags:
            self._image_flags[row] = [name for name, value in flags.items() if value is True]
        for raw_object in self._read_objects(root, row, size):
            self._builder.add(row, raw_object)

    def _read_objects(self, root: JsonNode, row: int, size: tuple[int, int]) -> list[RawObject]:
        """Return the objects of a document; polygons of one group become one object with several rings.

        Shapes that cannot be used are rejected, as ones of the image at ``row``.
        """
        objects: list[RawObject] = []
        groups: dict[tuple[int, str], int] = {}
        for node in root.get_child("shapes").items():
            try:
                raw_object = self._parse_object(node, size)
            except JsonValueError as error:
                remedy, lost_row = ("", None) if error.kind == "reduced" else (error.remedy, row)
                self._builder.reject(error.path, error.reason, remedy, kind=error.kind, row=lost_row)
                continue
            group_id = node.value.get("group_id")
            if group_id is None or not raw_object.rings:
                objects.append(raw_object)
                continue
            position = groups.setdefault((raw_object.class_id, repr(group_id)), len(objects))
            if position == len(objects):
                objects.append(raw_object)
            else:
                rings = [*objects[position].rings, *raw_object.rings]
                objects[position] = replace(objects[position], rings=rings, box=compute_bounding_box(rings))
        return objects

    def _parse_object(self, node: JsonNode, size: tuple[int, int]) -> RawObject:
        """Return the object of one shape; raise ``JsonValueError``."""
        shape = parse_shape(node, size)
        name = node.get_text("label")
        if name in _NO_CLASSES:
            raise JsonValueError(node.path, _("'{name}' marks what is no object").format(name=name), "reduced")
        if not name.strip():
            raise JsonValueError(node.path, _("a shape without a label"), "no-class")
        return RawObject(
            self._class_index.get_id(name), shape.box, node.path, None, parse_flags(node), shape.rings, shape.mask
        )

    def _read_size(self, root: JsonNode, image_name: str) -> tuple[int, int]:
        """Return (height, width) from the document, else from the image; (0, 0) when unknown."""
        height, width = (parse_image_side(root.value.get(key)) for key in ("imageHeight", "imageWidth"))
        if height and width:
            return height, width
        if image_name not in self._holder_files:
            return read_image_size(self._image_lookup.tree, image_name)
        try:
            return images.read_size(decode_embedded_image(root.value) or b"")
        except DataError:
            return 0, 0

    def _classification_table(self, table: LabelTable) -> LabelTable:
        """Return the table of the images whose flags that are true name their classes.

        Images without flags are rejected; so are those without one that is true, where none has several.
        """
        class_ids = np.full(len(table.names), UNLABELLED, np.int32)
        sets, rejected = LabelSetBuilder(), {}
        for row, image_name in enumerate(table.names):
            names = self._image_flags.get(row)
            rejection = RejectedItem(image_name, _("no class"), _("set one flag"), None, "no-label")
            if names is None:
                rejected[row] = rejection
                continue
            own_ids = [self._class_index.get_id(name) for name in names]
            class_ids[row] = choose_class_id(own_ids)
            if len(own_ids) != 1:
                sets.add(row, own_ids, None if names else rejection)
        rejected |= sets.list_left_out()
        keep = np.setdiff1d(np.arange(len(table.names)), list(rejected))
        labelled = replace(
            table,
            names=table.names.take(keep),
            class_ids=class_ids[keep],
            splits=table.splits[keep],
            sizes=None if table.sizes is None else table.sizes[keep],
            objects=None,
            rejected=(*table.rejected, *(rejected[row] for row in sorted(rejected))),
            label_sets=sets.build(class_ids, keep),
        )
        return self._class_index.finalise_table(labelled)


def _is_labelme(tree: FileTree, name: str) -> bool:
    """Whether the beginning of the JSON file ``name`` has keys that only LabelMe uses."""
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


def _find_image_root(location: DataLocation) -> tuple[ImageLookup, str]:
    """Return the images of the tree, or of a parent folder, in which those of the first files are found.

    The second value is the prefix of the label files as seen from there. Where no image is found
    anywhere, this is the named location itself.
    """
    label_files = location.find_by_suffix(".json")[:_MAX_PROBES]
    references = [(label_file, _read_image_reference(location.tree, label_file)) for label_file in label_files]
    candidates = []
    for tree, prefix in iterate_parent_trees(location):
        image_lookup = ImageLookup(tree)
        if any(_find_image(image_lookup, reference, prefix + label_file) for label_file, reference in references):
            return image_lookup, prefix
        candidates.append((image_lookup, prefix))
    return candidates[0]


def _read_image_reference(tree: FileTree, label_file: str) -> object:
    """Return ``imagePath`` of a label file, ``None`` when it cannot be read."""
    try:
        return JsonNode(json_reader.load_json(tree, label_file), label_file).get_child("imagePath").value
    except DataError:
        return None


def _find_image(image_lookup: ImageLookup, reference: object, label_file: str) -> str | None:
    """Return the image that ``reference`` names, else the one named as ``label_file``, else one named almost so."""
    path = reference if isinstance(reference, str) and is_encodable_text(reference) else ""
    folder = posixpath.dirname(label_file)
    image_name = image_lookup.find(path, folder, sidecar=True)
    if image_name is None:
        same_stem = image_lookup.find_by_stem(label_file)
        is_beside = same_stem is not None and posixpath.dirname(same_stem) == folder
        image_name = same_stem if is_beside or not image_lookup.is_of_other_split(path, same_stem) else None
    image_name = image_name or image_lookup.find_by_name_or_stem(path, folder, sidecar=True)
    return image_name if image_name is not None and is_encodable_text(image_name) else None


def _read_class_file(tree: FileTree) -> list[str]:
    """Return the classes in ``labels.txt`` in its order; empty when it is missing or unreadable."""
    if not tree.has(CLASS_FILE):
        return []
    try:
        text = tree.read(CLASS_FILE, _MAX_CLASS_FILE_BYTES).decode("utf-8-sig")
    except (DataError, UnicodeDecodeError):
        return []
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and line not in RESERVED_NAMES]


def _rejected_item(label_file: str, error: DataError) -> RejectedItem:
    """Return the rejection of a label file because of ``error``."""
    if not isinstance(error, JsonValueError):
        return RejectedItem(label_file, error.problem.rstrip("."), error.remedy, None, "row")
    is_missing = error.kind == "no-image"
    return RejectedItem(error.path, error.reason, _("add it") if is_missing else error.remedy, None, error.kind)


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
