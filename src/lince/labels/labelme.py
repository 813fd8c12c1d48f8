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
from lince.annotations import UNLABELLED, Rejected
from lince.errors import DataError
from lince.labels import jsonfile
from lince.labels.embedded import Embedded, photo_in
from lince.labels.format import Format, Holds
from lince.labels.jsonfile import Node, WrongValueError, is_text, side
from lince.labels.kinds import Kinds
from lince.labels.labelmeshape import FLAGS, flags, shape
from lince.labels.labelmewrite import CLASS_FILE, OTHERS, file, write
from lince.labels.marks import Mark, Marks, around
from lince.labels.nearby import outwards
from lince.labels.photos import Photos, size
from lince.labels.table import SPLIT_WORDS, UNASSIGNED, Options, Table
from lince.labels.tree import Place, Tree
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "labelme"
_PROBES = 8
_HEAD = 4096
_CLASSES_AT_MOST = 2**20
_BESIDE = {"version", "flags", "imagePath", "imageData", "imageHeight"}


def detect(place: Place) -> str | None:
    """Return what speaks for LabelMe: JSON files with shapes on an image."""
    found = place.ending(".json")
    probes = found[:: max(1, len(found) // _PROBES)][: _PROBES + 1]
    first = next((name for name in probes if _is_labelme(place.tree, name)), None)
    return None if first is None else _("{count} JSON files such as {name}").format(count=len(found), name=first)


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read a photo for each JSON file: the one it names, else the one called as itself, else the one within it.

    Raise ``DataError`` when the one file named is not LabelMe's.
    """
    photos, prefix = _around(place)
    labels = [prefix + name for name in place.ending(".json")]
    reader = _Reader(photos, Marks(options), bool(place.file))
    with progress.stage(_("Reading the labels"), len(labels)) as stage:
        for label in labels:
            reader.add(label)
            stage.advance()
    return reader.table(progress)


class _Reader:
    def __init__(self, photos: Photos, marks: Marks, alone: bool) -> None:
        self._photos = photos
        self._marks = marks
        self._alone = alone  # one file was named: photos that it does not speak of are nobody's business
        self._kinds = Kinds(_declared(photos.tree))
        self._owners: dict[str, str] = {}
        self._holders: dict[str, str] = {}
        self._said: dict[int, list[str]] = {}
        self._shapes = 0

    def add(self, label: str) -> None:
        """Add the photo of the file ``label`` and what is marked on it."""
        try:
            root = Node(jsonfile.load(self._photos.tree, label), label)
            shapes = root.at("shapes").listed()
            photo = self._photo(root)
        except DataError as error:
            if self._alone and isinstance(error, WrongValueError):
                raise error.of_all(self._photos.tree.root) from error
            if self._alone:
                raise
            self._marks.rejected.append(_refusal(label, error))
            return
        if photo in self._owners:
            reason = _("{other} speaks of the same photo, {name}").format(other=self._owners[photo], name=photo)
            self._marks.reject(label, reason, _("correct imagePath, or remove one"), fault="double")
            return
        self._owners[photo] = label
        self._shapes += len(shapes)
        self._image(root, photo)

    def table(self, progress: Progress) -> Table:
        """Return the table of all files."""
        if not self._alone:
            for photo in self._photos.names:
                if photo not in self._owners and is_text(photo):
                    self._marks.reject(photo, _("no label file speaks of it"), _("label it"), fault="no-label")
        tree = Embedded(self._photos.tree, self._holders) if self._holders else self._photos.tree
        table = self._marks.table(tree, NAME, self._kinds.names)
        if self._shapes or not self._said:
            if self._said:
                progress.say(_("{count} photos have flags of their own: not used.").format(count=len(self._said)))
            return self._kinds.settled(table)
        return self._labelled(table)

    def _photo(self, root: Node) -> str:
        mention = root.value.get("imagePath")
        found = _find(self._photos, mention, root.path)
        if found is not None:
            return found
        kind = images.kind(photo_in(root.value) or b"")
        if kind is None:
            reason = _("its photo {name} is not there").format(name=jsonfile.shown(mention))
            raise WrongValueError(root.path, reason, "no-image")
        made_up = f"{posixpath.splitext(root.path)[0]}.{kind}"
        self._holders[made_up] = root.path
        return made_up

    def _image(self, root: Node, photo: str) -> None:
        known = self._size(root, photo)
        row = self._marks.image(photo, _split(photo), known)
        said = root.value.get("flags")
        true = [word for word, value in said.items() if value is True] if isinstance(said, dict) else []
        if true:
            self._said[row] = true
        for found in self._grouped(root, known):
            self._marks.add(row, found)

    def _grouped(self, root: Node, known: tuple[int, int]) -> list[Mark]:
        """Return the marks of the file at ``root``, the outlines of a group as one."""
        found: list[Mark] = []
        groups: dict[tuple[int, str], int] = {}
        for node in root.at("shapes").items():
            try:
                one = self._mark(node, known)
            except WrongValueError as error:
                self._marks.reject(error.path, error.reason, error.remedy, fault=error.fault)
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
                found[place] = replace(found[place], rings=rings, box=around(rings))
        return found

    def _mark(self, node: Node, known: tuple[int, int]) -> Mark:
        drawn = shape(node, known)
        name = node.text("label")
        return Mark(self._kinds.id(name), drawn.box, node.path, None, flags(node), drawn.rings, drawn.mask)

    def _size(self, root: Node, photo: str) -> tuple[int, int]:
        height, width = (side(root.value.get(key)) for key in ("imageHeight", "imageWidth"))
        if height and width:
            return height, width
        if photo not in self._holders:
            return size(self._photos.tree, photo)
        try:
            return images.size(photo_in(root.value) or b"")
        except DataError:
            return 0, 0

    def _labelled(self, table: Table) -> Table:
        """Return the table of photos that have a class by their flags: the one that is true."""
        class_ids = np.full(len(table.names), UNLABELLED, np.int32)
        refused = []
        for row, photo in enumerate(table.names):
            words = self._said.get(row, [])
            if len(words) == 1:
                class_ids[row] = self._kinds.id(words[0])
            else:
                reason = _("it has several classes: {names}").format(names=", ".join(words)) if words else _("no class")
                refused.append(Rejected(photo, reason, _("set one flag"), None, "class" if words else "no-label"))
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
        return self._kinds.settled(labelled)


def _is_labelme(tree: Tree, name: str) -> bool:
    try:
        head = tree.head(name, _HEAD).replace(b"\0", b"")  # UTF-16
    except DataError:
        return False
    if b'"shapes"' not in head and b'"imageData"' not in head:
        return False
    value = jsonfile.peek(tree, name, _HEAD)
    return isinstance(value, dict) and (
        ("shapes" in value and bool(_BESIDE & value.keys())) or {"imageData", "imagePath"} <= value.keys()
    )


def _around(place: Place) -> tuple[Photos, str]:
    """Return the photos, of the place itself or of the folders beside it, and what its names start by from there."""
    labels = place.ending(".json")[:_PROBES]
    mentions = [(label, _mention(place.tree, label)) for label in labels]
    found = []
    for tree, prefix in outwards(place):
        photos = Photos(tree)
        if any(_find(photos, mention, prefix + label) for label, mention in mentions):
            return photos, prefix
        found.append((photos, prefix))
    return found[0]


def _mention(tree: Tree, label: str) -> object:
    try:
        return Node(jsonfile.load(tree, label), label).at("imagePath").value
    except DataError:
        return None


def _find(photos: Photos, mention: object, label: str) -> str | None:
    """Return the photo that ``label`` names, else the one called as itself; ``None`` if none."""
    wanted = mention if isinstance(mention, str) and is_text(mention) else ""
    found = photos.find(wanted, posixpath.dirname(label)) or photos.twin(label)
    return found if found is not None and is_text(found) else None


def _declared(tree: Tree) -> list[str]:
    """Return the classes that ``labels.txt`` lists, in its order; nothing when there is none."""
    if not tree.has(CLASS_FILE):
        return []
    try:
        text = tree.read(CLASS_FILE, _CLASSES_AT_MOST).decode("utf-8-sig")
    except (DataError, UnicodeDecodeError):
        return []
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and line not in OTHERS]


def _split(photo: str) -> int:
    folders = () if posixpath.isabs(photo) else photo.lower().split("/")[:-1]
    return next((SPLIT_WORDS[word] for word in folders if word in SPLIT_WORDS), UNASSIGNED)


def _refusal(label: str, error: DataError) -> Rejected:
    if not isinstance(error, WrongValueError):
        return Rejected(label, error.found.rstrip("."), error.remedy, None, "row")
    absent = error.fault == "no-image"
    return Rejected(error.path, error.reason, _("put it there") if absent else error.remedy, None, error.fault)


FORMAT = Format(
    NAME,
    detect,
    read,
    Holds.BOXES
    | Holds.OUTLINES
    | Holds.MASKS
    | Holds.FLAGS
    | Holds.CLASSES
    | Holds.NEGATIVES
    | Holds.RINGS
    | Holds.PATHS,
    write,
    file,
    sum(FLAGS.values()),
)
