"""Which class a record means: by its label map where there is one, else by what the records themselves say."""

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
_MAX_BYTES = 2**24  # bytes of a label map; one of all ImageNet has 2 MB
_HEAD_BYTES = 4096
_NUMBERED_LINE = re.compile(r"(\d{1,6})\s*:\s*(.+)")
_LABEL_MAP_FOLDERS = {"annotations", "data", "label_map", "label_maps", "labels", "training"}
_ITEM_START = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*item\s*:?\s*[{<]")


class RecordClasses:
    """The classes of a set of records: given by a label map, or found in the records, one after the other."""

    def __init__(self, items: Sequence[LabelMapItem] = ()) -> None:
        self.is_declared = bool(items)
        self.names = label_map.choose_class_names(items)
        self._by_id = {item.id: index for index, item in enumerate(items)}
        self._by_name = {
            _normalise_name(name): i for i, item in enumerate(items) for name in (item.display_name, item.name)
        }
        self._ids: list[set[int]] = []

    def index(self, label: int | None, text: str) -> int:
        """Return the index into ``names`` of the class that a record calls by its number ``label`` or by ``text``.

        Raise ``DataError`` when the label map does not know it, or when the two contradict each other there.
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
        """Return the indices into ``names`` in the order of the ids: by number where each has its own."""
        if self.is_declared:
            return list(range(len(self.names)))
        numbers = [next(iter(ids)) for ids in self._ids if len(ids) == 1]
        if len(set(numbers)) == len(self.names):
            return sorted(range(len(self.names)), key=numbers.__getitem__)
        return [self._by_name[name] for name in sort_class_names(self.names)]

    def _look_up(self, label: int | None, text: str) -> int:
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
    # Two ways to write the same accented letter are one name.
    return unicodedata.normalize("NFC", name)


def find_label_map(place: DataLocation, files: Sequence[str]) -> tuple[list[LabelMapItem], str]:
    """Return the label map of the record ``files`` of ``place`` and its name; nothing when there is none.

    It is looked for beside the files, then anywhere below; from a file that is named itself, in the folders there,
    then one folder up and in the folders there that hold such by custom. Where a folder holds none, a list of names
    does: ``labels.txt`` with lines such as ``0:daisy`` (TF-Slim), or a name a line, counted from 0
    (``label.labels.txt`` of TensorFlow Datasets). Raise ``AmbiguousError`` when label maps differ, ``DataError`` when
    one cannot be understood.
    """
    if place.file and isinstance(place.tree, LocalFolder):
        return next(filter(None, starmap(_read_unique_label_map, _candidate_label_maps(place.tree))), ([], ""))
    folders = {name.rpartition("/")[0] for name in files}
    below = [*place.tree.listing.find_by_suffix(LABEL_MAP_SUFFIX), *place.tree.listing.find_by_suffix(LABEL_LIST_FILE)]
    beside = [name for name in below if name.rpartition("/")[0] in folders]
    return _read_unique_label_map(place.tree, beside) or _read_unique_label_map(place.tree, below) or ([], "")


def _candidate_label_maps(tree: LocalFolder) -> Iterator[tuple[LocalFolder, list[str]]]:
    """Yield label maps to choose from, the closest first: with the tree that holds them."""
    yield tree, _label_map_files(tree, "")
    yield tree, [name for folder in scan.list_folders(tree.root) for name in _label_map_files(tree, folder)]
    above = LocalFolder(tree.root.absolute().parent)
    if above.root.parent != above.root:
        yield above, _label_map_files(above, "")
        customary = [folder for folder in scan.list_folders(above.root) if folder.lower() in _LABEL_MAP_FOLDERS]
        yield above, [name for folder in customary for name in _label_map_files(above, folder)]


def _label_map_files(tree: LocalFolder, folder: str) -> list[str]:
    names = (
        name
        for name in scan.list_files(tree.root / folder)
        if name.lower().endswith((LABEL_MAP_SUFFIX, LABEL_LIST_FILE))
    )
    return [f"{folder}/{name}" if folder else name for name in names]


def _read_unique_label_map(tree: FileTree, names: Sequence[str]) -> tuple[list[LabelMapItem], str] | None:
    found = {name: _read_label_map(tree, name) for name in names if _is_label_map(tree, name)}
    if not found:
        lists = (
            name
            for name in names
            if name.lower().rpartition("/")[2] == LABEL_LIST_FILE or name.lower().endswith("." + LABEL_LIST_FILE)
        )
        found = {name: _read_label_list(tree, name) for name in lists}
    if not found:
        return None
    first = next(iter(found))
    other = next((name for name, items in found.items() if items != found[first]), None)
    if other is not None:
        raise AmbiguousError(
            _("The label maps {one} and {other} differ.").format(one=first, other=other),
            _("Expected one label map for all records."),
            _("Leave the right one beside the records and move the other elsewhere."),
        )
    return found[first], first


def _is_label_map(tree: FileTree, name: str) -> bool:
    return name.lower().endswith(LABEL_MAP_SUFFIX) and _ITEM_START.match(tree.head(name, _HEAD_BYTES)) is not None


def _read_label_list(tree: FileTree, name: str) -> list[LabelMapItem]:
    lines = tree.read(name, _MAX_BYTES).decode("utf-8-sig", "replace").splitlines()
    numbered = [_NUMBERED_LINE.fullmatch(line.strip()) for line in lines if line.strip()]
    if all(numbered):
        pairs = [(int(match[1]), match[2]) for match in numbered if match]
    else:
        pairs = list(enumerate(line.strip() for line in lines if line.strip()))
    if len(dict(pairs)) < len(pairs):
        raise DataError(
            _("{path} gives one number to two classes.").format(path=tree.root / name),
            _("Expected a number of its own for each."),
        )
    return [LabelMapItem(number, called, called) for number, called in sorted(pairs)]


def _read_label_map(tree: FileTree, name: str) -> list[LabelMapItem]:
    data = tree.read(name, _MAX_BYTES)
    return label_map.parse_label_map(data.decode("utf-8-sig", "replace"), str(tree.root / name))
