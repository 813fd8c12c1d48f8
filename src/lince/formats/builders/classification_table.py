"""Builds a table of image classes, one or several for each image, while a format is read.

Rows are added one by one or many at a time, rejections are kept aside, and the classes are sorted at the end.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from lince.annotations import UNLABELLED, Classes, RejectedItem, StringColumn
from lince.formats.builders.label_set_builder import LabelSetBuilder, choose_class_id
from lince.formats.table import LabelTable
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage import image_files
from lince.storage.scan import natural_sort_key
from lince.storage.tree import FileTree, LocalFolder

_CHUNK_SIZE = 4096


class ClassificationTableBuilder:
    """Columns of a table of image classes that grows row by row.

    Names are kept as bytes, so a million images take tens of megabytes. Class ids are in order of appearance until
    ``build_table`` sorts the classes.
    """

    def __init__(self) -> None:
        self._blob = bytearray()
        self._offsets = array("q", [0])
        self._classes: dict[str, int] = {}
        self._class_ids = array("i")
        self._splits = array("b")
        self._sets = LabelSetBuilder()
        self._rejected: list[RejectedItem] = []

    def __len__(self) -> int:
        return len(self._class_ids)

    def add_images(self, names: Iterable[str], class_name: str, split: int) -> None:
        """Add a row for each of ``names``, all of the class ``class_name`` and of ``split``.

        ``names`` are paths in the tree, consumed 4096 at a time; those that UTF-8 cannot hold are rejected.
        """
        class_id = self._class_id(class_name)
        remaining = iter(names)
        while chunk := list(islice(remaining, _CHUNK_SIZE)):
            encoded_names = [data for data in map(self._encode_name, chunk) if data is not None]
            ends = np.cumsum([len(data) for data in encoded_names], dtype=np.int64) + len(self._blob)
            self._blob += b"".join(encoded_names)
            self._offsets.frombytes(ends.tobytes())
            self._class_ids.extend([class_id] * len(encoded_names))
            self._splits.extend([split] * len(encoded_names))

    def add_image(
        self, name: str, class_names: Iterable[str], split: int, rejection: RejectedItem | None = None
    ) -> None:
        """Add the image ``name`` with all of its classes; without one it is known to have none.

        ``rejection`` takes the place of an image without a class where no image of the table has several.
        """
        row = len(self)
        class_ids = {self._class_id(class_name): None for class_name in class_names}
        encoded_name = self._encode_name(name)
        if encoded_name is None:
            return
        if len(class_ids) != 1:
            self._sets.add(row, class_ids, rejection)
        self._blob += encoded_name
        self._offsets.append(len(self._blob))
        self._class_ids.append(choose_class_id(class_ids))
        self._splits.append(split)

    def reject(self, rejection: RejectedItem) -> None:
        """Record an image or file that cannot be used."""
        self._rejected.append(rejection)

    def build_table(self, tree: FileTree, format_name: str, progress: Progress = SILENT) -> LabelTable:
        """Return the table of all images added, classes sorted by ``sort_class_names``.

        The files in ``tree`` are checked first, and those that are not images are rejected. Classes without an image
        left are dropped. ``format_name`` becomes ``LabelTable.format``.
        """
        offsets = np.frombuffer(self._offsets, np.int64)
        names = StringColumn(bytes(self._blob), offsets[:-1], offsets[1:])
        rejections = {**self._sets.list_left_out(), **image_files.find_non_images(tree, names, progress)}
        is_kept = np.ones(len(names), bool)
        is_kept[np.fromiter(rejections, np.int64)] = False
        kept = np.flatnonzero(is_kept)
        all_class_ids = np.frombuffer(self._class_ids, np.int32)
        class_ids, label_sets = all_class_ids[kept], self._sets.build(all_class_ids, kept)
        used_ids = class_ids if label_sets is None else label_sets.class_ids
        classes, new_ids = self._sort_classes(set(np.unique(used_ids).tolist()))
        kept_names = names if not rejections else names.take(kept)
        splits = np.frombuffer(self._splits, np.int8)[kept]
        rejected = (*self._rejected, *rejections.values())
        image_tree = None if isinstance(tree, LocalFolder) else tree
        return LabelTable(
            tree.root,
            format_name,
            kept_names,
            classes,
            new_ids[class_ids],
            splits,
            rejected,
            tree=image_tree,
            label_sets=None if label_sets is None else label_sets.renumber(new_ids),
        )

    def _encode_name(self, name: str) -> bytes | None:
        """Return ``name`` in UTF-8; ``None``, with a rejection, when it cannot be encoded."""
        try:
            return name.encode("utf-8")
        except UnicodeEncodeError:
            escaped_name = name.encode("utf-8", "backslashreplace").decode()
            self.reject(RejectedItem(escaped_name, _("its name is not valid text"), _("rename it")))
            return None

    def _class_id(self, name: str) -> int:
        """Return the provisional id of the class ``name``, compared in Unicode form NFC."""
        return self._classes.setdefault(unicodedata.normalize("NFC", name), len(self._classes))

    def _sort_classes(self, used_ids: set[int]) -> tuple[Classes, np.ndarray[tuple[int], np.dtype[np.int32]]]:
        """Return the sorted classes among ``used_ids``, and int32 with the final id for each provisional one.

        A last id is that of the unlabelled.
        """
        names = sort_class_names(name for name, class_id in self._classes.items() if class_id in used_ids)
        new_ids = np.full(len(self._classes) + 1, UNLABELLED, np.int32)
        for class_id, name in enumerate(names):
            new_ids[self._classes[name]] = class_id
        return Classes(tuple(names)), new_ids


def sort_class_names(names: Iterable[str]) -> list[str]:
    """Return class names in the order of their ids: ignoring case, numbers by value (2 before 10)."""
    return sorted(names, key=natural_sort_key)


def shorten_list(names: Sequence[str], count: int = 8) -> str:
    """Return the first ``count`` names joined by commas, and how many more there are."""
    first_names = ", ".join(names[:count])
    if len(names) <= count:
        return first_names
    return _("{shown} and {more} more").format(shown=first_names, more=len(names) - count)
