"""The images of COCO files: which photo each one is, of which split, and which cannot be told apart."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.image_lookup import ImageLookup, read_image_sizes
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, JsonValueError, is_encodable_text, is_number, parse_image_side
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, get_file_stem

CocoId = int | float | str
_MAX_PROBES = 20
_WORD_PATTERN = re.compile(r"[^\W\d_]+")


class CocoImage(NamedTuple):
    """An image in use: its row in the table, and its size (height, width), zeros when unknown."""

    row: int
    size: tuple[int, int]


@dataclass(frozen=True)
class _ImageEntry:
    """An image as a file lists it, with the photo that was found for it."""

    id: CocoId
    image_reference: str
    image_name: str | None
    size: tuple[int, int]
    path: str


class ImageIndex:
    """Adds the images of one file after the other to ``marks``; each photo counts once."""

    def __init__(self, place: DataLocation, marks: ObjectTableBuilder) -> None:
        self._place = place
        self._builder = marks
        self._image_lookup: ImageLookup | None = None
        self._prefix = ""
        self._path_by_image: dict[str, str] = {}

    @property
    def image_lookup(self) -> ImageLookup:
        """The photos of the tree in which those of the first file lie."""
        return self._image_lookup or ImageLookup(self._place.tree)

    def relocate_root(self, root: JsonNode) -> JsonNode:
        """Return the file at ``root`` by its name in that tree: ours, or a folder above with the photos beside us."""
        if self._image_lookup is None:
            self._image_lookup, self._prefix = _find_image_root(self._place, root)
        return JsonNode(root.value, self._prefix + root.path)

    def add_images(self, root: JsonNode) -> dict[CocoId, CocoImage | None]:
        """Add the images of the file at ``root``; return them by their ids, ``None`` for one that is refused."""
        entries = self._fill_missing_sizes(list(self._read_entries(root)))
        meant: dict[CocoId, set[str | None]] = {}
        for entry in entries:
            meant.setdefault(entry.id, set()).add(entry.image_name)
        split = infer_split(root.path)
        known: dict[CocoId, CocoImage | None] = {}
        refused = []
        for entry in entries:
            problem = self._find_problem(entry, meant[entry.id])
            if problem is not None:
                known.setdefault(entry.id, None)
                refused.append((entry, problem))
            elif entry.image_name is not None:
                self._path_by_image[entry.image_name] = entry.path
                known[entry.id] = CocoImage(self._builder.add_image(entry.image_name, split, entry.size), entry.size)
        self._reject_entries(root, refused)
        return known

    def _read_entries(self, root: JsonNode) -> Iterator[_ImageEntry]:
        near, subset = _folder_hints(root.path)
        for node in root.get_child("images").items():
            try:
                mention = _read_image_reference(node)
                photo = _find_image(self.image_lookup, mention, near, subset)
                yield _ImageEntry(read_id(node), mention, photo, _read_size(node), node.path)
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)

    def _fill_missing_sizes(self, entries: Sequence[_ImageEntry]) -> list[_ImageEntry]:
        """Return ``entries``; where the file does not tell the size, the photo does."""
        unknown = [entry.image_name for entry in entries if entry.image_name is not None and not any(entry.size)]
        if not unknown:
            return list(entries)
        found = dict(zip(unknown, map(tuple, read_image_sizes(self.image_lookup.tree, unknown).tolist()), strict=True))
        return [
            entry if any(entry.size) else replace(entry, size=found.get(entry.image_name or "", (0, 0)))
            for entry in entries
        ]

    def _find_problem(self, entry: _ImageEntry, meant: set[str | None]) -> tuple[str, str, str] | None:
        if len(meant) > 1:
            return _("{count} images have its id").format(count=len(meant)), _("give each an id of its own"), "row"
        if entry.image_name is None:
            reason = _("its photo {name} is not there").format(name=entry.image_reference)
            return reason, _("put it there, or remove the entry"), "no-image"
        if entry.image_name in self._path_by_image:
            reason = _("{other} is the same photo, {name}").format(
                other=self._path_by_image[entry.image_name], name=entry.image_name
            )
            return reason, _("remove one"), "double"
        return None

    def _reject_entries(self, root: JsonNode, refused: Sequence[tuple[_ImageEntry, tuple[str, str, str]]]) -> None:
        if not refused:
            return
        marks = Counter(
            node.value.get("image_id") for node in root.get_child("annotations").items() if _has_image_id(node)
        )
        for entry, (said, remedy, fault) in refused:
            count = marks[entry.id]
            reason = said if not count else _("{reason}; with it {count} marks").format(reason=said, count=count)
            self._builder.reject(entry.path, reason, remedy, kind=fault)


def infer_split(name: str) -> int:
    """Return the split that the file ``name`` is of: by a word in its name, else by the folder that it lies in."""
    said = {SPLIT_WORDS[word] for word in _split_words(get_file_stem(name)) if word in SPLIT_WORDS}
    if said:
        return said.pop() if len(said) == 1 else UNASSIGNED
    folders = [_split_words(folder) for folder in name.split("/")[-2::-1]]
    return next((SPLIT_WORDS[words[0]] for words in folders if len(words) == 1 and words[0] in SPLIT_WORDS), UNASSIGNED)


def _split_words(text: str) -> list[str]:
    return _WORD_PATTERN.findall(text.lower())


def _find_image_root(place: DataLocation, root: JsonNode) -> tuple[ImageLookup, str]:
    mentions = list(_sample_references(root))
    found = []
    for tree, prefix in iterate_parent_trees(place):
        photos = ImageLookup(tree)
        if any(_find_image(photos, mention, *_folder_hints(prefix + root.path)) for mention in mentions):
            return photos, prefix
        found.append((photos, prefix))
    return found[0]


def _sample_references(root: JsonNode) -> Iterator[str]:
    for _index, node in zip(range(_MAX_PROBES), root.get_child("images").items(), strict=False):
        try:
            yield _read_image_reference(node)
        except JsonValueError:
            continue


def _read_image_reference(node: JsonNode) -> str:
    """Return what the image at ``node`` is called: ``file_name``, else the end of its address."""
    if node.get_child("file_name").value is None and node.get_child("coco_url").value is not None:
        path = unquote(urlsplit(node.get_text("coco_url")).path)
        return "/".join(path.split("/")[-2:])
    return node.get_text("file_name")


def _folder_hints(label: str) -> tuple[str, str]:
    """Return the folder of the file ``label``, and what the folder of its photos is called if it has its own."""
    return posixpath.dirname(label), get_file_stem(label).removeprefix("instances_")


def _find_image(photos: ImageLookup, mention: str, near: str, subset: str) -> str | None:
    # Splits may hold photos of the same name: then the folder called as the label file decides.
    for wanted in (mention, f"{subset}/{mention}", f"images/{mention}"):
        found = photos.find(wanted, near)
        if found is not None:
            return found if is_encodable_text(found) else None
    return None


def read_id(node: JsonNode) -> CocoId:
    """Return the id of the image or category at ``node``."""
    value = node.get_child("id").value
    if not is_number(value) and not isinstance(value, str):
        raise node.get_child("id").make_error(_("an id"))
    found: CocoId = value
    return found


def _has_image_id(node: JsonNode) -> bool:
    value = node.value.get("image_id") if isinstance(node.value, dict) else None
    return is_number(value) or isinstance(value, str)


def _read_size(node: JsonNode) -> tuple[int, int]:
    height, width = parse_image_side(node.value.get("height")), parse_image_side(node.value.get("width"))
    return (height, width) if height and width else (0, 0)
