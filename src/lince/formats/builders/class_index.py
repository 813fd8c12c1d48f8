"""Assigns class ids while a format is read, and sorts the classes when the table is complete.

For formats that name a class at every object; ``classification_table`` does the same for one class per image.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from lince.annotations import UNLABELLED, Classes
from lince.formats.builders.classification_table import sort_class_names
from lince.formats.table import LabelTable


class ClassIndex:
    """The classes met so far, with provisional ids in order of appearance.

    Declared classes come first in the finished table and keep their order, also when no object has them; the others
    follow sorted by name, those that are used only. Names are compared in Unicode form NFC.
    """

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self._ids: dict[str, int] = {}
        self._declared: dict[int, None] = {}
        self.declare_classes(declared)

    @property
    def names(self) -> list[str]:
        """The class names in the order of their provisional ids."""
        return list(self._ids)

    def declare_classes(self, names: Iterable[str]) -> None:
        """Declare the classes ``names`` in this order, after those declared before."""
        self._declared.update(dict.fromkeys(map(self.get_id, names)))

    def get_id(self, name: str) -> int:
        """Return the provisional id of the class ``name``, a new one when it was not met before."""
        return self._ids.setdefault(unicodedata.normalize("NFC", name), len(self._ids))

    def finalise_table(self, table: LabelTable) -> LabelTable:
        """Return ``table`` with its classes in final order and its ids, which came from ``get_id``, renumbered.

        Where no object is marked and some images have a class, the table becomes one of classification, without
        ``objects``.
        """
        names = self.names
        objects, label_sets = table.objects, table.label_sets
        used_ids = set(np.unique(table.class_ids).tolist())
        for part in (objects, label_sets):
            used_ids |= set() if part is None else set(np.unique(part.class_ids).tolist())
        undeclared = sort_class_names(names[i] for i in used_ids if i != UNLABELLED and i not in self._declared)
        final_names = [*(names[i] for i in self._declared), *undeclared]
        ids_by_name = {name: class_id for class_id, name in enumerate(final_names)}
        new_ids = np.array([*(ids_by_name.get(name, UNLABELLED) for name in names), UNLABELLED], np.int32)
        has_classes = label_sets is not None or bool((table.class_ids != UNLABELLED).any())
        is_classification = not objects and has_classes
        if objects is not None:
            objects = None if is_classification else replace(objects, class_ids=new_ids[objects.class_ids])
        return replace(
            table,
            classes=Classes(tuple(final_names)),
            class_ids=new_ids[table.class_ids],
            objects=objects,
            label_sets=None if label_sets is None else label_sets.renumber(new_ids),
        )
