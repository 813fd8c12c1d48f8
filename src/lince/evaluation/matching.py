"""Which detection found which object: the greedy matching of COCO, for every image, class and threshold at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import CROWD, DIFFICULT, Detections, Objects

IOUS = np.linspace(0.5, 0.95, 10)
MOST = 100  # detections of one class on one image that COCO looks at
NEAR = 0.1  # below this overlap a detection is taken to lie on the background (Bolya et al. 2020)
NOTHING = -1
_CHUNK = 1 << 18  # pairs measured at a time, so that they stay in the processor's cache

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Columns:
    """Truth and findings of N images, laid side by side as flat columns.

    Truth (M,): ``truth_images``, ``truth_classes``, ``truth_areas`` in square pixels, ``regions`` (marked as a crowd
    or as difficult: what is found there counts neither for nor against). Findings (K,), by class, best first, at most
    ``MOST`` of a class on an image: ``images``, ``classes``, ``scores``, ``areas``. Pairs (P,) of the two that overlap
    by ``NEAR`` or more: ``finding`` and ``truth`` are rows of the columns above, ``overlap`` the intersection over the
    union; over the finding's own area for a region.
    """

    count: int
    truth_images: Ints
    truth_classes: Ints
    truth_areas: NDArray[np.float64]
    regions: Bools
    images: Ints
    classes: Ints
    scores: NDArray[np.float64]
    areas: NDArray[np.float64]
    finding: Ints
    truth: Ints
    overlap: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def alike(self) -> Bools:
        """Which pairs are of one class, (P,)."""
        return np.asarray(self.classes[self.finding] == self.truth_classes[self.truth])


@dataclass(frozen=True, eq=False)
class Matching:
    """What each finding was matched with, at each of ``IOUS``.

    ``matched`` int64 (T, K): a row of the truth or ``NOTHING``; ``hits`` and ``counted`` (T, K) tell which findings
    are right, and which count at all; ``wanted`` (M,) which objects are to be found.
    """

    matched: Ints
    hits: Bools
    counted: Bools
    wanted: Bools


def columns(truth: Objects, found: Sequence[Detections]) -> Columns:
    """Return ``truth`` and ``found``, one for each of its images in the same order, as columns with their pairs."""
    boxes, images, classes, scores = _listed(found)
    # By class, best first; among equals the earlier image, then the order in which they were given: as COCO does.
    order = np.lexsort((-scores, classes))
    order = order[_rank(images[order], classes[order]) < MOST]
    boxes, images = boxes[order], images[order]
    unclear = regions(truth)
    pairs = _pairs(truth, boxes, images, unclear)
    return Columns(
        len(found),
        truth.image_ids,
        truth.class_ids.astype(np.int64),
        geometry.area(truth.boxes),
        unclear,
        images,
        classes[order],
        scores[order],
        geometry.area(boxes),
        *pairs,
    )


def regions(truth: Objects) -> Bools:
    """Tell which objects (M,) are marked as a crowd or as difficult."""
    return np.asarray((truth.flags & (CROWD | DIFFICULT)) > 0)


def match(columns: Columns, smallest: float = 0.0, largest: float = np.inf) -> Matching:
    """Return the matching of COCO where objects from ``smallest`` to ``largest`` square pixels are wanted.

    Class by class and image by image, the surest finding first takes the free object that it overlaps most, the later
    one among equals, and one that is not wanted only where no other is left; a region is never used up. What is
    matched with an unwanted object does not count, nor what is matched with none and lies outside the range itself.
    """
    wanted = ~columns.regions & _within(columns.truth_areas, smallest, largest)
    matched = _greedy(columns, wanted)
    none = matched == NOTHING
    hits = ~none & np.append(wanted, False)[matched]
    outside = ~_within(columns.areas, smallest, largest)
    return Matching(matched, hits, hits | (none & ~outside), wanted)


def _within(areas: NDArray[np.float64], smallest: float, largest: float) -> Bools:
    return np.asarray((areas >= smallest) & (areas <= largest))


def _greedy(columns: Columns, wanted: Bools) -> Ints:
    """Return ``matched``: the n-th finding of every image and class is dealt with at once, for n = 0, 1, ..."""
    pairs = np.flatnonzero(columns.alike & (columns.overlap >= IOUS[0]))
    finding, truth, overlap = columns.finding[pairs], columns.truth[pairs], columns.overlap[pairs]
    rounds = _rounds(columns, finding)
    # The best comes last: the wanted after the others, the nearer after the farther, the later after the earlier.
    order = np.lexsort((truth, overlap, wanted[truth], finding, rounds))
    finding, truth, overlap, rounds = finding[order], truth[order], overlap[order], rounds[order]
    matched = np.full((len(IOUS), len(columns)), NOTHING, np.int64)
    taken = np.zeros((len(IOUS), len(columns.regions)), np.bool_)
    reusable = np.flatnonzero(columns.regions)
    starts = np.flatnonzero(np.diff(rounds, prepend=-1, append=-1)).tolist() if len(rounds) else []
    for start, end in pairwise(starts):
        part = slice(start, end)
        _deal(finding[part], truth[part], overlap[part] >= IOUS[:, None], matched, taken)
        taken[:, reusable] = False
    return matched


def _deal(finding: Ints, truth: Ints, near: Bools, matched: Ints, taken: Bools) -> None:
    """Give each of ``finding`` the last of its pairs that is ``near`` (T, P) and free, and note it in the last two."""
    free = near & ~taken[:, truth]
    firsts = np.flatnonzero(np.diff(finding, prepend=-1))
    last = np.maximum.reduceat(np.where(free, np.arange(len(truth)), NOTHING), firsts, axis=1)
    given = np.where(last == NOTHING, NOTHING, truth[last])
    matched[:, finding[firsts]] = given
    threshold, place = np.nonzero(last != NOTHING)
    taken[threshold, given[threshold, place]] = True


def _rounds(columns: Columns, finding: Ints) -> Ints:
    """Return for each of ``finding`` (P,), rows that may repeat, its place among those of its image and class."""
    rows, back = np.unique(finding, return_inverse=True)
    return _rank(columns.images[rows], columns.classes[rows])[back]


def _rank(images: Ints, classes: Ints) -> Ints:
    """Return the place of each row among the rows of its image and class, from 0 on, in the order they stand in."""
    order = np.lexsort((images, classes))
    fresh = (np.diff(images[order], prepend=-1) != 0) | (np.diff(classes[order], prepend=-1) != 0)
    firsts = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - firsts
    return rank


def _listed(found: Sequence[Detections]) -> tuple[NDArray[np.float64], Ints, Ints, NDArray[np.float64]]:
    """Return the boxes, images, classes and scores of all that was ``found``, one image after the other."""
    boxes = np.concatenate([np.empty((0, 4)), *(item.boxes for item in found)])
    images = np.repeat(np.arange(len(found)), [len(item) for item in found])
    classes = np.concatenate([np.empty(0, np.int64), *(item.class_ids for item in found)])
    scores = np.concatenate([np.empty(0), *(item.scores for item in found)])
    return boxes, images.astype(np.int64), classes.astype(np.int64), scores.astype(np.float64)


def _pairs(
    truth: Objects, boxes: NDArray[np.float64], images: Ints, regions: Bools
) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Return finding, truth and overlap of the pairs on one image that overlap by ``NEAR`` or more."""
    firsts, counts = truth.starts[images], np.diff(truth.starts)[images]
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(_CHUNK, ends[-1] if len(ends) else 0, _CHUNK))
    parts: list[tuple[Any, ...]] = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for rows in np.split(np.arange(len(images)), cuts):
        many = counts[rows]
        finding = np.repeat(rows, many)
        offset = np.arange(len(finding)) - np.repeat(np.cumsum(many) - many, many)
        object_ = firsts[finding] + offset
        overlap = _overlap(boxes[finding], truth.boxes[object_], regions[object_])
        near = overlap >= NEAR
        parts.append((finding[near], object_[near], overlap[near]))
    finding, object_, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    return finding, object_, overlap


def _overlap(found: NDArray[np.float64], truth: NDArray[np.float64], regions: Bools) -> NDArray[np.float64]:
    """Return the intersection of each row of ``found`` and ``truth`` (P, 4) over their union, or ``found``'s area."""
    sides = np.minimum(found[:, 2:], truth[:, 2:]) - np.maximum(found[:, :2], truth[:, :2])
    shared = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
    own = geometry.area(found)
    union = np.where(regions, own, own + geometry.area(truth) - shared)
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0))
