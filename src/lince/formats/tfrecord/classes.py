"""Determines the class of a record: by its label map where there is one, else by the records themselves."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import starmap

from lince.errors import AmbiguousError, DataError
from lince.formats.builders.classification_table import sort_class_names
from lince.formats.tfrecord import label_map
from lince.formats.tfrecord.label_map import LabelMapItem
from lince.i18n import _
from lince.storage import scan
from lince.storage.tree import DataLocation, FileTree, LocalFolder

LABEL_MAP_SUFFIX, LABEL_LIST_FILE = ".pbtxt", "labels.txt"
_MAX_BYTES = 2**24  # bytes of a label map; that of the full ImageNet has 2 MB
_HEAD_BYTES = 4096
_NUMBERED_LINE = re.compile(r"(\d{1,6})\s*:\s*(.+)")
_LABEL_MAP_FOLDERS = {"annotations", "data", "label_map", "label_maps", "labels", "training"}
_ITEM_START = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*item\s*:?\s*[{<]")


class RecordClasses:
    """The classes of a set of record files.

    With a label map (``items``) they are fixed; without one they are collected from the records in
    the order in which they occur. ``names`` are the class names, ``is_declared`` says whether
    there is a label map.
    """

    def __init__(self, items: Sequence[LabelMapItem] = ()) -> None:
        self.is_declared = bool(items)
        self.names = label_map.choose_class_names(items)
        self._by_id = {item.id: index for index, item in enumerate(items)}
        self._by_name = {
            _normalise_name(name): i for i, item in enumerate(items) for name in (item.display_name, item.name)
        }
        self._ids: list[set[int]] = []

    def get_index(self, label: int | None, text: str) -> int:
        """Return the index into ``names`` of the class with the number ``label`` or the name ``text``.

        Where both are given, the name counts. Raise ``DataError`` when there is neither, when the
        label map does not have the class, or when number and name are different classes in it.
        """
        text = _normalise_name(text)
        if label is None and not text:
            raise DataError(_("no class"))
        if self.is_declared:
            return self._look_up(label, text)
        name = text or f"class_{label}"
        index = self._by_name.setdefault(name, len(self.names))
        if index == len(self.names):
            self.names.append(name)
            self._ids.append(set())
        if label is not None:
            self._ids[index].add(label)
        return index

    def sort_indices(self) -> list[int]:
        """Return the indices into ``names`` in the order of the final class ids.

        That of the label map; without one, that of the numbers in the records if each class has one
        of its own, else by name.
        """
        if self.is_declared:
            return list(range(len(self.names)))
        numbers = [next(iter(ids)) for ids in self._ids if len(ids) == 1]
        if len(set(numbers)) == len(self.names):
            return sorted(range(len(self.names)), key=numbers.__getitem__)
        return [self._by_name[name] for name in sort_class_names(self.names)]

    def _look_up(self, label: int | None, text: str) -> int:
        """Return the index of a class in the label map."""
        index = self._by_name.get(text) if text or label is None else self._by_id.get(label)
        if index is None:
            raise DataError(_("class '{name}' is not in the label map").format(name=text or label))
        if label is not None and self._by_id.get(label, index) != index:
            raise DataError(
                _("class number {label} is '{one}' in the label map, but the record says '{other}'").format(
                    label=label, one=self.names[self._by_id[label]], other=text
                )
            )
        return index


def _normalise_name(name: str) -> str:
    """Return ``name`` in Unicode form NFC, so that both ways to write an accented letter are one class."""
    return unicodedata.normalize("NFC", name)


def find_label_map(location: DataLocation, files: Sequence[str]) -> tuple[list[LabelMapItem], str]:
    """Return the label map of the record ``files`` at ``location`` and its file name; an empty list when there is none.

    It is searched beside the files, then anywhere below. For a single file that was named, it is
    searched in its folder and the subfolders, then in the parent folder and those of its subfolders
    that usually hold label maps. Where there is no ``.pbtxt``, a list of names will do:
    ``labels.txt`` with lines such as ``0:daisy`` (TF-Slim), or ``label.labels.txt`` with one name
    per line, from 0 on (TensorFlow Datasets).

    Raise ``AmbiguousError`` when several label maps differ, ``DataError`` when one cannot be
    parsed.
    """
    if location.file and isinstance(location.tree, LocalFolder):
        return next(filter(None, starmap(_read_unique_label_map, _candidate_label_maps(location.tree))), ([], ""))
    folders = {name.rpartition("/")[0] for name in files}
    all_files = [
        *location.tree.listing.find_by_suffix(LABEL_MAP_SUFFIX),
        *location.tree.listing.find_by_suffix(LABEL_LIST_FILE),
    ]
    near_files = [name for name in all_files if name.rpartition("/")[0] in folders]
    return (
        _read_unique_label_map(location.tree, near_files)
        or _read_unique_label_map(location.tree, all_files)
        or ([], "")
    )


def _candidate_label_maps(tree: LocalFolder) -> Iterator[tuple[LocalFolder, list[str]]]:
    """Yield the label maps to choose from with their tree, the closest first."""
    yield tree, _label_map_files(tree, "")
    yield tree, [name for folder in scan.list_folders(tree.root) for name in _label_map_files(tree, folder)]
    parent = LocalFolder(tree.root.absolute().parent)
    if parent.root.parent != parent.root:
        yield parent, _label_map_files(parent, "")
        likely_folders = [folder for folder in scan.list_folders(parent.root) if folder.lower() in _LABEL_MAP_FOLDERS]
        yield parent, [name for folder in likely_folders for name in _label_map_files(parent, folder)]


def _label_map_files(tree: LocalFolder, folder: str) -> list[str]:
    """Return the files in ``folder`` that may be label maps or lists of names."""
    names = (
        name
        for name in scan.list_files(tree.root / folder)
        if name.lower().endswith((LABEL_MAP_SUFFIX, LABEL_LIST_FILE))
    )
    return [f"{folder}/{name}" if folder else name for name in names]


def _read_unique_label_map(tree: FileTree, names: Sequence[str]) -> tuple[list[LabelMapItem], str] | None:
    """Return the only label map among ``names`` with its name, ``None`` when there is none.

    Several files with the same content are one.
    """
    items_by_name = {name: _read_label_map(tree, name) for name in names if _is_label_map(tree, name)}
    if not items_by_name:
        list_files = (
            name
            for name in names
            if name.lower().rpartition("/")[2] == LABEL_LIST_FILE or name.lower().endswith("." + LABEL_LIST_FILE)
        )
        items_by_name = {name: _read_label_list(tree, name) for name in list_files}
    if not items_by_name:
        return None
    first = next(iter(items_by_name))
    different = next((name for name, items in items_by_name.items() if items != items_by_name[first]), None)
    if different is not None:
        raise AmbiguousError(
            _("The label maps {one} and {other} differ.").format(one=first, other=different),
            _("Expected one label map for all records."),
            _("Keep the right one next to the records and move the other elsewhere."),
        )
    return items_by_name[first], first


def _is_label_map(tree: FileTree, name: str) -> bool:
    """Whether a ``.pbtxt`` file starts as a label map does; other messages have this suffix too."""
    return name.lower().endswith(LABEL_MAP_SUFFIX) and _ITEM_START.match(tree.head(name, _HEAD_BYTES)) is not None


def _read_label_list(tree: FileTree, name: str) -> list[LabelMapItem]:
    """Return the classes of a list of names, with or without numbers; raise ``DataError`` for a number given twice."""
    lines = tree.read(name, _MAX_BYTES).decode("utf-8-sig", "replace").splitlines()
    numbered = [_NUMBERED_LINE.fullmatch(line.strip()) for line in lines if line.strip()]
    if all(numbered):
        pairs = [(int(match[1]), match[2]) for match in numbered if match]
    else:
        pairs = list(enumerate(line.strip() for line in lines if line.strip()))
    if len(dict(pairs)) < len(pairs):
        raise DataError(
            _("{path} gives the same id to two classes.").format(path=tree.root / name),
            _("Expected a unique id for each."),
        )
    return [LabelMapItem(number, class_name, class_name) for number, class_name in sorted(pairs)]


def _read_label_map(tree: FileTree, name: str) -> list[LabelMapItem]:
    """Return the classes of a label map; raise ``DataError`` when it cannot be parsed."""
    data = tree.read(name, _MAX_BYTES)
    return label_map.parse_label_map(data.decode("utf-8-sig", "replace"), str(tree.root / name))
