"""Reads YOLO text labels: a file per image, a row per object, and a declaration of the classes beside them.

A row is ``class x y width height``, centre and sides of the box as fractions of the image, or a
polygon ``class x1 y1 x2 y2 x3 y3 ...`` (Darknet and Ultralytics documentation). Both may occur in
one file. A row of six numbers has a score: it is a prediction, not a label, and is rejected. An
empty file is an image without objects. Class numbers are the class ids, unless the declared numbers
have gaps: then the ids follow their order.
"""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Sequence

import numpy as np

from lince.errors import DataError
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject, Ring, compute_bounding_box
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, read_image_sizes
from lince.formats.table import LabelTable, ReadOptions
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
from lince.progress import SILENT, Progress
from lince.storage import scan
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, LocalFolder

NAME = "yolo"
_MAX_LABEL_FILE_BYTES = 2**22
_PROBE_COUNT = 8  # files opened to recognise the format
_HEAD_BYTES = 4096
_MIN_DAMAGED_CELLS, _MAX_DAMAGED_CELLS = 3, 8  # of a row that may have been a label
_FRACTION = r"-?(?:\d(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_ROW_PATTERN = re.compile(rf"\d{{1,5}}(?:\.0+)?(?:\s+{_FRACTION}){{4,}}\s*")
_COMMA_ROW = re.compile(r"\d+(?:\s*[,;]\s*-?[\d.eE+-]+){4,}[,;]?")
_NON_LABEL_FILES = re.compile(r"(readme.*|licen[sc]e.*|notes?|requirements.*|changelog.*)\.txt")


def detect(location: DataLocation) -> str | None:
    """Return the evidence that ``location`` holds a YOLO dataset, ``None`` when it does not.

    That is a file that declares a dataset, with text files beside it, or text files most of which
    hold labels. Those that look like damaged labels do not count: reading them names the rows.
    """
    config_files = find_config_files(location)
    if location.file:
        return _("{name} declares a YOLO dataset").format(name=location.file) if config_files else None
    label_files = _prefer_label_folders(
        [name for name in location.tree.listing.find_by_suffix(".txt") if _may_be_labels(name)]
    )
    if config_files and label_files:
        return _("{name} declares a YOLO dataset").format(name=config_files[0])
    probes = label_files[:: max(1, len(label_files) // _PROBE_COUNT)][: _PROBE_COUNT + 1]
    contents = {name: rows for name in probes if (rows := _read_first_rows(location, name))}
    labels = [rows for rows in contents.values() if _holds_labels(rows)]
    others = [name for name, rows in contents.items() if not (_holds_labels(rows) or _is_damaged(rows[0]))]
    # In a folder of labels, any text that has its photo is meant as one.
    if labels and any("labels" in name.lower().split("/")[:-1] for name in others):
        image_lookup = ImageLookup(location.tree)
        others = [name for name in others if image_lookup.find_by_stem(name) is None]
    if len(labels) <= len(others):
        return None
    example = next(row for row in labels[0] if _ROW_PATTERN.fullmatch(row))
    return _("{count} text files of rows such as {row}").format(count=len(label_files), row=example[:40])


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read one image per label file, with class names and splits as declared, else splits from folder names.

    Raise ``DataError`` when the declaration cannot be used, ``AmbiguousError`` when there are
    several.
    """
    config = read_dataset_config(location)
    image_lookup, prefix = _find_images(location)
    return _YoloReader(image_lookup, prefix, location, config, options).read(progress)


class _YoloReader:
    """Matches images with label files and collects their objects."""

    def __init__(
        self,
        image_lookup: ImageLookup,
        prefix: str,
        location: DataLocation,
        config: YoloDatasetConfig,
        options: ReadOptions,
    ) -> None:
        self._image_lookup = image_lookup
        self._config = config
        self._builder = ObjectTableBuilder(options)
        self._split_images = SplitImages(config, image_lookup, prefix, self._builder)
        self._class_ids = None if config.names is None else {number: i for i, number in enumerate(config.names)}
        self._max_class_number = -1
        self._claimed_by_other: set[str] = set()
        other_files = {prefix + name for name in config.files} | self._split_images.image_lists
        text_files = [prefix + name for name in location.tree.listing.find_by_suffix(".txt")]
        text_files += self._find_labels_outside()
        self._stray_texts = set(text_files) - set(_prefer_label_folders(text_files))
        self._image_by_label = {name: "" for name in text_files if name not in other_files and _may_be_labels(name)}

    def read(self, progress: Progress) -> LabelTable:
        """Return the table of all images that have a label file."""
        label_by_image = self._match_labels()
        image_names = list(label_by_image)
        sizes = read_image_sizes(self._image_lookup.tree, image_names, progress).tolist()
        with progress.open_stage(_("Reading the labels"), len(image_names)) as stage:
            for image_name, size in zip(image_names, sizes, strict=True):
                self._add_image(image_name, label_by_image[image_name], (size[0], size[1]))
                stage.advance()
        self._builder.rejected += self._image_lookup.pop_guesses()
        if self._config.has_keypoints:
            reason = _("its rows contain key points: only the box of each is read")
            self._builder.reject(self._config.files[0], reason, kind="reduced")
        return self._builder.build_table(self._image_lookup.tree, NAME, self._class_names(progress))

    def _match_labels(self) -> dict[str, str]:
        """Return the label file of each image that has one; images and label files without the other are rejected.

        First the usual places are searched for each image; label files that are left go to the
        image of the same name.
        """
        label_by_image: dict[str, str] = {}
        for image_name in self._split_images.splits:
            label_file = next((name for name in _candidate_label_files(image_name) if self._is_label(name)), None)
            if label_file is not None and self._claim_label(image_name, label_file):
                label_by_image[image_name] = label_file
        for label_file in [label_file for label_file, image_name in self._image_by_label.items() if not image_name]:
            self._match_by_name(label_file, label_by_image)
        for image_name in self._split_images.splits:
            if image_name not in label_by_image and image_name not in self._claimed_by_other:
                self._builder.reject(
                    image_name, _("no label file"), _("label it, or add an empty one"), kind="no-label"
                )
        return {
            image_name: label_by_image[image_name]
            for image_name in self._split_images.splits
            if image_name in label_by_image
        }

    def _claim_label(self, image_name: str, label_file: str) -> bool:
        """Assign ``label_file`` to an image; return whether that was possible.

        An image whose label file belongs to another (``a.jpg`` and ``a.png``) is rejected.
        """
        owner = self._image_by_label.get(label_file)
        if owner:
            reason = _("its label file {label} belongs to {owner}").format(label=label_file, owner=owner)
            self._builder.reject(image_name, reason, _("rename one of the two"), kind="double")
            self._claimed_by_other.add(image_name)
        self._image_by_label[label_file] = owner or image_name
        return not owner

    def _match_by_name(self, label_file: str, label_by_image: dict[str, str]) -> None:
        """Assign ``label_file``, which is in no usual place, to the image of the same name, or reject it."""
        stem = posixpath.splitext(label_file)[0]
        image_name = self._image_lookup.find_by_stem(label_file)
        if image_name is None and self._is_other_text(label_file):
            self._builder.reject(label_file, _("no rows of labels"), _("move it elsewhere"), kind="other-labels")
        elif image_name is None:
            printable_name = label_file.encode("utf-8", "backslashreplace").decode()
            reason = self._image_lookup.explain_missing(_("its photo is missing"), stem, posixpath.dirname(stem))
            unpack_remedy = _("unpack the archive next to the photos, and give the folder")
            is_local = isinstance(self._image_lookup.tree, LocalFolder)
            remedy = _("add it, or remove the label file") if is_local else unpack_remedy
            self._builder.reject(printable_name, reason, remedy, kind="no-image")
        elif image_name in label_by_image:
            reason = _("{photo} has its labels in {other}").format(photo=image_name, other=label_by_image[image_name])
            self._builder.reject(label_file, reason, _("remove the one that is wrong"), kind="double")
        elif image_name in self._split_images.splits:
            label_by_image[image_name] = label_file
            self._image_by_label[label_file] = image_name
            self._image_lookup.note_guess(posixpath.basename(stem), image_name, label_file, sidecar=True)

    def _is_other_text(self, name: str) -> bool:
        """Whether the first row of a text file has no number; outside of the folders ``labels``, any that is none."""
        first = next(iter(_read_first_rows(DataLocation(self._image_lookup.tree), name)), "")
        numbers = [_parse_number(cell) for cell in first.split()]
        if name in self._stray_texts:
            return not numbers or None in numbers
        return bool(numbers) and all(number is None for number in numbers)

    def _is_label(self, name: str) -> bool:
        """Whether ``name`` is a label file; one outside the root is looked up on the disk."""
        return name in self._image_by_label or (name.startswith(("../", "/")) and self._image_lookup.tree.has(name))

    def _find_labels_outside(self) -> list[str]:
        """Return the text files for images outside the root: in their folders and their label folders."""
        tree, label_files = self._image_lookup.tree, []
        for folder in self._split_images.outside_folders if isinstance(self._image_lookup.tree, LocalFolder) else []:
            for label_folder in {posixpath.dirname(name) for name in _candidate_label_files(f"{folder}/x.jpg")}:
                path = tree.root / label_folder
                file_names = scan.walk_files(path) if path.is_dir() else ()
                label_files += [f"{label_folder}/{name}" for name in file_names if name.lower().endswith(".txt")]
        return label_files

    def _add_image(self, image_name: str, label_file: str, size: tuple[int, int]) -> None:
        """Add an image of ``size`` (height, width) and the objects in its label file, or a rejection."""
        try:
            data = self._image_lookup.tree.read(label_file, _MAX_LABEL_FILE_BYTES)
        except DataError as error:
            self._builder.reject(label_file, error.problem, error.remedy, kind="unusable")
            return
        if not all(size):
            reason = _("its size cannot be read, so its labels cannot be used")
            self._builder.reject(image_name, reason, _("save it as JPEG or PNG, or remove it"), kind="unusable")
            return
        row = self._builder.add_image(image_name, self._split_images.splits[image_name], size)
        for line, text in enumerate(_decode_text(data).split("\n"), 1):
            cells = text.split()
            if cells:
                self._add_object(row, label_file, line, cells, size)

    def _add_object(self, row: int, label_file: str, line: int, cells: Sequence[str], size: tuple[int, int]) -> None:
        """Add the object in the ``cells`` of a row to the image at ``row``, or its rejection."""
        reason = _count_problem(cells) if not self._config.has_keypoints or len(cells) < 5 else ""
        if reason:
            self._builder.reject(label_file, reason, _("correct or remove it"), line, "row", row=row)
            return
        class_id = self._parse_class_id(cells[0])
        if isinstance(class_id, str):
            self._builder.reject(label_file, class_id, _("correct it, or declare the class"), line, "class", row=row)
            return
        values = [_parse_number(cell) for cell in (cells[1:5] if self._config.has_keypoints else cells[1:])]
        invalid = next((cell for cell, value in zip(cells[1:], values, strict=False) if value is None), None)
        if invalid is not None:
            reason = _("a coordinate is not a number: {text}").format(text=invalid[:40])
            self._builder.reject(label_file, reason, _("correct or remove it"), line, "number", row=row)
            return
        box, rings = _parse_shape([value for value in values if value is not None], size)
        self._builder.add(row, RawObject(class_id, box, label_file, line, rings=rings))

    def _parse_class_id(self, cell: str) -> int | str:
        """Return the class id of a class number, or the reason why there is none."""
        value = _parse_number(cell)
        if value is None or value < 0 or not value.is_integer():
            return _("'{text}' is not a class id").format(text=cell[:40])
        number = int(value)
        if self._class_ids is None:
            if number >= MAX_CLASSES:
                return _("class id {number:,} exceeds the number of classes").format(number=number)
            self._max_class_number = max(self._max_class_number, number)
            return number
        if number in self._class_ids:
            return self._class_ids[number]
        if list(self._class_ids) == list(range(len(self._class_ids))):
            return _("class id {number}, but names has {count}").format(number=number, count=len(self._class_ids))
        shown_numbers = ", ".join(map(str, list(self._class_ids)[:20]))
        return _("class id {number}, but names has only {known}").format(number=number, known=shown_numbers)

    def _class_names(self, progress: Progress) -> list[str]:
        """Return the declared class names, else default names up to the highest number, with a message."""
        if self._config.names is not None:
            return list(self._config.names.values())
        names = [default_class_name(number) for number in range(self._max_class_number + 1)]
        if names:
            message = _("No class names were found: the classes are named {first} to {last}.")
            remedy = _("Put their names in a file classes.txt next to the labels, one per line.")
            progress.show_message(message.format(first=names[0], last=names[-1]) + " " + remedy)
        return names


def _find_images(location: DataLocation) -> tuple[ImageLookup, str]:
    """Return the images, of the location or of a parent folder, and the prefix of the location's names from there.

    A parent folder is used only when it has images with the names of the first label files.
    """
    label_files = [name for name in location.tree.listing.find_by_suffix(".txt") if _may_be_labels(name)]
    for tree, prefix in iterate_parent_trees(location):
        image_lookup = ImageLookup(tree)
        if image_lookup.names and (
            not prefix or any(image_lookup.find_by_stem(prefix + name) for name in label_files[:_PROBE_COUNT])
        ):
            return image_lookup, prefix
        if location.file:
            break  # declared paths are relative to the file, so no parent is needed
    return ImageLookup(location.tree), ""


def _candidate_label_files(image_name: str) -> list[str]:
    """Return the usual places of an image's label file.

    These are its path with the last ``images`` folder replaced by ``labels``, then the folder of
    the image.
    """
    stem = posixpath.splitext(image_name)[0]
    parts = stem.split("/")
    positions = [i for i, part in enumerate(parts[:-1]) if part.lower() == "images"]
    in_label_folder = ["/".join([*parts[: positions[-1]], "labels", *parts[positions[-1] + 1 :]])] if positions else []
    return [f"{name}.txt" for name in (*in_label_folder, stem)]


def _may_be_labels(name: str) -> bool:
    """Whether a text file may hold labels: not a list of classes, a readme or a licence."""
    file_name = posixpath.basename(name).lower()
    return not is_class_list(name) and not _NON_LABEL_FILES.fullmatch(file_name)


def _prefer_label_folders(names: list[str]) -> list[str]:
    """Return those of ``names`` that are in a folder ``labels``; all where none is."""
    in_folders = [name for name in names if "labels" in name.lower().split("/")[:-1]]
    return in_folders or names


def _holds_labels(rows: Sequence[str]) -> bool:
    """Whether the first or at least half of the ``rows`` of a file are labels."""
    matching = [_ROW_PATTERN.fullmatch(row) is not None for row in rows]
    return matching[0] or 2 * sum(matching) >= len(rows)


def _is_damaged(row: str) -> bool:
    """Whether a row that is no label may have been one: a few cells, of which all but one are numbers."""
    cells = re.split(r"[\s,;]+", row.strip(",; "))
    number_count = sum(_parse_number(cell) is not None for cell in cells)
    return len(cells) <= _MAX_DAMAGED_CELLS and number_count >= max(_MIN_DAMAGED_CELLS, len(cells) - 1)


def _read_first_rows(location: DataLocation, name: str) -> list[str]:
    """Return the rows in the beginning of a text file, without blank ones.

    The last one is left out where it may be cut off; if it is the only one, it loses its last number.
    """
    try:
        head = _decode_text(location.tree.head(name, _HEAD_BYTES)).lstrip()
    except DataError:
        return []
    first, line_end, rest = head.partition("\n")
    is_whole = len(head) < _HEAD_BYTES // 2
    rows = [first if line_end or is_whole else first.rpartition(" ")[0], *rest.split("\n")[: None if is_whole else -1]]
    return [row.strip() for row in rows if row.strip()]


def _decode_text(data: bytes) -> str:
    """Return the text of a label file: UTF-16 where it begins with such a mark, else UTF-8."""
    is_utf16 = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return data.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def _count_problem(cells: Sequence[str]) -> str:
    """Return what is wrong with the number of ``cells`` in a row, '' if nothing is."""
    count = len(cells)
    if count < 5 and _COMMA_ROW.fullmatch(" ".join(cells)):
        return _("numbers separated by commas or semicolons: YOLO has spaces between them")
    if count < 5:
        return _("{count} numbers: too few for a box").format(count=count)
    if count == 6:
        return _("6 numbers: possibly a score after the box, which makes it a prediction and not a label")
    if count % 2 == 0:
        return _("{count} numbers: a polygon has pairs of coordinates after its class").format(count=count)
    return ""


def _parse_number(text: str) -> float | None:
    """Return the number in ``text``, ``None`` when there is none."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _parse_shape(values: Sequence[float], size: tuple[int, int]) -> tuple[Box, tuple[Ring, ...]]:
    """Return the box in pixels, and the polygon if the row has one, from the numbers after the class.

    ``size`` is (height, width). Four numbers are a box, more are pairs.
    """
    height, width = size
    if len(values) == 4:
        x, y, box_width, box_height = values
        left, top = (x - box_width / 2) * width, (y - box_height / 2) * height
        return (left, top, (x + box_width / 2) * width, (y + box_height / 2) * height), ()
    points = [(x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True)]
    ring = np.array(points, np.float64)
    return compute_bounding_box([ring]), (ring,)


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.BOXES | Capability.OUTLINES | Capability.SPLITS | Capability.CLASSES | Capability.NEGATIVES,
    write,
    image_path,
)
