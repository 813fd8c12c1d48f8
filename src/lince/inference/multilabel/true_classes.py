"""Finds which classes an image has in labelled data, for predictions that are compared with the truth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lince import fileio, images
from lince.annotations import Classes
from lince.datasets import Dataset, open_dataset
from lince.datasets.class_mapping import map_classes
from lince.errors import ImageError, UsageError
from lince.i18n import _
from lince.inference.sources import TRUTH_MODES, ImageItem
from lince.inference.whole_image_predictor import FindTruths
from lince.tasks import get_task

UNKNOWN = ("auto", "none")  # instead of data: nothing is known of any image


class TrueClasses:
    """The classes of the images of ``dataset``, whose rows are all usable, as ids in ``classes``.

    An image is found by the path of its file, or else as a copy: a file of the same name with the same content.
    Construction raises ``DataError`` where an image has a class that is not among ``classes``.
    """

    def __init__(self, dataset: Dataset, classes: Classes) -> None:
        if dataset.label_sets is None:
            raise ValueError("the dataset has no label sets")
        self._sets = dataset.label_sets.renumber(map_classes(dataset, classes))
        self._images = dataset.images
        self._rows_by_path: dict[str, int] = {}
        self._rows_by_name: dict[str, list[int]] = {}
        for row in range(len(dataset)):
            path = dataset.images.get_path(row)
            if path is not None:
                self._rows_by_path[os.path.realpath(path)] = row
            self._rows_by_name.setdefault(PurePosixPath(dataset.images.get_name(row)).name, []).append(row)

    def find(self, item: ImageItem) -> tuple[int, ...] | None:
        """Return the class ids of ``item``, ascending; ``None`` where they are not known."""
        if not item.path:
            return None
        row = self._rows_by_path.get(os.path.realpath(item.path))
        row = self._find_copy(item.path) if row is None else row
        return None if row is None else tuple(self._sets.get_class_ids(row))

    def _find_copy(self, path: str) -> int | None:
        """Return the row of the image with the name and the content of the file ``path``; ``None`` where none has."""
        rows = self._rows_by_name.get(os.path.basename(path), [])
        try:
            key = fileio.compute_digest(images.read_bytes(path)) if rows else ""
            return next((row for row in rows if self._images.compute_key(row) == key), None)
        except ImageError:  # one of them cannot be read
            return None


def make_truth_finder(truth: str | os.PathLike[str] | Dataset, classes: Classes) -> FindTruths:
    """Return what finds the ids in ``classes`` of the classes that the images of a batch have.

    ``truth`` is labelled data or where it is. The name of a folder is no truth here: it tells one class and does not
    say that there is no other. With ``auto`` and ``none`` nothing is known. Raises ``UsageError`` for other modes of
    ``sources.infer_true_classes``, and what opening the data does.
    """
    if isinstance(truth, str) and truth in UNKNOWN:
        return lambda batch: [None] * len(batch)
    if isinstance(truth, str) and truth in TRUTH_MODES:
        raise UsageError(
            _("--labels-from cannot be '{mode}' for a multilabel model, with several classes a photo.").format(
                mode=truth
            ),
            _("Expected labelled photos: a folder, or a file of labels; or none."),
            _("The name of a folder or of a file tells one class, and not that there are no others."),
        )
    dataset = truth if isinstance(truth, Dataset) else open_dataset(Path(truth))
    known = TrueClasses(get_task("multilabel").select_usable(dataset), classes)

    def find_truths(batch: Sequence[ImageItem]) -> list[tuple[int, ...] | None]:
        return [known.find(item) for item in batch]

    return find_truths
