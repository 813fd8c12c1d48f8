"""The images of COCO files: which photo each one is, of which split, and which cannot be told apart."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from lince.labels.jsonfile import Node, WrongValueError, is_number, is_text, side
from lince.labels.marks import Marks
from lince.labels.nearby import outwards
from lince.labels.photos import Photos, sizes
from lince.labels.table import SPLIT_WORDS, UNASSIGNED
from lince.labels.tree import Place, stem
from lince.messages import _

Id = int | float | str
_MENTIONS = 20
_WORDS = re.compile(r"[^\W\d_]+")


class Known(NamedTuple):
    """An image in use: its row in the table, and its size (height, width), zeros when unknown."""

    row: int
    size: tuple[int, int]


@dataclass(frozen=True)
class _Entry:
    """An image as a file lists it, with the photo that was found for it."""

    id: Id
    mention: str
    photo: str | None
    size: tuple[int, int]
    path: str


class Images:
    """Adds the images of one file after the other to ``marks``; each photo counts once."""

    def __init__(self, place: Place, marks: Marks) -> None:
        self._place = place
        self._marks = marks
        self._photos: Photos | None = None
        self._prefix = ""
        self._owners: dict[str, str] = {}

    @property
    def photos(self) -> Photos:
        """The photos of the tree in which those of the first file lie."""
        return self._photos or Photos(self._place.tree)

    def settled(self, root: Node) -> Node:
        """Return the file at ``root`` by its name in that tree: ours, or a folder above with the photos beside us."""
        if self._photos is None:
            self._photos, self._prefix = _around(self._place, root)
        return Node(root.value, self._prefix + root.path)

    def add(self, root: Node) -> dict[Id, Known | None]:
        """Add the images of the file at ``root``; return them by their ids, ``None`` for one that is refused."""
        entries = self._measured(list(self._entries(root)))
        meant: dict[Id, set[str | None]] = {}
        for entry in entries:
            meant.setdefault(entry.id, set()).add(entry.photo)
        split = split_of(root.path)
        known: dict[Id, Known | None] = {}
        refused = []
        for entry in entries:
            problem = self._problem(entry, meant[entry.id])
            if problem is not None:
                known.setdefault(entry.id, None)
                refused.append((entry, problem))
            elif entry.photo is not None:
                self._owners[entry.photo] = entry.path
                known[entry.id] = Known(self._marks.image(entry.photo, split, entry.size), entry.size)
        self._refuse(root, refused)
        return known

    def _entries(self, root: Node) -> Iterator[_Entry]:
        near, subset = _surroundings(root.path)
        for node in root.at("images").items():
            try:
                mention = _mention(node)
                photo = _find(self.photos, mention, near, subset)
                yield _Entry(id_of(node), mention, photo, _size(node), node.path)
            except WrongValueError as error:
                self._marks.reject(error.path, error.reason, error.remedy, fault=error.fault)

    def _measured(self, entries: Sequence[_Entry]) -> list[_Entry]:
        """Return ``entries``; where the file does not tell the size, the photo does."""
        unknown = [entry.photo for entry in entries if entry.photo is not None and not any(entry.size)]
        if not unknown:
            return list(entries)
        found = dict(zip(unknown, map(tuple, sizes(self.photos.tree, unknown).tolist()), strict=True))
        return [
            entry if any(entry.size) else replace(entry, size=found.get(entry.photo or "", (0, 0))) for entry in entries
        ]

    def _problem(self, entry: _Entry, meant: set[str | None]) -> tuple[str, str, str] | None:
        if len(meant) > 1:
            return _("{count} images have its id").format(count=len(meant)), _("give each an id of its own"), "row"
        if entry.photo is None:
            reason = _("its photo {name} is not there").format(name=entry.mention)
            return reason, _("put it there, or remove the entry"), "no-image"
        if entry.photo in self._owners:
            reason = _("{other} is the same photo, {name}").format(other=self._owners[entry.photo], name=entry.photo)
            return reason, _("remove one"), "double"
        return None

    def _refuse(self, root: Node, refused: Sequence[tuple[_Entry, tuple[str, str, str]]]) -> None:
        if not refused:
            return
        marks = Counter(node.value.get("image_id") for node in root.at("annotations").items() if _has_id(node))
        for entry, (said, remedy, fault) in refused:
            count = marks[entry.id]
            reason = said if not count else _("{reason}; with it {count} marks").format(reason=said, count=count)
            self._marks.reject(entry.path, reason, remedy, fault=fault)


def split_of(name: str) -> int:
    """Return the split that the file ``name`` is of: by a word in its name, else by the folder that it lies in."""
    said = {SPLIT_WORDS[word] for word in _words(stem(name)) if word in SPLIT_WORDS}
    if said:
        return said.pop() if len(said) == 1 else UNASSIGNED
    folders = [_words(folder) for folder in name.split("/")[-2::-1]]
    return next((SPLIT_WORDS[words[0]] for words in folders if len(words) == 1 and words[0] in SPLIT_WORDS), UNASSIGNED)


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.lower())


def _around(place: Place, root: Node) -> tuple[Photos, str]:
    mentions = list(_mentions(root))
    found = []
    for tree, prefix in outwards(place):
        photos = Photos(tree)
        if any(_find(photos, mention, *_surroundings(prefix + root.path)) for mention in mentions):
            return photos, prefix
        found.append((photos, prefix))
    return found[0]


def _mentions(root: Node) -> Iterator[str]:
    for _index, node in zip(range(_MENTIONS), root.at("images").items(), strict=False):
        try:
            yield _mention(node)
        except WrongValueError:
            continue


def _mention(node: Node) -> str:
    """Return what the image at ``node`` is called: ``file_name``, else the end of its address."""
    if node.at("file_name").value is None and node.at("coco_url").value is not None:
        path = unquote(urlsplit(node.text("coco_url")).path)
        return "/".join(path.split("/")[-2:])
    return node.text("file_name")


def _surroundings(label: str) -> tuple[str, str]:
    """Return the folder of the file ``label``, and what the folder of its photos is called if it has its own."""
    return posixpath.dirname(label), stem(label).removeprefix("instances_")


def _find(photos: Photos, mention: str, near: str, subset: str) -> str | None:
    # Splits may hold photos of the same name: then the folder called as the label file decides.
    for wanted in (mention, f"{subset}/{mention}", f"images/{mention}"):
        found = photos.find(wanted, near)
        if found is not None:
            return found if is_text(found) else None
    return None


def id_of(node: Node) -> Id:
    """Return the id of the image or category at ``node``."""
    value = node.at("id").value
    if not is_number(value) and not isinstance(value, str):
        raise node.at("id").wrong(_("an id"))
    found: Id = value
    return found


def _has_id(node: Node) -> bool:
    value = node.value.get("image_id") if isinstance(node.value, dict) else None
    return is_number(value) or isinstance(value, str)


def _size(node: Node) -> tuple[int, int]:
    height, width = side(node.value.get("height")), side(node.value.get("width"))
    return (height, width) if height and width else (0, 0)
