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
from lince.labels import photos as headers
from lince.labels import scan
from lince.labels.format import Format, Holds
from lince.labels.jsonfile import is_text
from lince.labels.marks import Box, Mark, Marks, Ring, around
from lince.labels.nearby import outwards
from lince.labels.photos import Photos
from lince.labels.table import Options, Table
from lince.labels.tree import Folder, Place
from lince.labels.yoloparts import Parts
from lince.labels.yoloset import CLASSES_AT_MOST, YoloSet, candidates, find, is_list, unnamed
from lince.labels.yolowrite import file, write
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "yolo"
_ROWS_AT_MOST = 2**22  # bytes of one photo's labels
_PROBES = 8
_HEAD = 4096
_SHARE = r"-?(?:\d(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_ROW = re.compile(rf"\d{{1,5}}(?:\.0+)?(?:\s+{_SHARE}){{4,}}\s*")
_NO_LABELS = re.compile(r"(readme.*|licen[sc]e.*|notes?|requirements.*|changelog.*)\.txt")


def detect(place: Place) -> str | None:
    """Return what speaks for YOLO at ``place``: a file that declares a set, or text files of such rows."""
    declared = candidates(place)
    if place.file:
        return _("{name} declares a YOLO set").format(name=place.file) if declared else None
    labels = [name for name in place.tree.listing.ending(".txt") if _may_be_labels(name)]
    if declared and labels:
        return _("{name} declares a YOLO set").format(name=declared[0])
    probes = labels[:: max(1, len(labels) // _PROBES)][: _PROBES + 1]
    found = [row for row in (_first_row(place, name) for name in probes) if row]
    fitting = [row for row in found if _ROW.fullmatch(row)]
    if 2 * len(fitting) <= len(found):
        return None
    return _("{count} text files of rows such as {row}").format(count=len(labels), row=fitting[0][:40])


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read a photo for each label file; names and parts as the set declares them, else parts by folders' names.

    Raise ``DataError`` when the file that declares the set cannot be used, ``AmbiguousError`` when two differ.
    """
    declared = find(place)
    photos, prefix = _photos(place)
    return _Reader(photos, prefix, place, declared, options).read(progress)


class _Reader:
    def __init__(self, photos: Photos, prefix: str, place: Place, declared: YoloSet, options: Options) -> None:
        self._photos = photos
        self._declared = declared
        self._marks = Marks(options)
        self._parts = Parts(declared, photos, prefix, self._marks)
        self._ids = None if declared.names is None else {number: i for i, number in enumerate(declared.names)}
        self._highest = -1
        self._robbed: set[str] = set()
        apart = {prefix + name for name in declared.files} | self._parts.lists
        found = [prefix + name for name in place.tree.listing.ending(".txt")] + self._outside()
        self._labels = {name: "" for name in found if name not in apart and _may_be_labels(name)}

    def read(self, progress: Progress) -> Table:
        """Return the table of all photos that have a label file."""
        labels = self._matched()
        names = list(labels)
        sizes = headers.sizes(self._photos.tree, names, progress).tolist()
        with progress.stage(_("Reading the labels"), len(names)) as stage:
            for name, size in zip(names, sizes, strict=True):
                self._image(name, labels[name], (size[0], size[1]))
                stage.advance()
        if self._declared.points:
            reason = _("its rows hold key points: of each, the box alone is read")
            self._marks.reject(self._declared.files[0], reason)
        return self._marks.table(self._photos.tree, NAME, self._class_names(progress))

    def _matched(self) -> dict[str, str]:
        """Return the label file of each photo that has one, and reject photos and label files that are alone."""
        found: dict[str, str] = {}
        for photo in self._parts.splits:
            label = next((name for name in _label_names(photo) if self._is_label(name)), None)
            if label is not None and self._claimed(photo, label):
                found[photo] = label
        for label in [label for label, photo in self._labels.items() if not photo]:
            self._adopt(label, found)
        for photo in self._parts.splits:
            if photo not in found and photo not in self._robbed:
                self._marks.reject(photo, _("no label file"), _("label it, or add an empty one"), fault="no-label")
        return {photo: found[photo] for photo in self._parts.splits if photo in found}

    def _claimed(self, photo: str, label: str) -> bool:
        owner = self._labels.get(label)
        if owner:
            reason = _("its label file {label} belongs to {owner}").format(label=label, owner=owner)
            self._marks.reject(photo, reason, _("rename one of the two"), fault="double")
            self._robbed.add(photo)
        self._labels[label] = owner or photo
        return not owner

    def _adopt(self, label: str, found: dict[str, str]) -> None:
        """Give the label file ``label``, which lies where no photo looks for it, to the photo of its name."""
        photo = self._photos.twin(label)
        if photo is None:
            shown = label if is_text(label) else label.encode("utf-8", "backslashreplace").decode()
            packed = _("unpack the archive beside the photos, and name the folder")
            remedy = _("put it there, or remove the label file") if isinstance(self._photos.tree, Folder) else packed
            self._marks.reject(shown, _("its photo is not there"), remedy, fault="no-image")
        elif photo in found:
            reason = _("{photo} has its labels in {other}").format(photo=photo, other=found[photo])
            self._marks.reject(label, reason, _("remove the one that is wrong"), fault="double")
        elif photo in self._parts.splits:
            found[photo] = label
            self._labels[label] = photo

    def _is_label(self, name: str) -> bool:
        return name in self._labels or (name.startswith(("../", "/")) and self._photos.tree.has(name))

    def _outside(self) -> list[str]:
        """Return the text files that lie in the folders of images outside the tree, and in their label folders."""
        tree, found = self._photos.tree, []
        for folder in self._parts.outside if isinstance(self._photos.tree, Folder) else []:
            for labels in {posixpath.dirname(name) for name in _label_names(f"{folder}/x.jpg")}:
                path = tree.root / labels
                texts = scan.files_below(path) if path.is_dir() else ()
                found += [f"{labels}/{name}" for name in texts if name.lower().endswith(".txt")]
        return found

    def _image(self, photo: str, label: str, size: tuple[int, int]) -> None:
        try:
            data = self._photos.tree.read(label, _ROWS_AT_MOST)
        except DataError as error:
            self._marks.reject(label, error.found, error.remedy, fault="unusable")
            return
        if not all(size):
            reason = _("its size cannot be read, so its labels say nothing")
            self._marks.reject(photo, reason, _("save it as JPEG or PNG, or remove it"), fault="unusable")
            return
        image = self._marks.image(photo, self._parts.splits[photo], size)
        for line, row in enumerate(data.decode("utf-8-sig", "replace").split("\n"), 1):
            cells = row.split()
            if cells:
                self._object(image, label, line, cells, size)

    def _object(self, image: int, label: str, line: int, cells: Sequence[str], size: tuple[int, int]) -> None:
        reason = _wrong_count(len(cells)) if not self._declared.points or len(cells) < 5 else ""
        if reason:
            self._marks.reject(label, reason, _("correct or remove it"), line, "row")
            return
        class_id = self._class_id(cells[0])
        if isinstance(class_id, str):
            self._marks.reject(label, class_id, _("correct it, or declare the class"), line, "class")
            return
        values = [_number(cell) for cell in (cells[1:5] if self._declared.points else cells[1:])]
        wrong = next((cell for cell, value in zip(cells[1:], values, strict=False) if value is None), None)
        if wrong is not None:
            reason = _("a coordinate that is no number: {text}").format(text=wrong[:40])
            self._marks.reject(label, reason, _("correct or remove it"), line, "number")
            return
        box, rings = _shape([value for value in values if value is not None], size)
        self._marks.add(image, Mark(class_id, box, label, line, rings=rings))

    def _class_id(self, cell: str) -> int | str:
        """Return the id that ``cell`` stands for, or why there is none."""
        value = _number(cell)
        if value is None or value < 0 or not value.is_integer():
            return _("'{text}' is no number of a class").format(text=cell[:40])
        number = int(value)
        if self._ids is None:
            if number >= CLASSES_AT_MOST:
                return _("class {number:,} is more than there are classes").format(number=number)
            self._highest = max(self._highest, number)
            return number
        if number in self._ids:
            return self._ids[number]
        if list(self._ids) == list(range(len(self._ids))):
            return _("class {number} but names has {count}").format(number=number, count=len(self._ids))
        known = ", ".join(map(str, list(self._ids)[:20]))
        return _("class {number} but names has only {known}").format(number=number, known=known)

    def _class_names(self, progress: Progress) -> list[str]:
        if self._declared.names is not None:
            return list(self._declared.names.values())
        names = [unnamed(number) for number in range(self._highest + 1)]
        if names:
            said = _("No names of classes were found: they are called {first} to {last}.")
            remedy = _("Put their names into a file classes.txt beside the labels, one a line.")
            progress.say(said.format(first=names[0], last=names[-1]) + " " + remedy)
        return names


def _photos(place: Place) -> tuple[Photos, str]:
    """Return the photos, of the place itself or else of the folders beside it, and what our names start by there."""
    labels = [name for name in place.tree.listing.ending(".txt") if _may_be_labels(name)]
    for tree, prefix in outwards(place):
        photos = Photos(tree)
        if photos.names and (not prefix or any(photos.twin(prefix + name) for name in labels[:_PROBES])):
            return photos, prefix
        if place.file:
            break  # what a set declares is found from its own folder
    return Photos(place.tree), ""


def _label_names(photo: str) -> list[str]:
    """Return where the label file of ``photo`` may lie: under labels in place of the last images, or beside it."""
    stem = posixpath.splitext(photo)[0]
    parts = stem.split("/")
    places = [i for i, part in enumerate(parts[:-1]) if part.lower() == "images"]
    swapped = ["/".join([*parts[: places[-1]], "labels", *parts[places[-1] + 1 :]])] if places else []
    return [f"{name}.txt" for name in (*swapped, stem)]


def _may_be_labels(name: str) -> bool:
    base = posixpath.basename(name).lower()
    return not is_list(name) and not _NO_LABELS.fullmatch(base)


def _first_row(place: Place, name: str) -> str:
    """Return the first row of a text file, without the number in which its head ends; empty when there is none."""
    try:
        head = place.tree.head(name, _HEAD).decode("utf-8", "replace").lstrip("\ufeff").lstrip()
    except DataError:
        return ""
    row, end, _rest = head.partition("\n")
    return row.strip() if end or len(head) < _HEAD // 2 else row.rpartition(" ")[0]


def _wrong_count(count: int) -> str:
    if count < 5:
        return _("{count} numbers: too few for a box").format(count=count)
    if count == 6:
        return _("6 numbers: a score behind the box? Then it is a prediction, and no label")
    if count % 2 == 0:
        return _("{count} numbers: an outline has pairs behind its class").format(count=count)
    return ""


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _shape(values: Sequence[float], size: tuple[int, int]) -> tuple[Box, tuple[Ring, ...]]:
    height, width = size
    if len(values) == 4:
        x, y, across, down = values
        left, top = (x - across / 2) * width, (y - down / 2) * height
        return (left, top, (x + across / 2) * width, (y + down / 2) * height), ()
    corners = [(x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True)]
    ring = np.array(corners, np.float64)
    return around([ring]), (ring,)


FORMAT = Format(
    NAME,
    detect,
    read,
    Holds.BOXES | Holds.OUTLINES | Holds.SPLITS | Holds.CLASSES | Holds.NEGATIVES,
    write,
    file,
)
