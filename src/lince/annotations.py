"""Data structures for labels and predictions: classes, image labels, objects, detections, rejected items.

All are frozen dataclasses whose array shapes are checked at construction. The same classes hold ground truth and
predictions, so that evaluation, drawing and export need no conversion. Boxes use the conventions of ``geometry``.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.errors import DataError
from lince.i18n import _
from lince.validation import require_choice

UNLABELLED = -1
DIFFICULT, TRUNCATED, CROWD, OCCLUDED, GROUP = 1, 2, 4, 8, 16  # bits of ``ObjectTable.flags``
REJECTION_KINDS = (
    "unusable",  # an image that cannot be read, or any reason not listed below
    "outside",  # a box that extends beyond the image
    "inverted",  # a box with right < left or bottom < top
    "empty",  # a box or polygon without area
    "number",  # a coordinate that is not a finite number
    "class",  # an undeclared class
    "row",  # a row that cannot be parsed
    "no-image",  # a label whose image file is missing
    "no-label",  # an image without an entry in any label file
    "no-class",  # a row that names an image and no class
    "several-classes",  # an image with several classes where one is expected
    "split",  # a row of an unknown split
    "lost",  # an image whose labels were all refused, so that nothing is known of it
    "other-file",  # a file in a folder to predict that is no image by its name, such as a licence
    "unsupported",  # an image in a format that is not read, such as HEIC
    "reduced",  # labels that are used without a part of them, such as key points beside a box
    "overlap",  # images that are declared for two splits, and used in one
    "other-labels",  # a file of labels of another kind, such as captions
    "unread-labels",  # a file of labels that the chosen format does not read, such as a table beside class folders
    "own-output",  # what lince itself wrote among the photos, such as a run, which is not read as data
    "assumed",  # what a label file leaves open, and what it was taken for, such as another spelling of a photo's name
    "unlabelled",  # an image without a label that the task can learn from
    "double",  # a duplicate of another object
)
# No image and no object is lost by these.
NOTICE_KINDS = frozenset({"reduced", "overlap", "other-labels", "unread-labels", "own-output", "assumed"})
Colour = tuple[int, int, int]
# Okabe and Ito's (2008) palette for colour-blind readers, without black, and with a darker yellow.
_PALETTE: tuple[Colour, ...] = (
    (230, 120, 0), (0, 114, 178), (0, 148, 105), (204, 90, 150), (86, 180, 233), (170, 60, 0), (120, 100, 200),
    (150, 140, 20),
)  # fmt: skip
_CHUNK_SIZE = 4096  # strings whose bounds become Python integers at a time


@dataclass(frozen=True)
class StringColumn:
    """A column of strings in one UTF-8 ``blob``; the string at ``i`` is ``blob[starts[i]:ends[i]]``.

    ``starts`` and ``ends`` are int64 (N,). It needs a tenth of the memory of a list of strings, and ``take`` selects
    rows without copying the bytes.
    """

    blob: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def from_strings(cls, texts: Iterable[str]) -> StringColumn:
        """Return the column of ``texts``, any iterable of strings; it is read once."""
        blob = bytearray()
        offsets = array("q", [0])
        for text in texts:
            blob += text.encode("utf-8")
            offsets.append(len(blob))
        bounds = np.frombuffer(offsets, np.int64)
        return cls(bytes(blob), bounds[:-1], bounds[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> str:
        return self.blob[self.starts[index] : self.ends[index]].decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _CHUNK_SIZE):
            chunk = np.s_[first : first + _CHUNK_SIZE]
            for start, end in zip(self.starts[chunk].tolist(), self.ends[chunk].tolist(), strict=True):
                yield self.blob[start:end].decode("utf-8")

    @property
    def is_filled(self) -> NDArray[np.bool_]:
        """Which strings are not empty, bool (N,)."""
        return np.asarray(self.ends > self.starts)

    def take(self, indices: NDArray[Any] | slice) -> StringColumn:
        """Return the strings at ``indices`` (integers, a mask or a slice); the bytes are shared, not copied."""
        return StringColumn(self.blob, self.starts[indices], self.ends[indices])


NO_STRINGS = StringColumn.from_strings(())  # in place of a column that is not given


def get_class_colour(class_id: int) -> Colour:
    """Return the (red, green, blue) in 0..255 in which the class is drawn everywhere; eight colours repeat."""
    return _PALETTE[class_id % len(_PALETTE)]


@dataclass(frozen=True)
class Classes:
    """The class names of a dataset or model, in the order of their ids 0..C-1.

    Names are unique: a duplicate raises ``DataError``. The order never changes within a dataset, a training run or a
    model, because labels and network outputs refer to it.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        duplicates = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if duplicates:
            raise DataError(
                _("Duplicate class names: {names}.").format(names=", ".join(duplicates)),
                _("Expected a unique name for every class."),
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def colours(self) -> tuple[str, ...]:
        """The colour of each class as ``#rrggbb``, as ``get_class_colour`` gives it."""
        return tuple("#{:02x}{:02x}{:02x}".format(*get_class_colour(class_id)) for class_id in range(len(self.names)))

    def index(self, name: str) -> int:
        """Return the id of the class ``name``; raise ``UsageError`` that lists the names if there is none."""
        return self.names.index(require_choice("class", name, self.names))


@dataclass(frozen=True)
class Label:
    """The class of one image, as annotated or as predicted.

    ``class_id`` indexes ``Classes.names``. ``probabilities`` are float (C,) in 0..1 for a prediction, ``None`` for an
    annotation; ``class_id`` need not be the most probable class.
    """

    class_id: int
    probabilities: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if self.probabilities is not None and self.probabilities.ndim != 1:
            raise ValueError(f"probabilities must be (C,), not {self.probabilities.shape}")

    @classmethod
    def from_probabilities(cls, probabilities: NDArray[Any]) -> Label:
        """Return a prediction of the most probable class of ``probabilities`` (C,); of equals the first."""
        return cls(int(np.argmax(probabilities)), probabilities)

    @property
    def score(self) -> float:
        """The probability of ``class_id``, in 0..1; 1 for an annotation."""
        return 1.0 if self.probabilities is None else float(self.probabilities[self.class_id])

    def top_k(self, count: int) -> list[tuple[int, float]]:
        """Return the ``count`` most probable classes as (class id, probability), best first; fewer where C is less.

        An annotation has one: its class, with probability 1.
        """
        if self.probabilities is None:
            return [(self.class_id, 1.0)]
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(i), float(self.probabilities[i])) for i in order]


@dataclass(frozen=True)
class ObjectTable:
    """The annotated objects of N images as flat columns of M rows; the rows of one image are consecutive.

    An object has a box, and may have a polygon (outer ring and holes, or several parts) or a mask. Polygons are nested
    offsets: the rings of object ``i`` are the rows ``ring_starts[i]`` to ``ring_starts[i + 1]`` of ``point_starts``,
    the vertices of ring ``r`` the rows ``point_starts[r]`` to ``point_starts[r + 1]`` of ``points``. Construction
    checks that the columns have one length and that the last offset of each level is the length of the next;
    ``ValueError`` if not.

    Attributes:
        starts: int64 (N + 1,), first object of each image; the last is M.
        class_ids: int32 (M,).
        boxes: float64 (M, 4), left, top, right, bottom in pixels of the upright image (see ``geometry``).
        flags: uint8 (M,), bitwise or of DIFFICULT, TRUNCATED, CROWD, OCCLUDED and GROUP.
        ring_starts: int64 (M + 1,), first ring of each object.
        point_starts: int64 (R + 1,), first vertex of each ring.
        points: float64 (P, 2), x and y in pixels.
        masks: (M,), masks as compressed RLE (see ``rle``); empty strings for objects without one.
    """

    starts: NDArray[np.int64]
    class_ids: NDArray[np.int32]
    boxes: NDArray[np.float64]
    flags: NDArray[np.uint8]
    ring_starts: NDArray[np.int64]
    point_starts: NDArray[np.int64]
    points: NDArray[np.float64]
    masks: StringColumn

    def __post_init__(self) -> None:
        count = len(self.class_ids)
        shapes = (self.boxes.shape, self.flags.shape, self.ring_starts.shape, len(self.masks))
        if shapes != ((count, 4), (count,), (count + 1,), count):
            raise ValueError(f"the columns of {count} objects have the shapes {shapes}")
        ends = (self.starts[-1], self.ring_starts[-1], self.point_starts[-1])
        if ends != (count, len(self.point_starts) - 1, len(self.points)):
            raise ValueError(f"the columns of {count} objects end at {ends}")

    def __len__(self) -> int:
        return len(self.class_ids)

    @classmethod
    def empty(cls, image_count: int) -> ObjectTable:
        """Return the table of ``image_count`` images without objects."""
        return cls.from_boxes(np.zeros(image_count + 1, np.int64), np.empty(0, np.int32), np.empty((0, 4)))

    @classmethod
    def from_boxes(
        cls,
        starts: NDArray[np.int64],
        class_ids: NDArray[np.int32],
        boxes: NDArray[np.float64],
        flags: NDArray[np.uint8] | None = None,
        masks: StringColumn | None = None,
    ) -> ObjectTable:
        """Return a table of objects without polygons; by default ``flags`` are 0, and there are no ``masks`` either."""
        count = len(class_ids)
        return cls(
            starts,
            class_ids,
            boxes,
            np.zeros(count, np.uint8) if flags is None else flags,
            ring_starts=np.zeros(count + 1, np.int64),
            point_starts=np.zeros(1, np.int64),
            points=np.empty((0, 2)),
            masks=StringColumn.from_strings([""] * count) if masks is None else masks,
        )

    @classmethod
    def from_detections(cls, detections: Sequence[Detections]) -> ObjectTable:
        """Return the detections on N images as their objects, with their masks, without the scores."""
        return cls.from_boxes(
            np.cumsum([0, *map(len, detections)]).astype(np.int64),
            np.concatenate([np.empty(0, np.int32), *(item.class_ids for item in detections)]),
            np.concatenate([np.empty((0, 4)), *(item.boxes for item in detections)]),
            masks=StringColumn.from_strings(text for item in detections for text in item.masks),
        )

    @property
    def image_ids(self) -> NDArray[np.int64]:
        """The image index of each object, int64 (M,), ascending."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def has_polygons(self) -> NDArray[np.bool_]:
        """Which objects have a polygon, bool (M,)."""
        return np.asarray(np.diff(self.ring_starts) > 0)

    @property
    def has_mask(self) -> NDArray[np.bool_]:
        """Which objects have a mask, bool (M,)."""
        return self.masks.is_filled

    def slice_of_image(self, image: int) -> slice:
        """Return the slice of the rows that belong to ``image``."""
        return slice(int(self.starts[image]), int(self.starts[image + 1]))

    def get_polygons(self, index: int) -> list[NDArray[np.float64]]:
        """Return the rings of the object ``index`` as arrays (K, 2) of vertices; an empty list without a polygon."""
        bounds = self.point_starts[self.ring_starts[index] : self.ring_starts[index + 1] + 1].tolist()
        return [self.points[start:end] for start, end in pairwise(bounds)]

    def select_images(self, images: NDArray[np.int64]) -> ObjectTable:
        """Return the table of the images at ``images``, in that order; an index may occur more than once."""
        counts = np.diff(self.starts)[images]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return self._take_rows(concatenate_ranges(self.starts[:-1][images], counts), starts)

    def filter(self, keep: NDArray[np.bool_]) -> ObjectTable:
        """Return the objects where ``keep`` (M,) is true; the number of images stays the same."""
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        return self._take_rows(np.flatnonzero(keep), kept_before[self.starts].astype(np.int64))

    def reorder(self, order: NDArray[np.int64]) -> ObjectTable:
        """Return the objects in the order ``order`` (M,), a permutation under which each stays with its own image."""
        return self._take_rows(order, self.starts)

    def _take_rows(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> ObjectTable:
        """Return the objects ``rows`` with their polygons and masks; ``starts`` are the offsets of the new table."""
        ring_counts = np.diff(self.ring_starts)[rows]
        ring_rows = concatenate_ranges(self.ring_starts[:-1][rows], ring_counts)
        point_counts = np.diff(self.point_starts)[ring_rows]
        return ObjectTable(
            starts,
            self.class_ids[rows],
            self.boxes[rows],
            self.flags[rows],
            np.concatenate([[0], np.cumsum(ring_counts)]).astype(np.int64),
            np.concatenate([[0], np.cumsum(point_counts)]).astype(np.int64),
            self.points[concatenate_ranges(self.point_starts[:-1][ring_rows], point_counts)],
            self.masks.take(rows),
        )


def concatenate_ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ranges ``starts[i]`` to ``starts[i] + counts[i]`` one after the other, int64 (sum of counts,)."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - counts), counts), np.int64)


@dataclass(frozen=True)
class RejectedItem:
    """An image or label row that was not used, and why.

    ``path`` names the file; for JSON, ``#`` and the JSON pointer to the row follow. ``line`` counts from 1, ``None``
    where lines do not apply. ``reason`` and ``remedy`` (which may be empty) are sentences for the user; ``kind``, one
    of ``REJECTION_KINDS``, is for programs.
    """

    path: str
    reason: str
    remedy: str = ""
    line: int | None = None
    kind: str = "unusable"

    def __str__(self) -> str:
        location = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{location}: {self.reason}" + (f" ({self.remedy})" if self.remedy else "")


@dataclass(frozen=True)
class Detections:
    """The detections of one image, in descending order of score.

    ``boxes`` float64 (K, 4) are left, top, right, bottom in pixels of the upright image (see ``geometry``);
    ``class_ids`` are int32 (K,); ``scores`` are float32 (K,), the confidence in 0..1; ``masks`` are the pixels of each
    object as compressed RLE (see ``rle``), empty strings where the model gives none, which is the default. Raises
    ``ValueError`` when the columns differ in length or the scores increase.
    """

    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int32]
    scores: NDArray[np.float32]
    masks: StringColumn = NO_STRINGS

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.class_ids.shape != (count,) or self.scores.shape != (count,):
            raise ValueError(f"{count} detections have boxes {self.boxes.shape}, classes {self.class_ids.shape}")
        if self.masks is NO_STRINGS:
            object.__setattr__(self, "masks", StringColumn.from_strings([""] * count))
        if len(self.masks) != count:
            raise ValueError(f"{count} detections have {len(self.masks)} masks")
        if (np.diff(self.scores) > 0).any():
            raise ValueError("detections must be in descending order of score")

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def has_mask(self) -> NDArray[np.bool_]:
        """Which detections have a mask, bool (K,)."""
        return self.masks.is_filled

    def select(self, rows: NDArray[Any] | slice) -> Detections:
        """Return the detections at ``rows`` (integers, a mask or a slice), which keep the order of the scores."""
        return Detections(self.boxes[rows], self.class_ids[rows], self.scores[rows], self.masks.take(rows))
