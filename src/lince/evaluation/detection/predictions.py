"""The detections on a set of images with the true objects, and the CSV file in which they are kept for comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import Classes, Detections, ObjectTable
from lince.evaluation.detection.matcher import MatchInput, build_match_input
from lince.evaluation.detection.metrics import DetectionMetrics, compute_detection_metrics
from lince.evaluation.detection.thresholds import choose_matched_thresholds
from lince.evaluation.predictions_file import PredictionsReader, keep_shared_groups, select_rows, write_rows
from lince.i18n import _

COLUMNS = ("key", "name", "kind", "class", "score", "left", "top", "right", "bottom", "flags")
IMAGE_ROW, CLASS_ROW, TRUTH_ROW, DETECTION_ROW = "image", "class", "truth", "found"  # values of ``kind``
_MAX_FLAGS = int(np.iinfo(np.uint8).max)  # ``ObjectTable.flags`` is uint8
_Cells = list[str]


@dataclass(frozen=True, eq=False)
class DetectionPredictions:
    """The detections on N images. Construction raises ``ValueError`` when the columns differ in length.

    Attributes:
        keys: content digest of each image.
        names: file name of each image.
        truth: the true objects.
        detections: of each image, all that the network found from a low score on.
        classes: of both.
        groups: int64 (N,), the same number for images of one scene, such as altered copies; ``None`` where each
            stands for itself.
    """

    columns: ClassVar[tuple[str, ...]] = COLUMNS
    keys: tuple[str, ...]
    names: tuple[str, ...]
    truth: ObjectTable
    detections: tuple[Detections, ...]
    classes: Classes
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        counts = {len(self.keys), len(self.names), len(self.truth.starts) - 1, len(self.detections)}
        counts |= set() if self.groups is None else {len(self.groups)}
        if len(counts) != 1:
            raise ValueError(f"columns of {sorted(counts)} images do not fit")

    def __len__(self) -> int:
        return len(self.keys)

    def compute_metrics(self, seed: int = 0, thresholds: Sequence[float] | None = None) -> DetectionMetrics:
        """Return the metrics; ``seed`` is for the bootstrap, which draws groups of images together.

        ``thresholds`` (C,) are as for ``compute_detection_metrics``. Raises ``DataError`` when there is no true object.
        """
        return compute_detection_metrics(self.truth, self.detections, self.classes, seed, thresholds, self.groups)

    def build_match_input(self) -> MatchInput:
        """Return objects and detections with their pairs, by the overlap of boxes."""
        return build_match_input(self.truth, self.detections)

    def choose_thresholds(self) -> tuple[float, ...]:
        """Return the score threshold of each class at which F1 is highest on these images."""
        return choose_matched_thresholds(self.build_match_input(), len(self.classes))

    def select(self, images: Sequence[int] | NDArray[Any]) -> DetectionPredictions:
        """Return the predictions of ``images``, in that order."""
        return select_rows(self, images, ("truth", "detections"))

    def reorder_classes(self, classes: Classes) -> DetectionPredictions:
        """Return the predictions with the class ids of ``classes``, which has the same names in another order."""
        if classes == self.classes:
            return self
        new_ids = np.array([classes.index(name) for name in self.classes.names], np.int32)
        truth = replace(self.truth, class_ids=new_ids[self.truth.class_ids])
        detections = tuple(replace(item, class_ids=new_ids[item.class_ids]) for item in self.detections)
        return replace(self, truth=truth, detections=detections, classes=classes)

    def save(self, path: Path) -> None:
        """Write the predictions to ``path`` as CSV, atomically; ``load`` restores them exactly.

        The column ``kind`` says what a row is: a class, an image, or a true or detected object of the image before it.
        Where images are in groups, the column ``flags`` of an image is the number of its group.
        """
        write_rows(path, self._iter_rows())

    @classmethod
    def load(cls, path: Path) -> DetectionPredictions:
        """Return the predictions in ``path``; raise ``DataError`` with the line when it is not such a file."""
        return DetectionReader(Path(path)).read()

    @classmethod
    def is_own_file(cls, path: Path) -> bool:
        """Return whether ``path`` has the header of such predictions; ``False`` where it cannot be read."""
        return fileio.read_first_line(path) == ",".join(cls.columns)

    def _iter_rows(self) -> Iterator[_Cells]:
        """Yield the rows of the CSV file, the header first; float64 boxes and float32 scores are written exactly."""
        yield list(COLUMNS)
        names, groups = self.classes.names, keep_shared_groups(self.groups)
        for name in names:
            yield ["", "", CLASS_ROW, name, "", "", "", "", "", ""]
        for image, (key, name) in enumerate(zip(self.keys, self.names, strict=True)):
            group = "" if groups is None else str(groups[image])
            yield [key, name, IMAGE_ROW, "", "", "", "", "", "", group]
            span, detections = self.truth.slice_of_image(image), self.detections[image]
            for i in range(span.start, span.stop):
                box_cells = [repr(side) for side in self.truth.boxes[i].tolist()]
                yield ["", "", TRUTH_ROW, names[self.truth.class_ids[i]], "", *box_cells, str(self.truth.flags[i])]
            for box, class_id, score in zip(detections.boxes, detections.class_ids, detections.scores, strict=True):
                yield ["", "", DETECTION_ROW, names[class_id], f"{score:.9g}", *map(repr, box.tolist()), ""]


class DetectionReader(PredictionsReader):
    """Reads the predictions of a detector: class rows, then image rows, each followed by its objects."""

    columns: ClassVar[tuple[str, ...]] = COLUMNS

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._class_names: list[str] = []
        self._images: list[tuple[str, str]] = []
        self._groups: list[int] = []
        self._truth: list[list[tuple[int, list[float], int]]] = []
        self._detections: list[list[tuple[int, list[float], float]]] = []

    def read(self) -> DetectionPredictions:
        """Return the predictions of the file."""
        rows = self.iter_rows()
        try:
            if tuple(next(rows, ())) != self.columns:
                raise self.make_error(_("the header is not that of a predictions file"))
            for row in rows:
                self.parse_row(row)
            detections = tuple(_make_detections(items) for items in self._detections)
        except (ValueError, IndexError) as error:
            raise self.make_error(str(error)) from error
        keys, names = (tuple(column) for column in zip(*self._images, strict=True)) if self._images else ((), ())
        classes = Classes(tuple(self._class_names))
        groups = np.array(self._groups, np.int64) if self._groups else None
        return DetectionPredictions(keys, names, _make_objects(self._truth), detections, classes, groups)

    def describe_expected(self) -> str:
        """Return the sentence that names the columns."""
        return _("Expected the predictions that a run wrote: {columns}.").format(columns=", ".join(self.columns))

    def parse_row(self, row: _Cells) -> None:
        """Add what ``row`` holds to the columns; raise ``DataError`` or ``ValueError`` for an invalid row."""
        self.check_width(row, len(COLUMNS))
        key, name, kind, class_name, score, *rest = row
        if kind in (TRUTH_ROW, DETECTION_ROW) and not self._images:
            raise self.make_error(_("there is an object before the first image"))
        if kind == CLASS_ROW:
            self._parse_class(class_name)
        elif kind == IMAGE_ROW:
            self._add_image(key, name, rest[4])
        elif kind == TRUTH_ROW:
            self._truth[-1].append((self._class_names.index(class_name), _parse_box(rest), _parse_flags(rest[4])))
        elif kind == DETECTION_ROW:
            self._detections[-1].append(
                (self._class_names.index(class_name), _parse_box(rest), self._parse_score(score))
            )
        else:
            raise self.make_error(_("'{kind}' is not a row type").format(kind=kind))

    def _add_image(self, key: str, name: str, group: str) -> None:
        """Add an image; raise ``DataError`` where only some images have a group."""
        self._images.append((key, name))
        self._truth.append([])
        self._detections.append([])
        if group:
            self._groups.append(self.parse_group(group))
        if len(self._groups) not in (0, len(self._images)):
            raise self.make_error(_("only some images have the number of a group"))

    def _parse_class(self, name: str) -> None:
        """Add a class; raise ``DataError`` for one that is there already."""
        if name in self._class_names:
            raise self.make_error(_("the class '{name}' appears twice").format(name=name))
        self._class_names.append(name)

    def _parse_score(self, cell: str) -> float:
        """Return the score; raise ``ValueError`` unless it is in 0..1 and not above the score before it."""
        score, previous = float(cell), self._detections[-1][-1][2] if self._detections[-1] else 1.0
        if not 0 <= score <= 1:
            raise ValueError(_("the score {score} is not between 0 and 1").format(score=cell))
        if score > previous:
            raise ValueError(_("the detections are not sorted by score"))
        return score


def _parse_box(cells: _Cells) -> list[float]:
    """Return left, top, right, bottom; raise ``ValueError`` when one is not a finite number."""
    sides = [float(cell) for cell in cells[:4]]
    if not np.isfinite(sides).all():
        raise ValueError(_("a box coordinate is not a number"))
    return sides


def _parse_flags(cell: str) -> int:
    """Return the flags of a true object; raise ``ValueError`` when they do not fit into eight bits."""
    flags = int(cell)
    if not 0 <= flags <= _MAX_FLAGS:
        raise ValueError(_("the flags {flags} are not between 0 and {most}").format(flags=flags, most=_MAX_FLAGS))
    return flags


def _make_detections(rows: list[tuple[int, list[float], float]]) -> Detections:
    """Return the detections of one image from rows of (class id, box, score)."""
    return Detections(
        np.array([box for _id, box, _score in rows], np.float64).reshape(-1, 4),
        np.array([class_id for class_id, _box, _score in rows], np.int32),
        np.array([score for _id, _box, score in rows], np.float32),
    )


def _make_objects(images: list[list[tuple[int, list[float], int]]]) -> ObjectTable:
    """Return the objects of all images from rows of (class id, box, flags); they have no polygons or masks."""
    rows = [row for image in images for row in image]
    return ObjectTable.from_boxes(
        np.cumsum([0, *map(len, images)]).astype(np.int64),
        np.array([class_id for class_id, _box, _flags in rows], np.int32),
        np.array([box for _id, box, _flags in rows], np.float64).reshape(-1, 4),
        np.array([flags for _id, _box, flags in rows], np.uint8),
    )
