"""The predictions of a multilabel model on a set of images, and the CSV file in which they are kept for comparisons.

A cell with classes is a JSON list of their names, so that any name can be told; an empty cell means that nobody knows.
The column of a class is named ``p:THRESHOLD:NAME``: the class is said from that probability on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import Classes
from lince.evaluation.multilabel.metrics import MultilabelMetrics, compute_multilabel_metrics
from lince.evaluation.predictions_file import (
    ImageRowsReader,
    format_probabilities,
    iter_image_rows,
    reorder_columns,
    select_rows,
    write_rows,
)
from lince.i18n import _
from lince.postprocess import decide_classes

FIRST_COLUMNS = ("key", "name", "truths", "predicted")
_PROBABILITY_PREFIX = "p:"


@dataclass(frozen=True, eq=False)
class MultilabelPredictions:
    """The predictions for N images. Construction raises ``ValueError`` when the columns do not fit each other.

    An image is predicted to have the classes whose probability reaches their threshold.

    Attributes:
        keys: content digest of each image.
        names: file name of each image.
        truth: bool (N, C), the classes that each image has; none where they are not known.
        is_known: bool (N,), whether it is known which classes an image has; one that is known may have none.
        probabilities: float32 (N, C) in 0..1.
        classes: the C classes.
        thresholds: float64 (C,) in 0..1.
        groups: int64 (N,), the same number for images of one scene, such as altered copies; ``None`` where each
            stands for itself.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    truth: NDArray[np.bool_]
    is_known: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    classes: Classes
    thresholds: NDArray[np.float64]
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        count, class_count = len(self.keys), len(self.classes)
        if self.groups is not None and self.groups.shape != (count,):
            raise ValueError(f"{count} keys do not fit groups {self.groups.shape}")
        shapes = (len(self.names), self.is_known.shape, self.truth.shape, self.probabilities.shape)
        if shapes != (count, (count,), (count, class_count), (count, class_count)):
            raise ValueError(f"{count} keys and {class_count} classes do not fit names and arrays {shapes}")
        if self.thresholds.shape != (class_count,):
            raise ValueError(f"{class_count} classes do not fit thresholds {self.thresholds.shape}")
        if self.truth[~self.is_known].any():
            raise ValueError("an image whose classes are not known has some")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """The classes that each image is predicted to have, bool (N, C)."""
        return decide_classes(self.probabilities, self.thresholds)

    def compute_metrics(self, seed: int = 0) -> MultilabelMetrics:
        """Return the metrics on the images whose classes are known; ``seed`` is for the bootstrap, by groups.

        Raises ``DataError`` when none of them has a class.
        """
        known = self.is_known
        groups = None if self.groups is None else self.groups[known]
        return compute_multilabel_metrics(
            self.truth[known], self.probabilities[known], self.classes, self.thresholds, seed, groups
        )

    def select(self, rows: Sequence[int] | NDArray[Any]) -> MultilabelPredictions:
        """Return the predictions at ``rows``, in that order."""
        return select_rows(self, rows, ("truth", "is_known", "probabilities"))

    def reorder_classes(self, classes: Classes) -> MultilabelPredictions:
        """Return the predictions with the class ids of ``classes``, which has the same names in another order."""
        if classes == self.classes:
            return self
        order = reorder_columns(self.classes, classes)
        return replace(
            self,
            truth=self.truth[:, order],
            probabilities=self.probabilities[:, order],
            classes=classes,
            thresholds=self.thresholds[order],
        )

    def save(self, path: Path) -> None:
        """Write the predictions to ``path`` as CSV, atomically; ``load`` restores them exactly."""
        write_rows(path, self._iter_rows())

    @classmethod
    def load(cls, path: Path) -> MultilabelPredictions:
        """Return the predictions in ``path``; raise ``DataError`` with the line when it is not such a file."""
        return _Reader(Path(path)).read()

    @staticmethod
    def is_own_file(path: Path) -> bool:
        """Return whether ``path`` has the header of a multilabel model's predictions; ``False`` where unreadable."""
        return fileio.read_first_line(path).startswith(",".join(FIRST_COLUMNS))

    def _iter_rows(self) -> Iterator[list[str]]:
        """Yield the rows of the CSV file, the header first."""
        columns = [
            f"{_PROBABILITY_PREFIX}{threshold!r}:{name}"
            for threshold, name in zip(self.thresholds.tolist(), self.classes.names, strict=True)
        ]
        rows = (
            (
                [self._format_names(self.truth[i]) if self.is_known[i] else "", self._format_names(predicted)],
                format_probabilities(self.probabilities[i]),
            )
            for i, predicted in enumerate(self.predicted)
        )
        yield from iter_image_rows(self, FIRST_COLUMNS, columns, rows)

    def _format_names(self, members: NDArray[np.bool_]) -> str:
        """Return the names of the classes that are ``members`` (C,) as a JSON list."""
        return json.dumps([self.classes.names[i] for i in np.flatnonzero(members)], ensure_ascii=False)


class _Reader(ImageRowsReader):
    """Reads the predictions of a multilabel model."""

    first_columns = FIRST_COLUMNS

    def read(self) -> MultilabelPredictions:
        """Return the predictions of the file."""
        classes, thresholds = self._parse_columns(self.get_class_columns())
        class_ids = {name: i for i, name in enumerate(classes.names)}
        truth, is_known, probabilities = [], [], []
        for (cell, _predicted), cells in self.iter_image_rows():
            truth.append(self._parse_truth(cell, class_ids))
            is_known.append(bool(cell))
            probabilities.append(self.parse_probabilities(cells))
        shape = (len(self.keys), len(classes))
        return MultilabelPredictions(
            tuple(self.keys),
            tuple(self.names),
            np.array(truth, np.bool_).reshape(shape),
            np.array(is_known, np.bool_),
            np.array(probabilities, np.float32).reshape(shape),
            classes,
            np.array(thresholds, np.float64),
            self.groups,
        )

    def _parse_columns(self, columns: list[str]) -> tuple[Classes, list[float]]:
        """Return the classes and thresholds that the header names in ``columns``."""
        names, thresholds = [], []
        for column in columns:
            prefix, _colon, rest = column.partition(":")
            threshold, colon, name = rest.partition(":")
            try:
                thresholds.append(float(threshold) if prefix + ":" == _PROBABILITY_PREFIX and colon else np.nan)
            except ValueError:
                thresholds.append(np.nan)
            names.append(name)
        if not names or not all(0 <= one <= 1 for one in thresholds):
            raise self.make_header_error()
        return self.make_classes(names), thresholds

    def _parse_truth(self, cell: str, class_ids: dict[str, int]) -> list[bool]:
        """Return for each class whether the ``cell`` lists it; raise ``DataError`` where it is no such list."""
        truth = [False] * len(class_ids)
        if not cell:
            return truth
        try:
            names = json.loads(cell)
        except (ValueError, RecursionError):
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self.make_error(_("'{cell}' is no list of classes").format(cell=cell))
        for name in names:
            if name not in class_ids:
                raise self.make_error(_("'{name}' is not among the classes of the header").format(name=name))
            truth[class_ids[name]] = True
        return truth
