"""Growing a table of marked objects while a format is read: every mark is looked at once, here, for all formats."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes, ObjectTable, RejectedItem, StringColumn
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.splits import UNASSIGNED
from lince.storage.tree import FileTree, LocalFolder

EDGE_TOLERANCE = 1.0  # pixels that a box may leave the image: what rounding and counting from 1 bring about
Ring = NDArray[np.float64]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RawObject:
    """One object as a label file writes it: ``box`` left, top, right, bottom in pixels; ``rings`` (K, 2) or ``mask``.

    Where the file gives no box, ``box`` is that of the outline or mask. ``path`` and ``line`` say where it stands.
    """

    class_id: int
    box: Box
    path: str
    line: int | None = None
    flags: int = 0
    rings: Sequence[Ring] = ()
    mask: str = ""


@dataclass(frozen=True)
class RawObjectBatch:
    """Many marks as columns, for formats that hold thousands in one file.

    ``rows`` int64 (M,) are the marks' images; ``class_ids`` int32 (M,), ``boxes`` float64 (M, 4), ``flags`` uint8 (M,)
    and ``masks`` as in ``Mark``; ``rings`` int64 (M,) counts the rings of each, ``corners`` int64 (R,) the points of
    each ring, ``points`` float64 (P, 2) are all of them.
    """

    rows: NDArray[np.int64]
    class_ids: NDArray[np.int32]
    boxes: NDArray[np.float64]
    flags: NDArray[np.uint8]
    ring_counts: NDArray[np.int64]
    point_counts: NDArray[np.int64]
    points: NDArray[np.float64]
    masks: Sequence[str]


class ObjectTableBuilder:
    """The columns of a table of objects under way: add images, marks on them in any order, then ask for the table."""

    def __init__(self, options: ReadOptions) -> None:
        self._fix = options.fix
        self._names: list[str] = []
        self._splits = array("b")
        self._sizes = array("i")
        self._class_ids = array("i")
        self._rows = array("q")
        self._object_class_ids = array("i")
        self._boxes = array("d")
        self._flags = array("B")
        self._masks: list[str] = []
        self._ring_counts = array("q")
        self._point_counts = array("q")
        self._points: list[Ring] = []
        self._known_objects: set[tuple[int, int, Box]] = set()
        self.rejected: list[RejectedItem] = []
        self.repaired: list[RejectedItem] = []

    def add_image(
        self, name: str, split: int = UNASSIGNED, size: tuple[int, int] = (0, 0), class_id: int = UNLABELLED
    ) -> int:
        """Add the image ``name`` of ``size`` (height, width; zeros when unknown) and return its row."""
        self._names.append(name)
        self._splits.append(split)
        self._sizes.extend(size)
        self._class_ids.append(class_id)
        return len(self._names) - 1

    def reject(self, path: str, reason: str, remedy: str = "", line: int | None = None, kind: str = "row") -> None:
        """Set aside what cannot be used."""
        self.rejected.append(RejectedItem(path, reason, remedy, line, kind))

    def add(self, row: int, mark: RawObject) -> bool:
        """Add ``mark`` to the image ``row``, repaired where asked for; return whether it is used."""
        height, width = self._sizes[2 * row], self._sizes[2 * row + 1]
        box = self._order_sides(mark)
        if not isinstance(box, RejectedItem):
            box = self._fit_to_image(mark, box, height, width)
        if isinstance(box, RejectedItem):
            self.rejected.append(box)
            return False
        if self._is_duplicate(row, mark, box):
            return False
        self._rows.append(row)
        self._object_class_ids.append(mark.class_id)
        self._boxes.extend(box)
        self._flags.append(mark.flags)
        self._masks.append(mark.mask)
        self._ring_counts.append(len(mark.rings))
        self._point_counts.extend(map(len, mark.rings))
        self._points.extend(mark.rings)
        return True

    def extend(self, block: RawObjectBatch) -> bool:
        """Add all marks of ``block`` when ``add`` would take each as it is; else none, and return ``False``."""
        if "duplicates" in self._fix or not self._all_valid(block.rows, block.boxes):
            return False
        columns = (
            (self._rows, block.rows),
            (self._object_class_ids, block.class_ids),
            (self._boxes, block.boxes),
            (self._flags, block.flags),
            (self._ring_counts, block.ring_counts),
            (self._point_counts, block.point_counts),
        )
        for column, added in columns:
            column.frombytes(np.ascontiguousarray(added).tobytes())
        self._masks += block.masks
        self._points.append(block.points)
        return True

    def build_table(self, tree: FileTree, form: str, classes: Sequence[str]) -> Table:
        """Return the table; ``classes`` are the names that the marks' class ids stand for."""
        rows = np.frombuffer(self._rows, np.int64)
        order = np.argsort(rows, kind="stable")
        counts = np.bincount(rows, minlength=len(self._names))
        flat = ObjectTable(
            starts=_cumulative_offsets(counts),
            class_ids=np.frombuffer(self._object_class_ids, np.int32),
            boxes=np.frombuffer(self._boxes, np.float64).reshape(-1, 4),
            flags=np.frombuffer(self._flags, np.uint8),
            rings=_cumulative_offsets(np.frombuffer(self._ring_counts, np.int64)),
            corners=_cumulative_offsets(np.frombuffer(self._point_counts, np.int64)),
            points=np.concatenate(self._points) if self._points else np.empty((0, 2)),
            masks=StringColumn.from_strings(self._masks),
        )
        objects = flat if (np.diff(order) == 1).all() else flat.reorder(order)
        return Table(
            root=tree.root,
            format=form,
            names=StringColumn.from_strings(self._names),
            classes=Classes(tuple(classes)),
            class_ids=np.frombuffer(self._class_ids, np.int32),
            splits=np.frombuffer(self._splits, np.int8),
            rejected=tuple(self.rejected),
            objects=objects,
            sizes=np.frombuffer(self._sizes, np.int32).reshape(-1, 2),
            repaired=tuple(self.repaired),
            tree=None if isinstance(tree, LocalFolder) else tree,
        )

    def _all_valid(self, rows: NDArray[np.int64], boxes: NDArray[np.float64]) -> bool:
        height, width = np.frombuffer(self._sizes, np.int32).reshape(-1, 2)[rows].T.astype(np.float64)
        left, top, right, bottom = boxes.T
        with np.errstate(invalid="ignore"):
            excess = np.max([-left, -top, right - width, bottom - height], axis=0, initial=-np.inf)
            inside = (excess <= EDGE_TOLERANCE) | (height == 0) | (width == 0)
            return bool((np.isfinite(boxes).all(axis=1) & (left < right) & (top < bottom) & inside).all())

    def _order_sides(self, mark: RawObject) -> Box | RejectedItem:
        left, top, right, bottom = mark.box
        if not all(map(isfinite, mark.box)):
            return _make_rejection(mark, _("a coordinate that is no number"), _("correct or remove it"), "number")
        if right < left or bottom < top:
            said = _("box {box}: its sides stand the wrong way round").format(box=_format_box(mark.box))
            if "order" not in self._fix:
                return _make_rejection(mark, said, _("correct it, or exchange them with --fix order"), "inverted")
            left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
            self._record_repair(mark, said, _("exchanged"), "inverted")
        if right == left or bottom == top:
            said = _("box {box} has no area").format(box=_format_box(mark.box))
            return _make_rejection(mark, said, _("correct or remove it"), "empty")
        return left, top, right, bottom

    def _fit_to_image(self, mark: RawObject, box: Box, height: int, width: int) -> Box | RejectedItem:
        if not (height and width):
            return box
        left, top, right, bottom = box
        excess = max(-left, -top, right - width, bottom - height)
        if excess <= EDGE_TOLERANCE:
            return box
        said = _("box {box} outside the image ({width} x {height}) by {excess:.3g} px").format(
            box=_format_box(box), width=width, height=height, excess=excess
        )
        clipped = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
        if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
            return _make_rejection(mark, said, _("correct or remove it: nothing of it is in the image"), "outside")
        if "clip" not in self._fix:
            return _make_rejection(mark, said, _("correct it, or cut it at the edge with --fix clip"), "outside")
        self._record_repair(mark, said, _("clipped"), "outside")
        return clipped

    def _is_duplicate(self, row: int, mark: RawObject, box: Box) -> bool:
        if "duplicates" not in self._fix:
            return False
        key = (row, mark.class_id, box)
        if key in self._known_objects:
            self._record_repair(
                mark, _("box {box} stands twice").format(box=_format_box(box)), _("used once"), "double"
            )
            return True
        self._known_objects.add(key)
        return False

    def _record_repair(self, mark: RawObject, reason: str, done: str, fault: str) -> None:
        self.repaired.append(RejectedItem(mark.path, reason, done, mark.line, fault))


def compute_bounding_box(rings: Sequence[Ring]) -> Box:
    """Return the smallest box around all points of ``rings``, each (K, 2) and not empty."""
    points = np.concatenate(rings)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return left, top, right, bottom


def _make_rejection(mark: RawObject, reason: str, remedy: str, fault: str) -> RejectedItem:
    return RejectedItem(mark.path, reason, remedy, mark.line, fault)


def _cumulative_offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _format_box(box: Box) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
