"""Builds a table from label files that name an image and, at every object, its class: finds the images, counts losses.

For formats whose files say it entry by entry; what an object is checked for is in ``object_table``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.builders.shapes import Shape
from lince.formats.image_guesses import compare_names
from lince.formats.image_lookup import ImageLookup, normalise_path, read_image_size
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing.json_reader import JsonValueError, is_encodable_text
from lince.splits import UNASSIGNED, infer_split_from_folders
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation

_MAX_REFERENCES = 60  # images that are looked for to find their folder


@dataclass(frozen=True)
class ImageEntry:
    """What a label file says of one image.

    ``label_file`` is the file, ``path`` the place in it for messages (``file.json#/3``), ``line`` its line from 1.
    ``references`` are what the image may be called, tried in this order. ``size`` is (height, width) in pixels, zeros
    where it is to be read from the image; ``split`` is ``None`` where the folders decide. ``class_names``
    are those of the image as a whole, ``None`` where nothing is known of them. ``is_sidecar`` says that the file is of
    this image alone. ``object_count`` are the objects that are lost where the image is.
    """

    label_file: str
    path: str
    references: tuple[str, ...]
    line: int | None = None
    size: tuple[int, int] = (0, 0)
    split: int | None = None
    class_names: tuple[str, ...] | None = None
    is_sidecar: bool = False
    object_count: int = 0

    @property
    def short_reference(self) -> str:
        """The first reference, with as few folders as another of its file name has."""
        file_name = posixpath.basename(self.references[0])
        return min((one for one in self.references if posixpath.basename(one) == file_name), key=len)


class EntryTableBuilder:
    """Adds images and their objects, by the names of their classes, and rejects what cannot be used.

    ``prefix`` is that of the label files in the tree of ``image_lookup``; ``builder`` takes the rejections.
    """

    def __init__(self, location: DataLocation, entries: Iterable[tuple[str, str]], options: ReadOptions) -> None:
        """Look for the images of the first ``entries`` (label file, reference) at ``location``, and in folders above.

        The tree where one of them is found is used, or that of the location where none is.
        """
        self.image_lookup, self.prefix = _find_image_root(location, list(entries)[:_MAX_REFERENCES])
        self.builder = ObjectTableBuilder(options)
        self.class_index = ClassIndex()
        self._is_single_file = bool(location.file)
        self._place_by_image: dict[str, str] = {}

    def add_image(self, entry: ImageEntry) -> int | None:
        """Return the row of a new image, ``None`` where it is missing or another entry has it; both are rejected."""
        label_file = self.prefix + entry.label_file
        image_name = find_image(self.image_lookup, entry.references, label_file, entry.is_sidecar)
        if image_name is None:
            reference = entry.short_reference
            reason = _("its photo {name} is missing").format(name=reference[:200])
            reason = self.image_lookup.explain_missing(reason, reference, posixpath.dirname(label_file))
            self._reject_entry(entry, reason, _("add it, or remove the entry"), "no-image")
            return None
        if image_name in self._place_by_image:
            reason = _("{other} refers to the same photo, {name}").format(
                other=self._place_by_image[image_name], name=image_name
            )
            self._reject_entry(entry, reason, _("remove one"), "double")
            return None
        self._note_guess(entry, image_name, label_file)
        self._place_by_image[image_name] = entry.path if entry.line is None else f"{entry.path}:{entry.line}"
        split = entry.split
        if split is None:
            splits = (infer_split_from_folders(name) for name in (label_file, image_name))
            split = next((found for found in splits if found != UNASSIGNED), UNASSIGNED)
        class_ids = None if entry.class_names is None else [self.class_index.get_id(name) for name in entry.class_names]
        tree = self.image_lookup.tree
        size = entry.size if all(entry.size) or tree.is_remote else read_image_size(tree, image_name)
        return self.builder.add_image(image_name, split, size, class_ids)

    def _note_guess(self, entry: ImageEntry, image_name: str, label_file: str) -> None:
        """Remember an image that none of the references of its entry names as it is called."""
        paths = [normalise_path(reference) for reference in entry.references]
        if all(compare_names(path, image_name) for path in paths if path):
            self.image_lookup.note_guess(entry.short_reference, image_name, label_file, sidecar=entry.is_sidecar)

    def _reject_entry(self, entry: ImageEntry, reason: str, remedy: str, kind: str) -> None:
        if entry.object_count:
            reason = _("{reason}; affects {count} annotations").format(reason=reason, count=entry.object_count)
        self.builder.reject(entry.path, reason, remedy, entry.line, kind)

    def add_object(
        self, row: int, class_name: str, shape: Shape, path: str, line: int | None = None, flags: int = 0
    ) -> None:
        """Add an object of the class ``class_name`` to the image in ``row``; ``path`` and ``line`` say where it is."""
        class_id = self.class_index.get_id(class_name)
        self.builder.add(row, RawObject(class_id, shape.box, path, line, flags, shape.rings, shape.mask))

    def reject_value(self, error: JsonValueError, row: int | None = None) -> None:
        """Reject what a reader of JSON could not use; ``row`` is the image that loses an object by it."""
        is_notice = error.kind in {"reduced", "other-labels"}
        remedy = "" if is_notice else error.remedy
        self.builder.reject(error.path, error.reason, remedy, kind=error.kind, row=None if is_notice else row)

    def reject_unnamed(self) -> None:
        """Reject the images that no entry names; of a folder above the labels, or beside a file named alone, none."""
        if self.prefix or self._is_single_file or self.image_lookup.tree.is_remote:
            return
        for name in self.image_lookup.names:
            if name not in self._place_by_image and is_encodable_text(name):
                reason, remedy = _("no label file names it"), _("add it to one, or move it elsewhere")
                self.builder.reject(name, reason, remedy, kind="unlabelled")

    def build_table(self, format_name: str) -> LabelTable:
        """Return the table of all images and objects."""
        self.builder.rejected += self.image_lookup.pop_guesses()
        self.reject_unnamed()
        return self.class_index.finalise_table(
            self.builder.build_table(self.image_lookup.tree, format_name, self.class_index.names)
        )


def find_image(
    image_lookup: ImageLookup, references: Sequence[str], label_file: str, is_sidecar: bool = False
) -> str | None:
    """Return the image that one of ``references`` names, as seen from ``label_file``; ``None`` for none.

    Where none does, one that differs by its suffix or an upload's code is taken.
    """
    folder = posixpath.dirname(label_file)
    for find in (image_lookup.find, image_lookup.find_by_name_or_stem):
        for reference in references:
            name = find(reference, folder, sidecar=is_sidecar)
            if name is not None and is_encodable_text(name):
                return name
    return None


def _find_image_root(location: DataLocation, entries: list[tuple[str, str]]) -> tuple[ImageLookup, str]:
    """Return the images of the tree in which one of ``entries`` is found, and the prefix of our file names in it."""
    candidates = []
    for tree, prefix in iterate_parent_trees(location):
        image_lookup = ImageLookup(tree)
        if any(find_image(image_lookup, (reference,), prefix + label_file) for label_file, reference in entries):
            return image_lookup, prefix
        candidates.append((image_lookup, prefix))
    return candidates[0]
