"""Converts a dataset to pandas tables. (For PyTorch, see ``training/torch_dataset.py``.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED, UNLABELLED
from lince.datasets.dataset import Dataset
from lince.errors import MissingExtraError, UsageError
from lince.i18n import _
from lince.splits import SPLITS
from lince.validation import require_choice

if TYPE_CHECKING:
    import pandas as pd

_FLAG_BITS = {"difficult": DIFFICULT, "truncated": TRUNCATED, "crowd": CROWD, "occluded": OCCLUDED, "group": GROUP}
_BOX_COLUMNS = ("left", "top", "right", "bottom")


def to_pandas(dataset: Dataset, rows: str = "images") -> pd.DataFrame:
    """Return ``dataset`` as a table with one row per image, or per object with ``rows="objects"``.

    Columns of images: ``image`` (its name), ``path`` (missing for an image without a file of its own), ``split`` and
    ``class`` (categories; missing where there is none), ``class_id`` (-1 for none), ``classes`` (a list of names)
    where images may have several, ``height`` and ``width`` in pixels as the labels state them (missing otherwise), and
    ``objects``, the number of objects, in a dataset with objects.

    Columns of objects: ``row`` (of its image in the other table), ``image``, ``split``, ``class``, ``class_id``,
    ``left``, ``top``, ``right``, ``bottom`` in pixels of the upright image, the flags ``difficult``, ``truncated``,
    ``crowd``, ``occluded`` and ``group``, ``outline`` (a list of arrays (K, 2), empty for none) and ``mask`` (run
    lengths as in the COCO API, an empty string for none).

    Raise ``MissingExtraError`` when pandas is not installed, and ``UsageError`` for objects of a dataset without them.
    """
    require_choice("rows", rows, ("images", "objects"))
    try:
        import pandas as pd  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            _("This needs {module}, which is not installed.").format(module="pandas"),
            "",
            _("Type: {line}").format(line="pip install pandas"),
        ) from error
    return pd.DataFrame(_object_columns(dataset, pd) if rows == "objects" else _image_columns(dataset, pd))


def _image_columns(dataset: Dataset, pd: Any) -> dict[str, Any]:
    """Return the columns of the table of images, by name; ``pd`` is the module pandas."""
    count = len(dataset)
    paths = [dataset.images.get_path(row) for row in range(count)]
    columns = {
        "image": [dataset.images.get_name(row) for row in range(count)],
        "path": [None if path is None else str(path) for path in paths],
        "split": _split_categories(dataset.splits, pd),
        "class": _class_categories(dataset, dataset.class_ids, pd),
        "class_id": dataset.class_ids,
    }
    sizes = np.zeros((count, 2), np.int32) if dataset.sizes is None else dataset.sizes
    for side, values in zip(("height", "width"), sizes.T, strict=True):
        columns[side] = pd.arrays.IntegerArray(values.copy(), values <= 0)
    if dataset.label_sets is not None:
        columns["classes"] = [dataset.list_class_names(row) for row in range(count)]
    if dataset.objects is not None:
        columns["objects"] = np.diff(dataset.objects.starts)
    return columns


def _object_columns(dataset: Dataset, pd: Any) -> dict[str, Any]:
    """Return the columns of the table of objects, by name."""
    objects = dataset.objects
    if objects is None:
        raise UsageError(
            _("{root} has no objects marked on its images.").format(root=dataset.root),
            _("Expected data with boxes, polygons or masks."),
        )
    rows = objects.image_ids
    names = [dataset.images.get_name(row) for row in range(len(dataset))]
    columns = {
        "row": rows,
        "image": [names[row] for row in rows.tolist()],
        "split": _split_categories(dataset.splits[rows], pd),
        "class": _class_categories(dataset, objects.class_ids, pd),
        "class_id": objects.class_ids,
    }
    columns.update(dict(zip(_BOX_COLUMNS, objects.boxes.T, strict=True)))
    columns.update({name: (objects.flags & bit) > 0 for name, bit in _FLAG_BITS.items()})
    columns["outline"] = [objects.get_polygons(i) for i in range(len(objects))]
    columns["mask"] = list(objects.masks)
    return columns


def _split_categories(splits: NDArray[np.int8], pd: Any) -> Any:
    """Return the split of each row as categories; UNASSIGNED (-1) is missing."""
    return pd.Categorical.from_codes(splits, list(SPLITS))


def _class_categories(dataset: Dataset, ids: NDArray[np.int32], pd: Any) -> Any:
    """Return the class of each row as categories; UNLABELLED (-1) is missing."""
    return pd.Categorical.from_codes(np.where(ids == UNLABELLED, -1, ids), list(dataset.classes.names))
