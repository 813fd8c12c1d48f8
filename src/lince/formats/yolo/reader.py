"""YOLO text: a file for each photo, a row for each object, and a list of class names beside them.

A row is ``class x y width height``, the box's middle and sides as shares of the photo's, or an outline,
``class x1 y1 x2 y2 x3 y3`` and so on (documentation of Darknet and Ultralytics). Both may stand in one file. A row
with one number more carries a score: it is a program's prediction and no label, so it is refused. An empty file says
that there is nothing on the photo. The number of a class in the files is its id here, unless the declared numbers leave
gaps: then ids follow their order.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

import numpy as np

from lince.errors import DataError
from lince.formats import image_lookup as headers
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject, Ring, compute_bounding_box
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup
from lince.formats.table import ReadOptions, Table
from lince.formats.yolo.dataset_yaml import (
    MAX_CLASSES,
    YoloDatasetConfig,
    default_class_name,
    find_config_files,
    is_class_list,
    read_dataset_config,
)
from lince.formats.yolo.split_images import SplitImages
from lince.formats.yolo.writer import image_path, write
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.progress import SILENT, Progress
from lince.storage import scan
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, LocalFolder

NAME = "yolo"
_MAX_LABEL_FILE_BYTES = 2**22  # bytes of one photo's labels
_PROBE_COUNT = 8
_HEAD_BYTES = 4096
_FRACTION = r"-?(?:\d(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_ROW_PATTERN = re.compile(rf"\d{{1,5}}(?:\.0+)?(?:\s+{_FRACTION}){{4,}}\s*")
_NON_LABEL_FILES = re.compile(r"(readme.*|licen[sc]e.*|notes?|requirements.*|changelog.*)\.txt")


def detect(place: DataLocation) -> str | None:
    """Return what speaks for YOLO at ``place``: a file that declares a set, or text files of such rows."""
    declared = find_config_files(place)
    if place.file:
        return _("{name} declares a YOLO set").format(name=place.file) if declared else None
    labels = [name for name in place.tree.listing.find_by_suffix(".txt") if _may_be_labels(name)]
    if declared and labels:
        return _("{name} declares a YOLO set").format(name=declared[0])
    probes = labels[:: max(1, len(labels) // _PROBE_COUNT)][: _PROBE_COUNT + 1]
    found = [row for row in (_read_first_row(place, name) for name in probes) if row]
    fitting = [row for row in found if _ROW_PATTERN.fullmatch(row)]
    if 2 * len(fitting) <= len(found):
        return None
    return _("{count} text files of rows such as {row}").format(count=len(labels), row=fitting[0][:40])


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read a photo for each label file; names and parts as the set declares them, else parts by folders' names.

    Raise ``DataError`` when the file that declares the set cannot be used, ``AmbiguousError`` when two differ.
    """
    declared = read_dataset_config(place)
    photos, prefix = _find_images(place)
    return _YoloReader(photos, prefix, place, declared, options).read(progress)


class _YoloReader:
    def __init__(
        self, photos: ImageLookup, prefix: str, place: DataLocation, declared: YoloDatasetConfig, options: ReadOptions
    ) -> None:
        self._image_lookup = photos
        self._config = declared
        self._builder = ObjectTableBuilder(options)
        self._split_images = SplitImages(declared, photos, prefix, self._builder)
        self._class_ids = None if declared.names is None else {number: i for i, number in enumerate(declared.names)}
        self._max_class_number = -1
        self._claimed_by_other: set[str] = set()
        apart = {prefix + name for name in declared.files} | self._split_images.image_lists
        found = [prefix + name for name in place.tree.listing.find_by_suffix(".txt")] + self._find_labels_outside()
        self._image_by_label = {name: "" for name in found if name not in apart and _may_be_labels(name)}

    def read(self, progress: Progress) -> Table:
        """Return the table of all photos that have a label file."""
        labels = self._match_labels()
        names = list(labels)
        sizes = headers.read_image_sizes(self._image_lookup.tree, names, progress).tolist()
        with progress.open_stage(_("Reading the labels"), len(names)) as stage:
            for name, size in zip(names, sizes, strict=True):
                self._add_image(name, labels[name], (size[0], size[1]))
                stage.advance()
        if self._config.has_keypoints:
            reason = _("its rows hold key points: of each, the box alone is read")
            self._builder.reject(self._config.files[0], reason)
        return self._builder.build_table(self._image_lookup.tree, NAME, self._class_names(progress))

    def _match_labels(self) -> dict[str, str]:
        """Return the label file of each photo that has one, and reject photos and label files that are alone."""
        found: dict[str, str] = {}
        for photo in self._split_images.splits:
            label = next((name for name in _candidate_label_files(photo) if self._is_label(name)), None)
            if label is not None and self._claim_label(photo, label):
                found[photo] = label
        for label in [label for label, photo in self._image_by_label.items() if not photo]:
            self._match_by_name(label, found)
        for photo in self._split_images.splits:
            if photo not in found and photo not in self._claimed_by_other:
                self._builder.reject(photo, _("no label file"), _("label it, or add an empty one"), kind="no-label")
        return {photo: found[photo] for photo in self._split_images.splits if photo in found}

    def _claim_label(self, photo: str, label: str) -> bool:
        owner = self._image_by_label.get(label)
        if owner:
            reason = _("its label file {label} belongs to {owner}").format(label=label, owner=owner)
            self._builder.reject(photo, reason, _("rename one of the two"), kind="double")
            self._claimed_by_other.add(photo)
        self._image_by_label[label] = owner or photo
        return not owner

    def _match_by_name(self, label: str, found: dict[str, str]) -> None:
        """Give the label file ``label``, which lies where no photo looks for it, to the photo of its name."""
        photo = self._image_lookup.find_by_stem(label)
        if photo is None:
            shown = label if is_encodable_text(label) else label.encode("utf-8", "backslashreplace").decode()
            packed = _("unpack the archive beside the photos, and name the folder")
            remedy = (
                _("put it there, or remove the label file")
                if isinstance(self._image_lookup.tree, LocalFolder)
                else packed
            )
            self._builder.reject(shown, _("its photo is not there"), remedy, kind="no-image")
        elif photo in found:
            reason = _("{photo} has its labels in {other}").format(photo=photo, other=found[photo])
            self._builder.reject(label, reason, _("remove the one that is wrong"), kind="double")
        elif photo in self._split_images.splits:
            found[photo] = label
            self._image_by_label[label] = photo

    def _is_label(self, name: str) -> bool:
        return name in self._image_by_label or (name.startswith(("../", "/")) and self._image_lookup.tree.has(name))

    def _find_labels_outside(self) -> list[str]:
        """Return the text files that lie in the folders of images outside the tree, and in their label folders."""
        tree, found = self._image_lookup.tree, []
        for folder in self._split_images.outside_folders if isinstance(self._image_lookup.tree, LocalFolder) else []:
            for labels in {posixpath.dirname(name) for name in _candidate_label_files(f"{folder}/x.jpg")}:
                path = tree.root / labels
                texts = scan.walk_files(path) if path.is_dir() else ()
                found += [f"{labels}/{name}" for name in texts if name.lower().endswith(".txt")]
        return found

    def _add_image(self, photo: str, label: str, size: tuple[int, int]) -> None:
        try:
            data = self._image_lookup.tree.read(label, _MAX_LABEL_FILE_BYTES)
        except DataError as error:
            self._builder.reject(label, error.problem, error.remedy, kind="unusable")
            return
        if not all(size):
            reason = _("its size cannot be read, so its labels say nothing")
            self._builder.reject(photo, reason, _("save it as JPEG or PNG, or remove it"), kind="unusable")
            return
        image = self._builder.add_image(photo, self._split_images.splits[photo], size)
        for line, row in enumerate(data.decode("utf-8-sig", "replace").split("\n"), 1):
            cells = row.split()
            if cells:
                self._add_object(image, label, line, cells, size)

    def _add_object(self, image: int, label: str, line: int, cells: Sequence[str], size: tuple[int, int]) -> None:
        reason = _count_problem(len(cells)) if not self._config.has_keypoints or len(cells) < 5 else ""
        if reason:
            self._builder.reject(label, reason, _("correct or remove it"), line, "row")
            return
        class_id = self._parse_class_id(cells[0])
        if isinstance(class_id, str):
            self._builder.reject(label, class_id, _("correct it, or declare the class"), line, "class")
            return
        values = [_parse_number(cell) for cell in (cells[1:5] if self._config.has_keypoints else cells[1:])]
        wrong = next((cell for cell, value in zip(cells[1:], values, strict=False) if value is None), None)
        if wrong is not None:
            reason = _("a coordinate that is no number: {text}").format(text=wrong[:40])
            self._builder.reject(label, reason, _("correct or remove it"), line, "number")
            return
        box, rings = _parse_shape([value for value in values if value is not None], size)
        self._builder.add(image, RawObject(class_id, box, label, line, rings=rings))

    def _parse_class_id(self, cell: str) -> int | str:
        """Return the id that ``cell`` stands for, or why there is none."""
        value = _parse_number(cell)
        if value is None or value < 0 or not value.is_integer():
            return _("'{text}' is no number of a class").format(text=cell[:40])
        number = int(value)
        if self._class_ids is None:
            if number >= MAX_CLASSES:
                return _("class {number:,} is more than there are classes").format(number=number)
            self._max_class_number = max(self._max_class_number, number)
            return number
        if number in self._class_ids:
            return self._class_ids[number]
        if list(self._class_ids) == list(range(len(self._class_ids))):
            return _("class {number} but names has {count}").format(number=number, count=len(self._class_ids))
        known = ", ".join(map(str, list(self._class_ids)[:20]))
        return _("class {number} but names has only {known}").format(number=number, known=known)

    def _class_names(self, progress: Progress) -> list[str]:
        if self._config.names is not None:
            return list(self._config.names.values())
        names = [default_class_name(number) for number in range(self._max_class_number + 1)]
        if names:
            said = _("No names of classes were found: they are called {first} to {last}.")
            remedy = _("Put their names into a file classes.txt beside the labels, one a line.")
            progress.show_message(said.format(first=names[0], last=names[-1]) + " " + remedy)
        return names


def _find_images(place: DataLocation) -> tuple[ImageLookup, str]:
    """Return the photos, of the place itself or else of the folders beside it, and what our names start by there."""
    labels = [name for name in place.tree.listing.find_by_suffix(".txt") if _may_be_labels(name)]
    for tree, prefix in iterate_parent_trees(place):
        photos = ImageLookup(tree)
        if photos.names and (not prefix or any(photos.find_by_stem(prefix + name) for name in labels[:_PROBE_COUNT])):
            return photos, prefix
        if place.file:
            break  # what a set declares is found from its own folder
    return ImageLookup(place.tree), ""


def _candidate_label_files(photo: str) -> list[str]:
    """Return where the label file of ``photo`` may lie: under labels in place of the last images, or beside it."""
    stem = posixpath.splitext(photo)[0]
    parts = stem.split("/")
    places = [i for i, part in enumerate(parts[:-1]) if part.lower() == "images"]
    swapped = ["/".join([*parts[: places[-1]], "labels", *parts[places[-1] + 1 :]])] if places else []
    return [f"{name}.txt" for name in (*swapped, stem)]


def _may_be_labels(name: str) -> bool:
    base = posixpath.basename(name).lower()
    return not is_class_list(name) and not _NON_LABEL_FILES.fullmatch(base)


def _read_first_row(place: DataLocation, name: str) -> str:
    """Return the first row of a text file, without the number in which its head ends; empty when there is none."""
    try:
        head = place.tree.head(name, _HEAD_BYTES).decode("utf-8", "replace").lstrip("\ufeff").lstrip()
    except DataError:
        return ""
    row, end, _rest = head.partition("\n")
    return row.strip() if end or len(head) < _HEAD_BYTES // 2 else row.rpartition(" ")[0]


def _count_problem(count: int) -> str:
    if count < 5:
        return _("{count} numbers: too few for a box").format(count=count)
    if count == 6:
        return _("6 numbers: a score behind the box? Then it is a prediction, and no label")
    if count % 2 == 0:
        return _("{count} numbers: an outline has pairs behind its class").format(count=count)
    return ""


def _parse_number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _parse_shape(values: Sequence[float], size: tuple[int, int]) -> tuple[Box, tuple[Ring, ...]]:
    height, width = size
    if len(values) == 4:
        x, y, across, down = values
        left, top = (x - across / 2) * width, (y - down / 2) * height
        return (left, top, (x + across / 2) * width, (y + down / 2) * height), ()
    corners = [(x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True)]
    ring = np.array(corners, np.float64)
    return compute_bounding_box([ring]), (ring,)


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.BOXES | Capability.OUTLINES | Capability.SPLITS | Capability.CLASSES | Capability.NEGATIVES,
    write,
    image_path,
)
