"""Class ids while a format is read that names a class at every mark: handed out as met, put in order at the end."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from lince.annotations import UNLABELLED, Classes
from lince.formats.builders.classification_table import sort_class_names
from lince.formats.table import Table


class ClassIndex:
    """The classes met so far; those declared come first and keep their order, also when nothing shows them."""

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self._ids: dict[str, int] = {}
        self._declared: dict[int, None] = {}
        self.declare_classes(declared)

    @property
    def names(self) -> list[str]:
        """The names in the order of the ids handed out."""
        return list(self._ids)

    def declare_classes(self, names: Iterable[str]) -> None:
        """Take ``names`` for classes, after those declared before."""
        self._declared.update(dict.fromkeys(map(self.get_id, names)))

    def get_id(self, name: str) -> int:
        """Return the id of the class ``name`` for now; two ways to write the same accented letter are one name."""
        return self._ids.setdefault(unicodedata.normalize("NFC", name), len(self._ids))

    def finalise_table(self, table: Table) -> Table:
        """Return ``table``, whose ids come from here, with its classes in order: declared, then the others used.

        Where nothing is marked and only whole images have classes, it is no table of objects.
        """
        names = self.names
        objects = table.objects
        used = set(np.unique(table.class_ids).tolist())
        if objects is not None:
            used |= set(np.unique(objects.class_ids).tolist())
        others = sort_class_names(names[i] for i in used if i != UNLABELLED and i not in self._declared)
        kept = [*(names[i] for i in self._declared), *others]
        places = {name: place for place, name in enumerate(kept)}
        order = np.array([*(places.get(name, UNLABELLED) for name in names), UNLABELLED], np.int32)
        whole = not objects and bool((table.class_ids != UNLABELLED).any())
        objects = None if objects is None or whole else replace(objects, class_ids=order[objects.class_ids])
        return replace(table, classes=Classes(tuple(kept)), class_ids=order[table.class_ids], objects=objects)
