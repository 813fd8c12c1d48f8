"""The predictions of a classifier on a set of images, and the CSV file in which they are kept for comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import UNLABELLED, Classes
from lince.evaluation.classification.metrics import ClassificationMetrics, compute_classification_metrics
from lince.evaluation.predictions_file import (
    ImageRowsReader,
    format_probabilities,
    iter_image_rows,
    reorder_columns,
    select_rows,
    write_rows,
)
from lince.i18n import _

FIRST_COLUMNS = ("key", "name", "truth", "predicted")
_PROBABILITY_PREFIX = "p:"


@dataclass(frozen=True, eq=False)
class ClassificationPredictions:
    """The predictions for N images. Construction raises ``ValueError`` when the columns do not fit each other.

    The predicted class is the most probable one; of equals the first.

    Attributes:
        keys: content digest of each image.
        names: file name of each image.
        truth: int32 (N,), true class ids, ``UNLABELLED`` (-1) where unknown.
        probabilities: float32 (N, C) in 0..1.
        classes: the C classes; no name is empty.
        groups: int64 (N,), the same number for images of one scene, such as altered copies; ``None`` where each
            stands for itself.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    truth: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    classes: Classes
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        shapes = (len(self.names), self.truth.shape, self.probabilities.shape)
        count = len(self.keys)
        if self.groups is not None and self.groups.shape != (count,):
            raise ValueError(f"{count} keys do not fit groups {self.groups.shape}")
        if shapes != (count, (count,), (count, len(self.classes))):
            raise ValueError(f"{count} keys and {len(self.classes)} classes do not fit names and arrays {shapes}")
        if "" in self.classes.names:
            raise ValueError("a class needs a name: the empty one means unlabelled")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def predicted_class_ids(self) -> NDArray[np.int64]:
        """The predicted class ids, int64 (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    def compute_metrics(self, seed: int = 0) -> ClassificationMetrics:
        """Return the metrics on the labelled images; ``seed`` is for the bootstrap, which draws groups together.

        Raises ``DataError`` when no image is labelled.
        """
        labelled = self.truth != UNLABELLED
        return compute_classification_metrics(
            self.truth[labelled],
            self.probabilities[labelled],
            self.classes,
            seed,
            None if self.groups is None else self.groups[labelled],
        )

    def select(self, rows: Sequence[int] | NDArray[Any]) -> ClassificationPredictions:
        """Return the predictions at ``rows``, in that order."""
        return select_rows(self, rows, ("truth", "probabilities"))

    def reorder_classes(self, classes: Classes) -> ClassificationPredictions:
        """Return the predictions with the class ids of ``classes``, which has the same names in another order."""
        if classes == self.classes:
            return self
        order = reorder_columns(self.classes, classes)
        new_ids = np.empty(len(order) + 1, np.int32)
        new_ids[order], new_ids[UNLABELLED] = np.arange(len(order)), UNLABELLED
        return replace(self, truth=new_ids[self.truth], probabilities=self.probabilities[:, order], classes=classes)

    def save(self, path: Path) -> None:
        """Write the predictions to ``path`` as CSV, atomically; ``load`` restores them exactly."""
        write_rows(path, self._iter_rows())

    @classmethod
    def load(cls, path: Path) -> ClassificationPredictions:
        """Return the predictions in ``path``; raise ``DataError`` with the line when it is not such a file."""
        return _Reader(Path(path)).read()

    @staticmethod
    def is_own_file(path: Path) -> bool:
        """Return whether ``path`` has the header of a classifier's predictions; ``False`` where it cannot be read."""
        return fileio.read_first_line(path).startswith(",".join(FIRST_COLUMNS))

    def _iter_rows(self) -> Iterator[list[str]]:
        """Yield the rows of the CSV file, the header first."""
        labels = (*self.classes.names, "")  # the last is for UNLABELLED, which is -1
        rows = (
            ([labels[self.truth[i]], labels[predicted]], format_probabilities(self.probabilities[i]))
            for i, predicted in enumerate(self.predicted_class_ids)
        )
        yield from iter_image_rows(
            self, FIRST_COLUMNS, [_PROBABILITY_PREFIX + name for name in self.classes.names], rows
        )


class _Reader(ImageRowsReader):
    """Reads the predictions of a classifier."""

    first_columns = FIRST_COLUMNS

    def read(self) -> ClassificationPredictions:
        """Return the predictions of the file."""
        classes = self._parse_classes(self.get_class_columns())
        class_ids = {"": UNLABELLED} | {name: i for i, name in enumerate(classes.names)}
        truth, probabilities = [], []
        for (name, _predicted), cells in self.iter_image_rows():
            if name not in class_ids:
                raise self.make_error(_("'{name}' is not among the classes of the header").format(name=name))
            truth.append(class_ids[name])
            probabilities.append(self.parse_probabilities(cells))
        return ClassificationPredictions(
            tuple(self.keys),
            tuple(self.names),
            np.array(truth, np.int32),
            np.array(probabilities, np.float32).reshape(len(self.keys), len(classes)),
            classes,
            self.groups,
        )

    def _parse_classes(self, columns: list[str]) -> Classes:
        """Return the classes that the header names in ``columns``."""
        if not all(column.startswith(_PROBABILITY_PREFIX) for column in columns):
            raise self.make_header_error()
        return self.make_classes([column.removeprefix(_PROBABILITY_PREFIX) for column in columns])
