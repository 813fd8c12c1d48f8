"""The detections with masks on a set of images with the true objects, and the CSV file in which they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.annotations import ObjectTable, StringColumn
from lince.errors import DataError
from lince.evaluation.detection import predictions as detection_predictions
from lince.evaluation.detection.matcher import MatchInput, build_match_input
from lince.evaluation.detection.metrics import compute_matched_metrics
from lince.evaluation.detection.predictions import (
    DETECTION_ROW,
    IMAGE_ROW,
    TRUTH_ROW,
    DetectionPredictions,
    DetectionReader,
)
from lince.evaluation.instances.metrics import InstanceMetrics, ignore_boxes_without_mask, join_metrics
from lince.evaluation.predictions_file import select_rows

MASK_COLUMN = "mask"


@dataclass(frozen=True, eq=False)
class InstancePredictions(DetectionPredictions):
    """The detections with masks on N images, and their true objects, with masks where they have an outline.

    ``sizes`` int64 (N, 2) are the (height, width) of the images in pixels.
    """

    columns: ClassVar[tuple[str, ...]] = (*detection_predictions.COLUMNS, MASK_COLUMN)
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sizes.shape != (len(self.keys), 2):
            raise ValueError(f"{len(self.keys)} images have the sizes {self.sizes.shape}")

    def compute_metrics(self, seed: int = 0, thresholds: Sequence[float] | None = None) -> InstanceMetrics:
        """Return the metrics; the arguments are those of ``DetectionPredictions.compute_metrics``."""
        by_mask = compute_matched_metrics(self.build_match_input(), self.classes, seed, thresholds, self.groups)
        boxes = super().compute_metrics(seed, by_mask.thresholds)
        return join_metrics(by_mask, boxes, int((~self.truth.has_mask).sum()))

    def build_match_input(self) -> MatchInput:
        """Return objects and detections with their pairs, by the overlap of masks."""
        return build_match_input(ignore_boxes_without_mask(self.truth, self.sizes), self.detections, by_mask=True)

    def select(self, images: Sequence[int] | NDArray[Any]) -> InstancePredictions:
        """Return the predictions of ``images``, in that order."""
        return select_rows(self, images, ("truth", "detections", "sizes"))

    @classmethod
    def load(cls, path: Path) -> InstancePredictions:
        """Return the predictions in ``path``; raise ``DataError`` with the line when it is not such a file."""
        return _Reader(Path(path)).read()

    def _iter_rows(self) -> Iterator[list[str]]:
        """Yield the rows of the CSV file, with the mask of an object and the size of an image in the last column."""
        rows = super()._iter_rows()
        yield [*next(rows), MASK_COLUMN]
        for row, cell in zip(rows, self._iter_mask_cells(), strict=True):
            yield [*row, cell]

    def _iter_mask_cells(self) -> Iterator[str]:
        """Yield the last cell of each row after the header."""
        yield from [""] * len(self.classes)
        for image, (height, width) in enumerate(self.sizes.tolist()):
            yield f"{width}x{height}"
            yield from self.truth.masks.take(self.truth.slice_of_image(image))
            yield from self.detections[image].masks


class _Reader(DetectionReader):
    """Reads the predictions of a detector with a last column more."""

    columns = InstancePredictions.columns

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._sizes: list[tuple[int, int]] = []
        self._truth_masks: list[str] = []
        self._masks: list[list[str]] = []

    def read(self) -> InstancePredictions:
        """Return the predictions of the file."""
        found = super().read()
        detections = tuple(
            replace(item, masks=StringColumn.from_strings(texts))
            for item, texts in zip(found.detections, self._masks, strict=True)
        )
        truth: ObjectTable = replace(found.truth, masks=StringColumn.from_strings(self._truth_masks))
        sizes = np.array(self._sizes, np.int64).reshape(-1, 2)
        return InstancePredictions(found.keys, found.names, truth, detections, found.classes, found.groups, sizes=sizes)

    def parse_row(self, row: list[str]) -> None:
        """Add what ``row`` holds; raise ``DataError`` or ``ValueError`` for an invalid one."""
        self.check_width(row, len(self.columns))
        super().parse_row(row[:-1])
        kind, cell = row[2], row[-1]
        if kind == IMAGE_ROW:
            width, _cross, height = cell.partition("x")
            self._sizes.append((int(height), int(width)))
            self._masks.append([])
        elif kind in {TRUTH_ROW, DETECTION_ROW}:
            (self._truth_masks if kind == TRUTH_ROW else self._masks[-1]).append(self._check_mask(cell))

    def _check_mask(self, text: str) -> str:
        """Return the run lengths ``text``, which may be empty; raise ``DataError`` where they do not fit the image."""
        try:
            if text:
                rle.require_valid_counts(rle.string_to_counts(text), *self._sizes[-1])
        except DataError as error:
            raise self.make_error(error.problem) from error
        return text
