"""Maps the class ids of a dataset to those of a model, by class name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes, ObjectTable
from lince.datasets.dataset import Dataset
from lince.errors import DataError
from lince.i18n import _


def map_classes(dataset: Dataset, classes: Classes) -> NDArray[np.int32]:
    """Return int32 (K + 1,): the id in ``classes`` of each of the K classes of ``dataset``, and last ``UNLABELLED``.

    The last element makes ``map_classes(dataset, classes)[dataset.class_ids]`` map unlabelled images (-1), too. A class
    that no image or object has may be missing in ``classes`` and maps to ``UNLABELLED``; any other missing class raises
    ``DataError``.
    """
    names = classes.names
    unknown = [name for name, count in dataset.count_per_class().items() if count and name not in names]
    if unknown:
        raise DataError(
            _("The data has classes that the model does not have: {names}.").format(names=", ".join(unknown)),
            _("Expected the classes of the model: {names}.").format(names=", ".join(names)),
            _("Merge them with --merge, or remove them."),
        )
    ids = [names.index(name) if name in names else UNLABELLED for name in dataset.classes.names]
    return np.array([*ids, UNLABELLED], np.int32)


def adopt_classes(dataset: Dataset, classes: Classes) -> Dataset:
    """Return ``dataset`` with ``classes``, those of a model, and its objects with their class ids.

    Raises ``DataError`` as ``map_classes`` does.
    """
    objects = dataset.objects or ObjectTable.empty(len(dataset))
    objects = replace(objects, class_ids=map_classes(dataset, classes)[objects.class_ids])
    return replace(dataset, classes=classes, objects=objects)
