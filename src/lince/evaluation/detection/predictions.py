"""What a detector found, image by image, beside what is marked, kept as ``predictions.csv`` for later comparison."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import Classes, Detections, ObjectTable
from lince.errors import DataError
from lince.evaluation.detection.metrics import DetectionMetrics, compute_detection_metrics
from lince.i18n import _

COLUMNS = ("key", "name", "kind", "class", "score", "left", "top", "right", "bottom", "flags")
IMAGE_ROW, CLASS_ROW, TRUTH_ROW, DETECTION_ROW = "image", "class", "truth", "found"
_MAX_FLAGS = int(np.iinfo(np.uint8).max)
_Cells = list[str]


@dataclass(frozen=True, eq=False)
class DetectionPredictions:
    """The findings on N images: ``keys`` of their content, ``names``, what is marked (``truth``) and what was found."""

    keys: tuple[str, ...]
    names: tuple[str, ...]
    truth: ObjectTable
    detections: tuple[Detections, ...]
    classes: Classes

    def __post_init__(self) -> None:
        counts = {len(self.keys), len(self.names), len(self.truth.starts) - 1, len(self.detections)}
        if len(counts) != 1:
            raise ValueError(f"columns of {sorted(counts)} images do not fit")

    def __len__(self) -> int:
        return len(self.keys)

    def compute_metrics(self, seed: int = 0) -> DetectionMetrics:
        """Return the figures; raise ``DataError`` when no object is marked."""
        return compute_detection_metrics(self.truth, self.detections, self.classes, seed)

    def select(self, images: Sequence[int] | NDArray[Any]) -> DetectionPredictions:
        """Return the findings on ``images``, in that order."""
        rows = np.asarray(images, np.int64)
        keys, names, found = (tuple(column[i] for i in rows) for column in (self.keys, self.names, self.detections))
        return DetectionPredictions(keys, names, self.truth.select_images(rows), found, self.classes)

    def reorder_classes(self, classes: Classes) -> DetectionPredictions:
        """Return the same findings with the classes in the order of ``classes``, which holds the same names."""
        if classes == self.classes:
            return self
        place = np.array([classes.index(name) for name in self.classes.names], np.int32)
        truth = replace(self.truth, class_ids=place[self.truth.class_ids])
        found = tuple(replace(item, class_ids=place[item.class_ids]) for item in self.detections)
        return DetectionPredictions(self.keys, self.names, truth, found, classes)

    def save(self, path: Path) -> None:
        """Write everything to ``path`` as CSV, whole or not at all; numbers survive exactly.

        A row names a class, an image, or one object of the image named before it.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text)  # lines end in CR LF, so that a CR within a name is quoted, too
        writer.writerow(COLUMNS)
        writer.writerows(self._iter_rows())
        fileio.write_bytes(Path(path), text.getvalue().encode("utf-8", "surrogateescape"))

    @classmethod
    def load(cls, path: Path) -> DetectionPredictions:
        """Read what ``save`` wrote; raise ``DataError`` with file and line when ``path`` is no such file."""
        return _Parser(Path(path)).read()

    def _iter_rows(self) -> Iterator[_Cells]:
        names = self.classes.names
        for name in names:
            yield ["", "", CLASS_ROW, name, "", "", "", "", "", ""]
        for image, (key, name) in enumerate(zip(self.keys, self.names, strict=True)):
            yield [key, name, IMAGE_ROW, "", "", "", "", "", "", ""]
            span, found = self.truth.slice_of_image(image), self.detections[image]
            for i in range(span.start, span.stop):
                sides = [repr(side) for side in self.truth.boxes[i].tolist()]
                yield ["", "", TRUTH_ROW, names[self.truth.class_ids[i]], "", *sides, str(self.truth.flags[i])]
            for box, class_id, score in zip(found.boxes, found.class_ids, found.scores, strict=True):
                yield ["", "", DETECTION_ROW, names[class_id], f"{score:.9g}", *map(repr, box.tolist()), ""]


def is_detection_file(path: Path) -> bool:
    """Tell by its header whether the predictions at ``path`` are a detector's; ``False`` where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.readline().strip() == ",".join(COLUMNS).encode()
    except OSError:
        return False


class _Parser:
    """Reads one file and knows where it stands, so that it can say so."""

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
        self.classes: list[str] = []
        self.images: list[tuple[str, str]] = []
        self.truth: list[list[tuple[int, list[float], int]]] = []
        self.detections: list[list[tuple[int, list[float], float]]] = []

    def read(self) -> DetectionPredictions:
        try:
            if tuple(next(self.reader, ())) != COLUMNS:
                raise self._make_error(_("the header is not that of predictions"))
            for row in self.reader:
                self._parse_row(row)
            found = tuple(_make_detections(rows) for rows in self.detections)
        except (ValueError, IndexError, csv.Error) as error:
            raise self._make_error(str(error)) from error
        keys, names = (tuple(column) for column in zip(*self.images, strict=True)) if self.images else ((), ())
        return DetectionPredictions(keys, names, _make_objects(self.truth), found, Classes(tuple(self.classes)))

    def _parse_row(self, row: _Cells) -> None:
        if len(row) != len(COLUMNS):
            raise self._make_error(
                _("{found} columns instead of {expected}").format(found=len(row), expected=len(COLUMNS))
            )
        key, name, kind, class_name, score, *rest = row
        if kind in (TRUTH_ROW, DETECTION_ROW) and not self.images:
            raise self._make_error(_("an object stands before any image"))
        if kind == CLASS_ROW:
            self._parse_class(class_name)
        elif kind == IMAGE_ROW:
            self.images.append((key, name))
            self.truth.append([])
            self.detections.append([])
        elif kind == TRUTH_ROW:
            self.truth[-1].append((self.classes.index(class_name), _parse_box(rest), _parse_flags(rest[4])))
        elif kind == DETECTION_ROW:
            self.detections[-1].append((self.classes.index(class_name), _parse_box(rest), self._parse_score(score)))
        else:
            raise self._make_error(_("'{kind}' is no kind of row").format(kind=kind))

    def _parse_class(self, name: str) -> None:
        if name in self.classes:
            raise self._make_error(_("the class '{name}' stands there twice").format(name=name))
        self.classes.append(name)

    def _parse_score(self, cell: str) -> float:
        """Return a score; it is between 0 and 1, and no finding is surer than the one before it."""
        score, before = float(cell), self.detections[-1][-1][2] if self.detections[-1] else 1.0
        if not 0 <= score <= 1:
            raise ValueError(_("the score {score} is not between 0 and 1").format(score=cell))
        if score > before:
            raise ValueError(_("the surest finding does not stand first"))
        return score

    def _make_error(self, reason: str) -> DataError:
        return DataError(
            _("{path}:{line}: {reason}.").format(path=self.path, line=max(self.reader.line_num, 1), reason=reason),
            _("Expected the predictions that a run wrote: {columns}.").format(columns=", ".join(COLUMNS)),
            _("Run lince evaluate again."),
        )


def _parse_box(cells: _Cells) -> list[float]:
    sides = [float(cell) for cell in cells[:4]]
    if not np.isfinite(sides).all():
        raise ValueError(_("a side is not a number"))
    return sides


def _parse_flags(cell: str) -> int:
    flags = int(cell)
    if not 0 <= flags <= _MAX_FLAGS:
        raise ValueError(_("the flags {flags} are not between 0 and {most}").format(flags=flags, most=_MAX_FLAGS))
    return flags


def _make_detections(rows: list[tuple[int, list[float], float]]) -> Detections:
    return Detections(
        np.array([sides for _id, sides, _score in rows], np.float64).reshape(-1, 4),
        np.array([class_id for class_id, _sides, _score in rows], np.int32),
        np.array([score for _id, _sides, score in rows], np.float32),
    )


def _make_objects(images: list[list[tuple[int, list[float], int]]]) -> ObjectTable:
    rows = [row for image in images for row in image]
    count = len(rows)
    none = ObjectTable.empty(0)
    return ObjectTable(
        starts=np.cumsum([0, *map(len, images)]).astype(np.int64),
        class_ids=np.array([class_id for class_id, _sides, _flags in rows], np.int32),
        boxes=np.array([sides for _id, sides, _flags in rows], np.float64).reshape(-1, 4),
        flags=np.array([flags for _id, _sides, flags in rows], np.uint8),
        rings=np.zeros(count + 1, np.int64),
        corners=none.corners,
        points=none.points,
        masks=none.masks.from_strings([""] * count),
    )
