"""What a model answered, image by image, kept as ``predictions.csv`` so that runs can be compared later."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import UNLABELLED, Classes
from lince.errors import DataError
from lince.evaluation.classification.metrics import ClassificationMetrics, compute_classification_metrics
from lince.i18n import _

FIRST_COLUMNS = ("key", "name", "truth", "predicted")
_PROBABILITY_PREFIX = "p:"


@dataclass(frozen=True, eq=False)
class ClassificationPredictions:
    """The answers to N images: ``keys`` of their content, ``names``, ``truth`` (N,) ids, ``probabilities`` (N, C).

    ``truth`` is -1 where unlabelled; ``probabilities`` are float32 in [0, 1]; the answer is the most probable class,
    the first one among equals.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    truth: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    classes: Classes

    def __post_init__(self) -> None:
        shapes = (len(self.names), self.truth.shape, self.probabilities.shape)
        count = len(self.keys)
        if shapes != (count, (count,), (count, len(self.classes))):
            raise ValueError(f"{count} keys and {len(self.classes)} classes do not fit names and arrays {shapes}")
        if "" in self.classes.names:
            raise ValueError("a class needs a name: the empty one means unlabelled")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def predicted_class_ids(self) -> NDArray[np.int64]:
        """The class ids (N,) answered."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    def compute_metrics(self, seed: int = 0) -> ClassificationMetrics:
        """Return the figures on the labelled images; raise ``DataError`` when there is none."""
        known = self.truth != UNLABELLED
        return compute_classification_metrics(self.truth[known], self.probabilities[known], self.classes, seed)

    def select(self, rows: Sequence[int] | NDArray[Any]) -> ClassificationPredictions:
        """Return the answers at ``rows``, in that order."""
        picked = np.asarray(rows, np.int64)
        return ClassificationPredictions(
            tuple(self.keys[i] for i in picked),
            tuple(self.names[i] for i in picked),
            self.truth[picked],
            self.probabilities[picked],
            self.classes,
        )

    def reorder_classes(self, classes: Classes) -> ClassificationPredictions:
        """Return the same answers with the classes in the order of ``classes``, which holds the same names."""
        if classes == self.classes:
            return self
        order = np.array([self.classes.index(name) for name in classes.names], np.int64)
        place = np.empty(len(order) + 1, np.int32)
        place[order], place[UNLABELLED] = np.arange(len(order)), UNLABELLED
        return ClassificationPredictions(
            self.keys, self.names, place[self.truth], self.probabilities[:, order], classes
        )

    def save(self, path: Path) -> None:
        """Write the answers to ``path`` as CSV, whole or not at all; float32 values survive exactly."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow((*FIRST_COLUMNS, *(_PROBABILITY_PREFIX + name for name in self.classes.names)))
        labels = (*self.classes.names, "")  # the last one is that of an unlabelled image, id -1
        for i, predicted in enumerate(self.predicted_class_ids):
            shares = [f"{share:.9g}" for share in self.probabilities[i].tolist()]
            writer.writerow((self.keys[i], self.names[i], labels[self.truth[i]], labels[predicted], *shares))
        # A file name need not be valid Unicode; what Python made of it goes back to the same bytes.
        fileio.write_bytes(Path(path), text.getvalue().encode("utf-8", "surrogateescape"))

    @classmethod
    def load(cls, path: Path) -> ClassificationPredictions:
        """Read the answers from ``path``; raise ``DataError`` with file and line when it is not such a file."""
        return _Parser(Path(path)).read()


class _Parser:
    """Reads one ``predictions.csv`` and knows where it stands, so that it can say so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise DataError(
                _("{path} cannot be read: {error}.").format(path=path, error=error.strerror),
                _("Expected the predictions that a run wrote."),
            ) from error
        self.reader = csv.reader(io.StringIO(text, newline=""), strict=True)

    def read(self) -> ClassificationPredictions:
        rows = self._iter_rows()
        classes = self._parse_classes(next(rows, []))
        ids = {"": UNLABELLED} | {name: i for i, name in enumerate(classes.names)}
        keys, names, truth, shares = [], [], [], []
        for row in rows:
            self._check_row(row, len(FIRST_COLUMNS) + len(classes), ids)
            keys.append(row[0])
            names.append(row[1])
            truth.append(ids[row[2]])
            shares.append(self._parse_probabilities(row[len(FIRST_COLUMNS) :]))
        probabilities = np.array(shares, np.float32).reshape(len(keys), len(classes))
        return ClassificationPredictions(tuple(keys), tuple(names), np.array(truth, np.int32), probabilities, classes)

    def _iter_rows(self) -> Any:
        try:
            yield from self.reader
        except csv.Error as error:
            raise self._make_error(str(error)) from error

    def _parse_classes(self, header: list[str]) -> Classes:
        named = header[len(FIRST_COLUMNS) :]
        if tuple(header[: len(FIRST_COLUMNS)]) != FIRST_COLUMNS or not all(
            n.startswith(_PROBABILITY_PREFIX) for n in named
        ):
            raise self._make_error(_("the header is not that of predictions"))
        return Classes(tuple(name.removeprefix(_PROBABILITY_PREFIX) for name in named))

    def _check_row(self, row: list[str], width: int, ids: dict[str, int]) -> None:
        if len(row) != width:
            raise self._make_error(_("{found} columns instead of {expected}").format(found=len(row), expected=width))
        if row[2] not in ids:
            raise self._make_error(_("'{name}' is not among the classes of the header").format(name=row[2]))

    def _parse_probabilities(self, cells: list[str]) -> list[float]:
        try:
            values = [float(cell) for cell in cells]
        except ValueError as error:
            raise self._make_error(_("a probability is not a number")) from error
        if not all(0 <= value <= 1.000001 for value in values):
            raise self._make_error(_("a probability is not between 0 and 1"))
        return values

    def _make_error(self, reason: str) -> DataError:
        return DataError(
            _("{path}:{line}: {reason}.").format(path=self.path, line=max(self.reader.line_num, 1), reason=reason),
            _("Expected the predictions that a run wrote: {columns}, then one column for each class.").format(
                columns=", ".join(FIRST_COLUMNS)
            ),
            _("Run lince evaluate again."),
        )
