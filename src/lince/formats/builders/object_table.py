"""Builds a table of objects while a format is read, and checks every object in the same way for all formats.

Coordinates are continuous pixels of the upright image: x to the right, y down, (0, 0) at the outer corner of the first
pixel.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes, ObjectTable, RejectedItem, StringColumn
from lince.formats.builders.label_set_builder import LabelSetBuilder, choose_class_id
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.splits import UNASSIGNED, parse_split_name
from lince.storage.scan import IMAGE_SUFFIXES
from lince.storage.tree import FileTree, LocalFolder

EDGE_TOLERANCE = 1.0  # pixels that a box may leave the image: rounding, or coordinates counted from 1
Ring = NDArray[np.float64]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RawObject:
    """One object as a label file gives it.

    ``box`` is (left, top, right, bottom) in pixels; where the file gives none, that of the outline or mask. ``rings``
    are the polygons of the outline, each float64 (K, 2) of x and y; ``mask`` is a COCO run-length text. At most one of
    both is given. ``flags`` is a sum of the object flags of ``lince.annotations``. ``path`` and ``line`` (from 1) say
    where in which file it is, for messages.
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
    """Many objects as columns, for formats that hold thousands in one file.

    ``rows`` int64 (M,) are the objects' images; ``class_ids`` int32 (M,), ``boxes`` float64 (M, 4), ``flags`` uint8
    (M,) and ``masks`` are as in ``RawObject``. ``ring_counts`` int64 (M,) is the number of rings of each object,
    ``point_counts`` int64 (R,) the number of points of each ring, ``points`` float64 (P, 2) all points in that order.
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
    """Columns of a table of objects that grows: add images, add objects to them in any order, then build the table.

    Objects that cannot be used go to ``rejected``, with the reason and a remedy. The repairs in ``options.fix`` are
    made where possible, and each is recorded in ``repaired``.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._fix = options.fix
        self._names: list[str] = []
        self._splits = array("b")
        self._sizes = array("i")
        self._class_ids = array("i")
        self._sets = LabelSetBuilder()
        self._void_masks: dict[int, str] | None = None
        self._rows = array("q")
        self._object_class_ids = array("i")
        self._boxes = array("d")
        self._flags = array("B")
        self._masks: list[str] = []
        self._ring_counts = array("q")
        self._point_counts = array("q")
        self._points: list[Ring] = []
        self._known_objects: set[tuple[int, int, Box]] = set()
        self._refused_counts: Counter[int] = Counter()  # labels by row
        self.rejected: list[RejectedItem] = []
        self.repaired: list[RejectedItem] = []

    def add_image(
        self,
        name: str,
        split: int = UNASSIGNED,
        size: tuple[int, int] = (0, 0),
        class_ids: Sequence[int] | None = None,
    ) -> int:
        """Add the image ``name`` and return its row.

        ``size`` is (height, width) in pixels of the upright image, zeros when unknown; boxes on an image of unknown
        size are not compared with its edges. ``class_ids`` are those of the image as a whole, ``None`` where
        nothing is known of them.
        """
        if class_ids is not None and len(set(class_ids)) != 1:
            self._sets.add(len(self._names), class_ids)
        self._class_ids.append(choose_class_id(class_ids or ()))
        self._names.append(name)
        self._splits.append(split)
        self._sizes.extend(size)
        return len(self._names) - 1

    def reject(
        self,
        path: str,
        reason: str,
        remedy: str = "",
        line: int | None = None,
        kind: str = "row",
        *,
        row: int | None = None,
    ) -> None:
        """Record what cannot be used: at ``line`` of the file ``path`` (or the whole file), for ``reason``.

        ``kind`` is one of ``lince.annotations.REJECTION_KINDS``. ``row`` is the image that loses an object by it.
        """
        self.rejected.append(RejectedItem(path, reason, remedy, line, kind))
        if row is not None:
            self._refused_counts[row] += 1

    def count_refused(self, row: int, count: int) -> None:
        """Count ``count`` objects of the image at ``row`` that were rejected before the image was added."""
        self._refused_counts[row] += count

    def add(self, row: int, raw_object: RawObject) -> bool:
        """Add an object to the image in ``row``, repaired where ``options.fix`` says so; return whether it is used.

        Rejected are coordinates that are not finite, inverted or empty boxes, and boxes that leave the image by more
        than ``EDGE_TOLERANCE``; these are not cut otherwise.
        """
        height, width = self._sizes[2 * row], self._sizes[2 * row + 1]
        box = self._order_sides(raw_object)
        if not isinstance(box, RejectedItem):
            box = self._fit_to_image(raw_object, box, height, width)
        if isinstance(box, RejectedItem):
            self.rejected.append(box)
            self._refused_counts[row] += 1
            return False
        if self._is_duplicate(row, raw_object, box):
            return False
        self._rows.append(row)
        self._object_class_ids.append(raw_object.class_id)
        self._boxes.extend(box)
        self._flags.append(raw_object.flags)
        self._masks.append(raw_object.mask)
        self._ring_counts.append(len(raw_object.rings))
        self._point_counts.extend(map(len, raw_object.rings))
        self._points.extend(raw_object.rings)
        return True

    def set_void(self, row: int, counts: str) -> None:
        """Record the pixels, as compressed RLE, of which a mask image says nothing; empty where it says of all."""
        self._void_masks = {} if self._void_masks is None else self._void_masks
        self._void_masks[row] = counts

    def extend(self, batch: RawObjectBatch) -> bool:
        """Add all objects of ``batch`` and return ``True``, if ``add`` would use each of them unchanged; else add none.

        With the repair ``duplicates`` nothing is added, because every object must be compared.
        """
        if "duplicates" in self._fix or not self._all_valid(batch.rows, batch.boxes):
            return False
        columns = (
            (self._rows, batch.rows),
            (self._object_class_ids, batch.class_ids),
            (self._boxes, batch.boxes),
            (self._flags, batch.flags),
            (self._ring_counts, batch.ring_counts),
            (self._point_counts, batch.point_counts),
        )
        for column, values in columns:
            column.frombytes(np.ascontiguousarray(values).tobytes())
        self._masks += batch.masks
        self._points.append(batch.points)
        return True

    def build_table(self, tree: FileTree, format_name: str, classes: Sequence[str]) -> LabelTable:
        """Return the table of all images and objects.

        ``format_name`` becomes ``LabelTable.format``; ``classes`` are the names that the objects' class ids index. The
        objects of an image are neighbours in the table, in the order in which they were added. An image whose objects
        were all refused is left out: it does show something.
        """
        rows = np.frombuffer(self._rows, np.int64)
        order = np.argsort(rows, kind="stable")
        counts = np.bincount(rows, minlength=len(self._names))
        unsorted = ObjectTable(
            starts=_cumulative_offsets(counts),
            class_ids=np.frombuffer(self._object_class_ids, np.int32),
            boxes=np.frombuffer(self._boxes, np.float64).reshape(-1, 4),
            flags=np.frombuffer(self._flags, np.uint8),
            ring_starts=_cumulative_offsets(np.frombuffer(self._ring_counts, np.int64)),
            point_starts=_cumulative_offsets(np.frombuffer(self._point_counts, np.int64)),
            points=np.concatenate(self._points) if self._points else np.empty((0, 2)),
            masks=StringColumn.from_strings(self._masks),
        )
        objects = unsorted if (np.diff(order) == 1).all() else unsorted.reorder(order)
        kept = self._keep_known_images(counts)
        class_ids = np.frombuffer(self._class_ids, np.int32)
        return LabelTable(
            root=tree.root,
            format=format_name,
            names=StringColumn.from_strings(self._names).take(kept),
            classes=Classes(tuple(classes)),
            class_ids=class_ids[kept],
            splits=np.frombuffer(self._splits, np.int8)[kept],
            rejected=tuple(self._pass_over_other_folders()),
            objects=objects if len(kept) == len(self._names) else objects.select_images(kept),
            sizes=np.frombuffer(self._sizes, np.int32).reshape(-1, 2)[kept],
            repaired=tuple(self.repaired),
            tree=None if isinstance(tree, LocalFolder) else tree,
            label_sets=self._sets.build(class_ids, kept),
            void_masks=self._list_void_masks(kept),
        )

    def _list_void_masks(self, kept: NDArray[np.int64]) -> StringColumn | None:
        """Return the pixels without a label of the images ``kept``; ``None`` where the labels are no mask images."""
        void_masks = self._void_masks
        if void_masks is None:
            return None
        return StringColumn.from_strings(void_masks.get(row, "") for row in kept.tolist())

    def _pass_over_other_folders(self) -> Iterator[RejectedItem]:
        """Yield what was rejected; photos without labels are ``unlabelled`` in a folder that holds none with labels.

        Only the first folder of a path counts, and not that of a split: its labels are missing.
        """
        labelled = {name.partition("/")[0] for name in self._names}
        for item in self.rejected:
            folder, slash, _name = item.path.partition("/")
            is_image = item.kind == "no-label" and item.path.lower().endswith(IMAGE_SUFFIXES)
            is_elsewhere = slash and labelled and folder not in labelled and parse_split_name(folder) is None
            yield replace(item, kind="unlabelled") if is_image and is_elsewhere else item

    def _keep_known_images(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of the images that have objects, or lost none; reject the others.

        ``counts`` int64 (N,) are the objects of each image.
        """
        is_lost = np.zeros(len(self._names), bool)
        for row, refused_count in sorted(self._refused_counts.items()):
            is_labelled = self._class_ids[row] != UNLABELLED or row in self._sets
            if refused_count and not counts[row] and not is_labelled:
                is_lost[row] = True
                self.rejected.append(reject_lost_image(self._names[row], refused_count))
        return np.flatnonzero(~is_lost)

    def _all_valid(self, rows: NDArray[np.int64], boxes: NDArray[np.float64]) -> bool:
        """Whether all boxes (M, 4) on the images ``rows`` pass the checks of ``add``."""
        height, width = np.frombuffer(self._sizes, np.int32).reshape(-1, 2)[rows].T.astype(np.float64)
        left, top, right, bottom = boxes.T
        with np.errstate(invalid="ignore"):
            excess = np.max([-left, -top, right - width, bottom - height], axis=0, initial=-np.inf)
            is_inside = (excess <= EDGE_TOLERANCE) | (height == 0) | (width == 0)
            return bool((np.isfinite(boxes).all(axis=1) & (left < right) & (top < bottom) & is_inside).all())

    def _order_sides(self, raw_object: RawObject) -> Box | RejectedItem:
        """Return the box with ordered sides and some area, or its rejection."""
        left, top, right, bottom = raw_object.box
        if not all(map(isfinite, raw_object.box)):
            return _make_rejection(raw_object, _("a coordinate is not a number"), _("correct or remove it"), "number")
        if right < left or bottom < top:
            problem = _("box {box} has swapped corners").format(box=_format_box(raw_object.box))
            if "order" not in self._fix:
                return _make_rejection(raw_object, problem, _("correct it, or swap them with --fix order"), "inverted")
            left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
            self._record_repair(raw_object, problem, _("swapped"), "inverted")
        if right == left or bottom == top:
            problem = _("box {box} has no area").format(box=_format_box(raw_object.box))
            return _make_rejection(raw_object, problem, _("correct or remove it"), "empty")
        return left, top, right, bottom

    def _fit_to_image(self, raw_object: RawObject, box: Box, height: int, width: int) -> Box | RejectedItem:
        """Return the box, clipped where asked for, or the rejection of one outside the image."""
        if not (height and width):
            return box
        left, top, right, bottom = box
        excess = max(-left, -top, right - width, bottom - height)
        if excess <= EDGE_TOLERANCE:
            return box
        problem = _("box {box} outside the image ({width} x {height}) by {excess:.3g} px").format(
            box=_format_box(box), width=width, height=height, excess=excess
        )
        clipped = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
        if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
            return _make_rejection(
                raw_object, problem, _("correct or remove it: nothing of it is in the image"), "outside"
            )
        if "clip" not in self._fix:
            return _make_rejection(
                raw_object, problem, _("correct it, or clip it to the image with --fix clip"), "outside"
            )
        self._record_repair(raw_object, problem, _("clipped"), "outside")
        return clipped

    def _is_duplicate(self, row: int, raw_object: RawObject, box: Box) -> bool:
        """Whether duplicates are dropped and the image has an equal box of that class."""
        if "duplicates" not in self._fix:
            return False
        key = (row, raw_object.class_id, box)
        if key in self._known_objects:
            self._record_repair(
                raw_object, _("box {box} is duplicated").format(box=_format_box(box)), _("used once"), "double"
            )
            return True
        self._known_objects.add(key)
        return False

    def _record_repair(self, raw_object: RawObject, reason: str, repair: str, kind: str) -> None:
        self.repaired.append(RejectedItem(raw_object.path, reason, repair, raw_object.line, kind))


def reject_lost_image(name: str, refused_count: int) -> RejectedItem:
    """Return the rejection of the image ``name``, of whose objects none could be used."""
    reason = _("none of its labels could be used ({count})").format(count=refused_count)
    return RejectedItem(name, reason, _("correct its labels, which are listed too"), kind="lost")


def compute_bounding_box(rings: Sequence[Ring]) -> Box:
    """Return the smallest box around all points of ``rings``, each (K, 2); at least one, none empty."""
    points = np.concatenate(rings)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return left, top, right, bottom


def _make_rejection(raw_object: RawObject, reason: str, remedy: str, kind: str) -> RejectedItem:
    return RejectedItem(raw_object.path, reason, remedy, raw_object.line, kind)


def _cumulative_offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64 (N + 1,) with the running sums of ``counts`` (N,), from 0."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _format_box(box: Box) -> str:
    """Return a box for messages, rounded to six digits."""
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
