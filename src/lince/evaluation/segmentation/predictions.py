"""The predictions of a segmentation model on a set of images, and the CSV file in which they are kept for comparisons.

The file has no pictures, but what the metrics need of them. The column ``background``, and one for each class, tell how
the pixels that truly are of it were predicted: ``0:510 2:33`` are 510 pixels of the background and 33 of the second
class. ``pixels`` is their sum, without those that are void. The column ``contour`` has for each class, by its number,
the pixels that the bands along the true and the predicted contour have in common, and those of any: ``2:11/40``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import Classes
from lince.class_maps import BACKGROUND, MAX_CLASSES
from lince.evaluation.predictions_file import (
    ImageRowsReader,
    iter_image_rows,
    reorder_columns,
    select_rows,
    write_rows,
)
from lince.evaluation.segmentation.metrics import (
    BACKGROUND_NAME,
    SegmentationMetrics,
    compute_segmentation_metrics,
)
from lince.evaluation.segmentation.packed_map import PackedMap
from lince.evaluation.segmentation.pixel_counts import PixelCounts
from lince.i18n import _

FIRST_COLUMNS = ("key", "name", "width", "height", "pixels", "contour")
_PIXEL_PREFIX = "p:"
_PIXELS = re.compile(r"([0-9]{1,3}):([0-9]{1,12})", re.ASCII)
_CONTOUR = re.compile(r"([0-9]{1,3}):([0-9]{1,12})/([0-9]{1,12})", re.ASCII)


@dataclass(frozen=True, eq=False)
class SegmentationPredictions:
    """The predictions for N images. Construction raises ``ValueError`` when the columns do not fit each other.

    Attributes:
        keys: content digest of each image.
        names: file name of each image.
        counts: of each image, its pixels by true and predicted class.
        classes: the C classes.
        groups: int64 (N,), the same number for images of one scene, such as altered copies; ``None`` where each
            stands for itself.
        maps: of each image, the predicted class map, reduced, for pictures; ``None`` where nobody needs them. They
            are not in the file.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    counts: tuple[PixelCounts, ...]
    classes: Classes
    groups: NDArray[np.int64] | None = None
    maps: tuple[PackedMap, ...] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.keys), len(self.names), len(self.counts)}
        lengths |= {len(column) for column in (self.groups, self.maps) if column is not None}
        if len(lengths) != 1:
            raise ValueError(f"columns of {sorted(lengths)} images do not fit")
        if any(len(item.cells) and item.cells[:, :2].max() > len(self.classes) for item in self.counts):
            raise ValueError(f"counts of more than {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self.keys)

    def compute_metrics(self, seed: int = 0) -> SegmentationMetrics:
        """Return the metrics; ``seed`` is for the bootstrap, which draws groups of images together.

        Raises ``DataError`` when no image shows a class.
        """
        return compute_segmentation_metrics(self.counts, self.classes, seed, self.groups)

    def select(self, rows: Sequence[int] | NDArray[Any]) -> SegmentationPredictions:
        """Return the predictions at ``rows``, in that order."""
        return select_rows(self, rows, ("counts", "maps"))

    def reorder_classes(self, classes: Classes) -> SegmentationPredictions:
        """Return the predictions with the class ids of ``classes``, which has the same names in another order.

        They have no maps.
        """
        if classes == self.classes:
            return self
        values = np.concatenate([[BACKGROUND], reorder_columns(classes, self.classes) + 1])
        return replace(self, counts=tuple(item.renumber(values) for item in self.counts), classes=classes, maps=None)

    def save(self, path: Path) -> None:
        """Write the predictions to ``path`` as CSV, atomically; ``load`` restores them exactly."""
        write_rows(path, self._iter_rows())

    @classmethod
    def load(cls, path: Path) -> SegmentationPredictions:
        """Return the predictions in ``path``; raise ``DataError`` with the line when it is not such a file."""
        return _Reader(Path(path)).read()

    @staticmethod
    def is_own_file(path: Path) -> bool:
        """Return whether ``path`` has the header of a segmentation model's predictions; ``False`` where unreadable."""
        return fileio.read_first_line(path).startswith(",".join(FIRST_COLUMNS))

    def _iter_rows(self) -> Iterator[list[str]]:
        """Yield the rows of the CSV file, the header first."""
        columns = [BACKGROUND_NAME, *(_PIXEL_PREFIX + name for name in self.classes.names)]
        yield from iter_image_rows(self, FIRST_COLUMNS, columns, map(self._format_counts, self.counts))

    def _format_counts(self, item: PixelCounts) -> tuple[list[str], list[str]]:
        """Return the cells of an image."""
        contours = " ".join(f"{value}:{shared}/{joined}" for value, shared, joined in item.contours.tolist())
        pixels: list[list[str]] = [[] for _value in range(len(self.classes) + 1)]
        for truth, predicted, count in item.cells.tolist():
            pixels[truth].append(f"{predicted}:{count}")
        return [str(item.width), str(item.height), str(item.counted), contours], [" ".join(one) for one in pixels]


class _Reader(ImageRowsReader):
    """Reads the predictions of a segmentation model."""

    first_columns = FIRST_COLUMNS

    def read(self) -> SegmentationPredictions:
        """Return the predictions of the file."""
        background, *columns = self.get_class_columns() or [""]
        if background != BACKGROUND_NAME or not 1 <= len(columns) <= MAX_CLASSES:
            raise self.make_header_error()
        if not all(column.startswith(_PIXEL_PREFIX) for column in columns):
            raise self.make_header_error()
        classes = self.make_classes([column.removeprefix(_PIXEL_PREFIX) for column in columns])
        counts = tuple(self._parse_counts(*cells, len(classes)) for cells in self.iter_image_rows())
        return SegmentationPredictions(tuple(self.keys), tuple(self.names), counts, classes, self.groups)

    def _parse_counts(self, cells: list[str], columns: list[str], class_count: int) -> PixelCounts:
        """Return the counts of the image that was read last; raise ``DataError`` where they do not fit."""
        width, height, counted = (self._parse_number(cell) for cell in cells[:3])
        rows = [
            (truth, predicted, count)
            for truth, column in enumerate(columns)
            for predicted, count in self._parse_list(column, _PIXELS, class_count)
        ]
        contours = self._parse_list(cells[3], _CONTOUR, class_count)
        if sum(count for _truth, _predicted, count in rows) != counted or counted > width * height:
            raise self.make_error(_("the pixels do not add up"))
        if any(shared > joined for _value, shared, joined in contours):
            raise self.make_error(_("the pixels do not add up"))
        return PixelCounts(
            height, width, np.array(rows, np.int64).reshape(-1, 3), np.array(contours, np.int64).reshape(-1, 3)
        )

    def _parse_number(self, cell: str) -> int:
        """Return a number of pixels; raise ``DataError`` where it is none."""
        if not (cell.isascii() and cell.isdecimal() and len(cell) < 16):
            raise self.make_error(_("'{cell}' is no number of pixels").format(cell=cell))
        return int(cell)

    def _parse_list(self, cell: str, pattern: re.Pattern[str], class_count: int) -> list[tuple[int, ...]]:
        """Return the entries of ``cell``, their values ascending; raise ``DataError`` where one does not fit."""
        entries = [pattern.fullmatch(entry) for entry in cell.split()]
        numbers = [tuple(map(int, entry.groups())) for entry in entries if entry]
        values = [entry[0] for entry in numbers]
        if None in entries or values != sorted(set(values)) or any(value > class_count for value in values):
            raise self.make_error(_("'{cell}' is no list of pixel counts").format(cell=cell))
        return numbers
