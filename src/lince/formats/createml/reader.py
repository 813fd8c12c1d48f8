"""Reads CreateML JSON: a list of images, each with labels and boxes (Apple, "Building an object detector data source").

A box is its centre and its sides in pixels of the upright image, from the top left corner. Apple lets a program say at
training time that they are meant otherwise, but the file cannot: one whose numbers are all within 0 and 1 is taken for
fractions of the image's sides. Both spellings of the keys are read (``image`` and ``annotations``; ``imagefilename``
and ``annotation``), and one file for each split as Roboflow lays them out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from lince.errors import DataError
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject
from lince.formats.createml.writer import COORDINATE_KEYS, image_path, write
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, read_sizes_by_name
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, is_encodable_text, load_json, peek_json
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED, find_split_words, infer_split_from_folders
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "createml"
_IMAGE_KEYS = ("image", "imagefilename", "imageFilename")
_ANNOTATION_KEYS = ("annotations", "annotation")
_MAX_PROBES = 64


def detect(location: DataLocation) -> str | None:
    """Return the names of the CreateML files, ``None`` when there are none.

    They are JSON lists of images with labels and coordinates, judged by the beginnings of up to 64 JSON files.
    """
    label_files = _find_label_files(location, _MAX_PROBES)
    if not label_files:
        return None
    return _("JSON lists of photos and boxes: {names}").format(names=", ".join(label_files[:4]))


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every CreateML file.

    The split of an image is that of a folder named as one or, of several files, the one in the file's name. An image
    without annotations shows no object. Raise ``DataError`` when a file is not a JSON list.
    """
    files = _with_sibling_files(location, _find_label_files(location)) or location.find_by_suffix(".json")
    entries_by_file = {name: list(JsonNode(load_json(location.tree, name), name).items()) for name in files}
    tree, prefix = _find_image_root(location, entries_by_file)
    return _CreateMLReader(tree, prefix, options).read_lists(entries_by_file, location, progress)


@dataclass(frozen=True)
class _ImageEntry:
    """An image entry of a file whose image was found.

    ``normalised`` says that the boxes of its file are fractions of the image's sides.
    """

    image_name: str
    split: int
    annotations: list[JsonNode]
    normalised: bool


class _CreateMLReader:
    """Collects the entries of all files, then adds images and objects to one table."""

    def __init__(self, tree: FileTree, prefix: str, options: ReadOptions) -> None:
        self._image_lookup = ImageLookup(tree)
        self._prefix = prefix
        self._builder = ObjectTableBuilder(options)
        self._class_index = ClassIndex()

    def read_lists(
        self, entries_by_file: dict[str, list[JsonNode]], location: DataLocation, progress: Progress
    ) -> LabelTable:
        """Return the table of all images; ``entries_by_file`` holds the list in each file by its name."""
        entries: dict[str, _ImageEntry] = {}
        for name, nodes in entries_by_file.items():
            normalised = _are_normalised(nodes)
            for node in nodes:
                self._add_entry(name, node, entries, normalised, len(entries_by_file) > 1)
        self._builder.rejected += self._image_lookup.pop_guesses()
        self._builder.rejected += self._image_lookup.list_unnamed(entries, location)
        tree = self._image_lookup.tree
        normalised_images = [entry.image_name for entry in entries.values() if entry.normalised]
        sizes = read_sizes_by_name(tree, normalised_images, progress)
        with progress.open_stage(_("Reading the labels"), len(entries)) as stage:
            for entry in entries.values():
                self._add_image(entry, sizes.get(entry.image_name))
                stage.advance()
        return self._class_index.finalise_table(self._builder.build_table(tree, NAME, self._class_index.names))

    def _add_entry(
        self, name: str, node: JsonNode, entries: dict[str, _ImageEntry], normalised: bool, several_files: bool
    ) -> None:
        """Add the image entry at ``node`` to ``entries`` by its image file, or reject it.

        Rejected are entries that are malformed, whose image is missing, or whose image has an entry already.
        """
        image_reference, annotations = _read_image_reference(node), _list_annotations(node)
        if image_reference is None or annotations is None:
            reason = _("not a record of an image and its annotations")
            self._builder.reject(node.path, reason, _("correct or remove it"))
            return
        path = self._prefix + name
        folder = posixpath.dirname(path)
        image_name = self._image_lookup.find_by_name_or_stem(image_reference, folder)
        if image_name is None or not is_encodable_text(image_name):
            reason = _("its photo {name} is missing").format(name=image_reference[:200])
            reason = self._image_lookup.explain_missing(reason, image_reference, folder)
            self._builder.reject(node.path, reason, _("add it, or remove the entry"), kind="no-image")
        elif image_name in entries:
            reason = _("{name} already has an entry").format(name=image_name)
            self._builder.reject(node.path, reason, _("merge the two, or remove one"), kind="double")
        else:
            self._image_lookup.note_guess(image_reference, image_name, path)
            split = _infer_split(path, image_name, several_files)
            entries[image_name] = _ImageEntry(image_name, split, annotations, normalised)

    def _add_image(self, entry: _ImageEntry, size: tuple[int, int] | None) -> None:
        """Add an image and its objects to the table.

        ``size`` is (height, width) when the boxes are fractions, else ``None``; an image whose size is unknown then is
        rejected.
        """
        if size is not None and not all(size):
            reason = _("its size cannot be read, so its labels cannot be used")
            self._builder.reject(entry.image_name, reason, _("save it as JPEG or PNG, or remove it"), kind="unusable")
            return
        height, width = size or (0, 0)
        row = self._builder.add_image(entry.image_name, entry.split, (height, width))
        for node in entry.annotations:
            try:
                label, (x, y, box_width, box_height) = _parse_annotation(node)
            except DataError as error:
                self._builder.reject(node.path, error.problem.removeprefix(f"{node.path}: "), error.remedy, row=row)
                continue
            box_width, box_height = (box_width * width, box_height * height) if size else (box_width, box_height)
            x, y = (x * width, y * height) if size else (x, y)
            box = x - box_width / 2, y - box_height / 2, x + box_width / 2, y + box_height / 2
            self._builder.add(row, RawObject(self._class_index.get_id(label), box, node.path))


def _find_label_files(location: DataLocation, probes: int | None = None) -> list[str]:
    """Return the CreateML files at ``location``, among its first ``probes`` JSON files (all when ``None``)."""
    return [name for name in location.find_by_suffix(".json")[:probes] if _is_createml(location, name)]


def _with_sibling_files(location: DataLocation, label_files: list[str]) -> list[str]:
    """Return ``label_files`` and the files of the same names in other folders.

    A split's file that is damaged is not recognised as CreateML by its content, but it has the name of the others.
    """
    names = {posixpath.basename(name) for name in label_files}
    return [name for name in location.find_by_suffix(".json") if posixpath.basename(name) in names]


def _is_createml(location: DataLocation, name: str) -> bool:
    """Whether a JSON file is a list of image entries.

    Only its beginning is read: the first four entries, of whose annotations one must have coordinates if there are any.
    """
    value = peek_json(location.tree, name)
    if not isinstance(value, list) or not value:
        return False
    entries = [JsonNode(entry, name) for entry in value[:4]]
    if any(_read_image_reference(entry) is None for entry in entries[:1]) or _list_annotations(entries[0]) is None:
        return False
    annotations = [node.value for entry in entries for node in _list_annotations(entry) or []]
    records = [annotation for annotation in annotations if isinstance(annotation, dict)]
    return not annotations or any(record.get("coordinates") is not None for record in records)


def _read_image_reference(node: JsonNode) -> str | None:
    """Return what the entry at ``node`` calls its image file; ``None`` when it names none."""
    if not isinstance(node.value, dict):
        return None
    image_reference = next((node.value[key] for key in _IMAGE_KEYS if node.value.get(key) is not None), None)
    if not isinstance(image_reference, str) or not image_reference.strip():
        return None
    return image_reference if is_encodable_text(image_reference) else None


def _list_annotations(node: JsonNode) -> list[JsonNode] | None:
    """Return the annotations of the entry at ``node``; ``None`` when it has no list of them."""
    if not isinstance(node.value, dict):
        return None
    key = next((key for key in _ANNOTATION_KEYS if isinstance(node.value.get(key), list)), None)
    return None if key is None else list(node.get_child(key).items())


def _parse_annotation(node: JsonNode) -> tuple[str, Box]:
    """Return the class name of an annotation and its box as (x, y, width, height), x and y of the centre.

    Raise ``JsonValueError`` when a part is missing or of another type.
    """
    label = node.get_text("label")
    if not label.strip():
        raise node.get_child("label").make_error(_("the name of a class"))
    coordinates = node.get_child("coordinates")
    x, y, width, height = (coordinates.get_number(side) for side in COORDINATE_KEYS)
    return label, (x, y, width, height)


def _are_normalised(nodes: list[JsonNode]) -> bool:
    """Whether the boxes of a file are fractions of the image's sides: all numbers are within 0 and 1."""
    values = list(_iterate_coordinates(nodes))
    return bool(values) and all(0 <= value <= 1 for value in values)


def _iterate_coordinates(nodes: list[JsonNode]) -> Iterator[float]:
    """Yield the coordinates of all well-formed annotations of a file."""
    for node in nodes:
        for annotation in _list_annotations(node) or []:
            try:
                yield from _parse_annotation(annotation)[1]
            except DataError:
                continue  # rejected where objects are added to the table


def _find_image_root(location: DataLocation, entries_by_file: dict[str, list[JsonNode]]) -> tuple[FileTree, str]:
    """Return the tree in which one of the first images is found, and the prefix of our file names in it.

    It is the tree of the location, or of a folder above with the images beside the labels; the former when no image is
    found.
    """
    references = [
        (name, image_reference)
        for name, nodes in entries_by_file.items()
        for node in nodes[:4]
        if (image_reference := _read_image_reference(node))
    ]
    for tree, prefix in iterate_parent_trees(location):
        image_lookup = ImageLookup(tree)
        if any(
            image_lookup.find_by_name_or_stem(path, posixpath.dirname(prefix + name)) for name, path in references[:20]
        ):
            return tree, prefix
    return location.tree, ""


def _infer_split(path: str, image_name: str, several_files: bool) -> int:
    """Return the split of an image: by a folder of the label file or of the image that is named as one.

    With ``several_files`` a split word in the label file's name counts too. The first that is found decides.
    """
    splits = [split for name in (path, image_name) if (split := infer_split_from_folders(name)) != UNASSIGNED]
    if several_files:
        splits += find_split_words(posixpath.basename(path))
    return next(iter(splits), UNASSIGNED)


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.BOXES | Capability.SPLITS | Capability.NEGATIVES | Capability.EXTERNAL_PATHS,
    write,
    image_path,
)
