"""Checks of the boxes: beyond the photo, specks, very small ones, doubled ones, and those that cover everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import CROWD, GROUP
from lince.audit.finding import Evidence, Example, Finding, Severity, Words, finding
from lince.audit.pictures import opened, turned
from lince.labels.marks import TOLERANCE
from lince.messages import _

SPECK = 4.0  # pixels; a side below it is a slip of the hand
SMALL = 0.001  # of the photo's area
WHOLE = 0.98  # of both sides of the photo
SAME = 0.9  # overlap (intersection over union) from which two boxes mean the same object


def check(evidence: Evidence) -> list[Finding]:
    """Return what is wrong with the boxes; nothing for data that marks no objects."""
    if evidence.dataset.objects is None:
        return []
    return [*_beyond(evidence), *_slivers(evidence), *_by_size(evidence), *_twice(evidence), *_unmarked(evidence)]


def overlaps(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union (N, N) of every pair of ``boxes`` (N, 4)."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = geometry.area(boxes)
    return np.asarray(shared / np.maximum(areas[:, None] + areas[None, :] - shared, 1e-12), np.float64)


def excess(evidence: Evidence) -> NDArray[np.float64]:
    """Return by how many pixels each box (M,) leaves the photo as it really is; 0 where it does not open."""
    objects = evidence.objects
    height, width = _frame(evidence)
    left, top, right, bottom = objects.boxes.T
    over = np.max([-left, -top, right - width, bottom - height], axis=0, initial=0.0)
    return np.where(opened(evidence)[objects.image_ids], over, 0.0)


def _beyond(evidence: Evidence) -> list[Finding]:
    over = excess(evidence)
    found = (over > TOLERANCE) & ~turned(evidence)[evidence.objects.image_ids]
    words = Words(
        Severity.ERROR,
        _("Boxes beyond the photo"),
        _("They reach further than the photo really does."),
        _("Look whether the photo was resized or cut after it was labelled; correct the boxes or take the original."),
    )
    return _objects(evidence, "beyond", words, np.flatnonzero(found), lambda i: _pixels(float(over[i])))


def _slivers(evidence: Evidence) -> list[Finding]:
    over = excess(evidence)
    found = (over > 0) & (over <= TOLERANCE)
    words = Words(
        Severity.NOTE,
        _("Boxes a hair beyond the edge"),
        _("They leave the photo by one pixel at most, as rounding and counting from 1 bring about. They are used."),
        _("Nothing needs to be done."),
    )
    return _objects(evidence, "edge", words, np.flatnonzero(found), lambda i: _pixels(float(over[i])))


def _by_size(evidence: Evidence) -> list[Finding]:
    boxes = evidence.objects.boxes
    height, width = _frame(evidence)
    sides = boxes[:, 2:] - boxes[:, :2]
    known = opened(evidence)[evidence.objects.image_ids] & ~turned(evidence)[evidence.objects.image_ids]
    speck = sides.min(axis=1, initial=np.inf) < SPECK
    share = sides.prod(axis=1) / np.maximum(height * width, 1)
    small = known & ~speck & (share < SMALL)
    covered = np.minimum(sides[:, 0] / np.maximum(width, 1), sides[:, 1] / np.maximum(height, 1))
    whole = known & (covered >= WHOLE)

    def size(i: int) -> str:
        return _("{width:.1f} x {height:.1f} px").format(width=float(sides[i, 0]), height=float(sides[i, 1]))

    return [
        *_objects(evidence, "speck", _speck(), np.flatnonzero(speck), size),
        *_objects(evidence, "small", _small(), np.flatnonzero(small), size),
        *_objects(evidence, "whole", _whole(), np.flatnonzero(whole), size),
    ]


def _speck() -> Words:
    return Words(
        Severity.WARNING,
        _("Specks"),
        _("Boxes with a side of less than 4 pixels: a slip of the hand, most often."),
        _("Look at them and remove those that mark nothing."),
    )


def _small() -> Words:
    return Words(
        Severity.NOTE,
        _("Very small objects"),
        _("They cover less than a thousandth of their photo, and are hard to learn at small input sizes."),
        _("Train with a larger input (--size), or cut the photos into tiles."),
    )


def _whole() -> Words:
    return Words(
        Severity.NOTE,
        _("Boxes around the whole photo"),
        _("They cover their photo from edge to edge."),
        _("Right for close-ups. If a tool put them there because nobody drew anything, draw the objects."),
    )


def _twice(evidence: Evidence) -> list[Finding]:
    same: list[tuple[int, int]] = []
    other: list[tuple[int, int]] = []
    class_ids = evidence.objects.class_ids
    for first, second in _pairs(evidence):
        (same if class_ids[first] == class_ids[second] else other).append((first, second))
    names = evidence.dataset.classes.names
    contested = [(pair, " / ".join(names[class_ids[i]] for i in pair)) for pair in other]
    doubled = [(pair, names[class_ids[pair[0]]]) for pair in same]
    rows = evidence.objects.image_ids
    return [
        *finding("doubled", _doubled(), _shown(evidence, doubled, rows), len(doubled)),
        *finding("contested", _contested(), _shown(evidence, contested, rows), len(contested)),
    ]


def _doubled() -> Words:
    return Words(
        Severity.WARNING,
        _("Objects marked twice"),
        _("Two boxes of one class lie on one another (overlap above 0.9)."),
        _("Remove one of each; exact copies are dropped by --fix duplicates."),
    )


def _contested() -> Words:
    return Words(
        Severity.WARNING,
        _("One object, two classes"),
        _("Two boxes of different classes lie on one another (overlap above 0.9)."),
        _("Decide which class is right and remove the other, unless an object may have both."),
    )


def _pairs(evidence: Evidence) -> Iterator[tuple[int, int]]:
    """Yield (first, second) object of each pair on one image that lie on one another; crowds and groups aside."""
    objects = evidence.objects
    single = (objects.flags & (CROWD | GROUP)) == 0
    for row in np.flatnonzero(np.diff(objects.starts) > 1).tolist():
        of = objects.of(row)
        here = np.flatnonzero(single[of]) + of.start
        firsts, seconds = np.nonzero(np.triu(overlaps(objects.boxes[here]) > SAME, 1))
        yield from zip(here[firsts].tolist(), here[seconds].tolist(), strict=True)


def _shown(
    evidence: Evidence, pairs: Sequence[tuple[tuple[int, int], str]], rows: NDArray[np.int64]
) -> Iterator[Example]:
    return (evidence.example(int(rows[pair[0]]), text, pair) for pair, text in pairs)


def _unmarked(evidence: Evidence) -> list[Finding]:
    rows = np.flatnonzero(np.diff(evidence.objects.starts) == 0)
    share = len(rows) / max(len(evidence.dataset), 1)
    words = Words(
        Severity.WARNING if share > 0.5 else Severity.NOTE,
        _("Photos without any object"),
        _(
            "Their label is empty ({share:.1%} of the photos), so they are taken to show none of the classes. "
            "Where all labels of a photo were refused above, that is wrong."
        ),
        _("Look through them. Some are good for training; a photo that nobody labelled teaches the wrong thing."),
    )
    return finding("nothing-marked", words, map(evidence.example, rows.tolist()), len(rows), {"share": share})


def _objects(
    evidence: Evidence, code: str, words: Words, found: NDArray[np.int64], say: Callable[[int], str]
) -> list[Finding]:
    """Return the finding on the objects ``found``; ``say`` tells something of each."""
    rows, kinds = evidence.objects.image_ids, evidence.objects.class_ids
    examples = (
        evidence.example(int(rows[i]), f"{evidence.class_name(int(kinds[i]))}: {say(i)}", (i,)) for i in found.tolist()
    )
    return finding(code, words, examples, len(found))


def _frame(evidence: Evidence) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    height, width = evidence.facts.sizes[evidence.objects.image_ids].T
    return height, width


def _pixels(value: float) -> str:
    return _("by {excess:.2g} px").format(excess=value)
