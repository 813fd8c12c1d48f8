"""The nouns that every room speaks: frozen, shape-checked, the same for truth and for prediction."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.errors import DataError
from lince.i18n import _
from lince.validation import require_choice

UNLABELLED = -1
DIFFICULT, TRUNCATED, CROWD, OCCLUDED, GROUP = 1, 2, 4, 8, 16  # flags of an object
REJECTION_KINDS = (
    "unusable",  # an image that cannot be read, or anything not named below
    "outside",  # a box that leaves the image
    "inverted",  # a box whose right stands before its left, or bottom before top
    "empty",  # a box without area, an outline without one
    "number",  # a coordinate that is no number
    "class",  # a class that is not declared
    "row",  # a row that cannot be understood
    "no-image",  # a label whose image is not there
    "no-label",  # an image that no label file speaks of
    "double",  # the same object written twice
)
Colour = tuple[int, int, int]
# Told apart by people who see no red or no green too (Okabe and Ito 2008), black and yellow darkened or left out.
_PALETTE: tuple[Colour, ...] = (
    (230, 120, 0), (0, 114, 178), (0, 148, 105), (204, 90, 150), (86, 180, 233), (170, 60, 0), (120, 100, 200),
    (150, 140, 20),
)  # fmt: skip
_CHUNK_SIZE = 4096


@dataclass(frozen=True)
class StringColumn:
    """A column of texts: all their UTF-8 bytes in one blob, with where each starts and ends (int64)."""

    blob: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def from_strings(cls, texts: Iterable[str]) -> StringColumn:
        """Return the column of ``texts``, which may be an iterator of any length."""
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

    def take(self, indices: NDArray[Any] | slice) -> StringColumn:
        """Return the texts at ``indices``, sharing the bytes."""
        return StringColumn(self.blob, self.starts[indices], self.ends[indices])


def get_class_colour(class_id: int) -> Colour:
    """Return red, green and blue of a class, 0 to 255, wherever it is drawn."""
    return _PALETTE[class_id % len(_PALETTE)]


@dataclass(frozen=True)
class Classes:
    """Class names in the order of their ids, which never change within a dataset, a run or a model."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        doubled = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if doubled:
            raise DataError(
                _("Class names stand twice: {names}.").format(names=", ".join(doubled)),
                _("Every class needs a name of its own."),
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def colours(self) -> tuple[str, ...]:
        """The colour of each class wherever it is drawn, as ``#rrggbb``."""
        return tuple("#{:02x}{:02x}{:02x}".format(*get_class_colour(number)) for number in range(len(self.names)))

    def index(self, name: str) -> int:
        """Return the id of the class called ``name``; raise ``UsageError`` with the known names otherwise."""
        return self.names.index(require_choice("class", name, self.names))


@dataclass(frozen=True)
class Label:
    """One class for one image; ``probabilities`` (C,) float in [0, 1] is there on predictions only."""

    class_id: int
    probabilities: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if self.probabilities is not None and self.probabilities.ndim != 1:
            raise ValueError(f"probabilities must be (C,), not {self.probabilities.shape}")

    @classmethod
    def from_probabilities(cls, probabilities: NDArray[Any]) -> Label:
        """Return the label of the most probable class of ``probabilities`` (C,)."""
        return cls(int(np.argmax(probabilities)), probabilities)

    @property
    def score(self) -> float:
        """The probability of the class; 1 for a label that a person gave."""
        return 1.0 if self.probabilities is None else float(self.probabilities[self.class_id])

    def top_k(self, count: int) -> list[tuple[int, float]]:
        """Return the ``count`` most probable (class id, probability), best first."""
        if self.probabilities is None:
            return [(self.class_id, 1.0)]
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(i), float(self.probabilities[i])) for i in order]


@dataclass(frozen=True)
class ObjectTable:
    """What is marked on N images, as flat columns of M objects; those of image ``i`` stand from ``starts[i]`` on.

    ``starts`` int64 (N + 1,); ``class_ids`` int32 (M,); ``boxes`` float64 (M, 4), left, top, right, bottom in pixels
    of the upright image, coordinates as in ``geometry``; ``flags`` uint8 (M,), a sum of DIFFICULT, TRUNCATED, CROWD,
    OCCLUDED and GROUP. An object may have an outline: rings of points, ``rings`` int64 (M + 1,) into ``corners`` int64
    (R + 1,) into ``points`` float64 (P, 2); or a mask: ``masks`` holds its run lengths as ``masks.py`` writes them,
    empty for none.
    """

    starts: NDArray[np.int64]
    class_ids: NDArray[np.int32]
    boxes: NDArray[np.float64]
    flags: NDArray[np.uint8]
    rings: NDArray[np.int64]
    corners: NDArray[np.int64]
    points: NDArray[np.float64]
    masks: StringColumn

    def __post_init__(self) -> None:
        count = len(self.class_ids)
        shapes = (self.boxes.shape, self.flags.shape, self.rings.shape, len(self.masks))
        if shapes != ((count, 4), (count,), (count + 1,), count):
            raise ValueError(f"the columns of {count} objects have the shapes {shapes}")
        ends = (self.starts[-1], self.rings[-1], self.corners[-1])
        if ends != (count, len(self.corners) - 1, len(self.points)):
            raise ValueError(f"the columns of {count} objects end at {ends}")

    def __len__(self) -> int:
        return len(self.class_ids)

    @classmethod
    def empty(cls, images: int) -> ObjectTable:
        """Return the columns of ``images`` images with nothing marked on them."""
        zero = np.zeros(1, np.int64)
        boxes, points = np.empty((0, 4)), np.empty((0, 2))
        empty = np.empty(0, np.int32), boxes, np.empty(0, np.uint8)
        return cls(np.zeros(images + 1, np.int64), *empty, zero, zero, points, StringColumn.from_strings(()))

    @property
    def image_ids(self) -> NDArray[np.int64]:
        """The image of each object, int64 (M,), ascending."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def has_polygons(self) -> NDArray[np.bool_]:
        """Which objects have an outline, (M,)."""
        return np.asarray(np.diff(self.rings) > 0)

    @property
    def has_mask(self) -> NDArray[np.bool_]:
        """Which objects have a mask, (M,)."""
        return np.asarray(self.masks.ends > self.masks.starts)

    def slice_of_image(self, image: int) -> slice:
        """Return the slice of the objects of ``image``."""
        return slice(int(self.starts[image]), int(self.starts[image + 1]))

    def get_polygons(self, index: int) -> list[NDArray[np.float64]]:
        """Return the rings (K, 2) of one object; none when it has no outline."""
        bounds = self.corners[self.rings[index] : self.rings[index + 1] + 1].tolist()
        return [self.points[start:end] for start, end in pairwise(bounds)]

    def select_images(self, images: NDArray[np.int64]) -> ObjectTable:
        """Return the objects of the images at ``images``, in that order."""
        counts = np.diff(self.starts)[images]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return self._take_rows(_concatenate_ranges(self.starts[:-1][images], counts), starts)

    def filter(self, keep: NDArray[np.bool_]) -> ObjectTable:
        """Return the objects for which ``keep`` (M,) holds; the images stay as they are."""
        kept = np.concatenate([[0], np.cumsum(keep)])
        return self._take_rows(np.flatnonzero(keep), kept[self.starts].astype(np.int64))

    def reorder(self, order: NDArray[np.int64]) -> ObjectTable:
        """Return the same objects in the order ``order`` (M,), a permutation that keeps each with its image's."""
        return self._take_rows(order, self.starts)

    def _take_rows(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> ObjectTable:
        ring_counts = np.diff(self.rings)[rows]
        ring_rows = _concatenate_ranges(self.rings[:-1][rows], ring_counts)
        point_counts = np.diff(self.corners)[ring_rows]
        return ObjectTable(
            starts,
            self.class_ids[rows],
            self.boxes[rows],
            self.flags[rows],
            np.concatenate([[0], np.cumsum(ring_counts)]).astype(np.int64),
            np.concatenate([[0], np.cumsum(point_counts)]).astype(np.int64),
            self.points[_concatenate_ranges(self.corners[:-1][ring_rows], point_counts)],
            self.masks.take(rows),
        )


def _concatenate_ranges(firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return first, first + 1, ... for each of ``firsts``, ``counts`` of them, one after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total, dtype=np.int64) + np.repeat(firsts - (ends - counts), counts), np.int64)


@dataclass(frozen=True)
class RejectedItem:
    """One image or label row that is not used: where it stands, why, and what to do about it.

    ``line`` counts from 1; in JSON, ``path`` ends in ``#`` and the pointer to the row instead. ``fault`` names the kind
    for programs: one of ``FAULTS``.
    """

    path: str
    reason: str
    remedy: str = ""
    line: int | None = None
    kind: str = "unusable"

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.reason}" + (f" ({self.remedy})" if self.remedy else "")


@dataclass(frozen=True)
class Detections:
    """What a detector found on one image, best first: as ``Objects`` of one image, with how sure it is.

    ``boxes`` float64 (K, 4), left, top, right, bottom in pixels of the upright image; ``class_ids`` int32 (K,);
    ``scores`` float32 (K,) in [0, 1], not rising.
    """

    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.class_ids.shape != (count,) or self.scores.shape != (count,):
            raise ValueError(f"{count} detections have boxes {self.boxes.shape}, classes {self.class_ids.shape}")
        if (np.diff(self.scores) > 0).any():
            raise ValueError("detections stand best first")

    def __len__(self) -> int:
        return len(self.scores)
