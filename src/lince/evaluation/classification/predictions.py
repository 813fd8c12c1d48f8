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
    GROUP_COLUMN,
    PredictionsReader,
    format_probabilities,
    keep_shared_groups,
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
        indices = np.asarray(rows, np.int64)
        return ClassificationPredictions(
            tuple(self.keys[i] for i in indices),
            tuple(self.names[i] for i in indices),
            self.truth[indices],
            self.probabilities[indices],
            self.classes,
            None if self.groups is None else self.groups[indices],
        )

    def reorder_classes(self, classes: Classes) -> ClassificationPredictions:
        """Return the predictions with the class ids of ``classes``, which has the same names in another order."""
        if classes == self.classes:
            return self
        order = np.array([self.classes.index(name) for name in classes.names], np.int64)
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
        groups = keep_shared_groups(self.groups)
        group_column = [] if groups is None else [GROUP_COLUMN]
        yield [*FIRST_COLUMNS, *group_column, *(_PROBABILITY_PREFIX + name for name in self.classes.names)]
        labels = (*self.classes.names, "")  # the last is for UNLABELLED, which is -1
        for i, predicted in enumerate(self.predicted_class_ids):
            probabilities = format_probabilities(self.probabilities[i])
            group = [] if groups is None else [str(groups[i])]
            yield [self.keys[i], self.names[i], labels[self.truth[i]], labels[predicted], *group, *probabilities]


class _Reader(PredictionsReader):
    """Reads the predictions of a classifier."""

    def read(self) -> ClassificationPredictions:
        """Return the predictions of the file."""
        rows = self.iter_rows()
        header = next(rows, [])
        has_groups = header[len(FIRST_COLUMNS) : len(FIRST_COLUMNS) + 1] == [GROUP_COLUMN]
        first = len(FIRST_COLUMNS) + has_groups  # column of probabilities
        classes = self._parse_classes(header, first)
        class_ids = {"": UNLABELLED} | {name: i for i, name in enumerate(classes.names)}
        keys, names, truth, probabilities, groups = [], [], [], [], []
        for row in rows:
            self._check_row(row, first + len(classes), class_ids)
            keys.append(row[0])
            names.append(row[1])
            truth.append(class_ids[row[2]])
            probabilities.append(self.parse_probabilities(row[first:]))
            groups += [self.parse_group(row[len(FIRST_COLUMNS)])] if has_groups else []
        return ClassificationPredictions(
            tuple(keys),
            tuple(names),
            np.array(truth, np.int32),
            np.array(probabilities, np.float32).reshape(len(keys), len(classes)),
            classes,
            np.array(groups, np.int64) if has_groups else None,
        )

    def describe_expected(self) -> str:
        """Return the sentence that names the columns."""
        return _("Expected the predictions that a run wrote: {columns}, then one column for each class.").format(
            columns=", ".join(FIRST_COLUMNS)
        )

    def _parse_classes(self, header: list[str], first: int) -> Classes:
        """Return the classes that the header names from its column ``first`` on."""
        columns = header[first:]
        if tuple(header[: len(FIRST_COLUMNS)]) != FIRST_COLUMNS or not all(
            column.startswith(_PROBABILITY_PREFIX) for column in columns
        ):
            raise self.make_error(_("the header is not that of a predictions file"))
        return Classes(tuple(column.removeprefix(_PROBABILITY_PREFIX) for column in columns))

    def _check_row(self, row: list[str], width: int, class_ids: dict[str, int]) -> None:
        """Raise ``DataError`` for a row of another length than ``width``, or with an unknown true class."""
        self.check_width(row, width)
        if row[2] not in class_ids:
            raise self.make_error(_("'{name}' is not among the classes of the header").format(name=row[2]))
