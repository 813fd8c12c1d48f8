"""Finds the images of COCO files: the file that each entry refers to, its split, and which entries cannot be used."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.image_lookup import ImageLookup, read_sizes_by_name
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, JsonValueError, is_encodable_text, is_number, parse_image_side
from lince.splits import UNASSIGNED, find_split_words, parse_split_name
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, get_file_stem

CocoId = int | float | str
_Entry = TypeVar("_Entry")
_MAX_PROBES = 20


class CocoImage(NamedTuple):
    """An image in use: its row in the table, and its size (height, width) in pixels, zeros when unknown."""

    row: int
    size: tuple[int, int]


@dataclass(frozen=True)
class _ImageEntry:
    """An entry of a file's ``images``.

    ``image_reference`` is what the entry calls its file, ``image_name`` the file found in the tree (``None`` for none),
    ``size`` (height, width), ``path`` the place of the entry in the JSON file.
    """

    id: CocoId
    image_reference: str
    image_name: str | None
    size: tuple[int, int]
    path: str


class ImageIndex:
    """Adds the images of one COCO file after the other to a table; each image file counts once.

    The first file decides in which tree the images are: that of the location, or of a folder above it.
    """

    def __init__(self, location: DataLocation, builder: ObjectTableBuilder) -> None:
        self._location = location
        self._builder = builder
        self._image_lookup: ImageLookup | None = None
        self._prefix = ""
        self._path_by_image: dict[str, str] = {}
        self._named_images: set[str] = set()

    @property
    def image_lookup(self) -> ImageLookup:
        """The images of the tree in which those of the first file are."""
        return self._image_lookup or ImageLookup(self._location.tree)

    def relocate_root(self, root: JsonNode) -> JsonNode:
        """Return the COCO file at ``root`` with its path seen from the tree of the images.

        The first file read decides which tree that is: the one of the location, or a folder above it with the images
        beside it.
        """
        if self._image_lookup is None:
            self._image_lookup, self._prefix = _find_image_root(self._location, root)
        return JsonNode(root.value, self._prefix + root.path)

    def add_images(self, root: JsonNode) -> dict[CocoId, CocoImage | None]:
        """Add the images of the file at ``root``; return them by their ids, with ``None`` for those that are rejected.

        Rejected are ids that several images have, entries whose file is missing, and entries of a file that another
        has. Sizes that the file does not give are read from the images.
        """
        entries = self._fill_missing_sizes(list(self._read_entries(root)))
        names_by_id: dict[CocoId, set[str | None]] = {}
        for entry in entries:
            names_by_id.setdefault(entry.id, set()).add(entry.image_name)
        self._named_images.update(entry.image_name for entry in entries if entry.image_name is not None)
        split = infer_split(root.path)
        images: dict[CocoId, CocoImage | None] = {}
        rejections = []
        for entry in entries:
            problem = self._find_problem(entry, names_by_id[entry.id])
            if problem is not None:
                images.setdefault(entry.id, None)
                rejections.append((entry, problem))
            elif entry.image_name is not None:
                self._path_by_image[entry.image_name] = entry.path
                images[entry.id] = CocoImage(self._builder.add_image(entry.image_name, split, entry.size), entry.size)
        self._reject_entries(root, rejections)
        return add_other_forms(images)

    def reject_unnamed(self) -> None:
        """Reject the images that no file names; of a folder above the location, which holds other things too, none."""
        if self._prefix or self._location.tree.is_remote:
            return
        for name in self.image_lookup.names:
            if name not in self._named_images and is_encodable_text(name):
                reason, remedy = _("no label file names it"), _("add it to one, or move it elsewhere")
                self._builder.reject(name, reason, remedy, kind="unlabelled")

    def _read_entries(self, root: JsonNode) -> Iterator[_ImageEntry]:
        """Yield the image entries of a file with the image file found for each; reject malformed ones."""
        label_folder, subset = _folder_hints(root.path)
        for node in root.get_child("images").items():
            try:
                image_reference = _read_image_reference(node)
                image_name = _find_image(self.image_lookup, image_reference, label_folder, subset)
                if image_name is not None:
                    self.image_lookup.note_guess(image_reference, image_name)
                yield _ImageEntry(read_id(node), image_reference, image_name, _read_size(node), node.path)
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)
        self._builder.rejected += self.image_lookup.pop_guesses(root.path)

    def _fill_missing_sizes(self, entries: Sequence[_ImageEntry]) -> list[_ImageEntry]:
        """Return ``entries`` with the sizes that are missing read from the image files."""
        unsized = [entry.image_name for entry in entries if entry.image_name is not None and not any(entry.size)]
        sizes = read_sizes_by_name(self.image_lookup.tree, unsized)
        return [
            entry if any(entry.size) else replace(entry, size=sizes.get(entry.image_name or "", (0, 0)))
            for entry in entries
        ]

    def _find_problem(self, entry: _ImageEntry, names: set[str | None]) -> tuple[str, str, str] | None:
        """Return (reason, remedy, kind) why an entry cannot be used, ``None`` when it can.

        ``names`` are the image files of all entries that have its id.
        """
        if len(names) > 1:
            return _("{count} images have its id").format(count=len(names)), _("give each a unique id"), "row"
        if entry.image_name is None:
            reason = _("its photo {name} is missing").format(name=entry.image_reference)
            reason = self.image_lookup.explain_missing(reason, entry.image_reference)
            return reason, _("add it, or remove the entry"), "no-image"
        if entry.image_name in self._path_by_image:
            reason = _("{other} is the same photo, {name}").format(
                other=self._path_by_image[entry.image_name], name=entry.image_name
            )
            return reason, _("remove one"), "double"
        return None

    def _reject_entries(self, root: JsonNode, rejections: Sequence[tuple[_ImageEntry, tuple[str, str, str]]]) -> None:
        """Reject entries, each with the number of annotations that are lost with it."""
        if not rejections:
            return
        annotation_counts = Counter(
            node.value.get("image_id") for node in root.get_child("annotations").items() if _has_image_id(node)
        )
        for entry, (problem, remedy, kind) in rejections:
            count = annotation_counts[entry.id]
            reason = (
                problem if not count else _("{reason}; affects {count} annotations").format(reason=problem, count=count)
            )
            self._builder.reject(entry.path, reason, remedy, kind=kind)


def infer_split(name: str) -> int:
    """Return the split of the COCO file ``name``, ``UNASSIGNED`` when none is clear.

    Split words in the file name count first, and are unclear when they differ; else the nearest folder named as a
    split.
    """
    splits = set(find_split_words(get_file_stem(name)))
    if splits:
        return splits.pop() if len(splits) == 1 else UNASSIGNED
    for folder in name.split("/")[-2::-1]:
        split = parse_split_name(folder)
        if split is not None:
            return split
    return UNASSIGNED


def _find_image_root(location: DataLocation, root: JsonNode) -> tuple[ImageLookup, str]:
    """Return the tree in which one of the first images is found, and the prefix of our file names in it.

    Without any, the tree of the location itself.
    """
    image_references = list(_sample_references(root))
    candidates = []
    for tree, prefix in iterate_parent_trees(location):
        image_lookup = ImageLookup(tree)
        hints = _folder_hints(prefix + root.path)
        if any(_find_image(image_lookup, image_reference, *hints) for image_reference in image_references):
            return image_lookup, prefix
        candidates.append((image_lookup, prefix))
    return candidates[0]


def _sample_references(root: JsonNode) -> Iterator[str]:
    """Yield what the first 20 image entries call their files."""
    for _index, node in zip(range(_MAX_PROBES), root.get_child("images").items(), strict=False):
        try:
            yield _read_image_reference(node)
        except JsonValueError:
            continue


def _read_image_reference(node: JsonNode) -> str:
    """Return what the entry at ``node`` calls its file: ``file_name``, else the end of ``coco_url``."""
    if node.get_child("file_name").value is None and node.get_child("coco_url").value is not None:
        path = unquote(urlsplit(node.get_text("coco_url")).path)
        return "/".join(path.split("/")[-2:])
    return node.get_text("file_name")


def _folder_hints(label_file: str) -> tuple[str, str]:
    """Return the folder of ``label_file``, and the likely name of a folder with its images alone.

    ``annotations/instances_val2017.json`` gives ``annotations`` and ``val2017``.
    """
    return posixpath.dirname(label_file), get_file_stem(label_file).removeprefix("instances_")


def _find_image(image_lookup: ImageLookup, image_reference: str, label_folder: str, subset: str) -> str | None:
    """Return the image file that an entry refers to, ``None`` for none.

    Splits may hold files of the same name; the folder ``subset`` named as the label file decides then. Without a file
    of that name, one with another suffix is taken, or one without the code of an upload.
    """
    paths = (image_reference, f"{subset}/{image_reference}", f"images/{image_reference}")
    found = (image_lookup.find(path, label_folder) for path in paths)
    image_name = next((name for name in found if name is not None), None)
    image_name = image_name or image_lookup.find_by_name_or_stem(image_reference, label_folder)
    return image_name if image_name is not None and is_encodable_text(image_name) else None


def read_id(node: JsonNode) -> CocoId:
    """Return the id of the image or category at ``node``, a number or a text; raise ``JsonValueError`` otherwise."""
    value = node.get_child("id").value
    if not is_number(value) and not isinstance(value, str):
        raise node.get_child("id").make_error(_("an id"))
    coco_id: CocoId = value
    return coco_id


def add_other_forms(by_id: dict[CocoId, _Entry]) -> dict[CocoId, _Entry]:
    """Return ``by_id`` with each number also as a text, and each text of digits as a number, where that is no other id.

    Some tools write ``"7"`` in one list and ``7`` in another.
    """
    others: dict[CocoId, _Entry] = {}
    for key, entry in by_id.items():
        if not isinstance(key, str):
            others[str(key)] = entry
        elif key.isascii() and key.isdecimal() and len(key) < 19:
            others[int(key)] = entry
    return {**others, **by_id}


def _has_image_id(node: JsonNode) -> bool:
    value = node.value.get("image_id") if isinstance(node.value, dict) else None
    return is_number(value) or isinstance(value, str)


def _read_size(node: JsonNode) -> tuple[int, int]:
    """Return (height, width) of the entry at ``node``; zeros unless it gives both."""
    height, width = parse_image_side(node.value.get("height")), parse_image_side(node.value.get("width"))
    return (height, width) if height and width else (0, 0)
