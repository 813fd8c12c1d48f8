"""Reads keras-yolo3's lists: ``_annotations.txt`` or ``train.txt``, a line for each image with all its boxes.

An object is ``left,top,right,bottom,class`` in pixels; names of classes are in ``_classes.txt`` or ``classes.txt``. An
image without objects shows none. Roboflow calls the format "YOLO Keras TXT" and "YOLO v4 PyTorch".
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from lince.errors import DataError
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.csv_boxes.rows import infer_split
from lince.formats.csv_text import decode_text
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup
from lince.formats.keras_yolo.lines import WordError, is_list_line, parse_line, parse_word
from lince.formats.table import LabelTable, ReadOptions
from lince.formats.yolo.dataset_yaml import read_class_list
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.progress import SILENT, Progress
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "keras-yolo"
_HEAD_BYTES = 4096
_MAX_PROBES = 64
_MAX_LINES = 20
_CLASSES_SUFFIX = "classes.txt"  # _classes.txt, classes.txt, voc_classes.txt


def detect(location: DataLocation) -> str | None:
    """Return the names of the lists at ``location``, ``None`` when there are none; up to 64 texts are looked at."""
    lists = _find_lists(location, _MAX_PROBES)
    return _("lists of photos and boxes: {names}").format(names=", ".join(lists[:4])) if lists else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every list; one called train, val or test, or in such a folder, is that split.

    Objects that cannot be used are rejected with the line of their image. Raise ``DataError`` when there is no list, or
    a list of classes cannot be read.
    """
    lists = [location.file] if location.file else _find_lists(location)
    if not lists:
        raise DataError(
            _("{path} contains no list of photos and boxes.").format(path=location.path),
            _("Expected lines such as {line}.").format(line="photo.jpg 10,20,40,60,0"),
        )
    texts = {name: decode_text(location.tree.read(name)) for name in lists}
    tree, prefix = _find_image_root(location, texts)
    reader = _ListReader(tree, ObjectTableBuilder(options))
    with progress.open_stage(_("Reading the labels"), len(texts)) as stage:
        for name, text in texts.items():
            reader.read_list(prefix + name, text)
            stage.advance()
    return reader.build_table()


@dataclass(frozen=True)
class _ListClasses:
    """The names of the classes of one list; none where there is no file of them."""

    file: str
    names: tuple[str, ...]


class _ListReader:
    """Adds the images and objects of lists to one table."""

    def __init__(self, tree: FileTree, builder: ObjectTableBuilder) -> None:
        self._tree = tree
        self._builder = builder
        self._image_lookup = ImageLookup(tree)
        self._class_index = ClassIndex()
        self._list_by_image: dict[str, str] = {}

    def read_list(self, name: str, text: str) -> None:
        """Add the images and objects of the list ``name``."""
        classes = self._read_classes(name)
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                self._add_line(name, number, line, classes)
        self._builder.rejected += self._image_lookup.pop_guesses(name)

    def build_table(self) -> LabelTable:
        """Return the table of all images; those that no list names are rejected."""
        for name in self._image_lookup.names if not self._tree.is_remote else ():
            if name not in self._list_by_image:
                reason, remedy = _("no list names it"), _("add a line for it")
                self._builder.reject(name, reason, remedy, kind="unlabelled")
        table = self._builder.build_table(self._tree, NAME, self._class_index.names)
        return self._class_index.finalise_table(table)

    def _read_classes(self, name: str) -> _ListClasses:
        """Return the classes of the list ``name``, from the file beside it or the only one in the tree."""
        files = [one for one in self._tree.listing.find_by_suffix(".txt") if one.lower().endswith(_CLASSES_SUFFIX)]
        folder = posixpath.dirname(name)
        beside = [one for one in files if posixpath.dirname(one) == folder]
        chosen = (beside if len(beside) == 1 else [] if beside else files)[:2]
        if len(chosen) == 1:
            names = tuple(read_class_list(self._tree, chosen[0]))
            self._class_index.declare_classes(names)
            return _ListClasses(chosen[0], names)
        reason = _("no list of class names: the classes are called by their numbers")
        self._builder.reject(name, reason, _("put _classes.txt beside it, a name in each line"), kind="assumed")
        return _ListClasses("", ())

    def _add_line(self, name: str, number: int, line: str, classes: _ListClasses) -> None:
        """Add the image in a line and its objects, or reject the line."""
        parts = parse_line(line)
        if parts is None or not is_encodable_text(line):
            self._builder.reject(name, _("no photo at the beginning of the line"), _("correct or remove it"), number)
            return
        folder = posixpath.dirname(name)
        image_name = self._image_lookup.find_by_name_or_stem(parts.image_reference, folder)
        if image_name is None or not is_encodable_text(image_name):
            reason = _("no such file: {name}").format(name=parts.image_reference[:200])
            reason = self._image_lookup.explain_missing(reason, parts.image_reference, folder)
            self._builder.reject(name, reason, _("add it, or remove the line"), number, "no-image")
            return
        if image_name in self._list_by_image:
            other = self._list_by_image[image_name]
            reason = _("{photo} is in {other} too").format(photo=image_name, other=other)
            if other == name:
                reason = _("{name} appears twice").format(name=image_name)
            self._builder.reject(name, reason, _("join the two lines"), number, "double")
            return
        self._list_by_image[image_name] = name
        self._image_lookup.note_guess(parts.image_reference, image_name)
        row = self._builder.add_image(image_name, infer_split(name))
        for word in parts.words:
            self._add_object(row, name, number, word, classes)

    def _add_object(self, row: int, name: str, number: int, word: str, classes: _ListClasses) -> None:
        """Add the object in a word to the image at ``row``, or reject it."""
        try:
            box, class_id = parse_word(word)
            if classes.file and class_id >= len(classes.names):
                reason = _("class {number} is not one of the {count} in {file}").format(
                    number=class_id, count=len(classes.names), file=classes.file
                )
                raise WordError(reason, "class")
        except WordError as error:
            self._builder.reject(name, error.reason, _("correct or remove it"), number, error.kind, row=row)
            return
        class_name = classes.names[class_id] if classes.file else str(class_id)
        self._builder.add(row, RawObject(self._class_index.get_id(class_name), box, name, number))


def _find_lists(location: DataLocation, probes: int | None = None) -> list[str]:
    """Return the text files, among the first ``probes`` (all when ``None``), that are such lists."""
    names = location.find_by_suffix(".txt")[:probes]
    return [name for name in names if _is_list(location.tree, name)]


def _is_list(tree: FileTree, name: str) -> bool:
    """Whether the first line of a file names an image, as half of the next ones do, and one has objects after it.

    The first line may be a damaged one where half of all, and two, have objects.
    """
    try:
        data = tree.head(name, _HEAD_BYTES)
    except DataError:
        return False
    lines = [line for line in decode_text(data).splitlines() if line.strip()]
    lines = lines[: -1 if len(data) == _HEAD_BYTES and len(lines) > 1 else None][:_MAX_LINES]
    named = [parse_line(line) is not None for line in lines]
    list_line_count = sum(map(is_list_line, lines))
    begins_so = list_line_count > 0 and (named[0] or 2 * list_line_count >= max(len(lines), 4))
    return begins_so and 2 * sum(named) >= len(named)


def _find_image_root(location: DataLocation, texts: dict[str, str]) -> tuple[FileTree, str]:
    """Return the tree in which one of the first images is found, and the prefix of the lists' names in it."""
    references = [
        (name, parts.image_reference)
        for name, text in texts.items()
        for line in text.splitlines()[:_MAX_LINES]
        if (parts := parse_line(line)) is not None
    ]
    for tree, prefix in iterate_parent_trees(location):
        image_lookup = ImageLookup(tree)
        if any(image_lookup.find_by_name_or_stem(path, posixpath.dirname(prefix + name)) for name, path in references):
            return tree, prefix
    return location.tree, ""


FORMAT = Format(NAME, detect, read, Capability.BOXES | Capability.SPLITS | Capability.NEGATIVES)
