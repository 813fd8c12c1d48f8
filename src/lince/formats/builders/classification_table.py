"""Growing a table row by row while a format is read: refusals set aside, classes put in order at the end."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from lince.annotations import Classes, RejectedItem, StringColumn
from lince.formats.table import Table
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage import image_files
from lince.storage.scan import natural_sort_key
from lince.storage.tree import FileTree, LocalFolder

_CHUNK_SIZE = 4096


class ClassificationTableBuilder:
    """The columns of a table under way; class ids are in order of appearance until ``table`` sorts them."""

    def __init__(self) -> None:
        self._blob = bytearray()
        self._offsets = array("q", [0])
        self._classes: dict[str, int] = {}
        self._class_ids = array("i")
        self._splits = array("b")
        self._rejected: list[RejectedItem] = []

    def __len__(self) -> int:
        return len(self._class_ids)

    def add_images(self, names: Iterable[str], class_name: str, split: int) -> None:
        """Add a row for each of ``names``, all of one class and split; names that are not text are refused."""
        class_id = self._class_id(class_name)
        remaining = iter(names)
        while chunk := list(islice(remaining, _CHUNK_SIZE)):
            encoded = [data for data in map(self._encode_name, chunk) if data is not None]
            ends = np.cumsum([len(data) for data in encoded], dtype=np.int64) + len(self._blob)
            self._blob += b"".join(encoded)
            self._offsets.frombytes(ends.tobytes())
            self._class_ids.extend([class_id] * len(encoded))
            self._splits.extend([split] * len(encoded))

    def reject(self, refusal: RejectedItem) -> None:
        """Set a refusal aside."""
        self._rejected.append(refusal)

    def build_table(self, tree: FileTree, form: str, progress: Progress = SILENT) -> Table:
        """Look at the files, refuse those that are not images, and return the rest with the classes in order."""
        bounds = np.frombuffer(self._offsets, np.int64)
        names = StringColumn(bytes(self._blob), bounds[:-1], bounds[1:])
        refused = image_files.find_non_images(tree, names, progress)
        keep = np.ones(len(names), bool)
        keep[np.fromiter(refused, np.int64)] = False
        ids = np.frombuffer(self._class_ids, np.int32)[keep]
        classes, order = self._sort_classes(set(np.unique(ids).tolist()))
        kept = names if not refused else names.take(np.flatnonzero(keep))
        splits = np.frombuffer(self._splits, np.int8)[keep]
        rejected = (*self._rejected, *refused.values())
        elsewhere = None if isinstance(tree, LocalFolder) else tree
        return Table(tree.root, form, kept, classes, order[ids], splits, rejected, tree=elsewhere)

    def _encode_name(self, name: str) -> bytes | None:
        try:
            return name.encode("utf-8")
        except UnicodeEncodeError:
            shown = name.encode("utf-8", "backslashreplace").decode()
            self.reject(RejectedItem(shown, _("its name is not valid text"), _("rename it")))
            return None

    def _class_id(self, name: str) -> int:
        # Two ways to write the same accented letter are one name.
        return self._classes.setdefault(unicodedata.normalize("NFC", name), len(self._classes))

    def _sort_classes(self, used: set[int]) -> tuple[Classes, np.ndarray[tuple[int], np.dtype[np.int32]]]:
        names = sort_class_names(name for name, class_id in self._classes.items() if class_id in used)
        order = np.zeros(len(self._classes), np.int32)
        for class_id, name in enumerate(names):
            order[self._classes[name]] = class_id
        return Classes(tuple(names)), order


def sort_class_names(names: Iterable[str]) -> list[str]:
    """Return class names in the order that gives their ids: as people sort, case aside, 2 before 10."""
    return sorted(names, key=lambda name: (natural_sort_key(name), name))


def shorten_list(names: Sequence[str], count: int = 8) -> str:
    """Return the first names, with commas, and how many more there are."""
    shown = ", ".join(names[:count])
    return shown if len(names) <= count else _("{shown} and {more} more").format(shown=shown, more=len(names) - count)
